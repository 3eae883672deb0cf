use proptest::prelude::*;
use serde_json::{Value, json};
use ya_client_model::activity::CommandResult;

use super::*;

fn now() -> DateTime<Utc> {
    DateTime::UNIX_EPOCH
}

fn command(name: &str) -> Value {
    match name {
        "run" => json!({"run": {"entry_point": "/bin/true"}}),
        "transfer" => json!({"transfer": {"from": "a", "to": "b"}}),
        name => json!({name: {}}),
    }
}

fn script(names: &[&str]) -> Vec<Command> {
    let commands: Vec<Value> = names.iter().map(|name| command(name)).collect();
    serde_json::from_value(json!(commands)).expect("commands")
}

fn initialized() -> Activity {
    let mut activity = Activity::default();
    activity.initialize();
    activity
}

/// An activity in which the commands have been run, one by one, with success.
fn after(names: &[&str]) -> Activity {
    let mut activity = initialized();
    activity
        .exec("before".to_owned(), script(names), now())
        .expect("a new batch");
    for _ in names {
        activity.ended(Ok(()), now());
    }
    activity
}

fn exec(activity: &mut Activity, id: &str, names: &[&str]) -> Vec<String> {
    told(
        activity
            .exec(id.to_owned(), script(names), now())
            .expect("a new batch"),
    )
}

fn told(actions: Vec<Action>) -> Vec<String> {
    let tell = |action| match action {
        Action::Report(state) => Some(match state.state {
            StatePair(current, None) => format!("{current:?}"),
            StatePair(current, Some(target)) => format!("{current:?}>{target:?}"),
        }),
        Action::Execute(command) => json!(command).as_object()?.keys().next().cloned(),
        Action::Interrupt => Some("interrupt".to_owned()),
        Action::Tell(_) | Action::Keep { .. } | Action::End(_) | Action::Forget(_) => None,
    };
    actions.into_iter().filter_map(tell).collect()
}

/// The results of a batch, with the messages of those that failed.
fn results(activity: &Activity, id: &str) -> Vec<String> {
    let results = activity.results_so_far(id).expect("a batch");
    let tell = |result: ExeScriptCommandResult| match result.result {
        CommandResult::Ok => "Ok".to_owned(),
        CommandResult::Error => result.message.expect("a reason"),
    };
    results.into_iter().map(tell).collect()
}

#[test]
fn a_script_runs_command_by_command() {
    let mut activity = initialized();
    let begun = exec(&mut activity, "b", &["deploy", "start", "run", "terminate"]);
    assert_eq!(begun, ["Initialized>Deployed", "deploy"]);
    let mut next = || told(activity.ended(Ok(()), now()));
    assert_eq!(next(), ["Deployed", "Deployed>Ready", "start"]);
    assert_eq!(next(), ["Ready", "Ready>Ready", "run"]);
    assert_eq!(next(), ["Ready", "Ready>Initialized", "terminate"]);
    assert_eq!(next(), ["Initialized"]);
    assert_eq!(next(), Vec::<String>::new());
    assert_eq!(results(&activity, "b"), ["Ok"; 4]);
}

#[test]
fn a_failure_leaves_the_state_and_ends_the_script() {
    for (before, failing, state) in [
        (&[][..], "deploy", "Initialized"),
        (&["deploy"], "start", "Deployed"),
        (&["deploy", "start"], "run", "Ready"),
        (&["deploy", "start"], "transfer", "Ready"),
        (&["deploy"], "terminate", "Initialized"),
    ] {
        let mut activity = after(before);
        exec(&mut activity, "b", &[failing, "terminate"]);
        let actions = activity.ended(Err(Failure::new("broken")), now());
        let report = actions.iter().find_map(|action| match action {
            Action::Report(report) => Some(report),
            _ => None,
        });
        let message = report.and_then(|report| report.error_message.as_deref());
        assert_eq!(message, Some("broken"), "{failing}");
        assert_eq!(told(actions), [state], "{failing}");
        assert_eq!(results(&activity, "b"), ["broken"]);
    }
}

#[test]
fn a_second_script_is_busy_and_does_not_disturb_the_first() {
    let mut activity = after(&["deploy", "start"]);
    exec(&mut activity, "first", &["run", "run"]);
    assert_eq!(
        exec(&mut activity, "second", &["run"]),
        Vec::<String>::new()
    );
    assert_eq!(
        results(&activity, "second"),
        ["Busy: another command is running"]
    );
    activity.ended(Ok(()), now());
    activity.ended(Ok(()), now());
    assert_eq!(results(&activity, "first"), ["Ok", "Ok"]);
}

