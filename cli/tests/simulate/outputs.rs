//! What a run leaves behind.

use std::fs;
use std::io::Read;
use std::process::{Command, Stdio};

use serde_json::{Value, json};
use sha2::{Digest, Sha256};

use crate::{msgpack, place::Place, vector};

const CLASSES: [&str; 6] = [
    "NetworkSwitch",
    "User",
    "Service",
    "ContainerRegistry",
    "EdgeServer",
    "NetworkFlow",
];
const PICTURES: [&str; 5] = ["services", "links", "servers", "users", "power"];

/// Whole rows from JSON lines, as JSON.
fn lines(text: &str) -> Value {
    let row = |line: &str| -> Value {
        serde_json::from_str(&line.replace("Infinity", "\"Infinity\"")).unwrap()
    };
    text.lines().map(row).collect()
}

/// The rows of a file of comma-separated values, as lists of cells.
fn cells(text: &str) -> Vec<Vec<String>> {
    let (mut rows, mut row, mut cell) = (Vec::new(), Vec::new(), String::new());
    let (mut quoted, mut characters) = (false, text.chars().peekable());
    while let Some(character) = characters.next() {
        match character {
            '"' if quoted && characters.next_if_eq(&'"').is_some() => cell.push('"'),
            '"' => quoted = !quoted,
            ',' if !quoted => row.push(std::mem::take(&mut cell)),
            '\n' if !quoted => {
                row.push(std::mem::take(&mut cell));
                rows.push(std::mem::take(&mut row));
            }
            _ => cell.push(character),
        }
    }
    assert!(row.is_empty() && cell.is_empty() && !quoted);
    rows
}

/// What stands in a cell for a value.
fn in_a_cell(value: &Value) -> Value {
    match value {
        Value::Null => json!(""),
        Value::Bool(true) => json!("True"),
        Value::Bool(false) => json!("False"),
        Value::String(text) => json!(text),
        Value::Number(number) => json!(number.to_string()),
        whole => whole.clone(),
    }
}

#[test]
fn metrics_are_the_same_in_every_form_and_edgesimpys() {
    let place = Place::new();
    let name = "13_mobility_and_access";
    let (dataset, script) = (vector(name, "dataset.json"), vector(name, "policy.json"));
    place.done(&[&dataset, "--script", &script, "--out", "run"]);
    let mut all = Vec::new();
    for class in CLASSES {
        let read = |ending: &str| fs::read(place.path(&format!("run/{class}.{ending}"))).unwrap();
        let text = String::from_utf8(read("jsonl")).unwrap();
        let rows = lines(&text);
        assert!(msgpack::read(&read("msgpack")) == rows, "{class}");

        let table = cells(std::str::from_utf8(&read("csv")).unwrap());
        let (names, values) = table.split_first().unwrap();
        let rows = rows.as_array().unwrap();
        assert_eq!(values.len(), rows.len(), "{class}");
        for (cells, row) in values.iter().zip(rows) {
            assert_eq!(cells.len(), names.len(), "{class}");
            for (name, cell) in names.iter().zip(cells) {
                let expected = in_a_cell(&row[name]);
                let found = match &expected {
                    Value::String(_) => json!(cell),
                    _ => lines(cell)[0].clone(),
                };
                assert_eq!(found, expected, "{class}: {name}");
            }
        }
        let rows: Vec<&str> = text.lines().collect();
        all.push(format!("\"{class}\":[{}]", rows.join(",")));
    }
    let all = format!("{{{}}}", all.join(",")).replace("Infinity", "\"Infinity\"");
    let hash: String = (Sha256::digest(all).iter())
        .map(|byte| format!("{byte:02x}"))
        .collect();
    let expected = fs::read(vector(name, "expected.json")).unwrap();
    let expected: Value = serde_json::from_slice(&expected).unwrap();
    assert_eq!(expected["full_agent_metrics_sha256"], json!(hash));
}

