//! Agreements that the provider ends, as their requestor hears of it: why, and what is to be paid.

use chrono::TimeDelta;
use node::{Clock, Faults, LocalNodeBuilder, Provider, Rules};
use serde_json::{Value, json};

use crate::{
    requestor::{Requestor, text},
    scene::Scene,
};

const LONG_AGO: &str = "2000-01-01T00:00:00Z";

/// The event that an agreement ends with, which was approved before.
async fn terminated(requestor: &Requestor) -> Value {
    let next = async |after: &str| {
        let path = "/market-api/v1/agreementEvents?timeout=60&maxEvents=1&afterTimestamp=";
        requestor.get(&format!("{path}{after}")).await.ok()[0].clone()
    };
    let approved = next(LONG_AGO).await;
    assert_eq!(approved["eventType"], "AgreementApprovedEvent");
    let terminated = next(&text(&approved["eventDate"])).await;
    assert_eq!(terminated["eventType"], "AgreementTerminatedEvent");
    assert_eq!(terminated["terminator"], "Provider");
    assert_eq!(terminated["agreementId"], approved["agreementId"]);
    terminated
}

#[tokio::test(flavor = "multi_thread")]
async fn an_agreement_that_nobody_uses_is_ended_and_costs_nothing() {
    let (clock, hands) = Clock::system().with_hands();
    let scene = Scene::start_with(|builder| builder.clock(clock)).await;
    let requestor = &scene.requestor;
    let agreement = requestor.agree().await;
    hands.forward(Rules::default().idle_limit);
    let event = terminated(requestor).await;
    assert_eq!(event["agreementId"], json!(agreement));
    let reason = json!({
        "message": "no activity was created for too long", "golem.provider.code": "NoActivity",
    });
    assert_eq!(event["reason"], reason);
    let path = format!("/market-api/v1/agreements/{agreement}");
    assert_eq!(requestor.get(&path).await.ok()["state"], "Terminated");
    let late = requestor
        .post("/activity-api/v1/activity", json!(agreement))
        .await;
    assert!(late.error(400).contains("is Terminated"));
    let (invoice, _) = requestor.next_bill("invoice", LONG_AGO).await;
    assert_eq!(invoice["amount"], "0.000000000000000000");
}

#[tokio::test(flavor = "multi_thread")]
async fn an_agreement_whose_notes_nobody_accepts_is_ended_and_billed() {
    let strict = Provider::new("strict").faults(Faults {
        breaks_unaccepted_after: Some(TimeDelta::milliseconds(500)),
        ..Faults::default()
    });
    let (clock, hands) = Clock::system().with_hands();
    let builder = |builder: LocalNodeBuilder| builder.clock(clock).providers([strict]);
    let mut scene = Scene::start_with(builder).await;
    let requestor = scene.requestor.clone();
    let (_, started, mut peer) = scene.activity().await;
    peer.report_usage(&started.activity, [2.0, 0.0]).await;
    hands.forward(Rules::default().note_interval);

    let reason = terminated(&requestor).await["reason"].clone();
    assert_eq!(reason["golem.provider.code"], "DebitNotesDeadline");
    let (invoice, _) = requestor.next_bill("invoice", LONG_AGO).await;
    assert_eq!(invoice["activityIds"], json!([started.activity]));
    let path = format!("/activity-api/v1/activity/{}/state", started.activity);
    assert_eq!(requestor.get(&path).await.ok()["state"][0], "Terminated");
}
