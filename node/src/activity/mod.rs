//! Activities: exe-units at work under agreements.
//!
//! A [`Roster`](roster::Roster) decides who is to do what, purely; [`Activities`] is what the rest of the node asks. What
//! a requestor wants of an exe-unit goes to it over the bus.

mod ask;
mod events;
mod exec;
mod record;
mod reports;
mod roster;
mod watch;

#[cfg(test)]
mod tests;

use std::{
    sync::{Arc, atomic::AtomicU64},
    time::Duration,
};

use chrono::{DateTime, Utc};
use tokio_util::task::TaskTracker;
use ya_client_model::{
    NodeId,
    activity::{ActivityState, ActivityUsage, ProviderEvent, State},
    market::agreement::State as AgreementState,
};

use self::roster::{Roster, Topic};
pub(crate) use self::{
    exec::ExecError,
    record::{ActivityOverview, MoreBatches},
    roster::NoActivity,
};
use crate::{
    clock::Clock,
    gsb::Bus,
    id::{ActivityId, AgreementId, Ids},
    market::{AgreementError, Market},
    owned::Owned,
    state::{StateError, Store},
};

/// The activities, for requestors and providers. Each operation says on whose behalf.
#[derive(Clone, Debug)]
pub(crate) struct Activities {
    roster: Owned<Roster>,
    market: Market,
    bus: Bus,
    /// How many streams of events were opened.
    streams: Arc<AtomicU64>,
}

/// Why an activity is not there.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum CreateActivityError {
    /// The caller has no such agreement, or is not its requestor.
    #[error(transparent)]
    Agreement(#[from] AgreementError),
    /// The provider is not bound.
    #[error("agreement {agreement} is {state}, there can be no activity under it")]
    NotApproved {
        /// The agreement.
        agreement: AgreementId,
        /// Its state.
        state: AgreementState,
    },
    /// It ended before it began.
    #[error("activity {activity} could not be created: {reason}")]
    Ended {
        /// The activity.
        activity: ActivityId,
        /// How it ended.
        reason: String,
    },
    /// The provider has not created it in time, and needs not any more.
    #[error("activity {0} was not created in time")]
    Timeout(ActivityId),
}

/// Why an activity has not ended.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum DestroyActivityError {
    /// It is not the caller's to end.
    #[error(transparent)]
    NotFound(#[from] NoActivity),
    /// The provider has not ended it in time; it will.
    #[error("activity {0} has not ended in time")]
    Timeout(ActivityId),
}

impl Activities {
    /// Begins a roster, for the agreements of `market` and the exe-units on `bus`.
    pub(crate) async fn open(
        ids: Ids,
        clock: Clock,
        tasks: &TaskTracker,
        market: Market,
        bus: Bus,
        store: Option<Store>,
    ) -> Result<Self, StateError> {
        let roster = Roster::load(ids, store.as_ref())?;
        let roster = Owned::start_kept(roster, clock, tasks, store);
        let served = bus.serve(reports::ADDRESS).await;
        let (_, calls) = served.expect("nobody else is on the bus yet");
        tasks.spawn(reports::serve(calls, roster.clone()));
        Ok(Self {
            roster,
            market,
            bus,
            streams: Arc::default(),
        })
    }

    /// Has an activity created by an agreement's provider, and waits until it is.
    pub(crate) async fn create(
        &self,
        caller: NodeId,
        agreement: AgreementId,
        timeout: Duration,
    ) -> Result<ActivityId, CreateActivityError> {
        let deal = self.market.deal(caller, agreement.clone()).await?;
        if deal.requestor != caller {
            return Err(AgreementError::NotFound(agreement).into());
        }
        if deal.state != AgreementState::Approved {
            return Err(CreateActivityError::NotApproved {
                agreement,
                state: deal.state,
            });
        }
        let id = self
            .roster
            .ask(move |roster, now| roster.create(&deal, now))
            .await;
        let known = |state: &ActivityState| state.state.0 != State::New;
        match self.wait_for_state(caller, &id, timeout, known).await {
            Ok(Some(state)) if has_ended(&state) => Err(CreateActivityError::Ended {
                activity: id,
                reason: obituary(&state),
            }),
            Ok(Some(_)) => Ok(id),
            Ok(None) | Err(NoActivity(_)) => {
                let late = id.clone();
                let destroyed = self
                    .roster
                    .ask(move |roster, now| roster.destroy(caller, &late, now));
                // It was there a moment ago.
                let _ = destroyed.await;
                Err(CreateActivityError::Timeout(id))
            }
        }
    }

    /// Has an activity ended by its provider, and waits until it is.
    pub(crate) async fn destroy(
        &self,
        caller: NodeId,
        id: ActivityId,
        timeout: Duration,
    ) -> Result<(), DestroyActivityError> {
        let ending = id.clone();
        self.roster
            .ask(move |roster, now| roster.destroy(caller, &ending, now))
            .await?;
        match self.wait_for_state(caller, &id, timeout, has_ended).await? {
            Some(_) => Ok(()),
            None => Err(DestroyActivityError::Timeout(id)),
        }
    }

