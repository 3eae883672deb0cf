//! The task that owns the activity: it lets the runtime run what the activity decides, and answers who asks.

use std::{collections::VecDeque, time::Duration};

use chrono::Utc;
use tokio::{
    sync::{mpsc, oneshot},
    time::{sleep, timeout},
};
use tokio_util::sync::CancellationToken;
use ya_client_model::activity::{ActivityState, ExeScriptCommandResult, ExeScriptCommandState};

use crate::{
    activity::{Action, Activity, DuplicateBatch, UnknownBatch},
    cause::in_one_line,
    event::{RuntimeEvent, RuntimeEventKind},
    runtime::{Job, News},
    script::Command,
    spool::{Reader, Spool, SpoolError},
};

/// The most output that one answer has, in bytes as they travel: an answer is one message.
const MOST_OUTPUT: usize = 10 << 20;
/// How often it is looked whether there is room again for output that waits for it.
const LOOK: Duration = Duration::from_millis(200);

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
        let desk = Desk {
            activity: Activity::default(),
            spool,
            held: None,
            is_interrupted: false,
            waiting: Vec::new(),
            jobs: Some(connections.jobs),
            interrupt: CancellationToken::new(),
            states: Some(connections.states),
            begun: 0,
            die_at_command: connections.die_at_command,
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

struct Desk {
    activity: Activity,
    spool: Spool,
    /// Output of the running command for which there is no room yet. Until there is, no other is taken in.
    held: Option<RuntimeEvent>,
    /// The running command is broken off: its output is not waited with.
    is_interrupted: bool,
    waiting: Vec<Waiting>,
    /// None once the activity is on its way to its end.
    jobs: Option<mpsc::Sender<Job>>,
    /// Breaks the running command off.
    interrupt: CancellationToken,
    /// None once the activity has ended.
    states: Option<mpsc::UnboundedSender<ActivityState>>,
    /// How many commands have begun.
    begun: u64,
    die_at_command: Option<u64>,
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
                Some(news) = news.recv(), if self.held.is_none() => self.hear(news),
                () = sleep(LOOK), if self.held.is_some() => Vec::new(),
            };
            let held = self.held.take().map(Action::Tell);
            self.act(actions.into_iter().chain(held).collect()).await;
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
                let results = match command_index {
                    Some(_) => self.activity.results(&batch_id, command_index),
                    None => self.activity.results_so_far(&batch_id).map(Some),
                };
                let with_outputs = |results| self.with_outputs(&batch_id, command_index, results);
                let _ = answer.send(results.map(|results| results.map(with_outputs)));
            }
            Request::Wait(waiting) => self.waiting.push(waiting),
            Request::Subscribe { batch_id, answer } => {
                let known = self.activity.is_over(&batch_id);
                let _ = answer.send(known.map(|_| self.spool.reader(&batch_id)));
            }
            Request::Cancel { batch_id, answer } => {
                let (answered, actions) = match self.activity.cancel(&batch_id) {
                    Ok(actions) => (Ok(()), actions),
                    Err(unknown) => (Err(unknown), Vec::new()),
                };
                let _ = answer.send(answered);
                return actions;
            }
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
            News::Output(channel, bytes) => self.activity.output(channel, &bytes, Utc::now()),
            News::Progress(progress) => self.activity.progress(progress, Utc::now()),
            News::Ended(outcome) => {
                if let Err(failure) = &outcome {
                    tracing::info!(code = failure.code, "a command failed: {}", failure.message);
                }
                self.activity.ended(outcome, Utc::now())
            }
        }
    }

    async fn act(&mut self, actions: Vec<Action>) {
        let mut actions = VecDeque::from(actions);
        while let Some(action) = actions.pop_front() {
            match action {
                Action::Report(state) => {
                    tracing::info!(state = ?state.state, "the activity's state");
                    if let Some(states) = &self.states {
                        // A node that takes no reports ends the exe-unit.
                        let _ = states.send(state);
                    }
                }
                Action::Execute(command) => {
                    self.is_interrupted = false;
                    self.begun += 1;
                    if Some(self.begun) == self.die_at_command {
                        die();
                    }
                    self.interrupt = CancellationToken::new();
                    let interrupt = self.interrupt.clone();
                    if let Some(jobs) = &self.jobs {
                        // The runtime ends after this task, or the activity with it.
                        let _ = jobs.send(Job { command, interrupt }).await;
                    }
                }
                Action::Interrupt => {
                    self.is_interrupted = true;
                    self.interrupt.cancel();
                }
                Action::Tell(event) => actions.extend(self.tell(event)),
                Action::Keep {
                    batch_id,
                    index,
                    outputs,
                } => {
                    if let Err(error) = self.spool.keep(&batch_id, index, outputs) {
                        let error = in_one_line(&error);
                        tracing::error!(batch_id, index, "an output is lost: {error}");
                    }
                }
                Action::End(batch_id) => self.spool.end(&batch_id),
                Action::Forget(batch_id) => self.spool.forget(&batch_id),
            }
        }
    }

    /// Tells subscribers of an event, or holds it until there is room for it.
    fn tell(&mut self, event: RuntimeEvent) -> Vec<Action> {
        let is_output = matches!(
            event.kind,
            RuntimeEventKind::StdOut(_) | RuntimeEventKind::StdErr(_)
        );
        let told = match is_output {
            true => self.spool.tell(&event),
            false => self.spool.tell_at_last(&event),
        };
        match told {
            Ok(()) => Vec::new(),
            Err(SpoolError::Full { is_read: true, .. }) if !self.is_interrupted => {
                self.held = Some(event);
                Vec::new()
            }
            // What a command that is broken off has still to say is not worth to wait for.
            Err(_) if self.is_interrupted => Vec::new(),
            Err(error) => {
                let reason = in_one_line(&error);
                self.activity.silence(&format!(
                    "the output is more than can be kept until it is read: {reason}"
                ))
            }
        }
    }

    /// Results with the outputs that are asked for, as far as a message can carry them.
    fn with_outputs(
        &self,
        batch_id: &str,
        command_index: Option<usize>,
        mut results: Vec<ExeScriptCommandResult>,
    ) -> Vec<ExeScriptCommandResult> {
        let mut room = MOST_OUTPUT;
        for (index, result) in results.iter_mut().enumerate() {
            if command_index.is_some_and(|asked| asked != index) {
                continue;
            }
            let size = self.spool.size_of_outputs(batch_id, index);
            let outputs = match room.checked_sub(size) {
                Some(rest) => {
                    room = rest;
                    let outputs = self.spool.outputs(batch_id, index);
                    outputs.map_err(|error| in_one_line(&error))
                }
                None => Err(format!(
                    "its {size} bytes of output are too many for one answer: ask for this command alone"
                )),
            };
            match outputs {
                Ok([stdout, stderr]) => (result.stdout, result.stderr) = (stdout, stderr),
                Err(reason) => {
                    result.message.get_or_insert(reason);
                }
            }
        }
        results
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
                    let with_outputs =
                        |results| self.with_outputs(&batch_id, command_index, results);
                    let _ = answer.send(results.map(with_outputs));
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
                position,
                answer,
            } => match self.events(&batch_id, position) {
                Some(events) => {
                    let _ = answer.send(events);
                    None
                }
                None => Some(Waiting::ForEvents {
                    batch_id,
                    position,
                    answer,
                }),
            },
        }
    }

    /// The events of a batch after a position; nothing yet if more is to come.
    fn events(&self, batch_id: &str, position: u64) -> Option<Events> {
        let is_over = match self.activity.is_over(batch_id) {
            Ok(is_over) => is_over,
            Err(unknown) => return Some(Err(unknown.into())),
        };
        match self.spool.events_after(batch_id, position) {
            Ok((events, _)) if events.is_empty() && !is_over => None,
            events => Some(events.map_err(EventsError::from)),
        }
    }
}

/// Ends this process at once, as if somebody had killed it.
fn die() {
    tracing::warn!("dying, as was asked for");
    let this = rustix::process::getpid();
    if let Err(error) = rustix::process::kill_process(this, rustix::process::Signal::KILL) {
        tracing::error!(%error, "cannot die");
    }
}
