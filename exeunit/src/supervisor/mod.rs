//! The task that owns the activity: it lets the runtime run what the activity decides, and answers who asks.

mod answers;
mod desk;

use std::time::Duration;

use tokio::{
    sync::{mpsc, oneshot},
    time::timeout,
};
use ya_client_model::activity::{ActivityState, ExeScriptCommandResult, ExeScriptCommandState};

use self::desk::Desk;
use crate::{
    activity::{DuplicateBatch, UnknownBatch},
    event::RuntimeEvent,
    runtime::{Job, News},
    script::Command,
    spool::{Reader, Spool, SpoolError},
};

/// How many questions may wait for the task before those who ask more have to.
const QUEUE: usize = 64;

/// A way to the activity's task. The task ends with the last of them.
#[derive(Clone, Debug)]
pub(crate) struct Supervisor {
    requests: mpsc::Sender<Request>,
}

/// What the task is connected to.
#[derive(Debug)]
pub(crate) struct Connections {
    /// To the runtime. At most one job is there at a time.
    pub(crate) jobs: mpsc::Sender<Job>,
    /// From the runtime.
    pub(crate) news: mpsc::Receiver<News>,
    /// To the node.
    pub(crate) states: mpsc::UnboundedSender<ActivityState>,
    /// The command that this process dies at when it begins, counted from 1.
    pub(crate) die_at_command: Option<u64>,
}

/// Why there are no results.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum ResultsError {
    #[error(transparent)]
    Unknown(#[from] UnknownBatch),
    #[error("command {0} of the batch has not ended in time")]
    Timeout(usize),
}

/// Why there are no events.
#[derive(Debug, thiserror::Error)]
pub(crate) enum EventsError {
    #[error(transparent)]
    Unknown(#[from] UnknownBatch),
    #[error(transparent)]
    Spool(#[from] SpoolError),
}

type Results = Result<Vec<ExeScriptCommandResult>, UnknownBatch>;
/// Events, and the position after them.
type Events = Result<(Vec<RuntimeEvent>, u64), EventsError>;

#[derive(Debug)]
enum Request {
    Exec {
        batch_id: String,
        script: Vec<Command>,
        admitted: oneshot::Sender<Result<(), DuplicateBatch>>,
    },
    /// Answered at once; with nothing if one command was asked for, and it has not ended.
    Look {
        batch_id: String,
        command_index: Option<usize>,
        answer: oneshot::Sender<Result<Option<Vec<ExeScriptCommandResult>>, UnknownBatch>>,
    },
    /// Answered when there is something to answer.
    Wait(Waiting),
    Subscribe {
        batch_id: String,
        answer: oneshot::Sender<Result<Reader, UnknownBatch>>,
    },
    Cancel {
        batch_id: String,
        answer: oneshot::Sender<Result<(), UnknownBatch>>,
    },
    Running(oneshot::Sender<Option<ExeScriptCommandState>>),
    ShutDown(String),
    Terminated,
}

/// Somebody who waits for something to happen in a batch.
#[derive(Debug)]
enum Waiting {
    ForResults {
        batch_id: String,
        command_index: Option<usize>,
        answer: oneshot::Sender<Results>,
    },
    ForEvents {
        batch_id: String,
        position: u64,
        answer: oneshot::Sender<Events>,
    },
}

impl Supervisor {
    /// Starts the task; the activity can be called from now on.
    pub(crate) fn start(connections: Connections, spool: Spool) -> Self {
        let (requests, received) = mpsc::channel(QUEUE);
        tokio::spawn(Desk::serve(connections, spool, received));
        Self { requests }
    }

    /// Lets a script run.
    pub(crate) async fn exec(
        &self,
        batch_id: String,
        script: Vec<Command>,
    ) -> Result<(), DuplicateBatch> {
        let request = |admitted| Request::Exec {
            batch_id,
            script,
            admitted,
        };
        self.ask(request).await
    }

    /// The results of a batch, as soon as the command that is asked for, or the last, has ended. When the time
    /// is up before, those that there are; or an error, if one command was asked for.
    pub(crate) async fn results(
        &self,
        batch_id: String,
        command_index: Option<usize>,
        patience: Duration,
    ) -> Result<Vec<ExeScriptCommandResult>, ResultsError> {
        let wait = |answer| {
            Request::Wait(Waiting::ForResults {
                batch_id: batch_id.clone(),
                command_index,
                answer,
            })
        };
        if let Ok(results) = timeout(patience, self.ask(wait)).await {
            return Ok(results?);
        }
        let look = |answer| Request::Look {
            batch_id,
            command_index,
            answer,
        };
        let results = self.ask(look).await?;
        results.ok_or(ResultsError::Timeout(command_index.unwrap_or_default()))
    }

    /// Begins to read the events of a batch, from the first on.
    pub(crate) async fn subscribe(&self, batch_id: String) -> Result<Reader, UnknownBatch> {
        self.ask(|answer| Request::Subscribe { batch_id, answer })
            .await
    }

    /// What has happened in a batch after what was read, as soon as that is something; nothing at all once
    /// nothing more will.
    pub(crate) async fn events_after(&self, batch_id: String, position: u64) -> Events {
        let wait = |answer| {
            Request::Wait(Waiting::ForEvents {
                batch_id,
                position,
                answer,
            })
        };
        self.ask(wait).await
    }

    /// Breaks a batch off. One that is over stays as it is.
    pub(crate) async fn cancel(&self, batch_id: String) -> Result<(), UnknownBatch> {
        self.ask(|answer| Request::Cancel { batch_id, answer })
            .await
    }

    /// What runs at this moment.
    pub(crate) async fn running_command(&self) -> Option<ExeScriptCommandState> {
        self.ask(Request::Running).await
    }

    /// Breaks off whatever runs, and lets the runtime go; the activity is on its way to its end.
    pub(crate) async fn shut_down(&self, reason: String) {
        self.send(Request::ShutDown(reason)).await;
    }

    /// The runtime has gone: the activity has ended.
    pub(crate) async fn terminated(&self) {
        self.send(Request::Terminated).await;
    }

    async fn ask<T>(&self, request: impl FnOnce(oneshot::Sender<T>) -> Request) -> T {
        let (answer, answered) = oneshot::channel();
        self.send(request(answer)).await;
        answered
            .await
            .expect("the task answers all that it is asked")
    }

    async fn send(&self, request: Request) {
        let sent = self.requests.send(request).await;
        sent.expect("the task lives as long as there is a way to it");
    }
}
