//! The task that owns the runtime.

use prost::bytes::Bytes;
use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;

use super::{Executor, Outlet};
use crate::{
    activity::{Channel, Failure},
    event::Progress,
    script::Command,
};

/// A command to run.
#[derive(Debug)]
pub(crate) struct Job {
    pub(crate) command: Command,
    /// Breaks it off.
    pub(crate) interrupt: CancellationToken,
}

/// What becomes of the command that runs.
#[derive(Debug)]
pub(crate) enum News {
    Output(Channel, Bytes),
    Progress(Progress),
    Ended(Result<(), Failure>),
}

/// Runs commands, one after the other, until nobody can send any more; then stops the runtime.
pub(crate) async fn run_jobs(
    mut executor: Executor,
    mut jobs: mpsc::Receiver<Job>,
    news: mpsc::Sender<News>,
) {
    while let Some(Job { command, interrupt }) = jobs.recv().await {
        let outlet = Outlet(&news);
        let outcome = tokio::select! {
            biased;
            outcome = executor.execute(command.clone(), &outlet) => outcome,
            () = interrupt.cancelled() => Err(Failure::new("the command was interrupted")),
        };
        if outcome.is_err() {
            executor.clean_up(&command).await;
        }
        // Without a listener there is no next job either.
        let _ = news.send(News::Ended(outcome)).await;
    }
    executor.clear().await;
}
