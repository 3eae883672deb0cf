//! How scripts are broken off, and what is refused.

use std::time::Duration;

use exeunit::{
    event::RuntimeEventKind,
    gsb::{
        CallError,
        message::{CancelExecBatch, ReadOn, StreamExecBatchResults, Window},
    },
};
use serde_json::{Value, json};
use ya_client_model::activity::CommandOutput;

use crate::fixture::{Unit, messages, sh};

async fn cancel(unit: &Unit, batch_id: &str) -> Result<(), CallError> {
    let cancel = CancelExecBatch {
        activity_id: "activity".to_owned(),
        batch_id: batch_id.to_owned(),
    };
    unit.node.call(&cancel).await
}

/// Waits until a script of the sandbox has opened a pipe of the volume to write to it.
async fn opened(unit: &Unit, pipe: &str) {
    let pipe = unit.work().join("vol-0").join(pipe);
    let read = tokio::task::spawn_blocking(move || std::fs::read(pipe));
    read.await.expect("no panic").expect("a pipe");
}

/// Counts the sandbox's processes that sleep until they are so many, or for long enough: who is killed is gone when the
/// kernel comes to it.
fn sleepers(expected: u32) -> String {
    format!(
        "i=0; while [ $i -lt 2000 ]; do n=0; for p in /proc/[0-9]*; do name=; read -r name < $p/comm; \
         [ \"$name\" = sleep ] && n=$((n+1)); done; [ $n = {expected} ] && break; i=$((i+1)); done 2>/dev/null; echo $n"
    )
}

#[tokio::test]
async fn a_batch_is_cancelled_and_the_next_runs() {
    let (mut unit, _files) = Unit::ready().await;
    unit.states_until("Ready").await;
    unit.sh("mkfifo began").await;
    let script = json!([
        sh("echo first"),
        sh("(sleep 1000; :) & echo > began; wait"),
        sh("echo never")
    ]);
    let batch_id = unit.exec(script).await;
    opened(&unit, "began").await;
    assert_eq!(cancel(&unit, &batch_id).await, Ok(()));
    let results = unit.results(&batch_id, 60.0, None).await.expect("results");
    assert_eq!(messages(&results), ["Ok", "the batch was cancelled"]);
    let events = unit.events(&batch_id).await;
    let end = json!({"finished": {"return_code": -1, "message": "the batch was cancelled"}});
    assert_eq!(events.last(), Some(&end));
    // Of a batch that is over nothing changes.
    assert_eq!(cancel(&unit, &batch_id).await, Ok(()));
    assert_eq!(unit.results(&batch_id, 0.0, None).await, Ok(results));
    let unknown = CallError::NotFound("there is no batch none".to_owned());
    assert_eq!(cancel(&unit, "none").await, Err(unknown));
    assert_eq!(unit.sh("echo alive").await, "alive\n");
    assert_eq!(unit.sh(&sleepers(0)).await, "0\n");
}

#[tokio::test]
async fn a_timeout_ends_a_command_and_its_descendants_and_no_daemon() {
    let (unit, _files) = Unit::ready().await;
    unit.sh("sleep 1000 > /dev/null 2>&1 &").await;
    let slow = "echo before; (setsid sleep 1001; :) & (sleep 1002; :) & wait";
    let mut command = sh(slow);
    command["run"]["timeout"] = json!("3s");
    let results = unit.run(json!([command, sh("echo never")])).await;
    let message = "the command was killed: it has not ended within its timeout of 3s";
    assert_eq!(messages(&results), [message]);
    assert_eq!(json!(results[0].stdout), json!("before\n"));
    assert_eq!(unit.sh(&sleepers(1)).await, "1\n");
    // Who is in time is not disturbed.
    let mut command = sh("echo quick");
    command["run"]["timeout"] = json!(600);
    assert_eq!(messages(&unit.run(json!([command])).await), ["Ok"]);
}

