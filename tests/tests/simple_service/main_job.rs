//! What a newcomer sees.

use std::{fs::File, path::Path};

use rust_decimal::Decimal;
use serde_json::Value;

use crate::run::{Ended, Run, is_without_cause, listeners};

const KEYS: [&str; 7] = [
    "min", "max", "median", "mean", "variance", "std dev", "size",
];

#[test]
fn two_instances_work_are_paid_and_leave_nothing() {
    let options = [
        "--instances",
        "2",
        "--running-time",
        "15",
        "--interval",
        "4",
        "--show-usage",
    ];
    let mut run = Run::start(&options);
    let started = run.wait_for("all instances run after");
    let seconds = started.split_whitespace().nth_back(1).expect("a time");
    seconds.parse::<f64>().expect("seconds");
    let listening = run.listeners();
    assert_ne!(listening.len(), 0, "nobody listens");
    let processes = run.descendants();
    let names: Vec<_> = processes
        .iter()
        .map(|process| process.name.as_str())
        .collect();
    // Of each instance; two processes are around a sandbox. The kernel keeps 15 letters of a name.
    for (name, count) in [
        ("exe-unit", 1),
        ("exe-unit-sandbo", 2),
        ("exe-unit-agent", 1),
        ("simulate_observ", 1),
    ] {
        let found = names.iter().filter(|it| **it == name);
        assert_eq!(found.count(), 2 * count, "{name} in {names:?}");
    }
    let ended = run.end();
    assert!(ended.status.success(), "{}", ended.said());

    check_statistics(&ended);
    check_states(&ended);
    check_plots(&ended);
    check_bill(&ended);

    for process in &processes {
        assert!(process.ends_within(0), "{} still runs", process.name);
    }
    assert!(
        listening.is_disjoint(&listeners()),
        "the node still listens"
    );
    assert_eq!(ended.mounts(), [] as [&str; 0]);
    assert_eq!(ended.temporary(), [] as [&Path; 0]);
    assert!(
        ended
            .stderr
            .contains("using a local node with 3 providers, http://127.0.0.1:"),
        "{}",
        ended.said()
    );
    assert!(
        ended.stderr.contains("/home/.cache/kiln/exe-unit\n"),
        "it says where images stay"
    );
    let cache: Vec<_> = ended
        .cache()
        .iter()
        .map(|path| path.file_name().unwrap().to_owned())
        .collect();
    assert_eq!(cache, ["exe-unit", "images"]);

    check_second_run(ended);
}

/// The statistics of each instance have all keys, and grow.
fn check_statistics(ended: &Ended) {
    for instance in ["simple-service-1", "simple-service-2"] {
        let prefix = format!("{instance}: {{");
        let stats = ended
            .stdout
            .lines()
            .filter(|line| line.starts_with(&prefix));
        let stats: Vec<Value> = stats
            .map(|line| serde_json::from_str(&line[prefix.len() - 1..]).expect("JSON"))
            .collect();
        assert!(stats.len() >= 2, "too few in\n{}", ended.said());
        for stats in &stats {
            let keys = stats.as_object().expect("an object");
            assert_eq!(keys.len(), KEYS.len());
            assert!(KEYS.iter().all(|key| keys[*key].is_number()), "{stats}");
        }
        let sizes: Vec<_> = stats.iter().map(|stats| stats["size"].as_u64()).collect();
        assert!(sizes.is_sorted_by(|one, next| one < next), "{sizes:?}");
        assert!(sizes[0] >= Some(1), "{sizes:?}");
    }
}

/// Every state of each instance is told, with its provider.
fn check_states(ended: &Ended) {
    for instance in ["simple-service-1", "simple-service-2"] {
        let told = ended
            .stdout
            .lines()
            .filter_map(|line| line.strip_prefix(instance)?.strip_prefix(' '));
        // The bill's row begins with more than one blank.
        let told: Vec<_> = told.filter(|rest| !rest.starts_with(' ')).collect();
        let states = [
            "starting on local-",
            "running on local-",
            "stopping on local-",
            "terminated on local-",
        ];
        assert_eq!(told.len(), states.len(), "{told:?}");
        for (told, state) in told.iter().zip(states) {
            assert!(is_without_cause(told, state), "{told:?}");
        }
    }
}

