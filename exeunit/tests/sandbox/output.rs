//! What comes out of a command, and when it is over.

use exeunit::sandbox::{ExitStatus, Output, RunError, Signal};
use futures::StreamExt;

use crate::fixture::{capture, programs, script, sh, start, start_with_volume, stdout};

#[tokio::test]
async fn both_streams_and_the_exit_code() {
    let image = programs();
    let sandbox = start(&image).await;
    let cases = [
        ("echo out; echo err >&2; exit 3", "out\n", "err\n", 3),
        ("exit 0", "", "", 0),
        ("printf abc", "abc", "", 0),
        ("kill -TERM $$", "", "", 128 + 15),
    ];
    for (text, out, err, code) in cases {
        let captured = sh(&sandbox, text).await;
        let status = captured.status.shell_code();
        assert_eq!(
            (&*captured.stdout, &*captured.stderr, status),
            (out, err, code),
            "{text}"
        );
    }
}

#[tokio::test]
async fn megabytes_arrive_whole() {
    let image = programs();
    let sandbox = start(&image).await;
    let mut process = sandbox
        .run(script("head -c 20000000 /dev/zero"))
        .await
        .expect("a shell");
    let mut bytes = 0;
    while let Some(output) = process.next().await {
        let Output::Stdout(piece) = output else {
            panic!("nothing is written to standard error");
        };
        bytes += piece.len();
    }
    assert_eq!(bytes, 20_000_000);
}

#[tokio::test]
async fn what_was_written_last_is_not_lost() {
    let image = programs();
    let sandbox = start(&image).await;
    // Fits into the pipe: the process has ended before anything is read of it.
    let captured = sh(
        &sandbox,
        "head -c 60000 /dev/zero >&2; head -c 60000 /dev/zero",
    )
    .await;
    assert_eq!(
        (captured.stdout.len(), captured.stderr.len()),
        (60_000, 60_000)
    );
}

#[tokio::test]
async fn a_command_waits_for_its_reader() {
    let (image, folder) = (programs(), tempfile::tempdir().expect("a folder"));
    let sandbox = start_with_volume(&image, folder.path(), "/volume").await;
    let text = "head -c 4000000 /dev/zero; echo > /volume/done";
    let process = sandbox.run(script(text)).await.expect("a shell");
    assert_eq!(stdout(&sandbox, "echo beside it").await, "beside it\n");
    assert!(!folder.path().join("done").exists());
    assert_eq!(capture(process).await.stdout.len(), 4_000_000);
    assert!(folder.path().join("done").exists());
}

#[tokio::test]
async fn a_daemon_does_not_hold_its_command_up_and_lives_on() {
    let image = programs();
    let sandbox = start(&image).await;
    // The daemon keeps the pipe of the command's output, and goes on writing to it.
    let daemon = "mkfifo /go /went
        (echo early; cat /go; echo late; echo late; echo alive > /went) & echo started";
    let captured = sh(&sandbox, daemon).await;
    assert!(captured.stdout.contains("started\n"), "{captured:?}");
    assert!(!captured.stdout.contains("late"), "{captured:?}");
    assert_eq!(stdout(&sandbox, "echo > /go; cat /went").await, "alive\n");
}

#[tokio::test]
async fn commands_run_beside_each_other() {
    let image = programs();
    let sandbox = start(&image).await;
    assert_eq!(stdout(&sandbox, "mkfifo /a /b").await, "");
    let first = sandbox
        .run(script("read line < /a; echo $line > /b; echo first"))
        .await
        .expect("a shell");
    let second = sandbox
        .run(script("echo through > /a; cat /b"))
        .await
        .expect("a shell");
    assert_eq!(capture(second).await.stdout, "through\n");
    assert_eq!(capture(first).await.stdout, "first\n");
}

#[tokio::test]
async fn a_signal_reaches_the_whole_process_group() {
    let image = programs();
    let sandbox = start(&image).await;
    let mut process = sandbox
        .run(script("sleep 1000 | sleep 1000 & echo; wait"))
        .await
        .expect("a shell");
    process.next().await;
    process.signal(Signal::KILL);
    assert_eq!(process.wait().await, Ok(ExitStatus::Signal(9)));
    // Only once they are gone does the loop end.
    stdout(&sandbox, "while cat /proc/[0-9]*/comm | { while read c; do [ $c = sleep ] && exit 0; done; exit 1; }; do :; done").await;
}

#[tokio::test]
async fn a_dropped_process_is_killed() {
    let image = programs();
    let sandbox = start(&image).await;
    assert_eq!(stdout(&sandbox, "mkfifo /alive").await, "");
    let watch = sandbox.run(script("cat /alive")).await.expect("a shell");
    let text = "exec 3> /alive; echo opened; sleep 1000";
    let mut process = sandbox.run(script(text)).await.expect("a shell");
    process.next().await;
    drop(process);
    // The pipe ends when the last who could write to it has ended.
    assert!(capture(watch).await.status.is_success());
}

#[tokio::test]
async fn a_stopped_sandbox_runs_nothing() {
    let image = programs();
    let sandbox = start(&image).await;
    let process = sandbox.run(script("sleep 1000")).await.expect("a shell");
    sandbox.stop().await;
    let gone = process.wait().await.expect_err("killed with its sandbox");
    assert_eq!(RunError::from(gone).to_string(), "the sandbox has ended");
}

#[tokio::test]
async fn what_processes_use_is_measured() {
    let image = programs();
    let sandbox = start(&image).await;
    let before = sandbox
        .monitor()
        .measure()
        .await
        .expect("the sandbox lives");
    let busy =
        "i=0; while [ $i -lt 300000 ]; do i=$((i+1)); done; head -c 1000000 /dev/zero > /zeros";
    stdout(&sandbox, busy).await;
    let after = sandbox
        .monitor()
        .measure()
        .await
        .expect("the sandbox lives");
    assert!(after.cpu > before.cpu, "{before:?} {after:?}");
    assert!(after.resident_bytes > 0, "{after:?}");
    assert!(
        after.scratch_bytes >= before.scratch_bytes + 1_000_000,
        "{before:?} {after:?}"
    );
}