#[tokio::test]
async fn a_deploy_gives_all_commands_an_environment() {
    let (unit, _files) = Unit::ready().await;
    let env = |env: Value| json!({"run": {"entry_point": "/bin/env", "env": env, "capture": {"stdout": {"atEnd": {}}}}});
    let script = json!([
        {"terminate": {}},
        {"deploy": {"env": {"COLOUR": "blue", "SIZE": "7"}}},
        {"start": {}},
        env(json!({})),
        env(json!({"SIZE": "8"})),
        {"terminate": {}},
        {"deploy": {}},
        {"start": {}},
        env(json!({})),
    ]);
    let results = unit.run(script).await;
    assert_eq!(messages(&results), ["Ok"; 9]);
    let outputs = [3, 4, 8].map(|index: usize| json!(results[index].stdout));
    let expected = [
        "COLOUR=blue\nPATH=/bin\nSIZE=7\n",
        "COLOUR=blue\nPATH=/bin\nSIZE=8\n",
        "COLOUR=green\nPATH=/bin\n",
    ];
    assert_eq!(outputs, expected.map(|text| json!(text)));
}

#[tokio::test]
async fn what_is_no_script_is_refused_with_the_index() {
    let (unit, _files) = Unit::ready().await;
    for (command, reason) in [
        (json!({"destroy": {}}), "unknown variant"),
        (json!({"run": {"entry_point": 7}}), "expected a string"),
        (
            json!({"run": {"entry_point": "/x", "timeout": "soon"}}),
            "no time",
        ),
        (json!(5), ""),
    ] {
        let script = json!([{"start": {}}, command]);
        let exec = json!({"activityId": "activity", "batchId": "bad", "exeScript": script});
        let Err(CallError::BadRequest(message)) = unit.node.raw("Exec", &exec).await else {
            panic!("{command} was not refused");
        };
        assert!(
            message.contains("command 1: ") && message.contains(reason),
            "{command}: {message}"
        );
    }
    let results = unit.run(json!([{"sign": {}}, sh("echo never")])).await;
    let [message] = &messages(&results)[..] else {
        panic!("{results:?}");
    };
    assert!(message.starts_with("`sign` is refused"), "{message}");
    let unknown = unit.node.raw("Levitate", &json!({})).await;
    let reason = "an exe-unit does not understand Levitate".to_owned();
    assert_eq!(unknown, Err(CallError::BadRequest(reason)));
    // Fields of another time are no reason to refuse.
    let future = json!({"run": {"entry_point": "/bin/true", "future": {"a": [1]}, "env": {}}});
    assert_eq!(messages(&unit.run(json!([future])).await), ["Ok"]);
}

#[tokio::test]
async fn what_is_more_than_a_result_has_is_said() {
    let (unit, _files) = Unit::ready().await;
    let results = unit
        .run(json!([
            sh("head -c 5000000 /dev/zero"),
            sh("head -c 4000000 /dev/zero"),
            sh("head -c 4000000 /dev/zero")
        ]))
        .await;
    let first = "of 5000000 bytes of stdout, 4194304 are kept; a stream has all";
    let last =
        "its 4000000 bytes of output are too many for one answer: ask for this command alone";
    assert_eq!(messages(&results), [first, "Ok", last]);
    let sizes = |results: &[ya_client_model::activity::ExeScriptCommandResult]| -> Vec<usize> {
        let size = |output: Value| output.as_str().map_or(0, str::len);
        results
            .iter()
            .map(|result| size(json!(result.stdout)))
            .collect()
    };
    assert_eq!(sizes(&results), [4 << 20, 4_000_000, 0]);
    let alone = unit
        .results("batch-2", 0.0, Some(2))
        .await
        .expect("results");
    assert_eq!(sizes(&alone), [0, 0, 4_000_000]);
}

/// The most memory that an exe-unit may take, whatever goes through it, in bytes.
const MOST_MEMORY: u64 = 32 << 20;

