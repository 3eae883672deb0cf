//! One activity.

use std::collections::VecDeque;

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};
use ya_client_model::{
    NodeId,
    activity::{ActivityState, ActivityUsage, State, StatePair},
};

use crate::{
    id::{ActivityId, AgreementId, BatchId},
    market::Deal,
    state::entity,
};

/// What is known of an activity.
#[derive(Debug, Serialize, Deserialize)]
pub(super) struct Activity {
    pub(super) agreement: AgreementId,
    pub(super) requestor: NodeId,
    pub(super) provider: NodeId,
    /// In which of the provider's sessions.
    #[serde(default)]
    pub(super) session: Option<String>,
    pub(super) state: ActivityState,
    /// What its state was, as far as is known, if it is unresponsive now.
    #[serde(default)]
    pub(super) responsive: Option<ActivityState>,
    pub(super) usage: ActivityUsage,
    pub(super) ending: bool,
    pub(super) created: DateTime<Utc>,
    /// Since when it is terminated.
    #[serde(default)]
    pub(super) ended: Option<DateTime<Utc>>,
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

entity!(Activity, "activities");

impl Activity {
    /// An activity under a deal, which its provider has not created yet.
    pub(super) fn new(deal: &Deal, now: DateTime<Utc>) -> Self {
        Self {
            agreement: deal.agreement.clone(),
            requestor: deal.requestor,
            provider: deal.provider,
            session: deal.provider_session.clone(),
            state: StatePair(State::New, None).into(),
            responsive: None,
            usage: ActivityUsage {
                current_usage: None,
                timestamp: now.timestamp(),
            },
            ending: false,
            created: now,
            ended: None,
            batches: VecDeque::new(),
            earlier_batches: 0,
        }
    }

    /// As whoever runs the node sees it.
    pub(super) fn overview(&self, id: ActivityId) -> ActivityOverview {
        ActivityOverview {
            id,
            agreement: self.agreement.clone(),
            provider: self.provider,
            state: self.state.clone(),
            usage: self.usage.current_usage.clone().unwrap_or_default(),
            is_ending: self.ending,
            created: self.created,
            batches: self.all_batches(),
        }
    }

    /// Notes that it was told to run a batch.
    pub(super) fn note_batch(&mut self, batch: BatchId) {
        self.batches.push_back(batch);
        while self.batches.len() > BATCHES {
            self.batches.pop_front();
            self.earlier_batches += 1;
        }
    }

    /// What it was told to run after some batches, as far as it is remembered; nothing if it has ended and nothing will
    /// come.
    pub(super) fn batches_after(&self, seen: usize) -> Option<MoreBatches> {
        let known = seen.saturating_sub(self.earlier_batches);
        let batches: Vec<_> = self.batches.iter().skip(known).cloned().collect();
        let seen = self.all_batches().max(seen);
        let is_more_to_come = !batches.is_empty() || !self.has_ended();
        is_more_to_come.then_some(MoreBatches { batches, seen })
    }

    fn all_batches(&self) -> usize {
        self.earlier_batches + self.batches.len()
    }

    /// Since when it is terminated, if it is.
    pub(super) fn over_since(&self) -> Option<DateTime<Utc>> {
        self.has_ended().then(|| self.ended.unwrap_or(self.created))
    }

    /// Whether it is terminated.
    pub(super) fn has_ended(&self) -> bool {
        self.state.state.0 == State::Terminated
    }
}