#[test]
fn a_run_leaves_a_summary_and_pictures() {
    let place = Place::new();
    let dataset = vector("03_stateful_migration", "dataset.json");
    let script = vector("03_stateful_migration", "policy.json");
    let said = place.done(&[
        &dataset,
        "--script",
        &script,
        "--out",
        "run",
        "--metrics",
        "none",
    ]);
    let summary = place.json("run/summary.json");
    assert_eq!(summary["services"], json!(2));
    assert_eq!(summary["migration_time"]["count"], json!(3));
    assert_eq!(summary["error"], Value::Null);
    let megabytes = summary["state_megabytes"].as_f64().unwrap();
    assert!(
        said.contains(&format!("state transferred  {megabytes} MB")),
        "{said}"
    );
    assert!(
        said.ends_with("metrics, summary and pictures: run\n"),
        "{said}"
    );
    for picture in PICTURES {
        let svg = fs::read_to_string(place.path(&format!("run/{picture}.svg"))).unwrap();
        assert!(svg.starts_with("<svg") && svg.trim_end().ends_with("</svg>"));
        assert!(svg.contains("step"), "{picture}");
        let png = fs::File::open(place.path(&format!("run/{picture}.png"))).unwrap();
        let mut reader = png::Decoder::new(std::io::BufReader::new(png))
            .read_info()
            .unwrap();
        let mut pixels = vec![0; reader.output_buffer_size().unwrap()];
        reader.next_frame(&mut pixels).unwrap();
        assert!(pixels.iter().any(|byte| *byte < 128), "{picture} is empty");
    }
    assert!(!place.path("run/User.csv").exists());
}

#[test]
fn a_folder_is_taken_again_for_a_run_and_for_nothing_else() {
    let place = Place::new();
    let dataset = vector("09_paper_verification", "dataset.json");
    place.done(&[&dataset, "--steps", "3", "--out", "run"]);
    assert!(place.path("run/User.jsonl").exists());
    place.done(&[&dataset, "--steps", "2", "--out", "run", "--metrics", "csv"]);
    assert!(!place.path("run/User.jsonl").exists());
    assert_eq!(place.json("run/summary.json")["steps"], json!(2));
    let error = place.error(&[&dataset, "--out", "."]);
    assert_eq!(
        error,
        ".: the folder has files that are no run's; name another"
    );
}

#[test]
fn two_runs_are_compared() {
    let place = Place::new();
    let dataset = vector("01_first_fit_placement", "dataset.json");
    place.done(&[&dataset, "--until", "all-hosted", "--out", "one"]);
    let arguments = [
        "--policy",
        "least-delay",
        "--until",
        "all-hosted",
        "--out",
        "two",
    ];
    place.done(&[&[dataset.as_str()][..], &arguments[..]].concat());
    let table = place.done(&["compare", "one", "two", "--out", "both"]);
    let mut rows = table.lines();
    let head: Vec<&str> = rows.next().unwrap().split_whitespace().collect();
    assert_eq!(head, ["one", "two", "difference"]);
    let setup: Vec<Vec<&str>> = (rows.by_ref().take(6))
        .map(|row| row.split_whitespace().collect())
        .collect();
    let end = "…first_fit_placement/dataset.json";
    assert_eq!(setup[0], ["dataset", end, end]);
    assert_eq!(setup[1], ["policy", "first-fit", "least-delay", "other"]);
    assert_eq!(setup[2], ["corrections", "none", "none"]);
    let steps: Vec<&str> = rows.next().unwrap().split_whitespace().collect();
    let of = |run: &str| place.json(&format!("{run}/summary.json"))["steps"].to_string();
    assert_eq!(steps[..3], ["steps", &of("one"), &of("two")]);
    assert_eq!(rows.next_back(), Some("both/comparison.svg"));
    assert!(place.path("both/comparison.png").exists());
    let other = vector("09_paper_verification", "dataset.json");
    place.done(&[&other, "--steps", "2", "--out", "other"]);
    let table = place.done(&["compare", "one", "other"]);
    assert!(table.contains("\nthe datasets differ: "), "{table}");
    let error = place.error(&["compare", "one", "."]);
    assert_eq!(
        error,
        "./summary.json: No such file or directory (os error 2)"
    );
}

