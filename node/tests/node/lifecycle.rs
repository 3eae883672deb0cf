//! What a node leaves behind: nothing.

use std::{os::unix::fs::PermissionsExt, path::Path, time::Duration};

use exeunit::Program;
use node::LocalNode;
use rusqlite::Connection;
use rustix::{
    event::{PollFd, PollFlags, poll},
    process::{Pid, PidfdFlags, pidfd_open},
};
use serde_json::json;
use tokio::{io::AsyncWriteExt, net::TcpStream, task::JoinSet};

use crate::{
    requestor::{PLATFORM, Requestor},
    scene::{Scene, Started, script},
};

fn is_alive(started: &Started) -> bool {
    Path::new(&format!("/proc/{}", started.pid)).exists()
}

fn port(url: &str) -> String {
    url.trim_start_matches("http://").to_owned()
}

/// The entries of a folder.
fn listed(folder: &Path) -> Vec<String> {
    let entries = std::fs::read_dir(folder).unwrap();
    let mut names: Vec<_> = entries
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .collect();
    names.sort();
    names
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stopped_node_leaves_nothing() {
    let mut scene = Scene::start().await;
    let (_, started, _peer) = scene.activity().await;
    let (requestor, address) = (scene.requestor.clone(), port(scene.node.url()));
    let waits = "/payment-api/v1/invoiceEvents?timeout=600";
    let waiting = tokio::spawn(async move { requestor.get(waits).await });
    assert!(is_alive(&started));
    // The waiting request may come after the end; then there is nobody to ask.
    tokio::task::yield_now().await;
    scene.node.stop().await.unwrap();
    assert!(!is_alive(&started));
    assert!(TcpStream::connect(address).await.is_err());
    if let Ok(answer) = waiting.await {
        assert_eq!(answer.error(503), "the node is stopping");
    }
    // A folder that was given stays; but not what exe-units and the bus had there.
    let folder = scene.folder.path();
    assert_eq!(
        listed(folder),
        [
            "activities",
            "bus",
            "cache",
            "images",
            "node.db",
            "node.lock",
            "started"
        ]
    );
    assert_eq!(listed(&folder.join("activities")), [""; 0]);
    assert_eq!(listed(&folder.join("bus")), [""; 0]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_temporary_folder_is_private_and_goes() {
    let cache = tempfile::tempdir().unwrap();
    let node = LocalNode::builder()
        .cache_folder(cache.path())
        .exe_unit(Program::at(script("exe-unit.sh")))
        .start()
        .await
        .unwrap();
    let folder = node.data_folder().to_owned();
    let mode = std::fs::metadata(&folder).unwrap().permissions().mode();
    assert_eq!(mode & 0o777, 0o700);
    node.stop().await.unwrap();
    assert!(!folder.exists());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_dropped_node_ends_as_well() {
    let mut scene = Scene::start().await;
    let (_, started, _peer) = scene.activity().await;
    let address = port(scene.node.url());
    let pid = Pid::from_raw(started.pid).unwrap();
    let process = pidfd_open(pid, PidfdFlags::empty()).unwrap();
    drop(scene.node);
    let died = tokio::task::spawn_blocking(move || {
        poll(&mut [PollFd::new(&process, PollFlags::IN)], None).unwrap()
    });
    died.await.unwrap();
    while TcpStream::connect(&address).await.is_ok() {}
}

#[test]
fn a_node_ends_with_its_runtime() {
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()
        .unwrap();
    let (scene, started) = runtime.block_on(async {
        let mut scene = Scene::start().await;
        let (_, started, _) = scene.activity().await;
        (scene, started)
    });
    drop(runtime);
    assert!(!is_alive(&started));
    assert_eq!(listed(&scene.folder.path().join("activities")), [""; 0]);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_exe_unit_that_does_not_listen_is_killed() {
    let stubborn = Program::at(script("stubborn.sh"));
    let mut scene = Scene::start_with(|builder| builder.exe_unit(stubborn)).await;
    let (_, started, _peer) = scene.activity().await;
    scene.node.stop().await.unwrap();
    assert!(!is_alive(&started));
}

#[tokio::test]
async fn a_program_that_was_not_entered_is_told_so() {
    let error = LocalNode::builder().start().await.unwrap_err();
    assert!(error.to_string().contains("exeunit::enter"), "{error}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_seed_makes_the_same_node_again() {
    let keys = async || {
        let scene = Scene::start_with(|builder| builder.seed(7)).await;
        let key = scene.node.app_key().to_owned();
        (key, scene.requestor.identity().await)
    };
    assert_eq!(keys().await, keys().await);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_provider_that_makes_no_sense_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    let provider = node::Provider::new("p").subnet("a)b".to_owned());
    let started = LocalNode::builder()
        .providers([provider])
        .data_folder(folder.path())
        .cache_folder(folder.path())
        .exe_unit(Program::at(script("exe-unit.sh")))
        .start()
        .await;
    let error = started.unwrap_err().to_string();
    assert!(
        error.starts_with("the offer of provider p makes no sense: constraints, at byte"),
        "{error}"
    );
}

/// A node in a folder, with nobody to work for.
fn node_in(folder: &Path) -> node::LocalNodeBuilder {
    LocalNode::builder()
        .data_folder(folder)
        .cache_folder(folder.join("cache"))
        .exe_unit(Program::at(script("exe-unit.sh")))
}

fn is_taken(folder: &Path) -> String {
    let folder = folder.display();
    format!("another node is at work in {folder}: a folder has one at a time")
}

#[tokio::test(flavor = "multi_thread")]
async fn a_folder_has_one_node_at_a_time() {
    let scene = Scene::start().await;
    let folder = scene.folder.path();
    let second = node_in(folder).start().await.unwrap_err();
    assert_eq!(second.to_string(), is_taken(folder));
    // And the first is not disturbed.
    scene.requestor.identity().await;
    let socket = scene.bus();
    scene.node.stop().await.unwrap();
    // A node that was killed leaves its socket.
    drop(std::os::unix::net::UnixListener::bind(&socket).unwrap());
    assert!(socket.exists());
    let next = node_in(folder).start().await.unwrap();
    next.stop().await.unwrap();
    assert!(!socket.exists());
}

#[tokio::test(flavor = "multi_thread")]
async fn of_nodes_that_start_at_once_one_has_the_folder() {
    let folder = tempfile::tempdir().unwrap();
    for _ in 0..5 {
        let mut starting = JoinSet::new();
        for _ in 0..4 {
            starting.spawn(node_in(folder.path()).start());
        }
        let mut nodes = Vec::new();
        for started in starting.join_all().await {
            match started {
                Ok(node) => nodes.push(node),
                Err(error) => assert_eq!(error.to_string(), is_taken(folder.path())),
            }
        }
        let [node] = <[LocalNode; 1]>::try_from(nodes).expect("one of them starts");
        Requestor::of(&node).identity().await;
        node.stop().await.unwrap();
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn who_is_connected_and_silent_does_not_keep_a_node_alive() {
    let scene = Scene::start().await;
    let address = port(scene.node.url());
    let silent = TcpStream::connect(&address).await.unwrap();
    let mut halting = TcpStream::connect(&address).await.unwrap();
    halting.write_all(b"GET /me HTT").await.unwrap();
    // It has been accepted when one that came later is served.
    scene.requestor.identity().await;
    let stopped = tokio::time::timeout(Duration::from_secs(5), scene.node.stop()).await;
    stopped.expect("a node stops in time").unwrap();
    drop((silent, halting));
}

#[tokio::test(flavor = "multi_thread")]
async fn what_cannot_be_written_is_not_acknowledged() {
    let scene = Scene::start().await;
    let database = Connection::open(scene.folder.path().join("node.db")).unwrap();
    let full =
        "CREATE TRIGGER full BEFORE INSERT ON allocations BEGIN SELECT RAISE(ABORT, 'full'); END";
    database.execute_batch(full).unwrap();
    let new = json!({"totalAmount": "1", "paymentPlatform": PLATFORM});
    let refused = scene
        .requestor
        .post("/payment-api/v1/allocations", new)
        .await;
    assert_eq!(refused.error(503), "the node is stopping");
    scene.node.failed().await;
    scene.node.stop().await.unwrap();
}
