//! What a daemon is known to do and clients rely on, and no other test is about: one test each.

use chrono::{DateTime, TimeDelta, Utc};
use exeunit::Program;
use node::{Clock, Faults, Provider, Stage};
use reqwest::Method;
use serde_json::{Value, json};

use crate::{
    clock::odd_clock,
    recorded::check,
    requestor::{PLATFORM, Requestor, text},
    scene::{Scene, script},
};

const LONG_AGO: &str = "2000-01-01T00:00:00Z";

/// What happened to a requestor's agreements after a time, in one of its sessions or in all.
async fn happened(requestor: &Requestor, after: &str, session: Option<&str>) -> Vec<Value> {
    let session = session.map_or(String::new(), |session| format!("&appSessionId={session}"));
    let path = format!("/market-api/v1/agreementEvents?timeout=0&afterTimestamp={after}{session}");
    requestor.get(&path).await.ok().as_array().unwrap().clone()
}

/// golem-js fails at an event without a message.
#[tokio::test(flavor = "multi_thread")]
async fn a_termination_that_has_no_reason_is_told_with_a_message() {
    let scene = Scene::start().await;
    let requestor = &scene.requestor;
    for body in [Value::Null, json!({"message": "enough"})] {
        let agreement = requestor.agree().await;
        let path = format!("/market-api/v1/agreements/{agreement}");
        let terminated = requestor
            .post(&format!("{path}/terminate"), body.clone())
            .await;
        assert_eq!(terminated.status, 200);
        let events = happened(requestor, LONG_AGO, None).await;
        let last = events.last().unwrap();
        assert_eq!(last["eventType"], "AgreementTerminatedEvent");
        let expected = body["message"].as_str().unwrap_or("no reason was given");
        assert_eq!(last["reason"]["message"], expected);
        let reason = requestor
            .get(&format!("{path}/terminate/reason"))
            .await
            .ok();
        assert_eq!(reason["message"], expected);
    }
}

/// yapapi asks anew with the last event's time, and would go round in circles with a finer one.
#[tokio::test(flavor = "multi_thread")]
async fn events_are_there_again_and_none_is_after_the_last() {
    let scene = Scene::start_with(|builder| builder.clock(odd_clock())).await;
    let requestor = &scene.requestor;
    let agreement = requestor.agree().await;
    requestor.terminate(&agreement).await;
    let events = happened(requestor, LONG_AGO, None).await;
    assert_eq!(events.len(), 2, "{events:?}");
    assert_eq!(happened(requestor, LONG_AGO, None).await, events);
    let [first, last] = [&events[0], &events[1]].map(|event| text(&event["eventDate"]));
    for time in [&first, &last] {
        let time: DateTime<Utc> = time.parse().unwrap();
        assert_eq!(time.timestamp_subsec_nanos() % 1000, 0, "{time}");
    }
    assert_eq!(happened(requestor, &first, None).await, events[1..]);
    assert!(happened(requestor, &last, None).await.is_empty());
}

#[tokio::test(flavor = "multi_thread")]
async fn each_session_hears_of_its_own_agreements() {
    let twice = Provider::new("twice").slots(2);
    let scene = Scene::start_with(|builder| builder.providers([twice])).await;
    let requestor = &scene.requestor;
    let demand = requestor.demand().await;
    let mut agreements = Vec::new();
    for session in ["one", "two"] {
        let id = requestor.subscribe(&demand).await;
        let proposal = requestor.negotiate(&id, &demand).await["proposal"].clone();
        let agreement = requestor
            .create_agreement(&proposal, "2100-01-01T00:00:00Z")
            .await;
        let path = format!("/market-api/v1/agreements/{agreement}");
        let confirm = format!("{path}/confirm?appSessionId={session}");
        requestor.post_nothing(&confirm).await.ok();
        let approved = requestor
            .post_nothing(&format!("{path}/wait?timeout=20"))
            .await;
        assert_eq!(approved.status, 204);
        agreements.push(agreement);
    }
    for (session, agreement) in ["one", "two"].into_iter().zip(&agreements) {
        let events = happened(requestor, LONG_AGO, Some(session)).await;
        assert_eq!(events.len(), 1, "{session}: {events:?}");
        assert_eq!(events[0]["agreementId"], json!(agreement));
    }
    assert_eq!(happened(requestor, LONG_AGO, None).await.len(), 2);
}

