//! The roster of all activities, and what their providers are asked to do about them.
//!
//! ```text
//!   create ──▶ New ──▶ Initialized ──▶ … as the exe-unit reports … ──▶ Terminated
//!                                                                        ▲
//!                           destroy: the provider is asked to end it ────┘
//! ```
//! Terminated is the end: whatever is reported afterwards is too late, and means nothing. An exe-unit that is silent for
//! too long is Unresponsive until it reports something again; or else its provider is asked to end it.

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};
use ya_client_model::{
    NodeId,
    activity::{
        ActivityState, ActivityUsage, ProviderEvent, State, StatePair,
        provider_event::ProviderEventType,
    },
};

use super::{
    record::{Activity, ActivityOverview, MoreBatches},
    watch::Watch,
};
use crate::{
    id::{ActivityId, AgreementId, BatchId, Ids},
    market::Deal,
    owned::Machine,
    state::{Happening, Kept, Logs, Record, StateError, Store},
};

/// All activities, decided step by step.
#[derive(Debug)]
pub(crate) struct Roster {
    ids: Ids,
    activities: Kept<ActivityId, Activity>,
    events: Logs<NodeId, Order>,
    watch: Watch,
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

/// What a provider is asked to do about an activity.
#[derive(Clone, Debug, Serialize, Deserialize)]
struct Order {
    activity: ActivityId,
    agreement: AgreementId,
    #[serde(default)]
    session: Option<String>,
    what: ProviderEventType,
}

/// There is no such activity of the caller's.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("activity {0} not found")]
pub(crate) struct NoActivity(pub(crate) ActivityId);

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
            watch: Watch::default(),
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
        self.activities.insert(id.clone(), Activity::new(deal, now));
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
        if !activity.ending && !activity.has_ended() {
            self.end(id, now);
        }
        Ok(())
    }

    /// Has an activity ended by its provider.
    fn end(&mut self, id: &ActivityId, now: DateTime<Utc>) {
        if let Some(activity) = self.activities.get_mut(id) {
            activity.ending = true;
        }
        self.order(id, ProviderEventType::DestroyActivity {}, now);
    }

    /// Notes what an exe-unit or its provider says an activity's state is. The first end of it is the one that counts.
    pub(crate) fn report_state(
        &mut self,
        id: &ActivityId,
        state: ActivityState,
        now: DateTime<Utc>,
    ) -> Result<(), NoActivity> {
        let activity = self.get_mut(id)?;
        if !activity.has_ended() {
            activity.state = state;
            activity.responsive = None;
            activity.ended = activity.has_ended().then_some(now);
            if activity.has_ended() {
                self.watch.forget(id);
            }
            self.changes.push(Topic::Activity(id.clone()));
        }
        Ok(())
    }

    /// Notes what an activity has used, as its exe-unit says.
    pub(crate) fn report_usage(
        &mut self,
        id: &ActivityId,
        usage: ActivityUsage,
        now: DateTime<Utc>,
    ) -> Result<(), NoActivity> {
        let activity = self.get_mut(id)?;
        // Whoever reports on what has ended is an exe-unit that nobody knows, and learns that so.
        if activity.has_ended() {
            return Err(NoActivity(id.clone()));
        }
        activity.usage = usage;
        if let Some(state) = activity.responsive.take() {
            activity.state = state;
            self.changes.push(Topic::Activity(id.clone()));
        }
        self.watch.wait_for(id, now);
        Ok(())
    }

    /// Notes that an exe-unit has been silent for too long, for the first time or for good.
    fn note_silence(&mut self, id: &ActivityId, now: DateTime<Utc>) {
        let Ok(activity) = self.get_mut(id) else {
            return;
        };
        if activity.has_ended() || activity.ending {
            return;
        }
        if activity.responsive.is_some() {
            tracing::warn!(activity = %id, "an exe-unit is still silent, and is to end");
            self.end(id, now);
            return;
        }
        tracing::warn!(activity = %id, "an exe-unit is unresponsive");
        let before = activity.state.clone();
        activity.state = StatePair(State::Unresponsive, before.state.1).into();
        activity.responsive = Some(before);
        self.watch.wait_for(id, now);
        self.changes.push(Topic::Activity(id.clone()));
    }

    /// Notes that an activity was told to run a batch.
    pub(crate) fn note_batch(&mut self, id: &ActivityId, batch: BatchId) {
        if let Ok(activity) = self.get_mut(id) {
            activity.note_batch(batch);
            self.changes.push(Topic::Activity(id.clone()));
        }
    }

    /// What an activity was told to run after some batches, as far as it is remembered; nothing if it has ended and
    /// nothing will come.
    pub(crate) fn batches_after(&self, id: &ActivityId, seen: usize) -> Option<MoreBatches> {
        self.activities.get(id)?.batches_after(seen)
    }

    /// All activities, by whomever.
    pub(crate) fn all(&self) -> Vec<ActivityOverview> {
        let overview = |(id, activity): (&ActivityId, &Activity)| activity.overview(id.clone());
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

    /// What a provider was asked to do after a time, in one of its sessions or in all.
    pub(crate) fn orders(
        &self,
        provider: NodeId,
        session: Option<&str>,
        after: DateTime<Utc>,
        at_most: usize,
    ) -> Vec<ProviderEvent> {
        self.events
            .after(&provider, after)
            .filter(|(_, order)| session.is_none() || order.session.as_deref() == session)
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
            session: activity.session.clone(),
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

    fn next_deadline(&self) -> Option<DateTime<Utc>> {
        self.watch.next_deadline()
    }

    fn wake(&mut self, now: DateTime<Utc>) {
        while let Some(id) = self.watch.take_silent(now) {
            self.note_silence(&id, now);
        }
    }
}
