//! Calls on the bus in JSON: who reaches whom, and what comes back.

use exeunit::gsb::{
    CallError, CallReplyType,
    message::{CancelExecBatch, Chunk, Exec, GetExecBatchResults, GetRunningCommand, Message},
};
use futures::SinkExt;
use reqwest::Method;
use serde::Serialize;
use serde_json::{Value, json};
use tokio_tungstenite::tungstenite;

use crate::{
    bus::{Socket, answer, bring, called, connect},
    peer::Peer,
    requestor::{Answer, Requestor},
    scene::Scene,
};

/// Calls an address.
async fn call(requestor: &Requestor, address: &str, message: Value) -> Answer {
    requestor.post(&format!("/_gsb{address}"), message).await
}

/// The same, while something else is done.
fn calling(
    requestor: &Requestor,
    address: &str,
    message: Value,
) -> tokio::task::JoinHandle<Answer> {
    let (requestor, address) = (requestor.clone(), address.to_owned());
    tokio::spawn(async move { call(&requestor, &address, message).await })
}

/// Two requestors at one node.
async fn two() -> (Scene, Requestor, Requestor) {
    let scene = Scene::start_with(|builder| builder.app_key("one", None).app_key("two", None));
    let scene = scene.await;
    let [one, two] = ["one", "two"].map(|name| {
        let mut keys = scene.node.app_keys();
        let (_, key) = keys.find(|(other, _)| *other == name).unwrap();
        Requestor::at(scene.node.url(), key)
    });
    (scene, one, two)
}

async fn fail(socket: &mut Socket, id: &str, error: &str) {
    #[derive(Serialize)]
    struct Failure<'a> {
        id: &'a str,
        error: &'a str,
    }
    let failure = flexbuffers::to_vec(Failure { id, error }).unwrap();
    socket
        .send(tungstenite::Message::binary(failure))
        .await
        .unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_requestor_calls_a_service_of_its_own() {
    let scene = Scene::start().await;
    let requestor = &scene.requestor;
    let me = requestor.identity().await;
    let id = bring(requestor, "/public/gftp/f").await;
    let mut socket = connect(requestor, &id).await.unwrap();
    for service in [
        "/public/gftp/f".to_owned(),
        format!("/net/{me}/gftp/f"),
        format!("/transfer/net/{me}/public/gftp/f"),
        format!("/from/{me}/to/{me}/gftp/f"),
    ] {
        let wanted = json!({"offset": 4, "size": 2});
        let calling = calling(requestor, &format!("{service}/GetChunk"), wanted);
        let asked = called(&mut socket).await;
        assert_eq!(asked.component, "GetChunk");
        assert_eq!((asked.payload.offset, asked.payload.size), (4, 2));
        let content = vec![0, 255];
        answer(&mut socket, &asked.id, Chunk { offset: 4, content }).await;
        let chunk = json!({"Ok": {"offset": 4, "content": [0, 255]}});
        assert_eq!(calling.await.unwrap().ok(), chunk, "{service}");
    }
    let chunk = "/public/gftp/f/GetChunk";
    let failing = calling(requestor, chunk, json!({}));
    let asked = called(&mut socket).await;
    fail(&mut socket, &asked.id, "the disk is gone").await;
    assert_eq!(failing.await.unwrap().error(500), "the disk is gone");

    let late = format!("/_gsb{chunk}?timeout=0");
    assert_eq!(requestor.post(&late, json!({})).await.error(408), "Timeout");
    called(&mut socket).await;

    let lost = calling(requestor, chunk, json!({}));
    called(&mut socket).await;
    drop(socket);
    assert!(lost.await.unwrap().error(500).contains("has gone"));
    let gone = call(requestor, chunk, json!({})).await;
    assert_eq!(gone.error(404), format!("no service of yours at {chunk}"));
}

#[tokio::test(flavor = "multi_thread")]
async fn nobody_reaches_what_is_not_its_own() {
    let (scene, one, two) = two().await;
    let (me, other) = (one.identity().await, two.identity().await);
    let id = bring(&one, "/public/a").await;
    let _socket = connect(&one, &id).await.unwrap();
    bring(&two, "/public/a/b").await;
    bring(&two, "/public/c").await;
    let mut peer = Peer::connect(&scene.bus()).await;
    peer.register("/public/peer").await;
    for (address, status, message) in [
        // Of a service that is nearer, but somebody else's, nothing is seen.
        (
            "/public/a/b/GetChunk".to_owned(),
            400,
            "does not understand `b/GetChunk`",
        ),
        (
            "/public/a/Other".to_owned(),
            400,
            "does not understand `Other`",
        ),
        ("/public/c/GetChunk".to_owned(), 404, "no service of yours"),
        (
            format!("/net/{other}/c/GetChunk"),
            404,
            "no service of yours",
        ),
        (
            "/public/peer/GetChunk".to_owned(),
            404,
            "no service of yours",
        ),
        (
            "/local/activity/SetState".to_owned(),
            404,
            "no service of yours",
        ),
        (
            "/public/exeunit/x/Exec".to_owned(),
            404,
            "no service of yours",
        ),
        (
            format!("/from/{other}/to/{me}/a/GetChunk"),
            403,
            "is not who calls",
        ),
        (
            format!("/transfer/from/{other}/to/{me}/a/GetChunk"),
            403,
            "is not who calls",
        ),
        (
            "/from/x/to/y/a/GetChunk".to_owned(),
            403,
            "x is not who calls",
        ),
        (
            "/net/0x83f6cf1036a6ad09a382d45b2c6357628ca2fdb5/a/GetChunk".to_owned(),
            404,
            "cannot be reached",
        ),
    ] {
        let refused = call(&one, &address, json!({})).await.error(status);
        assert!(refused.contains(message), "{address}: {refused}");
    }
    let malformed = one
        .request(Method::POST, "/_gsb/public/a/GetChunk")
        .body("{");
    let malformed = Requestor::send(malformed).await.error(400);
    assert!(malformed.contains("the body makes no sense"), "{malformed}");
    assert!(
        one.get("/_gsb/public/a/GetChunk")
            .await
            .error(405)
            .contains("cannot")
    );
    let url = format!("{}/_gsb/public/a/GetChunk", scene.node.url());
    let stranger = Requestor::send(one.http.post(url).body("{}")).await;
    assert!(stranger.error(401).contains("app key"));
}