#[tokio::test]
async fn any_output_streams_in_little_memory_and_without_loss() {
    let (unit, _files) = Unit::ready().await;
    let size = 600 << 20;
    let stream = json!({"stdout": {"stream": {}}});
    let script = json!([
        {"run": {"entry_point": "/bin/head", "args": ["-c", size.to_string(), "/dev/zero"], "capture": stream}},
    ]);
    // More than the part of the agreed storage that is for events: who reads makes room for the rest.
    let batch_id = unit.exec(script).await;
    let stream = StreamExecBatchResults {
        activity_id: "activity".to_owned(),
        batch_id: batch_id.clone(),
        window: None,
    };
    let mut seen = 0;
    let mut last = None;
    unit.node
        .for_each(&stream, |event| match event.kind {
            RuntimeEventKind::StdOut(CommandOutput::Str(text)) => seen += text.len(),
            kind => last = Some(kind),
        })
        .await;
    assert_eq!(seen, size);
    let results = unit.results(&batch_id, 60.0, None).await.expect("results");
    let message =
        format!("of {size} bytes of stdout, the last 1048576 are kept; its events have all");
    assert_eq!(messages(&results)[0], message);
    let end = json!({"finished": {"return_code": 0, "message": message}});
    assert_eq!(json!(last), end);
    let peak = unit.peak_memory();
    assert!(peak < MOST_MEMORY, "{peak}");
}

#[tokio::test]
async fn a_stream_with_a_window_goes_as_far_as_it_is_read() {
    let (unit, _files) = Unit::ready().await;
    let size = 4 << 20;
    let stream = json!({"stdout": {"stream": {}}});
    let script = json!([
        {"run": {"entry_point": "/bin/head", "args": ["-c", size.to_string(), "/dev/zero"], "capture": stream}},
    ]);
    let batch_id = unit.exec(script).await;
    let window = |events| Window {
        stream_id: "s".to_owned(),
        events,
    };
    let stream = StreamExecBatchResults {
        activity_id: "activity".to_owned(),
        batch_id: batch_id.clone(),
        window: Some(window(3)),
    };
    let mut events = unit.node.open_stream(&stream);
    let mut seen = Vec::new();
    while seen.len() < 3 {
        seen.push(events.next().await.expect("an event"));
    }
    let taken = unit.node.call(&stream);
    let events_of_another = taken.await.map(drop);
    let reason = "there is a stream s already".to_owned();
    assert_eq!(events_of_another, Err(CallError::BadRequest(reason)));
    // What it writes is on the disk by then, and was not sent.
    unit.results(&batch_id, 60.0, None).await.expect("results");
    let read_on = |events| ReadOn {
        activity_id: "activity".to_owned(),
        stream_id: "s".to_owned(),
        events,
    };
    assert_eq!(events.waiting(), 0);
    assert_eq!(unit.node.call(&read_on(2)).await, Ok(()));
    for _ in 0..2 {
        seen.push(events.next().await.expect("an event"));
    }
    assert_eq!(unit.node.call(&read_on(u32::MAX)).await, Ok(()));
    while let Some(event) = events.next().await {
        seen.push(event);
    }
    let bytes = seen.into_iter().map(|event| match event.kind {
        RuntimeEventKind::StdOut(CommandOutput::Str(text)) => text.len(),
        _ => 0,
    });
    assert_eq!(bytes.sum::<usize>(), size);
}

#[tokio::test]
async fn output_that_nobody_reads_has_an_end() {
    let (mut unit, _files) = Unit::ready().await;
    let stream = json!({"stdout": {"stream": {}}});
    let results = unit
        .run(
            json!([{"run": {"entry_point": "/bin/cat", "args": ["/dev/zero"], "capture": stream}}]),
        )
        .await;
    let message = &messages(&results)[0];
    assert!(
        message.contains("the output is more than can be kept until it is read"),
        "{message}"
    );
    assert!(unit.peak_memory() < MOST_MEMORY);
    assert_eq!(unit.sh("echo alive").await, "alive\n");
    // What is kept of it is a fourth of the agreed GiB, and counts as storage.
    let counted = async {
        loop {
            let usage = unit.node.usage.recv().await.expect("a report");
            if usage.current_usage.expect("a vector")[3] > 0.2 {
                return;
            }
        }
    };
    let counted = tokio::time::timeout(Duration::from_secs(60), counted).await;
    counted.expect("it is counted");
}
