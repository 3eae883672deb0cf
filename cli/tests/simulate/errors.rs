//! What is said of what cannot be simulated.

use std::fs;

use serde_json::{Value, json};

use crate::{place::Place, vector};

#[test]
fn what_the_command_line_cannot_mean_is_said() {
    let place = Place::new();
    let dataset = vector("01_first_fit_placement", "dataset.json");
    let said = place.simulate(&[&dataset, "--policy", "guess"]);
    assert_eq!(said.code, Some(2));
    assert!(
        said.err
            .starts_with("error: invalid value 'guess' for '--policy <NAME>'")
            && said.err.contains("first-fit, best-fit, worst-fit"),
        "{said:?}"
    );
    assert_eq!(place.simulate(&[]).code, Some(2));
    assert_eq!(
        place.error(&[&dataset, "--correct", "disk,everything"]),
        "--correct: there is no \"everything\", only colocation, disk, bandwidth, fairness, release, outages"
    );
    assert_eq!(
        place.error(&[&dataset, "--mode", "corrected", "--correct", "disk"]),
        "--correct: with --mode corrected, all oversights are taken away already"
    );
    assert_eq!(
        place.error(&[&dataset, "--metrics", "none,csv"]),
        "--metrics: none goes with no other form"
    );
    assert_eq!(
        place.error(&[&dataset, "--tick", "0"]),
        "--tick: 0 is not above zero"
    );
}

#[test]
fn what_is_wrong_with_a_dataset_is_said() {
    let place = Place::new();
    let dataset = fs::read_to_string(vector("01_first_fit_placement", "dataset.json")).unwrap();
    assert_eq!(
        place.error(&["none.json"]),
        "none.json: No such file or directory (os error 2)"
    );
    assert_eq!(place.error(&["."]), ".: it is not a file");
    place.write("short.json", &dataset[..2000]);
    assert_eq!(
        place.error(&["short.json"]),
        "short.json: line 1, column 2000: EOF while parsing a string"
    );
    place.write("whole.json", &dataset);
    assert_eq!(
        place.error(&["whole.json", "--max-bytes", "2000"]),
        format!(
            "whole.json (--max-bytes raises the limit): the dataset has {} bytes, more than the limit of 2000",
            dataset.len()
        )
    );
    let large = fs::File::create(place.path("large.json")).unwrap();
    large.set_len(1 << 30).unwrap();
    assert_eq!(
        place.error(&["large.json"]),
        "large.json (--max-bytes raises the limit): the dataset has 1073741824 bytes, more than the limit of 536870912"
    );
    let changed = dataset.replacen(r#""disk":131072"#, r#""disk":-1"#, 1);
    place.write("changed.json", changed);
    assert_eq!(
        place.error(&["changed.json"]),
        "changed.json: EdgeServer 3: disk: -1 is negative"
    );
}

#[test]
fn what_is_wrong_with_a_script_is_said() {
    let place = Place::new();
    let dataset = vector("01_first_fit_placement", "dataset.json");
    place.write(
        "script.json",
        r#"{"algorithm": "scripted", "stop": {"kind": "steps", "steps": 3},
            "events": [{"step": 1, "op": "provision", "service": 1, "server": "two"}]}"#,
    );
    assert_eq!(
        place.error(&[&dataset, "--script", "script.json"]),
        "script.json: events[0].server: it is not a whole number"
    );
}

#[test]
fn where_edgesimpy_aborts_the_metrics_until_then_are_kept() {
    for (name, steps, expected) in [
        (
            "14a_error_same_switch",
            1,
            "the simulation ends in step 2: flow 1 from server 1 to server 2 has no link to pass through: both are behind switch 1 (EdgeSimPy aborts here; correcting `colocation` lets it pass)",
        ),
        (
            "14b_error_no_registry_has_layer",
            1,
            "the simulation ends in step 2: no available registry has layer \"os\", which server 3 waits for",
        ),
        (
            "14c_error_colocated_state",
            2,
            "the simulation ends in step 3: flow 2 from server 2 to server 3 has no link to pass through: both are behind switch 2 (EdgeSimPy aborts here; correcting `colocation` lets it pass)",
        ),
    ] {
        let place = Place::new();
        let (dataset, script) = (vector(name, "dataset.json"), vector(name, "policy.json"));
        let error = place.error(&[&dataset, "--script", &script, "--out", "run"]);
        assert_eq!(error, expected, "{name}");
        let summary = place.json("run/summary.json");
        assert_eq!(summary["error"], json!(error), "{name}");
        assert_eq!(summary["steps"], json!(steps), "{name}");
        let rows = fs::read_to_string(place.path("run/Service.jsonl")).unwrap();
        let last: Value = serde_json::from_str(rows.lines().next_back().unwrap()).unwrap();
        assert_eq!(last["Time Step"], json!(steps), "{name}");
        assert!(place.path("run/services.svg").exists(), "{name}");
    }
}

#[test]
fn services_that_find_no_server_are_not_waited_for_for_ever() {
    let place = Place::new();
    let dataset = fs::read_to_string(vector("01_first_fit_placement", "dataset.json")).unwrap();
    let mut dataset: Value = serde_json::from_str(&dataset.replace("Infinity", "1000000")).unwrap();
    dataset["Service"][2]["attributes"]["cpu_demand"] = json!(1000);
    place.write("large.json", dataset.to_string());
    let error = place.error(&[
        "large.json",
        "--until",
        "all-hosted",
        "--out",
        "run",
        "--omit",
        "User",
    ]);
    let summary = place.json("run/summary.json");
    let steps = summary["steps"].as_u64().unwrap();
    assert!((100..200).contains(&steps));
    assert_eq!(
        error,
        format!(
            "1 of 7 services have no server after {steps} steps, and nothing has happened for 100 steps"
        )
    );
    assert_eq!(summary["error"], json!(error));
    assert!(place.path("run/Service.csv").exists() && !place.path("run/User.csv").exists());
}
