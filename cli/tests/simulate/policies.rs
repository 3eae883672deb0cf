//! Who decides.

use std::{fs, path::Path, process::Command};

use serde_json::json;

use crate::{place::Place, vector};

const POLICIES: [&str; 6] = [
    "first-fit",
    "best-fit",
    "worst-fit",
    "follow-user",
    "least-delay",
    "least-energy",
];

#[test]
fn every_policy_places_every_service() {
    let place = Place::new();
    let dataset = vector("01_first_fit_placement", "dataset.json");
    for policy in POLICIES {
        let arguments = [
            &dataset,
            "--policy",
            policy,
            "--out",
            policy,
            "--metrics",
            "none",
        ];
        place.done(
            &[
                &arguments[..],
                &["--mode", "corrected", "--until", "all-hosted"],
            ]
            .concat(),
        );
        let summary = place.json(&format!("{policy}/summary.json"));
        assert_eq!(summary["hosted"], summary["services"], "{policy}");
    }
}

#[test]
fn a_script_says_when_the_run_ends_unless_the_command_does() {
    let place = Place::new();
    let name = "05_download_queue_limit";
    let (dataset, script) = (vector(name, "dataset.json"), vector(name, "policy.json"));
    let steps = |said: String| said.split(' ').next().unwrap().to_owned();
    let scripted = steps(place.done(&[&dataset, "--script", &script]));
    let script_says = fs::read_to_string(&script).unwrap();
    let script_says: serde_json::Value = serde_json::from_str(&script_says).unwrap();
    assert_eq!(scripted, script_says["stop"]["steps"].to_string());
    let short = place.done(&[&dataset, "--script", &script, "--steps", "3"]);
    assert_eq!(steps(short), "3");
}

#[test]
fn a_policy_in_python_decides() {
    if Command::new("python3").arg("--version").output().is_err() {
        // Past what keeps the output of tests that pass.
        let warning = "SKIPPED: a policy in Python is not tested, as there is no python3\n";
        fs::write("/proc/self/fd/2", warning).unwrap();
        return;
    }
    let place = Place::new();
    let dataset = vector("01_first_fit_placement", "dataset.json");
    let example = Path::new(env!("CARGO_MANIFEST_DIR")).join("../examples/policy.py");
    let command = format!("python3 '{}'", example.display());
    let arguments = [
        &dataset,
        "--policy-command",
        &command,
        "--until",
        "all-hosted",
        "--out",
        "run",
    ];
    place.done(&arguments);
    let summary = place.json("run/summary.json");
    assert_eq!(summary["hosted"], json!(7));
    // It spreads services by the CPU that is free, which first-fit does not look at.
    place.done(&[&dataset, "--until", "all-hosted", "--out", "first-fit"]);
    let highest = |run: &str| place.json(&format!("{run}/summary.json"))["highest_cpu"].as_f64();
    assert!(highest("run") < highest("first-fit"));
}

/// What is said of a policy that is this shell script.
#[track_caller]
fn check(script: &str, expected: &str) {
    let place = Place::new();
    let dataset = vector("01_first_fit_placement", "dataset.json");
    let arguments = [
        &dataset,
        "--policy-command",
        script,
        "--policy-timeout",
        "20",
        "--out",
        "run",
    ];
    let error = place.error(&arguments);
    assert_eq!(error, format!("the simulation ends in step {expected}"));
    let summary = place.json("run/summary.json");
    assert_eq!(summary["error"], json!(error));
}

#[test]
fn what_a_policy_does_wrong_is_said() {
    check(
        "read state; exit 3",
        "1: the policy failed: it ended without an answer (exit status: 3)",
    );
    check(
        "read state; no-such-program 2>/dev/null",
        "1: the policy failed: it ended without an answer (exit status: 127)",
    );
    check(
        "read state; echo '[]'; read state; printf '[1'; exit 0",
        "2: the policy failed: its answer has no end",
    );
    check(
        "read state; echo nonsense",
        "1: the policy failed: line 1, column 2: expected ident",
    );
    check(
        "read state; echo '{}'",
        "1: the policy failed: actions: they are not a list",
    );
    check(
        r#"read state; echo '[{"op": "move", "service": 1}]'"#,
        r#"1: the policy failed: actions[0].op: there is no "move""#,
    );
    check(
        r#"read state; echo '[{"op": "provision", "service": 99, "server": 1}]'"#,
        "1: there is no Service 99",
    );
}

#[test]
fn a_policy_that_does_not_answer_is_not_waited_for_for_ever() {
    let place = Place::new();
    let dataset = vector("01_first_fit_placement", "dataset.json");
    let command = "exec tail -f /dev/null";
    let error = place.error(&[
        &dataset,
        "--policy-command",
        command,
        "--policy-timeout",
        "1",
    ]);
    assert_eq!(
        error,
        "the simulation ends in step 1: the policy failed: it gave no answer in 1 s"
    );
}
