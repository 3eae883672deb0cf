//! Recordings of clients and a yagna daemon, replayed against a node.
//!
//! Each recorded request is made again, with the ids and times of the node, when all is done that had been done before it
//! was made. Its answer must have the status, the content type and the shape of the recorded one, but for what
//! [`wanted::WANTED`] lists. What depends on how fast somebody else is, is asked again until it is so.

mod comparison;
mod files;
mod provider;
mod recording;
mod session;
mod stream;
mod translation;
mod wanted;

use std::{collections::BTreeMap, sync::Arc};

use futures::StreamExt;
use libtest_mimic::Trial;
use node::{LocalNode, Provider};
use tokio::{
    sync::Mutex,
    task::{JoinHandle, JoinSet},
};

use self::{
    files::Calls,
    provider::Other,
    recording::{End, Line, Recording},
    session::Session,
};
use crate::{clock::odd_clock, file_server::serve, image::image, requestor::Requestor};

/// A recording, where it is.
macro_rules! recording {
    ($name:literal) => {
        ($name, include_str!(concat!("recordings/", $name, ".jsonl")))
    };
}

/// Those of requestors.
const REQUESTORS: [(&str, &str); 7] = [
    recording!("yapapi-service"),
    recording!("yapapi-files"),
    recording!("yapapi-files-stream-output"),
    recording!("yapapi-files-network"),
    recording!("yapapi-tasks"),
    recording!("golem-js-rental"),
    recording!("golem-js-network"),
];

const PROVIDER: (&str, &str) = recording!("ya-provider");

/// Of a recorded demand.
const SUBNET: &str = "h2";
const RUNTIME: &str = "pyrt";

/// A test for each recording.
pub(crate) fn trials() -> Vec<Trial> {
    let of_requestors = REQUESTORS.map(|(name, text)| {
        let replay = move || as_requestor(Recording::read(name, text));
        crate::trial(format!("replay::{name}"), replay)
    });
    let (name, text) = PROVIDER;
    let of_provider = crate::trial(format!("replay::{name}"), move || {
        provider::replay(Recording::read(name, text))
    });
    of_requestors.into_iter().chain([of_provider]).collect()
}

async fn as_requestor(recording: Recording) {
    let folder = tempfile::tempdir().unwrap();
    let package = serve(image(folder.path()));
    let provider = Provider::new("p").subnet(SUBNET.to_owned());
    let node = LocalNode::builder()
        .providers([provider.property("golem.runtime.name", RUNTIME)])
        .cache_folder(folder.path().join("cache"))
        .clock(odd_clock())
        .app_key("asks", None)
        .app_key("asked-before", None)
        .start()
        .await
        .unwrap();
    let requestor = Requestor::called(&node, "asks");
    let mut session = Session::new(&recording, requestor, package.clone());
    if recording.lines.iter().any(is_rejection) {
        let other = Requestor::called(&node, "asked-before");
        let agreement = provider::take_slot(&other).await;
        session.release_when_rejected(other, agreement);
    }
    let session = Arc::new(session);
    let sockets = run(&recording, &session, None).await;
    compare_calls(&recording, &session, sockets).await;
    session.end();
    drop(session);
    node.stop().await.unwrap();
}

fn is_rejection(line: &Line) -> bool {
    matches!(line, Line::Request(request) if request.response.contains("ProposalRejectedEvent"))
}

/// Makes all requests, each when what had ended before it began has ended. Gives back the websockets, by their paths.
async fn run(
    recording: &Recording,
    session: &Arc<Session>,
    other: Option<Arc<Mutex<Other>>>,
) -> BTreeMap<String, JoinHandle<Calls>> {
    let lines = &recording.lines;
    let mut open = BTreeMap::new();
    let mut done = vec![false; lines.len()];
    let mut begun = vec![false; lines.len()];
    let mut running = JoinSet::new();
    loop {
        for (at, line) in lines.iter().enumerate() {
            let mut before = lines[..at].iter().zip(&done);
            let is_next = before.all(|(other, done)| *done || other.end() > line.begin());
            if begun[at] || !is_next {
                continue;
            }
            begun[at] = true;
            let session = Arc::clone(session);
            match line.clone() {
                Line::Request(request) => {
                    running.spawn(async move {
                        session.replay(&request).await;
                        (at, None)
                    });
                }
                Line::Frame(frame) if frame.ws == End::Open => {
                    running.spawn(async move {
                        let path = session.path(&frame.path);
                        let socket = files::answer(&session.requestor, &path).await;
                        (at, Some((frame.path, socket)))
                    });
                }
                Line::Cause(request) => {
                    let other = other.clone().expect("somebody causes it");
                    running.spawn(async move {
                        other.lock().await.act(&request).await;
                        (at, None)
                    });
                }
                // What is said on it, and its end, are the node's doing.
                Line::Frame(_) => done[at] = true,
            }
        }
        let Some(ended) = running.join_next().await else {
            assert!(done.iter().all(|done| *done), "some were never made");
            return open;
        };
        let (at, socket) = ended.expect("it does not panic");
        done[at] = true;
        open.extend(socket);
    }
}

/// What was called on each websocket must have the shapes of what was called in the recording; and all are closed.
async fn compare_calls(
    recording: &Recording,
    session: &Session,
    sockets: BTreeMap<String, JoinHandle<Calls>>,
) {
    let of = |path: &str| {
        let frames = recording.lines.iter().filter_map(|line| match line {
            Line::Frame(frame) if frame.path == path => Some(frame),
            _ => None,
        });
        files::recorded(frames)
    };
    let mut sockets = futures::stream::iter(sockets);
    while let Some((path, socket)) = sockets.next().await {
        let calls = tokio::time::timeout(session::PATIENCE, socket).await;
        let calls = calls.expect("the node closes it").unwrap();
        session.compare_calls(&of(&path), &calls);
    }
}
