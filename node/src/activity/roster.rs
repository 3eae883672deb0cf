//! The roster of all activities, and what their providers are asked to do about them.
//!
//! ```text
//!   create ──▶ New ──▶ Initialized ──▶ … as the exe-unit reports … ──▶ Terminated
//!                                                                        ▲
//!                           destroy: the provider is asked to end it ────┘
//! ```
//! Terminated is the end: whatever is reported afterwards is too late, and means nothing.

use std::collections::VecDeque;

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};
use ya_client_model::{
    NodeId,
    activity::{
        ActivityState, ActivityUsage, ProviderEvent, State, StatePair,
        provider_event::ProviderEventType,
    },
};

use crate::{
    id::{ActivityId, AgreementId, BatchId, Ids},
    market::Deal,
    owned::Machine,
    state::{Happening, Kept, Logs, Record, StateError, Store, entity},
};

/// All activities, decided step by step.
#[derive(Debug)]
pub(crate) struct Roster {
    ids: Ids,
    activities: Kept<ActivityId, Activity>,
    events: Logs<NodeId, Order>,
    changes: Vec<Topic>,
}

/// What somebody may wait for.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Topic {
    /// An activity's state.
    Activity(ActivityId),
    /// What a provider is asked to do.
    Orders(NodeId),
}

#[derive(Debug, Serialize, Deserialize)]
struct Activity {
    agreement: AgreementId,
    requestor: NodeId,
    provider: NodeId,
    state: ActivityState,
    usage: ActivityUsage,
    ending: bool,
    created: DateTime<Utc>,
    /// Since when it is terminated.
    #[serde(default)]
    ended: Option<DateTime<Utc>>,
    /// What it was told to run, the oldest first; the last [`BATCHES`] of all.
    batches: VecDeque<BatchId>,
    /// How many there were before these.
    #[serde(default)]
    earlier_batches: usize,
}

/// How many batches of an activity are remembered: what a page shows.
const BATCHES: usize = 50;

/// What an activity was told to run since somebody looked.
#[derive(Debug, PartialEq)]
pub(crate) struct MoreBatches {
    pub(crate) batches: Vec<BatchId>,
    /// How many were seen with these.
    pub(crate) seen: usize,
}

/// An activity as whoever runs the node sees it.
#[derive(Clone, Debug)]
pub(crate) struct ActivityOverview {
    pub(crate) id: ActivityId,
    pub(crate) agreement: AgreementId,
    pub(crate) provider: NodeId,
    pub(crate) state: ActivityState,
    /// By the agreement's counters, as far as it was counted.
    pub(crate) usage: Vec<f64>,
    /// Whether its provider was asked to end it.
    pub(crate) is_ending: bool,
    pub(crate) created: DateTime<Utc>,
    /// How many batches it was told to run.
    pub(crate) batches: usize,
}

/// What a provider is asked to do about an activity.
#[derive(Clone, Debug, Serialize, Deserialize)]
struct Order {
    activity: ActivityId,
    agreement: AgreementId,
    what: ProviderEventType,
}

/// There is no such activity of the caller's.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("activity {0} not found")]
pub(crate) struct NoActivity(pub(crate) ActivityId);

entity!(Activity, "activities");

impl Activity {
    fn all_batches(&self) -> usize {
        self.earlier_batches + self.batches.len()
    }

    fn over_since(&self) -> Option<DateTime<Utc>> {
        let is_over = self.state.state.0 == State::Terminated;
        is_over.then(|| self.ended.unwrap_or(self.created))
    }
}

impl Happening for Order {
    const LOG: &'static str = "orders";
}

impl Roster {
    /// An empty roster.
    pub(crate) fn new(ids: Ids) -> Self {
        Self {
            ids,
            activities: Kept::default(),
            events: Logs::default(),
            changes: Vec::new(),
        }
    }

    /// The roster that is in the store, if there is one.
    pub(crate) fn load(ids: Ids, store: Option<&Store>) -> Result<Self, StateError> {
        Ok(Self {
            activities: Kept::load(store)?,
            events: Logs::load(store)?,
            ..Self::new(ids)
        })
    }

