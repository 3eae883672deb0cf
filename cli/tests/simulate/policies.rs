//! Who decides.

use std::{
    fs,
    io::{BufRead, BufReader},
    path::Path,
    process::{Command, Stdio},
};

use serde_json::{Value, json};

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
    // What it has placed in this step takes room on disk too.
    let text = fs::read_to_string(&dataset).unwrap();
    let text = text.replacen(r#""disk":131072"#, r#""disk":150"#, 1);
    place.write("small.json", text);
    let short = [
        "small.json",
        "--policy-command",
        &command,
        "--steps",
        "3",
        "--out",
        "run",
    ];
    place.done(&short);
    let rows = fs::read_to_string(place.path("run/EdgeServer.jsonl")).unwrap();
    for row in rows.lines() {
        let row: Value = serde_json::from_str(row).unwrap();
        assert!(row["Disk Demand"].as_f64() <= row["Disk"].as_f64(), "{row}");
    }
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
fn a_policy_that_answers_more_than_it_is_asked_is_not_read_on() {
    let more = "1: the policy failed: it gives answers that nobody asked for";
    check("exec yes '[]'", more);
    check(r"read state; printf '[]\n[]\n'; read state", more);
}

/// What is said of a policy that is waited for for a second.
fn wait_for(dataset: &str, command: &str) -> String {
    let place = Place::new();
    let timeout = ["--policy-timeout", "1"];
    place.error(&[&[dataset, "--policy-command", command], &timeout[..]].concat())
}

#[test]
fn a_policy_that_does_not_answer_is_not_waited_for_for_ever() {
    let dataset = vector("01_first_fit_placement", "dataset.json");
    // What it started would keep the errors' pipe open, so that nothing would be said until it ended.
    let command = "tail -f /dev/null & tail -f /dev/null; true";
    assert_eq!(
        wait_for(&dataset, command),
        "the simulation ends in step 1: the policy failed: it gave no answer in 1 s"
    );
}

#[test]
fn a_policy_that_does_not_read_is_not_waited_for_for_ever() {
    let place = Place::new();
    // The state is larger than a pipe.
    place.done(&["generate", "1000", "mesh", "--steps", "2"]);
    let dataset = place.path("mesh/dataset.json");
    assert_eq!(
        wait_for(dataset.to_str().unwrap(), "exec tail -f /dev/null"),
        "the simulation ends in step 1: the policy failed: it did not take the state in 1 s"
    );
}

#[test]
fn a_run_is_interrupted_while_a_policy_thinks() {
    let place = Place::new();
    let dataset = vector("01_first_fit_placement", "dataset.json");
    let script = "read state; echo '[]'; read state; echo thinking >&2; exec tail -f /dev/null";
    let mut command = place.kiln();
    command.args(["simulate", &dataset, "--policy-command", script]);
    command.args(["--out", "run"]).stdout(Stdio::null());
    let mut child = command.stderr(Stdio::piped()).spawn().unwrap();
    let mut errors = BufReader::new(child.stderr.take().unwrap()).lines();
    assert_eq!(errors.next().unwrap().unwrap(), "thinking");
    let process = child.id().to_string();
    let killed = Command::new("kill").args(["-INT", &process]).status();
    assert!(killed.unwrap().success());
    let said: Vec<String> = errors.map(Result::unwrap).collect();
    assert_eq!(said, ["error: interrupted after step 1"]);
    assert!(!child.wait().unwrap().success());
    // What was found until then is kept, and no more steps are told of than there are rows.
    let summary = place.json("run/summary.json");
    assert_eq!(summary["steps"], json!(1));
    let rows = fs::read_to_string(place.path("run/Service.jsonl")).unwrap();
    let last: Value = serde_json::from_str(rows.lines().next_back().unwrap()).unwrap();
    assert_eq!(last["Time Step"], json!(1));
}
