//! Activities, with the test as their exe-unit.

use std::time::{Duration, Instant};

use exeunit::gsb::{
    CallError, CallReplyType,
    message::{CancelExecBatch, Exec, GetExecBatchResults, GetRunningCommand},
};
use serde_json::{Value, json};

use crate::{
    clock::odd_clock,
    recorded::check,
    requestor::{PLATFORM, text},
    scene::Scene,
};

/// The result of a command, in JSON.
fn result(index: u32, result: &str, stdout: Value) -> Value {
    json!({
        "index": index, "result": result, "stdout": stdout, "stderr": "err\n", "message": null,
        "isBatchFinished": true, "eventDate": "2026-11-20T10:14:39.543032029Z",
    })
}

#[tokio::test(flavor = "multi_thread")]
async fn an_activity_looks_as_recorded() {
    let mut scene = Scene::start_with(|builder| builder.clock(odd_clock())).await;
    let (agreement, started, mut peer) = scene.activity().await;
    let requestor = scene.requestor.clone();
    let path = format!("/activity-api/v1/activity/{}", started.activity);
    check("state", &requestor.get(&format!("{path}/state")).await);
    check("no usage", &requestor.get(&format!("{path}/usage")).await);
    peer.report_state(&started.activity, r#"["Ready","Ready"]"#)
        .await;
    peer.report_usage(&started.activity, [0.110943, 2.001991653])
        .await;
    check("busy state", &requestor.get(&format!("{path}/state")).await);
    let usage = requestor.get(&format!("{path}/usage")).await;
    check("usage", &usage);
    assert_eq!(usage.ok()["currentUsage"], json!([0.110943, 2.001991653]));
    let under = requestor.get(&format!("{path}/agreement")).await;
    check("activity's agreement", &under);
    assert_eq!(under.ok(), json!(agreement));

    let script = json!([{"run": {"entry_point": "/bin/echo", "args": ["hello"], "unknown": 1}}]);
    let exec = tokio::spawn({
        let (requestor, path) = (requestor.clone(), format!("{path}/exec"));
        async move {
            requestor
                .post(&path, json!({"text": script.to_string()}))
                .await
        }
    });
    let (asked, call) = peer.called::<Exec>().await;
    assert_eq!(
        (asked.activity_id, asked.exe_script.len()),
        (started.activity.clone(), 1)
    );
    peer.answer(&call, CallReplyType::Full, Ok(&asked.batch_id))
        .await;
    let batch = exec.await.unwrap();
    check("new batch", &batch);
    assert_eq!(batch.ok(), json!(asked.batch_id));

    let results = tokio::spawn({
        let path = format!("{path}/exec/{}?timeout=5&commandIndex=0", asked.batch_id);
        async move { requestor.get(&path).await }
    });
    let (asked, call) = peer.called::<GetExecBatchResults>().await;
    assert_eq!((asked.timeout, asked.command_index), (Some(5.0), Some(0)));
    let hello: ya_client::model::activity::ExeScriptCommandResult =
        serde_json::from_value(result(0, "Ok", json!("hello\n"))).unwrap();
    peer.answer(&call, CallReplyType::Full, Ok([hello])).await;
    let results = results.await.unwrap();
    check("results", &results);
    assert_eq!(results.ok()[0], result(0, "Ok", json!("hello\n")));
}

#[tokio::test(flavor = "multi_thread")]
async fn what_an_exe_unit_refuses_has_its_status() {
    let mut scene = Scene::start().await;
    let (_, started, mut peer) = scene.activity().await;
    let path = format!("/activity-api/v1/activity/{}", started.activity);
    let say = |text: &str| text.to_owned();
    for (refusal, status, message) in [
        (
            CallError::NotFound(say("no such batch")),
            404,
            "no such batch",
        ),
        (CallError::Timeout(say("late")), 408, "Timeout"),
        (CallError::BadRequest(say("busy")), 400, "busy"),
        (CallError::Service(say("broken")), 500, "broken"),
    ] {
        let polled = tokio::spawn({
            let (requestor, path) = (scene.requestor.clone(), format!("{path}/exec/b?timeout=1"));
            async move { requestor.get(&path).await }
        });
        let (_, call) = peer.called::<GetExecBatchResults>().await;
        peer.answer(&call, CallReplyType::Full, Err::<(), _>(refusal))
            .await;
        assert!(polled.await.unwrap().error(status).contains(message));
    }
    let nonsense = json!({"text": "[{\"fly\": {}}]"});
    let nonsense = scene
        .requestor
        .post(&format!("{path}/exec"), nonsense)
        .await;
    let message = nonsense.error(400);
    assert!(
        message.contains("the script makes no sense: command 0: unknown variant `fly`"),
        "{message}"
    );

    let cancelled = tokio::spawn({
        let (requestor, path) = (scene.requestor.clone(), format!("{path}/exec/b"));
        async move { requestor.delete(&path).await }
    });
    let (cancel, call) = peer.called::<CancelExecBatch>().await;
    assert_eq!(cancel.batch_id, "b");
    peer.answer(&call, CallReplyType::Full, Ok(())).await;
    assert_eq!(cancelled.await.unwrap().ok(), Value::Null);

    let running = tokio::spawn({
        let (requestor, path) = (scene.requestor.clone(), format!("{path}/command"));
        async move { requestor.get(&path).await }
    });
    let (_, call) = peer.called::<GetRunningCommand>().await;
    let command = json!([{"command": "Run", "params": ["/bin/true"]}]);
    let states: Vec<ya_client::model::activity::ExeScriptCommandState> =
        serde_json::from_value(command.clone()).unwrap();
    peer.answer(&call, CallReplyType::Full, Ok(states)).await;
    assert_eq!(running.await.unwrap().ok(), command);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_killed_exe_unit_is_named_and_billed_and_the_agreement_stays() {
    let mut scene = Scene::start_with(|builder| builder.clock(odd_clock())).await;
    let (agreement, started, mut peer) = scene.activity().await;
    peer.report_usage(&started.activity, [4.0, 1.0]).await;
    let path = format!("/activity-api/v1/activity/{}", started.activity);
    let began = Instant::now();
    let waiting = tokio::spawn({
        let (requestor, path) = (scene.requestor.clone(), format!("{path}/exec/b?timeout=60"));
        async move { requestor.get(&path).await }
    });
    peer.called::<GetExecBatchResults>().await;
    started.kill();
    drop(peer);
    let activity = &started.activity;
    let reason = format!(
        "the exe-unit of activity {activity} on provider p was killed, signal: 9 (SIGKILL)"
    );
    assert_eq!(
        waiting.await.unwrap().error(500),
        format!("activity {activity} has ended: {reason}")
    );
    assert!(began.elapsed() < Duration::from_secs(30));
    let state = scene.requestor.get(&format!("{path}/state")).await.ok();
    assert_eq!(
        state,
        json!({"state": ["Terminated", null], "reason": reason})
    );

    let requestor = &scene.requestor;
    let (note, _) = requestor
        .next_bill("debitNote", "2026-01-01T00:00:00Z")
        .await;
    assert_eq!(note["totalAmountDue"], "3.000000000000000000");
    assert_eq!(note["usageCounterVector"], json!([4.0, 1.0]));
    let gone = requestor
        .post(&format!("{path}/exec"), json!({"text": "[]"}))
        .await;
    assert!(gone.error(500).contains(&reason));

    // Another activity under the same agreement.
    let created = tokio::spawn({
        let (requestor, agreement) = (requestor.clone(), agreement.clone());
        async move { requestor.create_activity(&agreement).await }
    });
    let next = scene.started().await;
    let _peer = scene.speak_for(&next).await;
    assert_eq!(created.await.unwrap(), next.activity);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_exe_unit_that_does_not_begin_is_explained() {
    let scene =
        Scene::start_with(|builder| builder.exe_unit(exeunit::Program::at("/bin/false"))).await;
    let agreement = scene.requestor.agree().await;
    let create = async |requestor: &crate::requestor::Requestor| {
        let path = "/activity-api/v1/activity";
        requestor
            .post(path, json!({"agreementId": agreement}))
            .await
            .error(500)
    };
    let message = create(&scene.requestor).await;
    assert!(
        message.contains("on provider p failed, exit status: 1"),
        "{message}"
    );

    let scene =
        Scene::start_with(|builder| builder.exe_unit(exeunit::Program::at("/nowhere/exe-unit")))
            .await;
    let agreement = scene.requestor.agree().await;
    let path = "/activity-api/v1/activity";
    let message = scene
        .requestor
        .post(path, json!(agreement))
        .await
        .error(500);
    let reason = "on provider p was not started: cannot start /nowhere/exe-unit: No such file";
    assert!(message.contains(reason), "{message}");
}

#[tokio::test(flavor = "multi_thread")]
async fn an_activity_is_destroyed_billed_and_paid() {
    let mut scene = Scene::start_with(|builder| builder.clock(odd_clock())).await;
    let (agreement, started, mut peer) = scene.activity().await;
    let requestor = scene.requestor.clone();
    let path = format!("/activity-api/v1/activity/{}", started.activity);
    peer.report_usage(&started.activity, [7.0, 0.25]).await;
    // It does not ask for another end, however often it is asked.
    check(
        "destroyed",
        &requestor.delete(&format!("{path}?timeout=30")).await,
    );
    check("destroyed", &requestor.delete(&path).await);

    let (note, _) = requestor
        .next_bill("debitNote", "2026-01-01T00:00:00Z")
        .await;
    assert_eq!(note["totalAmountDue"], "4.500000000000000000");
    assert_eq!(note["activityId"], json!(started.activity));
    requestor.terminate(&agreement).await;
    let (invoice, received) = requestor.next_bill("invoice", "2026-01-01T00:00:00Z").await;
    assert_eq!(invoice["amount"], "4.500000000000000000");
    assert_eq!(invoice["activityIds"], json!([started.activity]));
    assert_eq!(invoice["payerAddr"], json!(requestor.identity().await));
    assert_eq!(invoice["paymentPlatform"], PLATFORM);
    let id = text(&invoice["invoiceId"]);
    let bill = format!("/payment-api/v1/invoices/{id}");
    check("invoice", &requestor.get(&bill).await);
    let allocation = requestor.allocate().await;
    let acceptance =
        |amount: &str| json!({"totalAmountAccepted": amount, "allocationId": allocation});
    let accept = format!("{bill}/accept?timeout=5");
    let wrong = requestor.post(&accept, acceptance("4")).await;
    assert!(wrong.error(400).contains("expected 4.5"), "{wrong:?}");
    let accepted = requestor
        .post(&accept, acceptance("4.500000000000000000"))
        .await;
    check("accepted", &accepted);
    // It is settled soon after.
    let status = text(&requestor.get(&bill).await.ok()["status"]);
    assert!(["ACCEPTED", "SETTLED"].contains(&&*status), "{status}");
    let left = requestor
        .get(&format!("/payment-api/v1/allocations/{allocation}"))
        .await
        .ok();
    assert_eq!(left["remainingAmount"], "95.500000000000000000");

    // And the money arrives.
    let events = format!("/payment-api/v1/invoiceEvents?timeout=20&afterTimestamp={received}");
    let events = requestor.get(&events).await.ok();
    assert_eq!(events[0]["eventType"], "InvoiceSettledEvent");
    assert_eq!(requestor.get(&bill).await.ok()["status"], "SETTLED");
    let payments = requestor
        .get("/payment-api/v1/payments?timeout=20")
        .await
        .ok();
    assert_eq!(payments[0]["amount"], "4.500000000000000000");
    assert_eq!(
        payments[0]["agreementPayments"][0]["agreementId"],
        json!(agreement)
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn terminating_an_agreement_ends_its_activity_and_bills_it() {
    let mut scene = Scene::start_with(|builder| builder.clock(odd_clock())).await;
    let (agreement, started, _peer) = scene.activity().await;
    let requestor = scene.requestor.clone();
    requestor.terminate(&agreement).await;
    let path = format!("/activity-api/v1/activity/{}", started.activity);
    check("destroyed", &requestor.delete(&path).await);
    let (note, received) = requestor
        .next_bill("debitNote", "2026-01-01T00:00:00Z")
        .await;
    assert_eq!(note["usageCounterVector"], json!([0.0, 0.0]));
    assert_eq!(note["status"], "RECEIVED");
    check("debit note event", &{
        let path =
            "/payment-api/v1/debitNoteEvents?afterTimestamp=2026-01-01T00:00:00%2B00:00&timeout=1";
        requestor.get(path).await
    });
    let nothing = format!("/payment-api/v1/debitNoteEvents?timeout=0&afterTimestamp={received}");
    check("no events", &requestor.get(&nothing).await);
    let (invoice, _) = requestor.next_bill("invoice", "2026-01-01T00:00:00Z").await;
    assert_eq!(invoice["amount"], note["totalAmountDue"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn debit_notes_come_at_the_interval_that_was_asked_for() {
    let mut scene = Scene::start_with(|builder| builder.clock(odd_clock())).await;
    let requestor = scene.requestor.clone();
    let mut demand = requestor.demand().await;
    demand["properties"]["golem.com.scheme.payu.debit-note.interval-sec?"] = json!(1);
    demand["properties"]["golem.com.scheme.payu.payment-timeout-sec?"] = json!(3600);
    let id = requestor.subscribe(&demand).await;
    let event = requestor.negotiate(&id, &demand).await;
    let agreement = requestor.bind(&event["proposal"]).await;
    let created = tokio::spawn({
        let requestor = requestor.clone();
        async move { requestor.create_activity(&agreement).await }
    });
    let started = scene.started().await;
    let _peer = scene.speak_for(&started).await;
    created.await.unwrap();
    let (first, received) = requestor
        .next_bill("debitNote", "2026-01-01T00:00:00Z")
        .await;
    assert_eq!(first["paymentDueDate"], Value::Null);
    let (second, _) = requestor.next_bill("debitNote", &received).await;
    assert_eq!(second["previousDebitNoteId"], first["debitNoteId"]);
    let note = format!(
        "/payment-api/v1/debitNotes/{}",
        text(&second["debitNoteId"])
    );
    let path = format!("/activity-api/v1/activity/{}", started.activity);
    requestor.delete(&path).await.ok();
    check("second debit note", &requestor.get(&note).await);
    let rejection = json!({"rejectionReason": "BAD_SERVICE", "totalAmountAccepted": "0"});
    requestor
        .post(&format!("{note}/reject"), rejection)
        .await
        .ok();
    assert_eq!(requestor.get(&note).await.ok()["status"], "REJECTED");
}