    /// Has an activity created by the provider of a deal.
    pub(crate) fn create(&mut self, deal: &Deal, now: DateTime<Utc>) -> ActivityId {
        let id = self.ids.activity();
        let activity = Activity {
            agreement: deal.agreement.clone(),
            requestor: deal.requestor,
            provider: deal.provider,
            state: StatePair(State::New, None).into(),
            usage: ActivityUsage {
                current_usage: None,
                timestamp: now.timestamp(),
            },
            ending: false,
            created: now,
            ended: None,
            batches: VecDeque::new(),
            earlier_batches: 0,
        };
        self.activities.insert(id.clone(), activity);
        self.activities.forget(now, Activity::over_since);
        let create = ProviderEventType::CreateActivity {
            requestor_pub_key: None,
        };
        self.order(&id, create, now);
        id
    }

    /// Whose activity it is: its requestor and its provider.
    pub(crate) fn parties(&self, id: &ActivityId) -> Option<(NodeId, NodeId)> {
        let activity = self.activities.get(id)?;
        Some((activity.requestor, activity.provider))
    }

    /// Has an activity of the caller's ended by its provider, unless it has ended or is about to.
    pub(crate) fn destroy(
        &mut self,
        caller: NodeId,
        id: &ActivityId,
        now: DateTime<Utc>,
    ) -> Result<(), NoActivity> {
        let activity = self.of(caller, id)?;
        if activity.requestor != caller {
            return Err(NoActivity(id.clone()));
        }
        if activity.ending || !activity.state.alive() {
            return Ok(());
        }
        if let Some(activity) = self.activities.get_mut(id) {
            activity.ending = true;
        }
        self.order(id, ProviderEventType::DestroyActivity {}, now);
        Ok(())
    }

    /// Notes what an exe-unit or its provider says an activity's state is. The first end of it is the one that counts.
    pub(crate) fn report_state(
        &mut self,
        id: &ActivityId,
        state: ActivityState,
        now: DateTime<Utc>,
    ) -> Result<(), NoActivity> {
        let activity = self.get_mut(id)?;
        if activity.state.state.0 != State::Terminated {
            activity.state = state;
            activity.ended = (activity.state.state.0 == State::Terminated).then_some(now);
            self.changes.push(Topic::Activity(id.clone()));
        }
        Ok(())
    }

    /// Notes what an activity has used, as its exe-unit says.
    pub(crate) fn report_usage(
        &mut self,
        id: &ActivityId,
        usage: ActivityUsage,
    ) -> Result<(), NoActivity> {
        let activity = self.get_mut(id)?;
        // Whoever reports on what has ended is an exe-unit that nobody knows, and learns that so.
        if activity.state.state.0 == State::Terminated {
            return Err(NoActivity(id.clone()));
        }
        activity.usage = usage;
        Ok(())
    }

    /// Notes that an activity was told to run a batch.
    pub(crate) fn note_batch(&mut self, id: &ActivityId, batch: BatchId) {
        if let Ok(activity) = self.get_mut(id) {
            activity.batches.push_back(batch);
            while activity.batches.len() > BATCHES {
                activity.batches.pop_front();
                activity.earlier_batches += 1;
            }
            self.changes.push(Topic::Activity(id.clone()));
        }
    }

    /// What an activity was told to run after some batches, as far as it is remembered; nothing if it has ended and
    /// nothing will come.
    pub(crate) fn batches_after(&self, id: &ActivityId, seen: usize) -> Option<MoreBatches> {
        let activity = self.activities.get(id)?;
        let known = seen.saturating_sub(activity.earlier_batches);
        let batches: Vec<_> = activity.batches.iter().skip(known).cloned().collect();
        let has_ended = activity.state.state.0 == State::Terminated;
        let seen = activity.all_batches().max(seen);
        (!batches.is_empty() || !has_ended).then_some(MoreBatches { batches, seen })
    }

