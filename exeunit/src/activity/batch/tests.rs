use serde_json::{Value, json};

use super::*;

fn time(seconds: i64) -> DateTime<Utc> {
    DateTime::from_timestamp(1_700_000_000 + seconds, 0).expect("a time")
}

fn batch(script: Value) -> Batch {
    Batch::new(
        "b".to_owned(),
        serde_json::from_value(script).expect("a script"),
    )
}

fn two_runs() -> Batch {
    let run = |program: &str| json!({"run": {"entry_point": program, "capture": {"stdout": {"stream": {}}}}});
    batch(json!([run("/bin/one"), run("/bin/two")]))
}

fn run_one(batch: &mut Batch, outcome: Result<(), Failure>) {
    batch.start(time(0));
    batch.output(Channel::Stdout, b"out", time(1));
    batch.output(Channel::Stderr, b"err", time(1));
    let index = batch.ended.len();
    let kept = batch.end(outcome, time(2));
    let stdout = CommandOutput::Str("out".to_owned());
    assert_eq!(kept, (index, [Some(stdout), None]));
}

fn exit(code: i32) -> Result<(), Failure> {
    Err(Failure {
        code,
        message: format!("ExeScript command exited with code {code}"),
    })
}

#[test]
fn results_add_up() {
    let mut batch = two_runs();
    assert!(!batch.has_results(Some(0)) && batch.results(None).is_empty());
    run_one(&mut batch, Ok(()));
    assert!(batch.has_results(Some(0)) && !batch.has_results(None) && !batch.has_results(Some(1)));
    let first = json!({
        "index": 0, "result": "Ok", "stdout": null, "stderr": null, "message": null,
        "isBatchFinished": false, "eventDate": "2023-11-14T22:13:22Z",
    });
    assert_eq!(json!(batch.results(None)), json!([first]));
    run_one(&mut batch, Ok(()));
    assert!(batch.has_results(None) && batch.is_over());
    let flags = |index| {
        let results = batch.results(index);
        results
            .iter()
            .map(|r| r.is_batch_finished)
            .collect::<Vec<_>>()
    };
    assert_eq!(flags(None), [false, true]);
    assert_eq!(flags(Some(0)), [true]);
    assert_eq!(flags(Some(1)), [false, true]);
    assert_eq!(flags(Some(7)), [false, false]);
}

#[test]
fn after_a_failure_there_is_nothing() {
    let mut batch = two_runs();
    run_one(&mut batch, exit(5));
    assert!(batch.is_over() && batch.next().is_none());
    assert!(batch.has_results(None) && batch.has_results(Some(1)));
    let results = batch.results(None);
    assert_eq!(results.len(), 1);
    assert!(results[0].is_batch_finished);
    assert_eq!(
        results[0].message.as_deref(),
        Some("ExeScript command exited with code 5")
    );
}

#[test]
fn events_have_the_shapes_of_the_network() {
    let mut batch = two_runs();
    run_one(&mut batch, exit(5));
    let started = json!({"run": {"entry_point": "/bin/one", "args": [], "capture": {"stdout": {"stream": {}}}}});
    let event = |second, kind: Value| json!({"batch_id": "b", "index": 0, "timestamp": format!("2023-11-14T22:13:2{second}"), "kind": kind});
    let message = "ExeScript command exited with code 5";
    assert_eq!(
        json!(batch.take_events()),
        json!([
            event(0, json!({"started": {"command": started}})),
            event(1, json!({"stdout": "out"})),
            event(
                2,
                json!({"finished": {"return_code": 5, "message": message}})
            ),
        ])
    );
    assert!(batch.take_events().is_empty());
}

#[test]
fn who_is_condemned_fails_for_that_reason_if_at_all() {
    let mut batch = two_runs();
    batch.start(time(0));
    batch.condemn("enough".to_owned());
    batch.condemn("more than enough".to_owned());
    batch.end(Ok(()), time(1));
    assert_eq!((batch.verdict(), batch.is_over()), (Some("enough"), false));
    batch.end(Err(Failure::new("interrupted")), time(1));
    let messages: Vec<_> = batch.results(None).into_iter().map(|r| r.message).collect();
    assert_eq!(messages, [None, Some("enough".to_owned())]);
}

#[test]
fn what_is_over_takes_little_memory() {
    let mut batch = two_runs();
    let results = |batch: &Batch| json!([batch.results(None), batch.results(Some(0))]);
    run_one(&mut batch, Ok(()));
    run_one(&mut batch, Err(Failure::new("é".repeat(MESSAGE))));
    let before = results(&batch);
    assert_eq!(batch.bury(), 2);
    assert_eq!(results(&batch), before);
    assert!(batch.script.is_empty() && batch.is_over() && batch.next().is_none());
    let message = batch.results(None)[1].message.clone().expect("it failed");
    assert!(message.len() <= MESSAGE + 3 && message.ends_with("é…"));
}

#[test]
fn an_empty_script_is_over() {
    let batch = batch(json!([]));
    assert!(batch.is_over() && batch.has_results(None) && batch.results(None).is_empty());
}

#[test]
fn what_runs_is_named() {
    let mut batch = batch(json!([
        {"run": {"entry_point": "/bin/date", "args": ["-u"]}},
        {"transfer": {"from": "gftp://a/b", "to": "container:/c"}},
    ]));
    assert_eq!(batch.running_command(), None);
    batch.start(time(0));
    assert_eq!(
        json!(batch.running_command()),
        json!({"command": "Run", "params": ["/bin/date", "-u"]})
    );
    batch.end(Ok(()), time(0));
    batch.start(time(0));
    assert_eq!(
        json!(batch.running_command()),
        json!({"command": "Transfer", "params": ["gftp://a/b", "container:/c"]})
    );
}
