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
        Action::Report(state) => match state.state {
            StatePair(current, None) => format!("{current:?}"),
            StatePair(current, Some(target)) => format!("{current:?}>{target:?}"),
        },
        Action::Execute(command) => json!(command)
            .as_object()
            .expect("a map")
            .keys()
            .next()
            .expect("a key")
            .clone(),
        Action::Interrupt => "interrupt".to_owned(),
    };
    actions.into_iter().map(tell).collect()
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
        let Some(Action::Report(report)) = actions.first() else {
            panic!("{failing}: {actions:?}");
        };
        assert_eq!(report.error_message.as_deref(), Some("broken"));
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
    assert!(activity.ended(Ok(()), now()).is_empty());
    assert!(activity.shut_down("another", now()).is_empty());
    exec(&mut activity, "late", &["run"]);
    assert_eq!(
        results(&activity, "late"),
        ["the activity has been terminated"]
    );
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
    assert_eq!(
        activity.events_after("none", 0),
        Err(UnknownBatch(batch("none")))
    );
}

#[test]
fn events_end_with_their_batch() {
    let mut activity = after(&["deploy", "start"]);
    exec(&mut activity, "b", &["run"]);
    let count = |activity: &Activity, seen| {
        activity
            .events_after("b", seen)
            .expect("a batch")
            .map(|events| events.len())
    };
    assert_eq!(count(&activity, 0), Some(1));
    assert_eq!(count(&activity, 1), None);
    activity.ended(Ok(()), now());
    assert_eq!(count(&activity, 1), Some(1));
    assert_eq!(count(&activity, 2), Some(0));
}

/// What may happen to an activity.
#[derive(Clone, Debug)]
enum Happening {
    Exec(Vec<&'static str>),
    Ended(bool),
    ShutDown,
}

fn happenings() -> impl Strategy<Value = Vec<Happening>> {
    let name = prop::sample::select(vec!["deploy", "start", "run", "transfer", "terminate"]);
    let happening = prop_oneof![
        4 => prop::collection::vec(name, 0..4).prop_map(Happening::Exec),
        6 => any::<bool>().prop_map(Happening::Ended),
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
                }
            }
            let unfinished = activity.batches.values().filter(|batch| !batch.is_over()).count();
            prop_assert!(unfinished <= 2, "one runs, and one waits to terminate");
            prop_assert!(busy || unfinished == 0, "whoever waits, waits for the runtime");
        }
    }
}