#[test]
fn terminate_interrupts_what_runs() {
    let mut activity = after(&["deploy", "start"]);
    exec(&mut activity, "first", &["run", "run"]);
    let begun = exec(&mut activity, "second", &["terminate", "deploy"]);
    assert_eq!(begun, ["Ready>Initialized", "interrupt"]);
    assert_eq!(
        exec(&mut activity, "third", &["terminate"]),
        Vec::<String>::new()
    );
    let interrupted = activity.ended(Err(Failure::new("interrupted")), now());
    assert_eq!(told(interrupted), ["terminate"]);
    let terminated = activity.ended(Ok(()), now());
    assert_eq!(
        told(terminated),
        ["Initialized", "Initialized>Deployed", "deploy"]
    );
    assert_eq!(results(&activity, "first"), ["interrupted"]);
    assert_eq!(
        results(&activity, "third"),
        ["Busy: another command is running"]
    );
}

#[test]
fn a_command_that_ends_as_it_is_interrupted_has_ended() {
    let mut activity = after(&["deploy", "start"]);
    exec(&mut activity, "first", &["run", "run"]);
    exec(&mut activity, "second", &["terminate"]);
    assert_eq!(told(activity.ended(Ok(()), now())), ["terminate"]);
    let given_up = "another script has terminated the activity";
    assert_eq!(results(&activity, "first"), ["Ok", given_up]);
}

#[test]
fn a_shutdown_ends_everything() {
    let mut activity = after(&["deploy", "start"]);
    exec(&mut activity, "b", &["run", "run"]);
    let begun = activity.shut_down("a signal", now());
    assert_eq!(told(begun.clone()), ["Ready>Terminated", "interrupt"]);
    let Some(Action::Report(report)) = begun.first() else {
        panic!("{begun:?}");
    };
    assert_eq!(report.reason.as_deref(), Some("a signal"));
    assert_eq!(
        results(&activity, "b"),
        ["the activity has ended: a signal"]
    );
    assert_eq!(told(activity.ended(Ok(()), now())), Vec::<String>::new());
    assert!(activity.shut_down("another", now()).is_empty());
    exec(&mut activity, "late", &["run"]);
    assert_eq!(
        results(&activity, "late"),
        ["the activity has been terminated"]
    );
    assert_eq!(told(activity.terminated()), ["Terminated"]);
}

#[test]
fn a_shutdown_does_not_break_off_what_removes_everything() {
    let mut activity = after(&["deploy", "start"]);
    exec(&mut activity, "b", &["terminate"]);
    let begun = activity.shut_down("a signal", now());
    assert_eq!(told(begun), ["Ready>Terminated"]);
    assert_eq!(told(activity.ended(Ok(()), now())), Vec::<String>::new());
    assert_eq!(told(activity.terminated()), ["Terminated"]);
}

#[test]
fn a_batch_has_one_name() {
    let mut activity = initialized();
    let batch = |id: &str| id.to_owned();
    assert!(activity.exec(batch("b"), vec![], now()).is_ok());
    assert_eq!(
        activity.exec(batch("b"), vec![], now()),
        Err(DuplicateBatch(batch("b")))
    );
    assert_eq!(
        activity.results("none", None),
        Err(UnknownBatch(batch("none")))
    );
    assert_eq!(activity.cancel("none"), Err(UnknownBatch(batch("none"))));
}

#[test]
fn a_batch_tells_of_itself_until_it_is_over() {
    let mut activity = after(&["deploy", "start"]);
    let script = json!([{"run": {"entry_point": "/x", "capture": {"stdout": {"stream": {}}}}}]);
    let script = serde_json::from_value(script).expect("a script");
    let begun = activity.exec("b".to_owned(), script, now());
    let mut actions = begun.expect("a new batch");
    assert_eq!(activity.is_over("b"), Ok(false));
    actions.extend(activity.output(Channel::Stdout, b"out", now()));
    actions.extend(activity.output(Channel::Stderr, b"discarded", now()));
    actions.extend(activity.ended(Ok(()), now()));
    let kinds = actions.into_iter().filter_map(|action| match action {
        Action::Tell(event) => json!(event.kind).as_object()?.keys().next().cloned(),
        Action::Keep { index, outputs, .. } => Some(format!("{index} {}", json!(outputs))),
        Action::End(batch_id) => Some(format!("end {batch_id}")),
        _ => None,
    });
    let expected = ["started", "stdout", "finished", "0 [\"out\",null]", "end b"];
    assert_eq!(kinds.collect::<Vec<_>>(), expected);
    assert_eq!(activity.is_over("b"), Ok(true));
    assert!(activity.output(Channel::Stdout, b"late", now()).is_empty());
}

