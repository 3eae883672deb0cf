//! `simulate_observations` and `simulate_observations_ctl`.

use std::{
    fs::{self, File},
    path::Path,
    process::Command,
    time::{Duration, Instant},
};

use rustix::process::{Pid, Signal, kill_process};

use crate::service::{Run, Service, copy};

/// Starts the daemon and returns its pid.
#[track_caller]
fn start(service: &Service) -> i32 {
    let run = service.control("--start");
    let pid = run
        .succeeds()
        .strip_prefix("simulate_observations has started (pid ");
    let pid = pid.and_then(|rest| rest.strip_suffix(')')).expect("a pid");
    assert_eq!(fs::read_to_string(service.pid_file()).unwrap().trim(), pid);
    pid.parse().unwrap()
}

/// A field of `/proc/PID/stat` behind the program's name, from 0: state, parent, group, session; `None` if there is
/// no such process.
fn stat(pid: i32, field: usize) -> Option<String> {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    let (_, fields) = stat.rsplit_once(')')?;
    fields.split_whitespace().nth(field).map(str::to_owned)
}

/// Whether it has not ended; a zombie has.
fn lives(pid: i32) -> bool {
    stat(pid, 0).is_some_and(|state| state != "Z" && state != "X")
}

fn signal(pid: i32, signal: Signal) {
    kill_process(Pid::from_raw(pid).unwrap(), signal).unwrap();
}

#[track_caller]
fn until(what: &str, holds: impl Fn() -> bool) {
    let deadline = Instant::now() + Duration::from_secs(30);
    while !holds() {
        assert!(Instant::now() < deadline, "{what} has not come true");
    }
}

#[test]
fn it_adds_observations_until_it_is_stopped() {
    let service = Service::new();
    let pid = start(&service);
    assert!(service.size() >= 1, "it starts with an observation");
    until("a third observation", || service.size() >= 3);
    let stats = service.run(&["--stats"]).json();
    assert!(
        stats["min"].as_f64() > Some(-10.0) && stats["max"].as_f64() < Some(40.0),
        "{stats}"
    );

    let stopped = service.control("--stop");
    assert_eq!(
        stopped.succeeds(),
        format!("simulate_observations has stopped (pid {pid})")
    );
    assert!(!lives(pid), "it has ended when --stop returns");
}

#[test]
fn it_has_left_its_parent_behind() {
    let service = Service::new();
    let pid = start(&service);
    assert_eq!(
        stat(pid, 3),
        Some(pid.to_string()),
        "its session is its own"
    );
    let link = |name: &str| fs::read_link(format!("/proc/{pid}/{name}")).unwrap();
    assert_eq!(link("cwd"), Path::new("/"));
    assert_eq!(link("fd/0"), Path::new("/dev/null"));
    assert_eq!(link("fd/1"), Path::new("/dev/null"));
    assert_eq!(
        link("fd/2"),
        service.folder().join("simulate_observations.log")
    );
}

#[test]
fn a_second_start_says_so_and_changes_nothing() {
    let service = Service::new();
    let pid = start(&service);
    let second = service.control("--start");
    assert_eq!(
        second.succeeds(),
        format!("simulate_observations runs already (pid {pid})")
    );
    assert!(lives(pid));

    let by_hand = Command::new(env!("CARGO_BIN_EXE_simulate_observations"))
        .env("SIMPLE_SERVICE_DB", service.database())
        .output();
    Run::from(by_hand.unwrap()).fails("another process holds");
}

#[test]
fn stopping_what_does_not_run_says_so() {
    let service = Service::new();
    let not_running = "simulate_observations is not running";
    assert_eq!(service.control("--stop").succeeds(), not_running);
    start(&service);
    service.control("--stop").succeeds();
    assert_eq!(service.control("--stop").succeeds(), not_running);
    start(&service);
}

#[test]
fn a_killed_daemon_leaves_nothing_in_the_way() {
    let service = Service::new();
    let first = start(&service);
    signal(first, Signal::KILL);
    until("the end of the daemon", || !lives(first));
    assert_eq!(
        service.control("--stop").succeeds(),
        "simulate_observations is not running"
    );
    let second = start(&service);
    assert_ne!(first, second);
}

#[test]
fn a_pid_that_is_another_process_by_now_is_left_alone() {
    let service = Service::new();
    for stale in [
        std::process::id().to_string(),
        "1".into(),
        "x".into(),
        String::new(),
    ] {
        fs::write(service.pid_file(), stale).unwrap();
        assert_eq!(
            service.control("--stop").succeeds(),
            "simulate_observations is not running"
        );
    }
    fs::write(service.pid_file(), std::process::id().to_string()).unwrap();
    start(&service);
}

#[test]
fn a_suspended_daemon_is_stopped_too() {
    let service = Service::new();
    let pid = start(&service);
    signal(pid, Signal::STOP);
    service.control("--stop").succeeds();
    assert!(!lives(pid));
}

#[test]
fn a_lock_without_a_pid_is_an_error() {
    let service = Service::new();
    let held = File::create(service.pid_file()).unwrap();
    held.lock().unwrap();
    for argument in ["--start", "--stop"] {
        service
            .control(argument)
            .fails("is locked but names no process");
    }
}

#[test]
fn each_database_has_its_own_daemon() {
    let (one, other) = (Service::new(), Service::new());
    let (first, second) = (start(&one), start(&other));
    one.control("--stop").succeeds();
    assert!(!lives(first) && lives(second));
}

#[test]
fn a_daemon_that_cannot_begin_says_why() {
    let service = Service::uninitialised();
    let run = service.control("--start");
    assert_eq!(run.code, Some(1));
    let lines: Vec<_> = run.stderr.lines().collect();
    assert!(
        lines[0].starts_with("simulate_observations: there is no database"),
        "{run:?}"
    );
    assert!(
        lines[1].starts_with("simulate_observations_ctl: simulate_observations did not start"),
        "{run:?}"
    );
    assert_eq!(
        service.control("--stop").succeeds(),
        "simulate_observations is not running"
    );
}

#[test]
fn a_missing_daemon_is_named() {
    let folder = tempfile::tempdir().unwrap();
    let control = folder.path().join("simulate_observations_ctl");
    copy(env!("CARGO_BIN_EXE_simulate_observations_ctl"), &control);
    let output = Command::new(control)
        .arg("--start")
        .env_clear()
        .output()
        .unwrap();
    let program = folder.path().join("simulate_observations");
    Run::from(output).fails(&format!("cannot run {}: No such file", program.display()));
}