    /// All activities, by whomever.
    pub(crate) fn all(&self) -> Vec<ActivityOverview> {
        let overview = |(id, activity): (&ActivityId, &Activity)| ActivityOverview {
            id: id.clone(),
            agreement: activity.agreement.clone(),
            provider: activity.provider,
            state: activity.state.clone(),
            usage: activity.usage.current_usage.clone().unwrap_or_default(),
            is_ending: activity.ending,
            created: activity.created,
            batches: activity.all_batches(),
        };
        self.activities.iter().map(overview).collect()
    }

    /// The state of an activity of the caller's.
    pub(crate) fn state(
        &self,
        caller: NodeId,
        id: &ActivityId,
    ) -> Result<&ActivityState, NoActivity> {
        self.of(caller, id).map(|activity| &activity.state)
    }

    /// Fails unless it is the caller for whom an activity runs.
    pub(crate) fn check_requestor(
        &self,
        caller: NodeId,
        id: &ActivityId,
    ) -> Result<(), NoActivity> {
        match self.of(caller, id)?.requestor == caller {
            true => Ok(()),
            false => Err(NoActivity(id.clone())),
        }
    }

    /// Fails unless it is the caller who runs an activity.
    pub(crate) fn check_provider(&self, caller: NodeId, id: &ActivityId) -> Result<(), NoActivity> {
        match self.of(caller, id)?.provider == caller {
            true => Ok(()),
            false => Err(NoActivity(id.clone())),
        }
    }

    /// What an activity of the caller's has used.
    pub(crate) fn usage(
        &self,
        caller: NodeId,
        id: &ActivityId,
    ) -> Result<&ActivityUsage, NoActivity> {
        self.of(caller, id).map(|activity| &activity.usage)
    }

    /// Under which agreement an activity of the caller's is.
    pub(crate) fn agreement(
        &self,
        caller: NodeId,
        id: &ActivityId,
    ) -> Result<&AgreementId, NoActivity> {
        self.of(caller, id).map(|activity| &activity.agreement)
    }

    /// The caller's activities that have not ended, under one agreement or all.
    pub(crate) fn list(&self, caller: NodeId, agreement: Option<&AgreementId>) -> Vec<ActivityId> {
        let own = self.activities.iter().filter(|(_, one)| {
            [one.requestor, one.provider].contains(&caller)
                && one.state.alive()
                && agreement.is_none_or(|agreement| *agreement == one.agreement)
        });
        own.map(|(id, _)| id.clone()).collect()
    }

    /// A name for a batch.
    pub(crate) fn new_batch(&mut self) -> BatchId {
        self.ids.batch()
    }

    /// What a provider was asked to do after a time.
    pub(crate) fn orders(
        &self,
        provider: NodeId,
        after: DateTime<Utc>,
        at_most: usize,
    ) -> Vec<ProviderEvent> {
        self.events
            .after(&provider, after)
            .take(at_most)
            .map(|(event_date, order)| ProviderEvent {
                activity_id: order.activity.to_string(),
                agreement_id: order.agreement.to_string(),
                event_type: order.what.clone(),
                event_date,
            })
            .collect()
    }

    fn order(&mut self, id: &ActivityId, what: ProviderEventType, now: DateTime<Utc>) {
        let Some(activity) = self.activities.get(id) else {
            return;
        };
        let order = Order {
            activity: id.clone(),
            agreement: activity.agreement.clone(),
            what,
        };
        let provider = activity.provider;
        self.events.push(provider, now, order);
        self.changes.push(Topic::Orders(provider));
    }

    fn of(&self, caller: NodeId, id: &ActivityId) -> Result<&Activity, NoActivity> {
        self.activities
            .get(id)
            .filter(|activity| [activity.requestor, activity.provider].contains(&caller))
            .ok_or_else(|| NoActivity(id.clone()))
    }

    fn get_mut(&mut self, id: &ActivityId) -> Result<&mut Activity, NoActivity> {
        self.activities
            .get_mut(id)
            .ok_or_else(|| NoActivity(id.clone()))
    }
}

impl Machine for Roster {
    type Topic = Topic;

    fn take_changes(&mut self) -> Vec<Topic> {
        std::mem::take(&mut self.changes)
    }

    fn take_records(&mut self) -> Vec<Record> {
        let mut records = self.activities.take_records();
        records.extend(self.events.take_records());
        records
    }
}
