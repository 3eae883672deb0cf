//! The market, from a demand to an agreement's end.

use std::time::{Duration, Instant};

use node::Provider;
use serde_json::{Value, json};

use crate::{clock::odd_clock, recorded::check, requestor::text, scene::Scene};

#[tokio::test(flavor = "multi_thread")]
async fn a_deal_looks_as_recorded() {
    let scene = Scene::start_with(|builder| builder.clock(odd_clock())).await;
    let requestor = &scene.requestor;
    let demand = requestor.demand().await;
    let published = requestor
        .post("/market-api/v1/demands", demand.clone())
        .await;
    check("new demand", &published);
    let path = format!("/market-api/v1/demands/{}", text(&published.ok()));
    let events = format!("{path}/events?timeout=20&maxEvents=10");
    let offered = requestor.get(&events).await;
    check("offer proposed", &offered);
    let proposal = text(&offered.ok()[0]["proposal"]["proposalId"]);
    let countered = requestor
        .post(&format!("{path}/proposals/{proposal}"), demand.clone())
        .await;
    check("countered", &countered);
    let own = format!("{path}/proposals/{}", text(&countered.ok()));
    let own = requestor.get(&own).await;
    check("own proposal", &own);
    assert_eq!(own.ok()["properties"], demand["properties"]);
    let answered = requestor.get(&events).await;
    check("answer proposed", &answered);
    let offer = &answered.ok()[0]["proposal"];
    assert_eq!(offer["prevProposalId"], countered.ok());

    let new = json!({"proposalId": offer["proposalId"], "validTo": "2100-01-01T00:00:00.302Z"});
    let created = requestor.post("/market-api/v1/agreements", new).await;
    check("new agreement", &created);
    let agreement = format!("/market-api/v1/agreements/{}", text(&created.ok()));
    check("agreement before", &requestor.get(&agreement).await);
    let confirmed = requestor
        .post_nothing(&format!("{agreement}/confirm?appSessionId=mine"))
        .await;
    check("confirmed", &confirmed);
    let approved = requestor
        .post_nothing(&format!("{agreement}/wait?timeout=20"))
        .await;
    check("approved", &approved);
    let after = requestor.get(&agreement).await;
    check("agreement after", &after);
    let event = |after: &str| {
        format!(
            "/market-api/v1/agreementEvents?timeout=20&maxEvents=1&appSessionId=mine&afterTimestamp={after}"
        )
    };
    let approval = requestor.get(&event("2026-01-01T00:00:00Z")).await;
    check("approval event", &approval);

    let reason = json!({"message": "Finished", "golem.requestor.code": "Success"});
    let terminated = requestor
        .post(&format!("{agreement}/terminate"), reason)
        .await;
    check("terminated", &terminated);
    let termination = requestor
        .get(&event(&text(&approval.ok()[0]["eventDate"])))
        .await;
    assert_eq!(
        termination.ok()[0]["reason"]["golem.requestor.code"],
        "Success"
    );
    // Only a message was recorded.
    let mut only_message = termination.clone();
    only_message.text = only_message
        .text
        .replace(",\"golem.requestor.code\":\"Success\"", "");
    only_message.text = only_message
        .text
        .replace("\"golem.requestor.code\":\"Success\",", "");
    check("termination event", &only_message);
    // And the offer comes anew.
    check("offer proposed", &requestor.get(&events).await);
    check("unsubscribed", &requestor.delete(&path).await);
    check("demand gone", &requestor.get(&events).await);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_offer_is_that_of_a_provider_of_images() {
    let mine = Provider::new("mine")
        .cores(3)
        .memory_gib(1.5)
        .storage_gib(7.0);
    let scene = Scene::start_with(|builder| builder.providers([mine])).await;
    let requestor = &scene.requestor;
    let demand = requestor.demand().await;
    let id = requestor.subscribe(&demand).await;
    let event = requestor.next_event(&id).await;
    let offer = &event["proposal"]["properties"];
    for (name, value) in [
        ("golem.runtime.name", json!("vm")),
        ("golem.runtime.capabilities", json!(["vpn"])),
        ("golem.node.id.name", json!("mine")),
        ("golem.node.debug.subnet", json!("public")),
        ("golem.inf.cpu.cores", json!(3)),
        ("golem.inf.mem.gib", json!(1.5)),
        ("golem.inf.storage.gib", json!(7.0)),
        ("golem.com.pricing.model", json!("linear")),
        (
            "golem.com.usage.vector",
            json!(["golem.usage.duration_sec", "golem.usage.cpu_sec"]),
        ),
        ("golem.com.payment.protocol.version", json!(3)),
        // Without it yapapi leaves it to the provider to end agreements.
        ("golem.srv.caps.multi-activity", json!(true)),
        (
            "golem.com.payment.platform.erc20-polygon-glm.address",
            event["proposal"]["issuerId"].clone(),
        ),
    ] {
        assert_eq!(offer[name], value, "{name}");
    }
    let coefficients = offer["golem.com.pricing.model.linear.coeffs"]
        .as_array()
        .unwrap();
    assert!(coefficients.iter().all(Value::is_f64), "{coefficients:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_taken_slot_is_said_and_is_free_again_when_the_agreement_ends() {
    let scene = Scene::start_with(|builder| builder.clock(odd_clock())).await;
    let requestor = &scene.requestor;
    let agreement = requestor.agree().await;
    let demand = requestor.demand().await;
    let id = requestor.subscribe(&demand).await;
    let event = requestor.next_event(&id).await;
    let path = format!("/market-api/v1/demands/{id}");
    let proposal = text(&event["proposal"]["proposalId"]);
    let counter = requestor
        .post(&format!("{path}/proposals/{proposal}"), demand.clone())
        .await;
    let rejected = requestor.get(&format!("{path}/events?timeout=20")).await;
    check("rejected", &rejected);
    let rejection = &rejected.ok()[0];
    assert_eq!(rejection["proposalId"], counter.ok());
    assert_eq!(
        rejection["reason"],
        json!({
            "message": "No capacity available. Reached Agreements limit: 1",
            "golem.proposal.rejection.is-final": false,
        })
    );
    requestor.terminate(&agreement).await;
    let event = requestor.next_event(&id).await;
    assert_eq!(event["proposal"]["prevProposalId"], counter.ok());
    requestor.bind(&event["proposal"]).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_agreement_can_be_refused() {
    let scene = Scene::start().await;
    let requestor = &scene.requestor;
    // Two drafts for one slot.
    let demand = requestor.demand().await;
    let mut drafts = Vec::new();
    for _ in 0..2 {
        let id = requestor.subscribe(&demand).await;
        drafts.push(requestor.negotiate(&id, &demand).await["proposal"].clone());
    }
    requestor.bind(&drafts[0]).await;
    let new = json!({"proposalId": drafts[1]["proposalId"], "validTo": "2100-01-01T00:00:00Z"});
    let agreement = text(
        &requestor
            .post("/market-api/v1/agreements", new.clone())
            .await
            .ok(),
    );
    let path = format!("/market-api/v1/agreements/{agreement}");
    let early = requestor
        .post_nothing(&format!("{path}/wait?timeout=0"))
        .await;
    assert_eq!(early.error(408), "Timeout");
    requestor
        .post_nothing(&format!("{path}/confirm"))
        .await
        .ok();
    let refused = requestor
        .post_nothing(&format!("{path}/wait?timeout=20"))
        .await;
    assert_eq!(
        refused.error(410),
        "Rejected: No capacity available. Reached Agreements limit: 1"
    );
    let late = requestor.post(&format!("{path}/cancel"), Value::Null).await;
    assert!(
        late.error(410)
            .contains("is Rejected, it cannot be cancelled now")
    );
    let again = requestor.post("/market-api/v1/agreements", new).await;
    assert!(again.error(409).contains("is Accepted"));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_demand_can_be_cancelled_rejected_and_countered_once() {
    let scene = Scene::start().await;
    let requestor = &scene.requestor;
    let demand = requestor.demand().await;
    let id = requestor.subscribe(&demand).await;
    let event = requestor.next_event(&id).await;
    let path = format!(
        "/market-api/v1/demands/{id}/proposals/{}",
        text(&event["proposal"]["proposalId"])
    );
    let rejected = requestor
        .post(&format!("{path}/reject"), json!({"message": "dear"}))
        .await;
    assert_eq!((rejected.status, rejected.content_type.as_str()), (204, ""));
    let own = requestor.post(&path, demand.clone()).await;
    assert_eq!(
        requestor.post(&path, demand.clone()).await.error(410),
        format!(
            "proposal {} was countered already",
            text(&event["proposal"]["proposalId"])
        )
    );
    let own = format!("/market-api/v1/demands/{id}/proposals/{}", text(&own.ok()));
    assert!(
        requestor
            .post(&own, demand.clone())
            .await
            .error(400)
            .contains("the caller's own")
    );
    let draft = requestor.next_event(&id).await;
    let draft = format!(
        "/market-api/v1/demands/{id}/proposals/{}",
        text(&draft["proposal"]["proposalId"])
    );
    let picky =
        json!({"properties": demand["properties"], "constraints": "(golem.runtime.name=wasm)"});
    assert!(
        requestor
            .post(&draft, picky)
            .await
            .error(400)
            .contains("does not match")
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn who_waits_for_a_demand_hears_that_it_is_gone() {
    let scene = Scene::start_with(|builder| builder.providers([])).await;
    let requestor = scene.requestor.clone();
    let demand = requestor.demand().await;
    let id = requestor.subscribe(&demand).await;
    let path = format!("/market-api/v1/demands/{id}");
    let began = Instant::now();
    let short = requestor.get(&format!("{path}/events?timeout=0.2")).await;
    assert_eq!(short.ok(), json!([]));
    assert!(began.elapsed() >= Duration::from_millis(200));
    let waiting = tokio::spawn({
        let (requestor, events) = (requestor.clone(), format!("{path}/events?timeout=60"));
        async move { requestor.get(&events).await }
    });
    tokio::task::yield_now().await;
    requestor.delete(&path).await.ok();
    waiting.await.unwrap().error(404);
    assert!(began.elapsed() < Duration::from_secs(30));
}

#[tokio::test(flavor = "multi_thread")]
async fn an_offer_promises_what_its_runtime_says_of_itself() {
    let scene = Scene::start().await;
    let demand = scene.requestor.demand().await;
    let id = scene.requestor.subscribe(&demand).await;
    let event = scene.requestor.next_event(&id).await;
    let offer = &event["proposal"]["properties"];
    assert_eq!(offer["golem.runtime.limits"], json!(["memory"]), "{offer}");
}
