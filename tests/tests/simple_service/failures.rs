//! What goes wrong, and what its user is told.

use std::path::Path;

use crate::run::{Run, is_without_cause};

#[test]
fn an_exe_unit_that_is_killed_ends_its_instance_alone() {
    let mut run = Run::start(&[
        "--instances",
        "2",
        "--running-time",
        "1000",
        "--interval",
        "3",
    ]);
    run.wait_for("all instances run after");
    run.wait_for("std dev");
    let processes = run.descendants();
    let exe_units: Vec<_> = processes
        .iter()
        .filter(|process| process.name == "exe-unit")
        .collect();
    assert_eq!(exe_units.len(), 2);
    exe_units[0].kill();

    let line = run.wait_for(" terminated on local-");
    assert!(
        line.contains("activity ") && line.contains(" on provider local-"),
        "{line}"
    );
    assert!(line.contains("has ended"), "{line}");
    let survivor = if line.starts_with("simple-service-1 ") {
        "simple-service-2"
    } else {
        "simple-service-1"
    };
    run.wait_for(&format!("{survivor}: {{"));
    run.wait_for(&format!("{survivor}: /golem/out/"));
    run.interrupt();
    let terminated = format!("{survivor} terminated on local-");
    let line = run.wait_for(&terminated);
    assert!(is_without_cause(&line, &terminated), "{line}");
    let ended = run.end();
    assert_eq!(ended.status.code(), Some(130), "{}", ended.said());
    assert!(ended.stdout.contains("\ntotal: 0.0"), "{}", ended.said());
    assert!(processes.iter().all(|process| process.ends_within(5)));
    assert_eq!(ended.temporary(), [] as [&Path; 0]);
}

#[test]
fn when_the_last_exe_unit_is_killed_the_run_ends_in_order() {
    let mut run = Run::start(&["--running-time", "1000", "--interval", "1"]);
    run.wait_for("std dev");
    let processes = run.descendants();
    processes
        .iter()
        .find(|process| process.name == "exe-unit")
        .expect("one")
        .kill();
    let ended = run.end();
    assert_eq!(ended.status.code(), Some(1), "{}", ended.said());
    assert!(
        ended.stderr.contains("error: 1 of 1 instances failed"),
        "{}",
        ended.said()
    );
    assert!(ended.stdout.contains("\ntotal: 0.0"), "{}", ended.said());
    assert_eq!(ended.temporary(), [] as [&Path; 0]);
}

#[test]
fn a_killed_requestor_leaves_no_process() {
    let mut run = Run::start(&["--running-time", "1000", "--interval", "1"]);
    run.wait_for("std dev");
    let processes = run.descendants();
    assert!(processes.len() >= 4, "exe-unit, launcher, agent, daemon");
    drop(run);
    for process in processes {
        assert!(process.ends_within(10), "{} still runs", process.name);
    }
}

#[test]
fn where_providers_are_too_few_the_cause_is_told() {
    let ended = Run::start(&["--instances", "4", "--starting-timeout", "3"]).end();
    assert_eq!(ended.status.code(), Some(1), "{}", ended.said());
    let error = "error: not all instances run after 3 s\n  simple-service-";
    assert!(ended.stderr.contains(error), "{}", ended.said());
    // How many of the others are up by then is up to the machine.
    for part in [" pending\n", "\n  market: ", " matched the demand"] {
        assert!(ended.stderr.contains(part), "{part:?}: {}", ended.said());
    }
    assert!(ended.stdout.contains("\ntotal: 0"), "{}", ended.said());
    assert_eq!(ended.temporary(), [] as [&Path; 0]);
}

#[test]
fn what_cannot_be_is_refused_at_once() {
    for (options, complaint) in [
        (
            ["--budget", "0"],
            "error: the budget must be more than 0 GLM",
        ),
        (
            ["--budget", "much"],
            "invalid value 'much' for '--budget <AMOUNT>'",
        ),
        (["--running-time", "-1"], "unexpected argument '-1' found"),
        (
            ["--running-time", "soon"],
            "invalid value 'soon' for '--running-time <SECS>'",
        ),
        (
            ["--running-time", "18446744073709551615"],
            "for '--running-time <SECS>': at most 1209600 s, two weeks, are possible",
        ),
        (
            ["--instances", "0"],
            "invalid value '0' for '--instances <N>': 0 is not in 1..=1000",
        ),
        (
            ["--output-dir", "/no/such/folder"],
            "invalid value '/no/such/folder' for '--output-dir <DIR>': No such file or directory",
        ),
        (
            ["--payment-network", "moon"],
            "error: cannot start: cannot set 1.0 GLM aside",
        ),
    ] {
        let ended = Run::start(&options).end();
        assert!(!ended.status.success(), "{options:?}");
        assert!(
            ended.stderr.contains(complaint),
            "{options:?}: {}",
            ended.said()
        );
        assert!(!ended.stdout.contains("starting"), "{}", ended.said());
        assert_eq!(ended.temporary(), [] as [&Path; 0], "{options:?}");
    }
}

#[test]
fn a_run_that_the_budget_does_not_pay_has_failed() {
    let options = ["--budget", "0.000000001", "--running-time", "2"];
    let ended = Run::start(&[&options[..], &["--starting-timeout", "20"]].concat()).end();
    assert_eq!(ended.status.code(), Some(1), "{}", ended.said());
    let said = ended.said();
    assert!(said.contains(" GLM of the budget"), "{said}");
}

#[test]
fn when_nobody_reads_on_the_run_ends_in_order() {
    let mut run = Run::start(&["--running-time", "1000", "--interval", "1"]);
    run.wait_for("all instances run after");
    let processes = run.descendants();
    run.stop_reading();
    let ended = run.end();
    assert_eq!(ended.status.code(), Some(141), "{}", ended.said());
    for (event, count) in [("AgreementTerminated", 1), ("InvoiceAccepted", 1)] {
        let told = ended.stderr.matches(event).count();
        assert_eq!(told, count, "{event}: {}", ended.said());
    }
    assert!(!ended.stderr.contains("panicked"), "{}", ended.said());
    assert!(processes.iter().all(|process| process.ends_within(0)));
    assert_eq!(ended.temporary(), [] as [&Path; 0]);
}

#[test]
fn a_plot_that_cannot_be_written_ends_its_instance() {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().to_str().expect("text").to_owned();
    let mut run = Run::start(&["--output-dir", &path, "--interval", "1"]);
    run.wait_for("simple-service-1 starting on local-");
    folder.close().expect("it can be removed");
    let ended = run.end();
    assert_eq!(ended.status.code(), Some(1), "{}", ended.said());
    let complaint = format!("cannot create {path}/simple-service-1-");
    assert!(ended.stdout.contains(&complaint), "{}", ended.said());
}

#[test]
fn what_keeps_an_image_from_being_built_is_told() {
    for (run, causes) in [
        (
            Run::start_without_user_namespaces(),
            [
                "error: the service has no payload: ",
                "/Dockerfile:22: RUN ",
                ": user.max_user_namespaces is 0; ",
            ],
        ),
        (
            Run::start_with(&[], |command| {
                command.env("CARGO", "/nonexistent");
            }),
            [
                "error: the service has no payload: ",
                "cannot run /nonexistent, ",
                ": No such file or directory",
            ],
        ),
    ] {
        let ended = run.end();
        assert_eq!(ended.status.code(), Some(1), "{}", ended.said());
        for cause in causes {
            assert!(ended.stderr.contains(cause), "{cause}: {}", ended.said());
        }
        assert_eq!(ended.temporary(), [] as [&Path; 0]);
    }
}
