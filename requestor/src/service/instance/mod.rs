//! One instance: takes the steps of its life, and gives back what it held.

mod find;
mod give_back;

use std::{
    any::Any,
    fmt,
    panic::{self, AssertUnwindSafe},
    sync::Arc,
    time::Duration,
};

use futures::FutureExt;
use tokio::{
    sync::watch,
    time::{Instant, timeout},
};
use tokio_util::sync::CancellationToken;

use super::{
    HandlerError, Result, Service, WorkContext,
    drive::drive,
    lifecycle::{self, InstanceState, Step},
};
use crate::{
    activity::Activity,
    event::{Event, Events},
    golem::Clock,
    id::ActivityId,
    market::Market,
    network::NetworkNode,
    panics::last_words,
    payment::{Accountant, Overdraft},
    script::CommandError,
    yagna::{Agreement, Yagna},
};

/// How often an activity is asked how it does.
const HEALTH_INTERVAL: Duration = Duration::from_secs(5);

/// How long `shutdown` may take, the end of a script that it finds running included.
const SHUTDOWN_TIMEOUT: Duration = Duration::from_secs(30);

/// How long to wait before an instance is started again: twice as long each time, up to the last.
const RESTART_PAUSE: (Duration, Duration) = (Duration::from_millis(500), Duration::from_secs(30));

/// How an instance does.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct InstanceStatus {
    /// Its name: the cluster's and a number from 1.
    pub name: String,
    /// Where it is in its life.
    pub state: InstanceState,
    /// The name of its provider, if it has one.
    pub provider: Option<String>,
    /// Its activity, if it has one.
    pub activity: Option<ActivityId>,
    /// What went wrong last, unless it has run since.
    pub cause: Option<String>,
}

/// `simple-service-1 running on ada`, and what went wrong.
impl fmt::Display for InstanceStatus {
    fn fmt(&self, formatter: &mut fmt::Formatter) -> fmt::Result {
        write!(formatter, "{} {}", self.name, self.state)?;
        if let Some(provider) = &self.provider {
            write!(formatter, " on {provider}")?;
        }
        match &self.cause {
            Some(cause) => write!(formatter, ": {cause}"),
            None => Ok(()),
        }
    }
}

/// What is done whenever an instance changes its state.
pub(super) type OnChange = Arc<dyn Fn(&InstanceStatus) + Send + Sync>;

/// What an instance needs of the world.
#[derive(Clone)]
pub(super) struct Surroundings {
    pub(super) yagna: Arc<dyn Yagna>,
    pub(super) market: Market,
    pub(super) accountant: Accountant,
    pub(super) events: Events,
    pub(super) on_change: OnChange,
    pub(super) clock: Clock,
    pub(super) stop: CancellationToken,
    pub(super) overdraft: Overdraft,
}

/// Why a step was not taken to its end.
enum Halt {
    /// The instance was told to stop.
    Stopped,
    Failed(HandlerError),
}

impl From<HandlerError> for Halt {
    fn from(error: HandlerError) -> Self {
        Self::Failed(error)
    }
}

impl Surroundings {
    /// Does something as long as the cluster is to go on: until it is stopped, or the budget does not pay for it.
    async fn unless_stopped<T>(&self, work: impl Future<Output = T>) -> Result<T, Halt> {
        tokio::select! {
            biased;
            () = self.stop.cancelled() => Err(Halt::Stopped),
            why = self.overdraft.reported() => Err(HandlerError::terminal(why).into()),
            done = work => Ok(done),
        }
    }
}

/// One instance, and what it holds.
pub(super) struct Instance {
    world: Surroundings,
    status: watch::Sender<InstanceStatus>,
    agreement: Option<Arc<Agreement>>,
    activity: Option<(Activity, Instant)>,
    /// Its place in a network, whichever provider it is at.
    network_node: Option<NetworkNode>,
    /// What went wrong first since it began, or began anew.
    cause: Option<String>,
    /// How often it had to begin anew.
    restarts: u32,
}

impl Instance {
    pub(super) fn new(
        world: Surroundings,
        name: String,
        network_node: Option<NetworkNode>,
    ) -> (Self, watch::Receiver<InstanceStatus>) {
        let state = InstanceState::Pending;
        let status = InstanceStatus {
            name,
            state,
            provider: None,
            activity: None,
            cause: None,
        };
        let (status, receiver) = watch::channel(status);
        (
            Self {
                world,
                status,
                agreement: None,
                activity: None,
                network_node,
                cause: None,
                restarts: 0,
            },
            receiver,
        )
    }

    /// Lives from the search for a provider to the end, with a service made anew at each start. Whatever panics on the
    /// way, what is held is given back.
    pub(super) async fn live<S: Service>(mut self, make: impl FnMut() -> S) {
        let life = AssertUnwindSafe(self.take_steps(make)).catch_unwind();
        if let Err(panic) = life.await {
            let cause = panicked("its program", &*panic).chain();
            self.cause.get_or_insert(cause);
            self.give_back().await;
            let told = panic::catch_unwind(AssertUnwindSafe(|| {
                self.announce(InstanceState::Terminated);
            }));
            if told.is_err() {
                tracing::warn!(instance = self.name(), "its last change could not be told");
            }
        }
    }

