//! What scripts do, and what is told of them.

use exeunit::gsb::{CallError, message::GetRunningCommand};
use serde_json::{Value, json};
use ya_client_model::activity::CommandOutput;

use crate::fixture::{Unit, messages, sh};

fn run(program: &str, args: &[&str], stdout: Value) -> Value {
    json!({"run": {"entry_point": program, "args": args, "capture": {"stdout": stdout, "stderr": {"atEnd": {}}}}})
}

#[tokio::test]
async fn output_is_captured_as_asked_for() {
    let (unit, _files) = Unit::ready().await;
    let print = |stdout| {
        run(
            "/bin/sh",
            &["-c", "printf abcdef; printf error >&2"],
            stdout,
        )
    };
    let results = unit
        .run(json!([
            print(json!({"atEnd": {}})),
            print(json!({"atEnd": {"head": 2, "format": "bin"}})),
            print(json!({"atEnd": {"headTail": 3}})),
            print(json!({"stream": {}})),
            {"run": {"entry_point": "/bin/sh", "args": ["-c", "echo unheard"]}},
        ]))
        .await;
    assert_eq!(messages(&results), ["Ok"; 5]);
    let outputs: Vec<Value> = results.iter().map(|result| json!(result.stdout)).collect();
    assert_eq!(
        outputs,
        [
            json!("abcdef"),
            json!([97, 98]),
            json!("abf"),
            json!("abcdef"),
            json!(null)
        ]
    );
    assert_eq!(json!(results[0].stderr), json!("error"));
    assert_eq!(json!(results[4].stderr), json!(null));
}

#[tokio::test]
async fn a_command_has_the_images_environment_and_its_own() {
    let (unit, _files) = Unit::ready().await;
    let env = json!({"run": {
        "entry_point": "/bin/env",
        "env": {"COLOUR": "red", "SIZE": "9"},
        "capture": {"stdout": {"atEnd": {}}},
    }});
    let results = unit.run(json!([env])).await;
    assert_eq!(
        json!(results[0].stdout),
        json!("COLOUR=red\nPATH=/bin\nSIZE=9\n")
    );
    assert_eq!(
        unit.sh("pwd; cat /proc/sys/kernel/hostname").await,
        "/golem/in\nactivity\n"
    );
}

#[tokio::test]
async fn a_failing_command_ends_its_script_and_not_the_activity() {
    let (unit, _files) = Unit::ready().await;
    let cases = [
        (
            sh("echo out; exit 5"),
            "ExeScript command exited with code 5",
            Some("out\n"),
        ),
        (
            sh("kill -KILL $$"),
            "ExeScript command exited with code 137",
            None,
        ),
        (
            run("/bin/none", &[], json!({"atEnd": {}})),
            "/bin/none: no such program",
            None,
        ),
        (
            json!({"deploy": {}}),
            "the activity has been started: neither `deploy` nor `start` can follow",
            None,
        ),
        (
            json!({"transfer": {"from": "/golem/in/none", "to": "/golem/out/x"}}),
            "cannot open /golem/in/none: No such file or directory (os error 2)",
            None,
        ),
    ];
    for (command, message, output) in cases {
        let results = unit
            .run(json!([sh("echo before"), command, sh("echo after")]))
            .await;
        assert_eq!(messages(&results), ["Ok", message]);
        assert!(!results[0].is_batch_finished && results[1].is_batch_finished);
        let output = output.map(|text| CommandOutput::Str(text.to_owned()));
        assert_eq!(results[1].stdout, output);
    }
    assert_eq!(unit.sh("echo alive").await, "alive\n");
}

#[tokio::test]
async fn a_late_subscriber_hears_everything() {
    let (unit, _files) = Unit::ready().await;
    let stream = json!({"stdout": {"stream": {}}, "stderr": {"stream": {}}});
    let script = json!([
        {"run": {"entry_point": "/bin/sh", "args": ["-c", "echo out; cat pipe; echo err >&2; exit 7"], "capture": stream}},
    ]);
    assert_eq!(
        unit.sh("mkfifo pipe; sleep 1000 > /dev/null 2>&1 &").await,
        ""
    );
    let batch_id = unit.exec(script).await;
    // The volume is the host's folder: its end of the pipe lets the script go on.
    let pipe = unit.work().join("vol-0/pipe");
    let open = || std::fs::OpenOptions::new().write(true).open(pipe).map(drop);
    let (early, opened) = tokio::join!(unit.events(&batch_id), tokio::task::spawn_blocking(open));
    opened.expect("no panic").expect("a pipe");
    let kinds = unit.events(&batch_id).await;
    assert_eq!(early, kinds);
    assert!(kinds[0].get("started").is_some(), "{kinds:?}");
    let rest = json!([
        {"stdout": "out\n"},
        {"stderr": "err\n"},
        {"finished": {"return_code": 7, "message": "ExeScript command exited with code 7"}},
    ]);
    assert_eq!(json!(kinds[1..]), rest);
}