    /// The state of an activity.
    pub(crate) async fn state(
        &self,
        caller: NodeId,
        id: ActivityId,
    ) -> Result<ActivityState, NoActivity> {
        self.roster
            .ask(move |roster, _| roster.state(caller, &id).cloned())
            .await
    }

    /// What an activity has used.
    pub(crate) async fn usage(
        &self,
        caller: NodeId,
        id: ActivityId,
    ) -> Result<ActivityUsage, NoActivity> {
        self.roster
            .ask(move |roster, _| roster.usage(caller, &id).cloned())
            .await
    }

    /// Whose an activity is: its requestor and its provider.
    pub(crate) async fn parties(&self, id: ActivityId) -> Option<(NodeId, NodeId)> {
        self.roster.ask(move |roster, _| roster.parties(&id)).await
    }

    /// All activities, by whomever.
    pub(crate) async fn all(&self) -> Vec<ActivityOverview> {
        self.roster.ask(|roster, _| roster.all()).await
    }

    /// What an activity was told to run after some batches, once there is more; nothing if there never will be.
    pub(crate) async fn batches_after(
        &self,
        id: &ActivityId,
        seen: usize,
        timeout: Duration,
    ) -> Option<MoreBatches> {
        let (topic, id) = (Topic::Activity(id.clone()), id.clone());
        let more = self.roster.poll(topic, timeout, move |roster, _| {
            match roster.batches_after(&id, seen) {
                Some(more) if more.batches.is_empty() => None,
                more => Some(more),
            }
        });
        let none = MoreBatches {
            batches: Vec::new(),
            seen,
        };
        more.await.unwrap_or(Some(none))
    }

    /// Under which agreement an activity is.
    pub(crate) async fn agreement(
        &self,
        caller: NodeId,
        id: ActivityId,
    ) -> Result<AgreementId, NoActivity> {
        self.roster
            .ask(move |roster, _| roster.agreement(caller, &id).cloned())
            .await
    }

    /// The caller's activities that have not ended, under one agreement or all.
    pub(crate) async fn list(
        &self,
        caller: NodeId,
        agreement: Option<AgreementId>,
    ) -> Vec<ActivityId> {
        self.roster
            .ask(move |roster, _| roster.list(caller, agreement.as_ref()))
            .await
    }

    /// Returns when an activity has ended.
    pub(crate) async fn ended(&self, caller: NodeId, id: ActivityId) {
        let hour = Duration::from_secs(3600);
        while let Ok(None) = self.wait_for_state(caller, &id, hour, has_ended).await {}
    }

    /// What a provider is asked to do since a time, in one of its sessions or in all; waits for something.
    pub(crate) async fn orders(
        &self,
        provider: NodeId,
        session: Option<String>,
        after: DateTime<Utc>,
        timeout: Duration,
        at_most: usize,
    ) -> Vec<ProviderEvent> {
        let topic = Topic::Orders(provider);
        let orders = self.roster.poll(topic, timeout, move |roster, _| {
            let orders = roster.orders(provider, session.as_deref(), after, at_most);
            (!orders.is_empty()).then_some(orders)
        });
        orders.await.unwrap_or_default()
    }

    /// Notes a state that an activity's provider knows better than its exe-unit.
    pub(crate) async fn report_state(
        &self,
        provider: NodeId,
        id: ActivityId,
        state: ActivityState,
    ) -> Result<(), NoActivity> {
        self.roster
            .ask(move |roster, now| {
                roster.check_provider(provider, &id)?;
                roster.report_state(&id, state, now)
            })
            .await
    }

    async fn wait_for_state(
        &self,
        caller: NodeId,
        id: &ActivityId,
        timeout: Duration,
        wanted: impl Fn(&ActivityState) -> bool + Send + Sync + 'static,
    ) -> Result<Option<ActivityState>, NoActivity> {
        let (topic, id) = (Topic::Activity(id.clone()), id.clone());
        let state = self.roster.poll(topic, timeout, move |roster, _| {
            match roster.state(caller, &id) {
                Ok(state) if !wanted(state) => None,
                state => Some(state.cloned()),
            }
        });
        state.await.transpose()
    }
}

/// Below which address exe-units are on the bus.
const SERVICES: &str = "/public/exeunit/";

/// Where an activity's exe-unit is on the bus.
pub(crate) fn service(id: &ActivityId) -> String {
    format!("{SERVICES}{id}")
}

fn has_ended(state: &ActivityState) -> bool {
    state.state.0 == State::Terminated
}

/// How an activity ended, in words.
fn obituary(state: &ActivityState) -> String {
    match (&state.reason, &state.error_message) {
        (Some(reason), Some(error)) => format!("{reason}: {error}"),
        (Some(text), None) | (None, Some(text)) => text.clone(),
        (None, None) => "no reason is known".to_owned(),
    }
}