/// Each plot is a picture: it has more than one colour.
fn check_plots(ended: &Ended) {
    let plots = ended.plots();
    assert!(plots.len() >= 2, "{plots:?}");
    for plot in plots {
        assert!(
            ended
                .stdout
                .contains(plot.file_name().unwrap().to_str().unwrap())
        );
        let file = std::io::BufReader::new(File::open(&plot).expect("a file"));
        let mut reader = png::Decoder::new(file).read_info().expect("a PNG");
        let mut pixels = vec![0; reader.output_buffer_size().expect("a size")];
        let frame = reader.next_frame(&mut pixels).expect("a picture");
        let pixel = frame.line_size / frame.width as usize;
        let mut colours: Vec<_> = pixels.chunks(pixel).collect();
        colours.sort();
        colours.dedup();
        assert!(
            colours.len() > 2,
            "{} has {} colours",
            plot.display(),
            colours.len()
        );
    }
}

/// The table has a row for each instance, and its total is what was accepted.
fn check_bill(ended: &Ended) {
    let table: Vec<_> = ended.stdout.lines().rev().take(4).collect();
    let [total, row_2, row_1, head] = table[..] else {
        panic!("no table in\n{}", ended.said())
    };
    let columns: Vec<_> = head.split_whitespace().collect();
    assert_eq!(
        columns,
        ["instance", "provider", "time", "usage", "cost", "(GLM)"]
    );
    let mut rows = [row_1, row_2];
    rows.sort_unstable();
    let mut sum = Decimal::ZERO;
    for (row, instance) in rows.iter().zip(["simple-service-1", "simple-service-2"]) {
        let cells: Vec<_> = row.split_whitespace().collect();
        assert_eq!(cells[0], instance);
        assert!(cells[1].starts_with("local-"), "{row}");
        let seconds: f64 = cells[2].parse().expect("seconds");
        assert!(seconds >= 15.0, "{row}");
        assert!(row.contains("s CPU"), "{row}");
        sum += cells
            .last()
            .expect("a cost")
            .parse::<Decimal>()
            .expect("an amount");
    }
    let words: Vec<_> = total.split_whitespace().collect();
    let ["total:", total, "of", "1", "GLM"] = words[..] else {
        panic!("{total}")
    };
    let total: Decimal = total.parse().expect("an amount");
    assert_eq!(total, sum);

    let accepted = ended
        .stderr
        .lines()
        .filter(|line| line.contains("InvoiceAccepted"));
    let accepted = accepted.map(|line| {
        let amount = line.split("amount: ").nth(1).expect("an amount");
        amount
            .split(' ')
            .next()
            .expect("a word")
            .parse::<Decimal>()
            .expect("an amount")
    });
    assert_eq!(total, accepted.sum::<Decimal>());
    assert!(total > Decimal::ZERO);
}

/// The second run finds the image, and gives up in order at Ctrl-C.
fn check_second_run(ended: Ended) {
    assert!(
        ended.stderr.contains("built the image "),
        "{}",
        ended.stderr
    );
    let mut run = Run::start_after(ended, &["--running-time", "1000", "--interval", "3"]);
    run.wait_for("all instances run after");
    run.wait_for(" is now ");
    let processes = run.descendants();
    run.interrupt();
    let ended = run.end();
    assert_eq!(ended.status.code(), Some(130), "{}", ended.said());
    assert!(
        ended.stderr.contains("found the image "),
        "{}",
        ended.stderr
    );
    assert!(!ended.stderr.contains("step 1"), "{}", ended.stderr);
    for state in ["stopping", "terminated"] {
        let told = format!("simple-service-1 {state} on local-");
        let mut lines = ended.stdout.lines();
        assert!(
            lines.any(|line| is_without_cause(line, &told)),
            "{}",
            ended.said()
        );
    }
    assert!(ended.stdout.contains("\ntotal: 0.0"), "{}", ended.said());
    assert!(processes.iter().all(|process| process.ends_within(0)));
    assert_eq!(ended.mounts(), [] as [&str; 0]);
    assert_eq!(ended.temporary(), [] as [&Path; 0]);
}
