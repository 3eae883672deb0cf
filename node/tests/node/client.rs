//! The API as ya-client uses it, which is what other programs in Rust do.

use exeunit::gsb::{
    CallReplyType,
    message::{Exec, GetExecBatchResults},
};
use serde_json::json;
use tokio::task::LocalSet;
use ya_client::{
    activity::ActivityRequestorApi,
    identity::IdentityApi,
    market::MarketRequestorApi,
    model::{
        activity::{ExeScriptCommandResult, ExeScriptRequest, State},
        market::{
            AgreementProposal, NewDemand, RequestorEvent, agreement::State as AgreementState,
        },
        payment::{Acceptance, DocumentStatus, InvoiceEvent, InvoiceEventType, NewAllocation},
    },
    payment::PaymentApi,
    web::{WebClient, WebInterface},
};

use crate::scene::Scene;

struct Client(WebClient);

impl Client {
    fn of(scene: &Scene) -> Self {
        let url = scene.node.url().parse().unwrap();
        let client = WebClient::builder().api_url(url);
        Self(client.auth_token(scene.node.app_key()).build())
    }

    fn api<T: WebInterface>(&self) -> T {
        self.0.interface().unwrap()
    }
}

#[tokio::test]
async fn ya_client_goes_all_the_way() {
    // It cannot be sent between threads.
    LocalSet::new().run_until(all_the_way()).await;
}

async fn all_the_way() {
    let mut scene = Scene::start().await;
    let client = Client::of(&scene);
    let (payment, market) = (
        client.api::<PaymentApi>(),
        client.api::<MarketRequestorApi>(),
    );
    let me = client.api::<IdentityApi>().me().await.unwrap();
    let allocation = payment
        .create_allocation(&NewAllocation {
            address: None,
            payment_platform: None,
            total_amount: 5.into(),
            timeout: Some(chrono::Utc::now() + chrono::TimeDelta::days(30)),
            deposit: None,
            make_deposit: false,
        })
        .await
        .unwrap();
    assert_eq!(allocation.address, me.identity.to_string());
    let id = allocation.allocation_id.clone();
    let decorations = payment
        .get_demand_decorations(vec![id.clone()])
        .await
        .unwrap();

    let mut properties = json!({
        "golem.srv.comp.expiration": crate::requestor::far(),
        "golem.com.payment.chosen-platform": allocation.payment_platform,
    });
    for property in decorations.properties {
        properties[property.key] = json!(property.value);
    }
    let constraints = format!(
        "(&(golem.runtime.name=vm){})",
        decorations.constraints.concat()
    );
    let demand = NewDemand::new(properties, constraints);
    let demand_id = market.subscribe(&demand).await.unwrap();
    let next = async || {
        let events = market
            .collect(&demand_id, Some(20.0), Some(1))
            .await
            .unwrap();
        match events.into_iter().next().unwrap() {
            RequestorEvent::ProposalEvent { proposal, .. } => proposal.proposal_id,
            other => panic!("{other:?}"),
        }
    };
    market
        .counter_proposal(&demand, &demand_id, &next().await)
        .await
        .unwrap();
    let valid_to = chrono::Utc::now() + chrono::TimeDelta::hours(1);
    let proposal = AgreementProposal::new(next().await, valid_to);
    let agreement = market.create_agreement(&proposal).await.unwrap();
    market.confirm_agreement(&agreement, None).await.unwrap();
    market
        .wait_for_approval(&agreement, Some(20.0))
        .await
        .unwrap();
    let approved = market.get_agreement(&agreement).await.unwrap();
    assert_eq!(approved.state, AgreementState::Approved);
    market.unsubscribe(&demand_id).await.unwrap();

    let activity = client.api::<ActivityRequestorApi>();
    let created = tokio::task::spawn_local({
        let (activity, agreement) = (activity.clone(), agreement.clone());
        async move { activity.control().create_activity(&agreement).await }
    });
    let started = scene.started().await;
    let mut peer = scene.speak_for(&started).await;
    let activity_id = created.await.unwrap().unwrap();
    let state = activity.state().get_state(&activity_id).await.unwrap();
    assert_eq!(state.state.0, State::Initialized);
    let exe_unit = tokio::spawn(async move {
        let (exec, call) = peer.called::<Exec>().await;
        peer.answer(&call, CallReplyType::Full, Ok(&exec.batch_id))
            .await;
        let (_, call) = peer.called::<GetExecBatchResults>().await;
        let done = json!([{
            "index": 0, "result": "Ok", "stdout": null, "stderr": null, "message": null,
            "isBatchFinished": true, "eventDate": "2026-11-20T10:14:39Z",
        }]);
        let done: Vec<ExeScriptCommandResult> = serde_json::from_value(done).unwrap();
        peer.answer(&call, CallReplyType::Full, Ok(done)).await;
        peer
    });
    let script = ExeScriptRequest::new("[{\"deploy\": {}}]".to_owned());
    let batch = activity.control().exec(script, &activity_id).await.unwrap();
    let results = activity.control();
    let results = results
        .get_exec_batch_results(&activity_id, &batch, Some(5.0), None)
        .await;
    assert!(results.unwrap()[0].is_batch_finished);
    let _peer = exe_unit.await.unwrap();
    activity
        .control()
        .destroy_activity(&activity_id)
        .await
        .unwrap();
    market.terminate_agreement(&agreement, &None).await.unwrap();

    let timeout = std::time::Duration::from_secs(20);
    let events = payment.events::<InvoiceEvent>().timeout(timeout);
    let received = [InvoiceEventType::InvoiceReceivedEvent];
    let events = events.max_events(1).requestor_events(received).get().await;
    let invoice = payment
        .get_invoice(&events.unwrap()[0].invoice_id)
        .await
        .unwrap();
    assert_eq!(invoice.amount.to_string(), "1.000000000000000000");
    let acceptance = Acceptance {
        total_amount_accepted: invoice.amount.clone(),
        allocation_id: id.clone(),
    };
    payment
        .accept_invoice(&invoice.invoice_id, &acceptance)
        .await
        .unwrap();
    let accepted = payment.get_invoice(&invoice.invoice_id).await.unwrap();
    // It is settled soon after.
    let (status, paid) = (
        accepted.status,
        [DocumentStatus::Accepted, DocumentStatus::Settled],
    );
    assert!(paid.contains(&status), "{status:?}");
    let left = payment.get_allocation(&id).await.unwrap();
    assert_eq!(left.remaining_amount, 4.into());
    payment.release_allocation(&id).await.unwrap();
    scene.node.stop().await.unwrap();
}