    async fn take_steps<S: Service>(&mut self, mut make: impl FnMut() -> S) {
        let (mut state, mut step) = (InstanceState::Pending, Step::Find);
        let mut service = make();
        while step != Step::End {
            let outcome = self.take(step, &mut service).await;
            let (event, cause) = judge(outcome);
            (state, step) = lifecycle::next(state, event);
            // What goes wrong after it is a consequence, or no matter.
            self.cause = self.cause.take().or(cause);
            if matches!(step, Step::Find | Step::End) {
                self.give_back().await;
            }
            self.announce(state);
            if step == Step::Find {
                self.cause = None;
                self.restarts += 1;
                service = make();
            }
        }
    }

    async fn take<S: Service>(&mut self, step: Step, service: &mut S) -> Result<(), Halt> {
        let activity = match &self.activity {
            Some((activity, _)) => activity.clone(),
            None => return self.find().await,
        };
        let ctx = WorkContext {
            instance_name: self.name().into(),
            activity: activity.clone(),
        };
        match step {
            Step::Start => {
                let phase = async { drive(service.start(&ctx), &activity).await };
                let phase = while_alive(&activity, phase);
                Ok(self.world.unless_stopped(phase).await??)
            }
            Step::Run => {
                let phase = async { drive(service.run(&ctx), &activity).await };
                let phase = while_alive(&activity, phase);
                Ok(self.world.unless_stopped(phase).await??)
            }
            Step::Shutdown => {
                let phase = async { drive(service.shutdown(&ctx), &activity).await };
                let phase = timeout(SHUTDOWN_TIMEOUT, while_alive(&activity, phase));
                Ok(phase
                    .await
                    .map_err(|_| HandlerError::from(ShutdownTooLong))??)
            }
            Step::Find | Step::End => unreachable!("an activity is given back before"),
        }
    }

    fn name(&self) -> String {
        self.status.borrow().name.clone()
    }

    /// Tells where it is in its life, and why; the status last, so that who sees it there has heard of it.
    fn announce(&self, state: InstanceState) {
        let mut status = self.status.borrow().clone();
        status.state = state;
        status.cause = self.cause.clone().or(status.cause);
        match state {
            InstanceState::Pending => (status.provider, status.activity) = (None, None),
            InstanceState::Running => status.cause = None,
            _ => {}
        }
        if let Some((activity, _)) = &self.activity {
            status.provider = Some(activity.agreement.provider_name().to_owned());
            status.activity = Some(activity.id.clone());
        }
        let told = panic::catch_unwind(AssertUnwindSafe(|| (self.world.on_change)(&status)));
        self.world
            .events
            .send(Event::InstanceChanged(status.clone()));
        self.status.send_replace(status);
        if let Err(panic) = told {
            panic::resume_unwind(panic);
        }
    }
}

#[derive(Debug, thiserror::Error)]
#[error(
    "its shutdown, and what ran before it, took more than {} s",
    SHUTDOWN_TIMEOUT.as_secs()
)]
struct ShutdownTooLong;

/// Drives a handler as long as its activity lives. A handler that panics has failed for good.
async fn while_alive(activity: &Activity, phase: impl Future<Output = Result<()>>) -> Result<()> {
    let phase = AssertUnwindSafe(phase).catch_unwind();
    tokio::select! {
        outcome = phase => outcome.unwrap_or_else(|panic| Err(panicked("a handler", &*panic))),
        ended = activity.ended(HEALTH_INTERVAL) => Err(ended.into()),
    }
}

fn panicked(who: &str, panic: &(dyn Any + Send)) -> HandlerError {
    HandlerError::terminal(format!("{who} panicked: {}", last_words(panic)))
}

/// What a step's outcome means for the instance's life, and what went wrong.
fn judge(outcome: Result<(), Halt>) -> (lifecycle::Event, Option<String>) {
    let error = match outcome {
        Ok(()) => return (lifecycle::Event::Done, None),
        Err(Halt::Stopped) => return (lifecycle::Event::Stopped, None),
        Err(Halt::Failed(error)) => error,
    };
    let event = match error.source().downcast_ref() {
        Some(CommandError::ActivityEnded { .. }) => lifecycle::Event::ActivityEnded,
        _ if error.is_terminal() => lifecycle::Event::FailedForGood,
        _ => lifecycle::Event::Failed,
    };
    (event, Some(error.chain()))
}

/// How long to wait before the next start.
fn pause(restarts: u32) -> Duration {
    let (first, last) = RESTART_PAUSE;
    match restarts {
        0 => Duration::ZERO,
        again => first.saturating_mul(1 << (again - 1).min(16)).min(last),
    }
}