#[tokio::test]
async fn results_are_waited_for_as_long_as_asked() {
    let (unit, _files) = Unit::ready().await;
    unit.sh("mkfifo pipe").await;
    let batch_id = unit
        .exec(json!([sh("echo first"), sh("cat pipe"), sh("echo last")]))
        .await;
    let first = unit
        .results(&batch_id, 60.0, Some(0))
        .await
        .expect("results");
    assert_eq!(
        (messages(&first), first[0].is_batch_finished),
        (vec!["Ok".to_owned()], true)
    );
    let timeout = CallError::Timeout("command 1 of the batch has not ended in time".to_owned());
    assert_eq!(
        unit.results(&batch_id, 0.1, Some(1)).await,
        Err(timeout.clone())
    );
    assert_eq!(unit.results(&batch_id, 0.0, Some(1)).await, Err(timeout));
    let so_far = unit.results(&batch_id, 0.1, None).await.expect("results");
    assert_eq!(
        (messages(&so_far), so_far[0].is_batch_finished),
        (vec!["Ok".to_owned()], false)
    );
    assert_eq!(
        unit.results(&batch_id, 0.0, Some(0))
            .await
            .map(|results| results.len()),
        Ok(1)
    );

    let running = GetRunningCommand {
        activity_id: "activity".to_owned(),
    };
    let command = unit.node.call(&running).await.expect("it runs");
    assert_eq!(
        json!(command),
        json!([{"command": "Run", "params": ["/bin/sh", "-c", "cat pipe"]}])
    );
    let second = unit.exec(json!([sh("echo second")])).await;
    let busy = unit.results(&second, 60.0, None).await.expect("results");
    assert_eq!(messages(&busy), ["Busy: another command is running"]);

    let terminated = unit.run(json!([{"terminate": {}}])).await;
    assert_eq!(messages(&terminated), ["Ok"]);
    let results = unit.results(&batch_id, 60.0, None).await.expect("results");
    assert_eq!(messages(&results), ["Ok", "the command was interrupted"]);
    let none = CallError::NotFound("no command is running".to_owned());
    assert_eq!(unit.node.call(&running).await.map(|_| ()), Err(none));
    let unknown = CallError::NotFound("there is no batch none".to_owned());
    assert_eq!(unit.results("none", 0.0, None).await, Err(unknown));
}

#[tokio::test]
async fn terminate_begins_anew() {
    let (mut unit, _files) = Unit::ready().await;
    unit.states_until("Ready").await;
    unit.sh("echo old > /golem/in/file; echo old > /file; sleep 1000 > /dev/null 2>&1 &")
        .await;
    unit.states_until("Ready>Ready").await;
    let script = json!([{"terminate": {}}, {"deploy": {}}, {"start": {}}, sh("ls; ls /file")]);
    let batch_id = unit.exec(script).await;
    let results = unit.results(&batch_id, 60.0, None).await.expect("results");
    assert_eq!(messages(&results)[..3], ["Ok", "Ok", "Ok"]);
    assert_eq!(json!(results[3].stdout), json!(null));
    assert!(messages(&results)[3].starts_with("ExeScript command exited with code"));
    let states = unit.states_until("Ready>Ready").await;
    let states: Vec<_> = states.iter().filter(|state| state.contains('>')).collect();
    assert_eq!(
        states,
        [
            "Ready>Initialized",
            "Initialized>Deployed",
            "Deployed>Ready",
            "Ready>Ready"
        ]
    );
}

#[tokio::test]
async fn what_one_command_starts_the_next_can_use() {
    let (unit, _files) = Unit::ready().await;
    unit.sh("mkfifo question answer; (read line < question; echo $line $line > answer) &")
        .await;
    assert_eq!(unit.sh("echo ho > question; cat answer").await, "ho ho\n");
}
