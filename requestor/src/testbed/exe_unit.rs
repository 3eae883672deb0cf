//! What the testbed's exe-units make of scripts.

use std::time::Duration;

use serde_json::Value;
use tokio::time::Instant;

use crate::yagna::CommandStatus;

/// The program and the first argument of each command of a script; others have none.
fn commands(script: &str) -> Vec<(String, String)> {
    let script: Vec<Value> = serde_json::from_str(script).expect("a script");
    let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    let command = |command: &Value| {
        let run = &command["run"];
        (text(&run["entry_point"]), text(&run["args"][0]))
    };
    script.iter().map(command).collect()
}

/// What a script runs, as a person would type it.
pub(super) fn programs(script: &str) -> String {
    let programs = commands(script).into_iter();
    let programs = programs.map(|(program, arg)| format!("{program} {arg}"));
    programs.collect::<Vec<_>>().join(" ")
}

/// When each command of a script ends, and how: `/sleep` takes as many seconds as it is told, `/fail` fails, and all
/// others are done at once.
pub(super) fn outcomes(script: &str) -> Vec<(Instant, CommandStatus)> {
    let mut end = Instant::now();
    let mut outcomes = Vec::new();
    for (program, arg) in commands(script) {
        if program == "/sleep" {
            end += Duration::from_secs(arg.parse().expect("seconds"));
        }
        if program == "/fail" {
            outcomes.push((end, CommandStatus::Failed("exit code 1".into())));
            break;
        }
        outcomes.push((end, CommandStatus::Ok));
    }
    outcomes
}
