//! What a handler may do, and what becomes of its failures.

use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use async_stream::{stream, try_stream};
use tokio::time::{Instant, sleep, timeout};

use super::*;
use crate::script::{Handle, Outcome, Output};

/// Runs every command in a millisecond. `/bin/false` fails, all others say what they are.
struct Echo;

impl Batches for Echo {
    fn exec(&self, commands: Vec<Command>) -> impl Stream<Item = CommandOutcome> + Send {
        stream! {
            for (index, command) in commands.into_iter().enumerate() {
                sleep(Duration::from_millis(1)).await;
                let output = Output { stdout: command.to_string().into(), ..Output::default() };
                if command.to_string().starts_with("run /bin/false") {
                    let (command, message) = (command.to_string(), "exit code 1".into());
                    yield Err(CommandError::Failed { index, command, message, output });
                    return;
                }
                yield Ok(Outcome { output, ..Outcome::default() });
            }
        }
    }
}

async fn driven(handler: impl Stream<Item = Result<Script>>) -> Result<()> {
    timeout(Duration::from_secs(60), drive(handler, &Echo))
        .await
        .expect("no hang")
}

/// The failure of a handler, as what the engine knows of commands.
async fn failure(handler: impl Stream<Item = Result<Script>>) -> CommandError {
    let error = driven(handler).await.expect_err("it fails");
    error
        .source()
        .downcast_ref::<CommandError>()
        .expect("a command's error")
        .clone()
}

fn one(program: &str) -> (Script, Handle<Output>) {
    let mut script = Script::new();
    let handle = script.run(program, ["x"]);
    (script, handle)
}

#[tokio::test(start_paused = true)]
async fn results_reach_the_loop_that_yielded_their_script() {
    let mut heard = Vec::new();
    let notes = &mut heard;
    driven(try_stream! {
        for _ in 0..3 {
            let mut script = Script::new();
            let date = script.run("/bin/date", ["-u"]);
            let host = script.run("/bin/hostname", [] as [&str; 0]);
            yield script;
            let (date, host) = (date.await?, host.await?);
            // `?` inside another macro would not be the handler's.
            let (date, host) = (date.text()?, host.text()?);
            notes.push(format!("{date}|{host}"));
        }
    })
    .await
    .unwrap();
    assert_eq!(heard, ["run /bin/date -u|run /bin/hostname"; 3]);
}

#[tokio::test(start_paused = true)]
async fn awaiting_a_command_before_its_script_is_yielded_is_an_error_not_a_hang() {
    let error = failure(try_stream! {
        let (script, handle) = one("/bin/true");
        handle.await?;
        yield script;
    });
    assert!(matches!(error.await, CommandError::NotYielded));
}

#[tokio::test(start_paused = true)]
async fn an_unseen_failure_ends_the_handler() {
    let reached = Arc::new(AtomicBool::new(false));
    let seen = reached.clone();
    let error = failure(try_stream! {
        let (script, _) = one("/bin/false");
        yield script;
        let (script, _) = one("/bin/true");
        yield script;
        seen.store(true, Ordering::Relaxed);
    });
    assert!(matches!(error.await, CommandError::Failed { index: 0, .. }));
    assert!(!reached.load(Ordering::Relaxed));
}

#[tokio::test(start_paused = true)]
async fn a_failure_that_the_handler_saw_is_its_own_affair() {
    driven(try_stream! {
        let (script, handle) = one("/bin/false");
        yield script;
        if handle.await.is_err() {
            let (script, again) = one("/bin/true");
            yield script;
            again.await?;
        }
    })
    .await
    .unwrap();
}

#[tokio::test(start_paused = true)]
async fn an_unseen_failure_ends_even_a_handler_that_idles() {
    let error = failure(try_stream! {
        let (script, held_but_never_read) = one("/bin/false");
        yield script;
        future::pending::<()>().await;
        drop(held_but_never_read);
    });
    assert!(matches!(error.await, CommandError::Failed { .. }));
}

#[tokio::test(start_paused = true)]
async fn what_the_handler_raises_of_a_failure_wins_over_the_failure() {
    let error = driven(try_stream! {
        let (script, handle) = one("/bin/false");
        yield script;
        handle.await.map_err(|_| "mine")?;
    });
    assert_eq!(error.await.unwrap_err().to_string(), "mine");
}

#[tokio::test(start_paused = true)]
async fn later_commands_of_a_failed_script_are_skipped() {
    let error = failure(try_stream! {
        let mut script = Script::new();
        script.run("/bin/false", ["x"]);
        let second = script.run("/bin/true", ["x"]);
        yield script;
        second.await?;
    });
    assert!(matches!(error.await, CommandError::Skipped { index: 1 }));
}

#[tokio::test(start_paused = true)]
async fn a_dropped_script_abandons_its_handles() {
    let error = failure(try_stream! {
        let (script, handle) = one("/bin/true");
        drop(script);
        handle.await?;
        yield Script::new();
    });
    assert!(matches!(error.await, CommandError::Abandoned));
}

#[tokio::test(start_paused = true)]
async fn a_command_is_heard_before_its_script_ends() {
    let start = Instant::now();
    driven(try_stream! {
        let mut script = Script::new();
        let first = script.run("/bin/true", ["x"]);
        let mut last = None;
        for _ in 0..9 {
            last = Some(script.run("/bin/true", ["x"]));
        }
        yield script;
        first.await?;
        assert_eq!(start.elapsed().as_millis(), 1);
        last.expect("there are ten").await?;
        assert_eq!(start.elapsed().as_millis(), 10);
    })
    .await
    .unwrap();
}

#[tokio::test(start_paused = true)]
async fn an_error_of_any_type_ends_the_handler() {
    for (error, message) in [
        (
            driven(try_stream! { yield Script::new(); "x".parse::<u32>()?; }).await,
            "invalid digit found in string",
        ),
        (
            driven(try_stream! { yield Script::new(); Err("out of luck")?; }).await,
            "out of luck",
        ),
        (
            driven(try_stream! { yield Script::new(); Err(String::from("no"))?; }).await,
            "no",
        ),
    ] {
        assert_eq!(error.unwrap_err().to_string(), message);
    }
}

#[tokio::test(start_paused = true)]
async fn an_empty_script_runs() {
    driven(try_stream! { yield Script::new(); }).await.unwrap();
}
