//! How an exe-unit ends, and what it leaves: nothing.

use std::{fs, time::Duration};

use rustix::process::{Pid, Signal, kill_process};
use serde_json::json;
use tokio::{io::AsyncReadExt, sync::oneshot, time::timeout};

use crate::{
    fixture::{Files, Setup, USAGE, Unit, messages, sh, spawn},
    processes::{Watched, children, sandbox_mounts},
};

/// The processes below a process, the oldest first.
pub(crate) fn descendants(of: Pid) -> Vec<Pid> {
    let below = |child| [vec![child], descendants(child)].concat();
    children(of).into_iter().flat_map(below).collect()
}

pub(crate) fn pid(unit: &Unit) -> Pid {
    let id = unit.child.id().expect("it lives");
    Pid::from_raw(id.try_into().expect("an id")).expect("an id")
}

pub(crate) fn assert_all_end(processes: &[Watched]) {
    for process in processes {
        assert!(process.ends_within(10));
    }
}

/// An exe-unit with a command and a daemon at work, their batch, and all processes below it.
async fn at_work() -> (Unit, String, Vec<Watched>) {
    let (mut unit, _files) = Unit::ready().await;
    unit.sh("mkfifo began; sleep 1000 > /dev/null 2>&1 &").await;
    let batch_id = unit
        .exec(json!([sh("echo > began; sleep 1000"), sh("echo never")]))
        .await;
    let began = unit.work().join("vol-0/began");
    tokio::task::spawn_blocking(move || fs::read(began))
        .await
        .expect("no panic")
        .expect("a pipe");
    unit.states_until("Ready>Ready").await;
    let processes = descendants(pid(&unit));
    assert!(
        processes.len() >= 5,
        "launcher, builder, agent, daemon, command: {processes:?}"
    );
    let processes = processes.into_iter().map(Watched::new).collect();
    (unit, batch_id, processes)
}

pub(crate) async fn exit_code(unit: &mut Unit) -> Option<i32> {
    let ended = timeout(Duration::from_secs(20), unit.child.wait()).await;
    ended.expect("it ends").expect("it is waited for").code()
}

#[tokio::test]
async fn a_signal_ends_it_in_order() {
    for signal in [Signal::TERM, Signal::INT, Signal::QUIT] {
        let (mut unit, batch_id, processes) = at_work().await;
        kill_process(pid(&unit), signal).expect("it lives");
        let results = unit.results(&batch_id, 60.0, None).await.expect("results");
        let message = &messages(&results)[0];
        assert!(
            message.starts_with("the activity has ended: it was told to by SIG"),
            "{message}"
        );
        let states = unit.states_until("Terminated").await;
        assert_eq!(
            states.iter().rev().take(2).collect::<Vec<_>>(),
            ["Terminated", "Ready>Terminated"]
        );
        assert_eq!(exit_code(&mut unit).await, Some(0));
        assert_all_end(&processes);
        let left = fs::read_dir(unit.work())
            .expect("a folder")
            .flatten()
            .map(|entry| entry.file_name());
        assert_eq!(left.collect::<Vec<_>>(), ["logs"]);
        assert!(
            unit.log()
                .contains("the exe-unit ends: it was told to by SIG")
        );
    }
}

#[tokio::test]
async fn killed_it_leaves_no_process_and_no_mount() {
    let before = sandbox_mounts();
    let (mut unit, _, processes) = at_work().await;
    unit.child.start_kill().expect("it lives");
    assert_all_end(&processes);
    assert_eq!(exit_code(&mut unit).await, None);
    assert_eq!(sandbox_mounts(), before);
}

#[tokio::test]
async fn without_its_sandbox_it_ends() {
    // The launcher is the exe-unit's child, the builder the launcher's, and the agent the builder's.
    for generation in 0..3 {
        let (mut unit, batch_id, processes) = at_work().await;
        processes[generation].kill();
        let results = unit.results(&batch_id, 60.0, None).await.expect("results");
        assert_ne!(messages(&results), ["Ok", "Ok"]);
        unit.states_until("Ready>Terminated").await;
        let (state, reason) = unit.state().await;
        assert_eq!(
            (&*state, reason.as_deref()),
            ("Terminated", Some("its runtime has ended"))
        );
        assert_eq!(exit_code(&mut unit).await, Some(1));
        assert_all_end(&processes);
    }
}

#[tokio::test]
async fn without_a_bus_it_ends() {
    let folder = tempfile::tempdir().expect("a folder");
    let (end, ended) = oneshot::channel();
    crate::node::open_until(folder.path().join("bus"), ended);
    let agreement = json!({"offer": {"properties": {"golem.com.usage.vector": USAGE}}});
    let mut child = spawn(
        &folder,
        &folder.path().join("cache"),
        &agreement.to_string(),
    );
    // It has begun once its log is there, and whether before or after it has connected, it ends.
    drop(end);
    let mut text = String::new();
    let mut stderr = child.stderr.take().expect("a pipe");
    stderr.read_to_string(&mut text).await.expect("text");
    assert_eq!(child.wait().await.expect("it ends").code(), Some(1));
    assert!(text.contains("bus"), "{text}");
}

#[tokio::test]
async fn without_anybody_who_takes_reports_it_ends() {
    let mut unit = Unit::start(Setup {
        files: Files::default(),
        cache: "/nowhere".into(),
        task_package: None,
        deaf: true,
    });
    assert_eq!(exit_code(&mut unit).await, Some(1));
    assert!(
        unit.log()
            .contains("nobody takes reports at /local/activity"),
        "{}",
        unit.log()
    );
}

#[tokio::test]
async fn what_it_needs_to_start_it_names() {
    let usage = json!({"offer": {"properties": {"golem.com.usage.vector": USAGE}}}).to_string();
    for (agreement, reason) in [
        ("", "is no JSON"),
        ("{}", "has no golem.com.usage.vector"),
        (&usage, "cannot connect to the bus at"),
    ] {
        let folder = tempfile::tempdir().expect("a folder");
        let child = spawn(&folder, &folder.path().join("cache"), agreement);
        let output = child.wait_with_output().await.expect("it ends");
        let text = String::from_utf8_lossy(&output.stderr);
        assert!(text.contains(reason), "{text}");
        assert_eq!(output.status.code(), Some(1));
        let log = fs::read_to_string(folder.path().join("work/logs/exe-unit.log"));
        assert!(log.expect("a log").contains(reason));
    }
}

#[tokio::test]
async fn usage_is_reported_until_the_end() {
    let (mut unit, _files) = Unit::ready().await;
    let busy =
        "i=0; while [ $i -lt 300000 ]; do i=$((i+1)); done; head -c 3000000 /dev/zero > zeros";
    unit.sh(busy).await;
    kill_process(pid(&unit), Signal::TERM).expect("it lives");
    assert_eq!(exit_code(&mut unit).await, Some(0));
    let mut vectors = Vec::new();
    while let Some(usage) = unit.node.usage.recv().await {
        vectors.push(usage.current_usage.expect("a vector"));
        if unit.node.usage.is_empty() {
            break;
        }
    }
    let last = vectors.last().expect("a report");
    let [cpu, duration, memory, storage, 0.0] = last[..] else {
        panic!("as many as the agreement has: {last:?}");
    };
    assert!(cpu > 0.05 && duration > 0.05 && memory > 0.0, "{last:?}");
    // The volumes are gone, and the log is left.
    assert!(storage < 0.002, "{last:?}");
    let grows = vectors
        .windows(2)
        .all(|pair| pair[0][0] <= pair[1][0] && pair[0][1] < pair[1][1]);
    assert!(grows, "{vectors:?}");
}