#[test]
fn datasets_are_generated() {
    let place = Place::new();
    let said = place.done(&["generate", "10", "mesh", "--steps", "30"]);
    assert_eq!(said, "mesh/dataset.json\nmesh/scenario.json\n");
    let said = place.done(&["mesh/dataset.json", "--script", "mesh/scenario.json"]);
    assert!(
        said.starts_with("30 steps of 10 servers, 20 services and 10 users in "),
        "{said}"
    );
}

#[test]
fn forms_have_the_same_rows_where_each_is_written_by_a_thread() {
    let place = Place::new();
    place.done(&["generate", "1000", "mesh", "--steps", "4"]);
    place.done(&[
        "mesh/dataset.json",
        "--script",
        "mesh/scenario.json",
        "--out",
        "run",
    ]);
    for class in CLASSES {
        let path = |ending: &str| place.path(&format!("run/{class}.{ending}"));
        let lines = fs::read_to_string(path("jsonl")).unwrap().lines().count();
        let table = fs::read_to_string(path("csv")).unwrap();
        assert_eq!(cells(&table).len(), 1 + lines, "{class}");
        let packed = msgpack::read(&fs::read(path("msgpack")).unwrap());
        assert_eq!(packed.as_array().unwrap().len(), lines, "{class}");
    }
    let users = fs::read_to_string(place.path("run/User.jsonl")).unwrap();
    assert_eq!(users.lines().count(), 5 * 1000);
}

#[test]
fn what_was_written_before_the_disk_was_full_can_be_read() {
    let place = Place::new();
    place.done(&["generate", "100", "mesh", "--steps", "40"]);
    // Files of more than 300 kB cannot be written: a signal would say so, but for being ignored.
    let script = "trap '' XFSZ; ulimit -f 600; exec \"$0\" \"$@\"";
    let mut command = Command::new("sh");
    command.args(["-c", script]).arg(place.kiln().get_program());
    command.args(["simulate", "mesh/dataset.json", "--out", "run"]);
    command.args(["--script", "mesh/scenario.json"]);
    let output = command.current_dir(place.folder()).output().unwrap();
    let error = String::from_utf8(output.stderr).unwrap();
    let expected = "run: metrics cannot be written: File too large (os error 27)";
    assert_eq!(error, format!("error: {expected}\n"));
    assert_eq!(output.status.code(), Some(1));
    assert_eq!(place.json("run/summary.json")["error"], json!(expected));
    assert!(place.path("run/services.svg").exists());
    // Of the links, the busiest are told of.
    let timeline = place.json("run/timeline.json");
    assert_eq!(timeline["links"].as_array().unwrap().len(), 30);
    assert!(timeline["links_used"].as_u64().unwrap() > 30);
    for class in ["EdgeServer", "User", "NetworkFlow"] {
        let rows = msgpack::read(&fs::read(place.path(&format!("run/{class}.msgpack"))).unwrap());
        let last = rows.as_array().unwrap().last().unwrap();
        assert!(last["Time Step"].as_u64().unwrap() > 1, "{class}");
        let lines = fs::read_to_string(place.path(&format!("run/{class}.jsonl"))).unwrap();
        assert!(lines.ends_with("}\n"), "{class}");
    }
}

#[test]
fn nothing_is_said_where_nobody_reads_on() {
    let place = Place::new();
    let dataset = vector("09_paper_verification", "dataset.json");
    for arguments in [
        &["simulate", &dataset, "--steps", "3"][..],
        &["simulate", "generate", "5", "mesh"],
    ] {
        let mut command = place.kiln();
        command.args(arguments).stderr(Stdio::piped());
        let (reader, writer) = std::io::pipe().unwrap();
        drop(reader);
        let mut child = command.stdout(writer).spawn().unwrap();
        drop(command);
        let mut said = String::new();
        let mut stderr = child.stderr.take().unwrap();
        stderr.read_to_string(&mut said).unwrap();
        // 128 and the number of SIGPIPE, as a shell has it of other programs.
        assert_eq!(
            child.wait().unwrap().code(),
            Some(141),
            "{arguments:?}: {said}"
        );
        assert_eq!(said, "", "{arguments:?}");
    }
}
