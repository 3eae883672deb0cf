//! Drives one handler: sends every script that it yields, while it goes on awaiting results.

use std::{pin::pin, task::Poll};

use futures::{
    Stream, StreamExt,
    future::{self, Either},
};

use super::Result;
use crate::{
    activity::Activity,
    script::{Command, CommandError, CommandOutcome, Results, Script},
};

/// Where batches run.
pub(crate) trait Batches {
    /// Runs commands as one batch; yields what comes of each, up to the first failure.
    fn exec(&self, commands: Vec<Command>) -> impl Stream<Item = CommandOutcome> + Send;
}

impl Batches for Activity {
    fn exec(&self, commands: Vec<Command>) -> impl Stream<Item = CommandOutcome> + Send {
        Activity::exec(self, commands)
    }
}

/// Drives a handler to its end.
///
/// When a script fails, its handler is polled once more. If it looks at a failed command then, the failure is its
/// own affair; if not, the handler ends with it, as an exception at `yield` would end it.
pub(crate) async fn drive(
    handler: impl Stream<Item = Result<Script>>,
    batches: &impl Batches,
) -> Result<()> {
    let mut handler = pin!(handler.fuse());
    let mut next = handler.next().await;
    while let Some(script) = next {
        let (commands, mut results) = script?.send();
        let witness = results.witness();
        let batch = pin!(run_batch(batches, commands, &mut results));
        // The handler runs on while its batch does: it can await one command before the next ends.
        next = match future::select(batch, handler.next()).await {
            Either::Right((Some(Err(raised)), _)) => return Err(raised),
            Either::Right((next, batch)) => {
                batch.await.or_else(|error| witness.excuse(error))?;
                next
            }
            Either::Left((Ok(()), handler)) => handler.await,
            Either::Left((Err(error), mut handler)) => match futures::poll!(&mut handler) {
                Poll::Ready(Some(Err(raised))) => return Err(raised),
                Poll::Ready(next) => {
                    witness.excuse(error)?;
                    next
                }
                Poll::Pending => {
                    witness.excuse(error)?;
                    handler.await
                }
            },
        };
    }
    Ok(())
}

async fn run_batch(
    batches: &impl Batches,
    commands: Vec<Command>,
    results: &mut Results,
) -> Result<(), CommandError> {
    let mut outcomes = pin!(batches.exec(commands));
    while let Some(outcome) = outcomes.next().await {
        let failure = outcome.as_ref().err().cloned();
        results.resolve(outcome);
        if let Some(error) = failure {
            results.skip_rest();
            return Err(error);
        }
    }
    Ok(())
}

#[cfg(test)]
#[path = "drive_tests.rs"]
mod tests;