/// golem-js looks its demand up by the agreement's.
#[tokio::test(flavor = "multi_thread")]
async fn an_agreement_names_the_demand_that_was_put_up() {
    let scene = Scene::start().await;
    let requestor = &scene.requestor;
    let demand = requestor.demand().await;
    let id = requestor.subscribe(&demand).await;
    let event = requestor.negotiate(&id, &demand).await;
    let agreement = requestor.bind(&event["proposal"]).await;
    let path = format!("/market-api/v1/agreements/{agreement}");
    let agreed = requestor.get(&path).await.ok();
    assert_eq!(agreed["demand"]["demandId"], json!(id));
    assert_eq!(
        agreed["demand"]["requestorId"],
        json!(requestor.identity().await)
    );
    assert_eq!(agreed["offer"]["providerId"], event["proposal"]["issuerId"]);
    assert_eq!(agreed["demand"]["properties"], demand["properties"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn who_waits_for_an_approval_hears_that_it_is_too_late() {
    let silent = Provider::new("silent").faults(Faults {
        never_answers: Some(Stage::Agreements),
        ..Faults::default()
    });
    let (clock, hands) = Clock::system().with_hands();
    let scene = Scene::start_with(|builder| builder.clock(clock).providers([silent])).await;
    let requestor = &scene.requestor;
    let demand = requestor.demand().await;
    let id = requestor.subscribe(&demand).await;
    let proposal = requestor.negotiate(&id, &demand).await["proposal"].clone();
    let valid_to = Utc::now() + TimeDelta::minutes(10);
    let agreement = requestor
        .create_agreement(&proposal, &valid_to.to_rfc3339())
        .await;
    let path = format!("/market-api/v1/agreements/{agreement}");
    requestor
        .post_nothing(&format!("{path}/confirm"))
        .await
        .ok();
    hands.forward(TimeDelta::minutes(10));
    let waited = requestor
        .post_nothing(&format!("{path}/wait?timeout=60"))
        .await;
    assert_eq!(waited.error(410), "Expired");
    assert_eq!(requestor.get(&path).await.ok()["state"], "Expired");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_was_fetched_for_a_demand_is_not_there_again() {
    let scene = Scene::start().await;
    let requestor = &scene.requestor;
    let demand = requestor.demand().await;
    let id = requestor.subscribe(&demand).await;
    assert_eq!(
        requestor.next_event(&id).await["eventType"],
        "ProposalEvent"
    );
    let events = format!("/market-api/v1/demands/{id}/events?timeout=0");
    assert_eq!(requestor.get(&events).await.ok(), json!([]));
}

/// yapapi sends an agreement's id and gets an activity's; golem-js sends and gets objects.
#[tokio::test(flavor = "multi_thread")]
async fn an_activity_is_created_in_the_form_that_it_was_asked_for_in() {
    let mut scene = Scene::start().await;
    let agreement = scene.requestor.agree().await;
    for (body, name) in [
        (json!(agreement), "new activity by id"),
        (json!({"agreementId": agreement}), "new activity by object"),
    ] {
        let creating = tokio::spawn({
            let requestor = scene.requestor.clone();
            async move {
                requestor
                    .post("/activity-api/v1/activity?timeout=20", body)
                    .await
            }
        });
        let started = scene.started().await;
        let _peer = scene.speak_for(&started).await;
        let created = creating.await.unwrap();
        check(name, &created);
        let id = match created.ok() {
            Value::String(id) => id,
            object => text(&object["activityId"]),
        };
        assert_eq!(id, started.activity);
        // A provider runs one activity of an agreement at a time.
        let path = format!("/activity-api/v1/activity/{id}");
        scene.requestor.delete(&path).await.ok();
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn who_does_not_wait_for_the_end_of_an_activity_is_told_that_it_is_late() {
    let stubborn = Program::at(script("stubborn.sh"));
    let mut scene = Scene::start_with(|builder| builder.exe_unit(stubborn)).await;
    let (_, started, _peer) = scene.activity().await;
    let path = format!("/activity-api/v1/activity/{}?timeout=0.1", started.activity);
    check(
        "not destroyed in time",
        &scene.requestor.delete(&path).await,
    );
}

/// Usage comes from the exe-unit, on the bus; over REST it is only read.
#[tokio::test(flavor = "multi_thread")]
async fn usage_cannot_be_put() {
    let mut scene = Scene::start().await;
    let (_, started, _peer) = scene.activity().await;
    let path = format!("/activity-api/v1/activity/{}/usage", started.activity);
    let usage = json!({"currentUsage": [1.0, 1.0], "timestamp": 1});
    let put = scene.requestor.request(Method::PUT, &path).json(&usage);
    assert!(
        Requestor::send(put)
            .await
            .error(405)
            .contains("cannot be done")
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn who_wants_a_proxy_is_told_of_the_way_through_a_network() {
    let mut scene = Scene::start().await;
    let (_, started, _peer) = scene.activity().await;
    let ask = async |method: Method, activity: &str, rest: &str| {
        let path = format!("/activity-api/v1/activity/{activity}/proxy-http{rest}");
        let request = scene.requestor.request(method, &path).body("anything");
        Requestor::send(request).await
    };
    for rest in ["", "/", "/index.html", "/a/b?c=d"] {
        for method in [Method::GET, Method::POST, Method::PUT, Method::DELETE] {
            let refused = ask(method.clone(), &started.activity, rest).await;
            let message = refused.error(501);
            assert!(message.contains("/net-api/v1/net/{id}/tcp"), "{message}");
            let unknown = ask(method, "x", rest).await;
            assert_eq!(unknown.error(404), "activity x not found");
        }
    }
}

/// yapapi takes an invoice for its own by these.
#[tokio::test(flavor = "multi_thread")]
async fn an_invoice_is_for_who_asked_and_on_the_platform_of_the_allocation() {
    let scene = Scene::start_with(|builder| builder.clock(odd_clock())).await;
    let requestor = &scene.requestor;
    let agreement = requestor.agree().await;
    requestor.terminate(&agreement).await;
    let events = format!("/payment-api/v1/invoiceEvents?timeout=20&afterTimestamp={LONG_AGO}");
    check("invoice event", &requestor.get(&events).await);
    let (invoice, _) = requestor.next_bill("invoice", LONG_AGO).await;
    assert_eq!(invoice["payerAddr"], json!(requestor.identity().await));
    assert_eq!(invoice["recipientId"], invoice["payerAddr"]);
    let allocation = requestor.allocate().await;
    let allocation = requestor
        .get(&format!("/payment-api/v1/allocations/{allocation}"))
        .await;
    assert_eq!(
        invoice["paymentPlatform"],
        allocation.ok()["paymentPlatform"]
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_demand_is_decorated_for_several_allocations_at_once() {
    let scene = Scene::start().await;
    let requestor = &scene.requestor;
    let ids = [requestor.allocate().await, requestor.allocate().await];
    let decorations = |ids: String| async move {
        let path = format!("/payment-api/v1/demandDecorations?allocationIds={ids}");
        requestor.get(&path).await
    };
    let both = decorations(ids.join(",")).await;
    check("decorations", &both);
    let both = both.ok();
    let address = format!("golem.com.payment.platform.{PLATFORM}.address");
    let addresses = both["properties"].as_array().unwrap().iter();
    let addresses = addresses.filter(|property| property["key"] == json!(address));
    assert_eq!(addresses.count(), 1, "{both}");
    assert!(text(&both["constraints"][0]).contains(&address), "{both}");
    let missing = decorations(format!("{},x", ids[0])).await;
    assert!(missing.error(404).contains("allocation x not found"));
}

/// golem-js and yapapi use the first version of the API, ya-client the second.
#[tokio::test(flavor = "multi_thread")]
async fn a_network_is_the_same_in_both_versions() {
    let scene = Scene::start().await;
    let requestor = &scene.requestor;
    let me = requestor.identity().await;
    for (here, there) in [
        ("/net-api/v1/net", "/net-api/v2/vpn/net"),
        ("/net-api/v2/vpn/net", "/net-api/v1/net"),
    ] {
        let new = json!({"ip": "192.168.7.0", "mask": "255.255.255.0"});
        let network = requestor.post(here, new).await;
        check("new network", &network);
        let network = network.ok();
        assert_eq!(network["ip"], "192.168.7.0/24");
        assert_eq!(network["gateway"], "192.168.7.1");
        let id = text(&network["id"]);
        let (own, other) = (format!("{here}/{id}"), format!("{there}/{id}"));
        assert_eq!(requestor.get(&other).await.ok(), network);
        let address = json!({"ip": "192.168.7.1"});
        let added = requestor.post(&format!("{own}/addresses"), address).await;
        check("node let in", &added);
        // yapapi lets nodes in again whenever an instance has started.
        for (node, ip) in [
            (me.as_str(), "192.168.7.1"),
            ("0x83f6cf1036a6ad09a382d45b2c6357628ca2fdb5", "192.168.7.2"),
        ] {
            for _ in 0..2 {
                let node = json!({"id": node, "ip": ip});
                check(
                    "node let in",
                    &requestor.post(&format!("{own}/nodes"), node).await,
                );
            }
        }
        let nodes = format!("{other}/nodes");
        assert_eq!(
            requestor.get(&nodes).await.ok().as_array().unwrap().len(),
            2
        );
        requestor.delete(&format!("{own}/nodes/{me}")).await.ok();
        assert_eq!(
            requestor.get(&nodes).await.ok().as_array().unwrap().len(),
            1
        );
        let nobody = requestor.delete(&format!("{own}/nodes/{me}")).await;
        assert!(nobody.error(404).contains("is not in network"));
        check("network removed", &requestor.delete(&own).await);
        assert!(requestor.get(&other).await.error(404).contains("not found"));
        assert_eq!(requestor.get(there).await.ok(), json!([]));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_invoice_is_rejected_for_one_of_three_reasons() {
    let scene = Scene::start().await;
    let requestor = &scene.requestor;
    let agreement = requestor.agree().await;
    requestor.terminate(&agreement).await;
    let (invoice, received) = requestor.next_bill("invoice", LONG_AGO).await;
    let path = format!("/payment-api/v1/invoices/{}", text(&invoice["invoiceId"]));
    let reject = async |reason: &str| {
        let rejection =
            json!({"rejectionReason": reason, "totalAmountAccepted": "0", "message": "dear"});
        requestor.post(&format!("{path}/reject"), rejection).await
    };
    assert!(reject("DISLIKED").await.error(400).contains("DISLIKED"));
    check("accepted", &reject("INCORRECT_AMOUNT").await);
    assert_eq!(requestor.get(&path).await.ok()["status"], "REJECTED");
    let acceptance =
        json!({"totalAmountAccepted": "0", "allocationId": requestor.allocate().await});
    let accepted = requestor.post(&format!("{path}/accept"), acceptance).await;
    assert!(accepted.error(400).contains("is REJECTED"));
    // Its sender hears of it, its recipient has done it.
    let events = format!("/payment-api/v1/invoiceEvents?timeout=0&afterTimestamp={received}");
    check("no events", &requestor.get(&events).await);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_not_the_callers_is_not_shown_and_not_taken() {
    let mut scene =
        Scene::start_with(|builder| builder.app_key("a", None).app_key("b", None)).await;
    let (_, started, _peer) = scene.activity().await;
    let keys: Vec<_> = scene.node.app_keys().map(|(_, key)| key).collect();
    let [first, second] = [keys[0], keys[1]].map(|key| Requestor::at(scene.node.url(), key));
    assert_eq!(first.get("/kiln-api/v1/overview").await.status, 200);
    let output = format!("/kiln-api/v1/activity/{}/output", started.activity);
    for path in [
        "/kiln-api/v1/overview",
        "/kiln-api/v1/overview/events",
        &output,
    ] {
        let refused = second.get(path).await.error(403);
        assert_eq!(
            refused,
            "the node's first app key alone sees all that goes on"
        );
    }
    let exe_unit = format!("/public/exeunit/{}", started.activity);
    for address in [
        "/local/activity",
        &exe_unit,
        "/public/exeunit/later",
        "/public",
    ] {
        let listen = json!({"listen": {"on": address, "components": ["Exec"]}});
        let refused = second.post("/gsb-api/v1/services", listen).await;
        assert_eq!(
            refused.error(403),
            format!("the address {address} is for others")
        );
    }
}