#[test]
fn a_cancelled_batch_breaks_off() {
    let cancelled = "the batch was cancelled";
    for (before, running, state) in [
        (&[][..], "deploy", "Initialized"),
        (&["deploy"], "start", "Deployed"),
        (&["deploy", "start"], "run", "Ready"),
    ] {
        let mut activity = after(before);
        exec(&mut activity, "b", &[running, "terminate"]);
        let begun = activity.cancel("b").expect("a batch");
        assert_eq!(told(begun), ["interrupt"]);
        let ended = activity.ended(Err(Failure::new("interrupted")), now());
        assert_eq!(told(ended), [state]);
        assert_eq!(results(&activity, "b"), [cancelled]);
        assert_eq!(activity.cancel("b"), Ok(vec![]));
        assert_eq!(results(&activity, "b"), [cancelled]);
    }
    // A command that ends as its batch is cancelled has ended; the rest does not run.
    let mut activity = after(&["deploy", "start"]);
    exec(&mut activity, "b", &["run", "run"]);
    activity.cancel("b").expect("a batch");
    assert_eq!(told(activity.ended(Ok(()), now())), ["Ready"]);
    assert_eq!(results(&activity, "b"), ["Ok", cancelled]);
    // To terminate is not done by halves.
    exec(&mut activity, "c", &["terminate", "deploy"]);
    assert_eq!(activity.cancel("c"), Ok(vec![]));
    assert_eq!(told(activity.ended(Ok(()), now())), ["Initialized"]);
    assert_eq!(results(&activity, "c"), ["Ok", cancelled]);
}

#[test]
fn to_sign_is_refused_in_every_state() {
    for before in [&[][..], &["deploy"], &["deploy", "start"]] {
        let mut activity = after(before);
        exec(&mut activity, "b", &["sign", "terminate"]);
        let results = results(&activity, "b");
        assert!(results.len() == 1 && results[0].starts_with("`sign` is refused"));
    }
}

#[test]
fn old_batches_are_forgotten() {
    let mut activity = initialized();
    for number in 0..REMEMBERED {
        activity
            .exec(number.to_string(), vec![], now())
            .expect("a new batch");
    }
    assert!(activity.results_so_far("0").is_ok());
    let actions = activity.exec("last".to_owned(), vec![], now());
    assert!(
        actions
            .expect("a new batch")
            .contains(&Action::Forget("0".to_owned()))
    );
    let unknown = UnknownBatch("0".to_owned());
    assert_eq!(activity.results_so_far("0"), Err(unknown));
}

/// What may happen to an activity.
#[derive(Clone, Debug)]
enum Happening {
    Exec(Vec<&'static str>),
    Ended(bool),
    Cancel(usize),
    ShutDown,
}

fn happenings() -> impl Strategy<Value = Vec<Happening>> {
    let name = prop::sample::select(vec!["deploy", "start", "run", "transfer", "terminate"]);
    let happening = prop_oneof![
        4 => prop::collection::vec(name, 0..4).prop_map(Happening::Exec),
        6 => any::<bool>().prop_map(Happening::Ended),
        2 => (0..40usize).prop_map(Happening::Cancel),
        1 => Just(Happening::ShutDown),
    ];
    prop::collection::vec(happening, 0..40)
}

proptest! {
    /// However things happen: the runtime has one command at a time, no command is lost, and nothing follows the end.
    #[test]
    fn the_runtime_has_one_command_at_a_time(happenings in happenings()) {
        let mut activity = initialized();
        let mut busy = false;
        let mut over = false;
        for (number, happening) in happenings.into_iter().enumerate() {
            let actions = match happening {
                Happening::Exec(names) => activity.exec(number.to_string(), script(&names), now()).expect("a new batch"),
                Happening::Ended(succeeded) if busy => {
                    busy = false;
                    activity.ended(succeeded.then_some(()).ok_or(Failure::new("broken")), now())
                }
                Happening::Ended(_) => continue,
                Happening::Cancel(number) => activity.cancel(&number.to_string()).unwrap_or_default(),
                Happening::ShutDown => {
                    over = true;
                    activity.shut_down("enough", now())
                }
            };
            for action in actions {
                match action {
                    Action::Execute(_) => {
                        prop_assert!(!busy && !over);
                        busy = true;
                    }
                    Action::Interrupt => prop_assert!(busy),
                    Action::Report(state) => prop_assert!(!over || state.state.1 == Some(State::Terminated)),
                    Action::Tell(_) | Action::Keep { .. } | Action::End(_) | Action::Forget(_) => {}
                }
            }
            let unfinished = activity.batches.values().filter(|batch| !batch.is_over()).count();
            prop_assert!(unfinished <= 2, "one runs, and one waits to terminate");
            prop_assert!(busy || unfinished == 0, "whoever waits, waits for the runtime");
        }
    }
}
