//! Events of a batch as they come (SSE), with the test as the exe-unit.

use std::time::Duration;

use exeunit::gsb::{
    CallReplyType,
    message::{ReadOn, StreamExecBatchResults},
};
use futures::StreamExt;
use reqwest::{Method, header::ACCEPT};
use serde_json::{Value, json};
use tokio::time::advance;

use crate::{scene::Scene, time};

#[tokio::test(flavor = "multi_thread")]
async fn events_are_streamed_until_the_activity_ends() {
    let mut scene = Scene::start().await;
    let (_, started, mut peer) = scene.activity().await;
    let path = format!("/activity-api/v1/activity/{}/exec/b", started.activity);
    let request = scene.requestor.request(Method::GET, &path);
    let response = tokio::spawn(request.header(ACCEPT, "text/event-stream").send());
    let (asked, call) = peer.called::<StreamExecBatchResults>().await;
    assert_eq!(asked.batch_id, "b");
    let event = |kind: Value| -> exeunit::event::RuntimeEvent {
        let event = json!({"batch_id": "b", "index": 0, "timestamp": "2026-11-20T10:19:42.894258954", "kind": kind});
        serde_json::from_value(event).unwrap()
    };
    let finished = json!({"finished": {"return_code": 0, "message": null}});
    for kind in [json!({"stdout": "line2\n"}), finished] {
        peer.answer(&call, CallReplyType::Partial, Ok(event(kind)))
            .await;
    }
    peer.answer(&call, CallReplyType::Full, Ok(())).await;
    let response = response.await.unwrap().unwrap();
    assert_eq!(response.headers()["content-type"], "text/event-stream");
    let mut body = response.bytes_stream();
    let mut text = String::new();
    while !text.contains("id: 1\n\n") {
        text += std::str::from_utf8(&body.next().await.unwrap().unwrap()).unwrap();
    }
    assert_eq!(
        text,
        "event: runtime\ndata: {\"batch_id\":\"b\",\"index\":0,\"timestamp\":\"2026-11-20T10:19:42.894258954\",\
         \"kind\":{\"stdout\":\"line2\\n\"}}\nid: 0\n\nevent: runtime\ndata: {\"batch_id\":\"b\",\"index\":0,\
         \"timestamp\":\"2026-11-20T10:19:42.894258954\",\"kind\":{\"finished\":{\"return_code\":0,\"message\":null}}}\nid: 1\n\n"
    );
    started.kill();
    while body.next().await.is_some() {}
}

#[tokio::test(flavor = "multi_thread")]
async fn no_more_events_are_asked_for_than_are_read() {
    let mut scene = Scene::start().await;
    let (_, started, mut peer) = scene.activity().await;
    let path = format!("/activity-api/v1/activity/{}/exec/b", started.activity);
    let request = scene.requestor.request(Method::GET, &path);
    let response = tokio::spawn(request.header(ACCEPT, "text/event-stream").send());
    let (asked, stream) = peer.called::<StreamExecBatchResults>().await;
    let window = asked.window.expect("the node keeps little");
    // More than sockets hold.
    let event = json!({
        "batch_id": "b", "index": 0, "timestamp": "2026-11-20T10:19:42.894258954",
        "kind": {"stdout": "x".repeat(1 << 20)},
    });
    let event: exeunit::event::RuntimeEvent = serde_json::from_value(event).unwrap();
    for _ in 0..window.events {
        peer.answer(&stream, CallReplyType::Partial, Ok(event.clone()))
            .await;
    }
    // Nobody reads, and so nothing but this is answered.
    peer.report_usage(&started.activity, [1.0, 1.0]).await;
    let mut body = response.await.unwrap().unwrap().bytes_stream();
    let mut read = 0;
    let reading = async {
        while read < (window.events as usize) << 20 {
            read += body.next().await.unwrap().unwrap().len();
        }
    };
    let on = async {
        let (on, call) = peer.called::<ReadOn>().await;
        peer.answer(&call, CallReplyType::Full, Ok(())).await;
        let (further, call) = peer.called::<ReadOn>().await;
        peer.answer(&call, CallReplyType::Full, Ok(())).await;
        assert_eq!(
            [&on.stream_id, &further.stream_id],
            [&window.stream_id, &window.stream_id]
        );
        on.events + further.events
    };
    let (more, ()) = tokio::join!(on, reading);
    assert_eq!(more, window.events, "as many as were read");
    // Who goes away lets the exe-unit go on.
    drop(body);
    let (end, _) = peer.called::<ReadOn>().await;
    assert_eq!((end.stream_id, end.events), (window.stream_id, 0));
    started.kill();
}

#[tokio::test]
async fn a_stream_shows_every_quarter_of_a_minute_that_it_is_alive() {
    const PING: Duration = Duration::from_secs(15);
    const MOMENT: Duration = Duration::from_millis(2);
    let mut scene = Scene::start().await;
    let (_, started, mut peer) = scene.activity().await;
    let path = format!("/activity-api/v1/activity/{}/exec/b", started.activity);
    let request = scene.requestor.request(Method::GET, &path);
    let response = tokio::spawn(request.header(ACCEPT, "text/event-stream").send());
    let (_, call) = peer.called::<StreamExecBatchResults>().await;
    // The last event is not the end of the stream.
    peer.answer(&call, CallReplyType::Full, Ok(())).await;
    let mut body = response.await.unwrap().unwrap().bytes_stream();
    let _stopped = time::stop();
    advance(PING + MOMENT).await;
    for _ in 0..3 {
        assert_eq!(body.next().await.unwrap().unwrap(), ": ping\n\n");
        advance(PING - MOMENT).await;
        for _ in 0..200 {
            tokio::task::yield_now().await;
        }
        assert!(futures::poll!(body.next()).is_pending(), "not yet");
        advance(2 * MOMENT).await;
    }
}
