//! The desk at which the task sits: what it knows, and what it does about what it hears.

use std::{collections::VecDeque, time::Duration};

use chrono::Utc;
use tokio::{sync::mpsc, time::sleep};
use tokio_util::sync::CancellationToken;
use ya_client_model::activity::ActivityState;

use super::{Connections, Request, Waiting};
use crate::{
    activity::{Action, Activity},
    cause::in_one_line,
    event::{RuntimeEvent, RuntimeEventKind},
    runtime::{Job, News},
    spool::{Spool, SpoolError},
};

/// How often it is looked whether there is room again for output that waits for it.
const LOOK: Duration = Duration::from_millis(200);

pub(super) struct Desk {
    pub(super) activity: Activity,
    pub(super) spool: Spool,
    /// Output of the running command for which there is no room yet. Until there is, no other is taken in.
    held: Option<RuntimeEvent>,
    /// The running command is broken off: its output is not waited with.
    is_interrupted: bool,
    pub(super) waiting: Vec<Waiting>,
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
    /// Serves until the last way to the task is gone.
    pub(super) async fn serve(
        connections: Connections,
        spool: Spool,
        requests: mpsc::Receiver<Request>,
    ) {
        let desk = Self {
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
        desk.work(requests, connections.news).await;
    }

    async fn work(mut self, mut requests: mpsc::Receiver<Request>, mut news: mpsc::Receiver<News>) {
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
}

/// Ends this process at once, as if somebody had killed it.
fn die() {
    tracing::warn!("dying, as was asked for");
    let this = rustix::process::getpid();
    if let Err(error) = rustix::process::kill_process(this, rustix::process::Signal::KILL) {
        tracing::error!(%error, "cannot die");
    }
}