/// An exe-unit answers a call, and its caller gets that.
async fn exe_unit_answers<M: Message>(
    calling: tokio::task::JoinHandle<Answer>,
    peer: &mut Peer,
    reply: Result<M::Reply, CallError>,
) -> (M, Answer) {
    let (message, id) = peer.called::<M>().await;
    peer.answer(&id, CallReplyType::Full, reply).await;
    (message, calling.await.unwrap())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_requestor_calls_the_exe_unit_of_its_activity() {
    let mut scene = Scene::start().await;
    let (_, started, mut peer) = scene.activity().await;
    let (requestor, activity) = (scene.requestor.clone(), started.activity);
    let service = format!("/public/exeunit/{activity}");
    let calls = |name: &str, mut message: Value| {
        message["activityId"] = json!(activity);
        calling(&requestor, &format!("{service}/{name}"), message)
    };

    let script = json!([{"run": {"entry_point": "/bin/true", "args": ["x"]}}]);
    let calling = calls("Exec", json!({"batchId": "b", "exeScript": script}));
    let (exec, answer) = exe_unit_answers::<Exec>(calling, &mut peer, Ok("b".to_owned())).await;
    assert_eq!((exec.batch_id.as_str(), exec.exe_script.len()), ("b", 1));
    assert_eq!(exec.activity_id, activity);
    assert_eq!(answer.ok(), json!({"Ok": "b"}));

    let result = json!({
        "index": 0, "result": "Ok", "stdout": null, "stderr": null, "message": null,
        "isBatchFinished": true, "eventDate": "2026-11-20T10:14:39Z",
    });
    let results = serde_json::from_value(json!([result])).unwrap();
    let get = json!({"batchId": "b", "timeout": 2.5, "commandIndex": 0});
    let calling = calls("GetExecBatchResults", get);
    let (get, answer) =
        exe_unit_answers::<GetExecBatchResults>(calling, &mut peer, Ok(results)).await;
    assert_eq!((get.timeout, get.command_index), (Some(2.5), Some(0)));
    assert_eq!(answer.ok(), json!({"Ok": [result]}));

    let calling = calls("GetRunningCommand", json!({}));
    let (_, answer) =
        exe_unit_answers::<GetRunningCommand>(calling, &mut peer, Ok(Vec::new())).await;
    assert_eq!(answer.ok(), json!({"Ok": []}));

    for (refusal, status) in [
        (Ok(()), 200),
        (Err(CallError::NotFound("no batch".to_owned())), 404),
        (Err(CallError::BadRequest("no".to_owned())), 400),
        (Err(CallError::Timeout("late".to_owned())), 408),
        (Err(CallError::Service("broken".to_owned())), 500),
    ] {
        let calling = calls("CancelExecBatch", json!({"batchId": "b"}));
        let (cancel, answer) =
            exe_unit_answers::<CancelExecBatch>(calling, &mut peer, refusal).await;
        assert_eq!((cancel.batch_id.as_str(), answer.status), ("b", status));
    }

    // What it is not asked over the rest of the API either, or what makes no sense, does not come to it.
    for (name, message, problem) in [
        (
            "ReadOn",
            json!({"streamId": "s", "events": 9}),
            "`ReadOn` cannot be asked",
        ),
        (
            "StreamExecBatchResults",
            json!({"batchId": "b"}),
            "cannot be asked",
        ),
        ("Exec", json!({"batchId": "b"}), "missing field `exeScript`"),
        (
            "Exec",
            json!({"batchId": "b", "exeScript": [{"fly": {}}]}),
            "command 0: unknown variant",
        ),
    ] {
        let refused = calls(name, message).await.unwrap().error(400);
        assert!(refused.contains(problem), "{name}: {refused}");
    }
    let other = json!({"activityId": "x", "batchId": "b"});
    let other = call(&requestor, &format!("{service}/CancelExecBatch"), other).await;
    assert!(
        other
            .error(400)
            .contains("the message is for activity \"x\"")
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn an_exe_unit_is_called_by_its_own_requestor_alone() {
    let mut scene =
        Scene::start_with(|builder| builder.app_key("a", None).app_key("b", None)).await;
    let (_, started, _peer) = scene.activity().await;
    let (_, key) = scene.node.app_keys().nth(1).unwrap();
    let other = Requestor::at(scene.node.url(), key);
    let running = format!("/public/exeunit/{}/GetRunningCommand", started.activity);
    let message = json!({"activityId": started.activity});
    let refused = call(&other, &running, message.clone()).await;
    assert_eq!(
        refused.error(404),
        format!("no service of yours at {running}")
    );
    started.kill();
    let requestor = &scene.requestor;
    let path = format!("/activity-api/v1/activity/{}/state", started.activity);
    while requestor.get(&path).await.ok()["state"][0] != "Terminated" {}
    let ended = call(requestor, &running, message).await;
    assert!(ended.error(500).contains("has ended"));
}
