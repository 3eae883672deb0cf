//! Ctrl-C, whenever it is pressed.

use std::{net::TcpListener, path::Path};

use crate::run::Run;

#[test]
fn ctrl_c_ends_a_start_that_a_daemon_does_not_answer() {
    let silent = TcpListener::bind("127.0.0.1:0").expect("a port");
    let url = format!("http://{}", silent.local_addr().expect("an address"));
    let run = Run::start_with(&[], |command| {
        command.envs([("YAGNA_APPKEY", "key"), ("YAGNA_API_URL", url.as_str())]);
    });
    let _asked = silent.accept().expect("a connection");
    run.interrupt();
    let ended = run.end();
    assert_eq!(ended.status.code(), Some(130), "{}", ended.said());
    assert_eq!(ended.stdout, "");
    assert_eq!(ended.temporary(), [] as [&Path; 0]);
}

#[test]
fn ctrl_c_twice_ends_a_run_that_cannot_be_stopped_in_order() {
    let mut run = Run::start(&["--running-time", "1000", "--interval", "1000"]);
    run.wait_for("all instances run after");
    let processes = run.descendants();
    let exe_unit = processes.iter().find(|process| process.name == "exe-unit");
    let exe_unit = exe_unit.expect("one");
    exe_unit.freeze();
    run.interrupt();
    run.wait_for("simple-service-1 stopping on local-");
    run.interrupt();
    let ended = run.end();
    assert_eq!(ended.status.code(), Some(130), "{}", ended.said());
    assert!(!ended.stdout.contains("total:"), "{}", ended.said());
    assert!(
        ended
            .stderr
            .contains("stopping in order; Ctrl-C once more stops at once\n"),
        "{}",
        ended.said()
    );
    for process in &processes {
        assert!(process.ends_within(10), "{} still runs", process.name);
    }
}
