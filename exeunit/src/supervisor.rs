//! The task that owns the activity: it lets the runtime run what the activity decides, and answers who asks.

use std::time::Duration;

use chrono::Utc;
use tokio::{
    sync::{mpsc, oneshot},
    time::timeout,
};
use tokio_util::sync::CancellationToken;
use ya_client_model::activity::{ActivityState, ExeScriptCommandResult, ExeScriptCommandState};

use crate::{
    activity::{Action, Activity, DuplicateBatch, UnknownBatch},
    event::RuntimeEvent,
    runtime::{Job, News},
    script::Command,
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
}

/// Why there are no results.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum ResultsError {
    #[error(transparent)]
    Unknown(#[from] UnknownBatch),
    #[error("command {0} of the batch has not ended in time")]
    Timeout(usize),
}

type Results = Result<Vec<ExeScriptCommandResult>, UnknownBatch>;
type Events = Result<Vec<RuntimeEvent>, UnknownBatch>;

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
        seen: usize,
        answer: oneshot::Sender<Events>,
    },
}

impl Supervisor {
    /// Starts the task; the activity can be called from now on.
    pub(crate) fn start(connections: Connections) -> Self {
        let (requests, received) = mpsc::channel(QUEUE);
        let desk = Desk {
            activity: Activity::default(),
            waiting: Vec::new(),
            jobs: Some(connections.jobs),
            interrupt: CancellationToken::new(),
            states: Some(connections.states),
        };
        tokio::spawn(desk.serve(received, connections.news));
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

    /// What has happened in a batch after the first `seen` events, as soon as that is something; nothing at
    /// all once nothing more will.
    pub(crate) async fn events_after(
        &self,
        batch_id: String,
        seen: usize,
    ) -> Result<Vec<RuntimeEvent>, UnknownBatch> {
        let wait = |answer| {
            Request::Wait(Waiting::ForEvents {
                batch_id,
                seen,
                answer,
            })
        };
        self.ask(wait).await
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

struct Desk {
    activity: Activity,
    waiting: Vec<Waiting>,
    /// None once the activity is on its way to its end.
    jobs: Option<mpsc::Sender<Job>>,
    /// Breaks the running command off.
    interrupt: CancellationToken,
    /// None once the activity has ended.
    states: Option<mpsc::UnboundedSender<ActivityState>>,
}

impl Desk {
    async fn serve(
        mut self,
        mut requests: mpsc::Receiver<Request>,
        mut news: mpsc::Receiver<News>,
    ) {
        let actions = self.activity.initialize();
        self.act(actions).await;
        loop {
            let actions = tokio::select! {
                request = requests.recv() => match request {
                    Some(request) => self.fulfil(request),
                    None => return,
                },
                Some(news) = news.recv() => self.hear(news),
            };
            self.act(actions).await;
            if self.activity.has_ended() {
                self.states = None;
            }
            self.answer_waiting();
        }
    }

    fn fulfil(&mut self, request: Request) -> Vec<Action> {
        // Of those who ask, some have gone before they are answered.
        match request {
            Request::Exec {
                batch_id,
                script,
                admitted,
            } => match self.activity.exec(batch_id, script, Utc::now()) {
                Ok(actions) => {
                    let _ = admitted.send(Ok(()));
                    return actions;
                }
                Err(error) => drop(admitted.send(Err(error))),
            },
            Request::Look {
                batch_id,
                command_index,
                answer,
            } => {
                let _ = answer.send(match command_index {
                    Some(_) => self.activity.results(&batch_id, command_index),
                    None => self.activity.results_so_far(&batch_id).map(Some),
                });
            }
            Request::Wait(waiting) => self.waiting.push(waiting),
            Request::Running(answer) => drop(answer.send(self.activity.running_command())),
            Request::ShutDown(reason) => {
                self.jobs = None;
                return self.activity.shut_down(&reason, Utc::now());
            }
            Request::Terminated => return self.activity.terminated(),
        }
        Vec::new()
    }

    fn hear(&mut self, news: News) -> Vec<Action> {
        match news {
            News::Output(channel, bytes) => {
                self.activity.output(channel, &bytes, Utc::now());
                Vec::new()
            }
            News::Ended(outcome) => {
                if let Err(failure) = &outcome {
                    tracing::info!(code = failure.code, "a command failed: {}", failure.message);
                }
                self.activity.ended(outcome, Utc::now())
            }
        }
    }

    async fn act(&mut self, actions: Vec<Action>) {
        for action in actions {
            match action {
                Action::Report(state) => {
                    tracing::info!(state = ?state.state, "the activity's state");
                    if let Some(states) = &self.states {
                        // A node that takes no reports ends the exe-unit.
                        let _ = states.send(state);
                    }
                }
                Action::Execute(command) => {
                    self.interrupt = CancellationToken::new();
                    let interrupt = self.interrupt.clone();
                    if let Some(jobs) = &self.jobs {
                        // The runtime ends after this task, or the activity with it.
                        let _ = jobs.send(Job { command, interrupt }).await;
                    }
                }
                Action::Interrupt => self.interrupt.cancel(),
            }
        }
    }

    /// Answers those for whom there is something, and forgets those who have gone.
    fn answer_waiting(&mut self) {
        for waiting in std::mem::take(&mut self.waiting) {
            if let Some(waiting) = self.answer(waiting) {
                self.waiting.push(waiting);
            }
        }
    }

    /// Answers one who waits, or gives them back to wait on.
    fn answer(&self, waiting: Waiting) -> Option<Waiting> {
        match waiting {
            Waiting::ForResults { ref answer, .. } if answer.is_closed() => None,
            Waiting::ForEvents { ref answer, .. } if answer.is_closed() => None,
            Waiting::ForResults {
                batch_id,
                command_index,
                answer,
            } => match self.activity.results(&batch_id, command_index).transpose() {
                Some(results) => {
                    let _ = answer.send(results);
                    None
                }
                None => Some(Waiting::ForResults {
                    batch_id,
                    command_index,
                    answer,
                }),
            },
            Waiting::ForEvents {
                batch_id,
                seen,
                answer,
            } => match self.activity.events_after(&batch_id, seen).transpose() {
                Some(events) => {
                    let _ = answer.send(events);
                    None
                }
                None => Some(Waiting::ForEvents {
                    batch_id,
                    seen,
                    answer,
                }),
            },
        }
    }
}
