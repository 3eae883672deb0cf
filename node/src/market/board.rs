//! The board where demands and offers stand, and what comes of them.

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use chrono::{DateTime, SubsecRound, TimeDelta, Utc};
use ya_client_model::{NodeId, market::Reason};

use super::{
    agreement::{Agreement, AgreementNotice},
    index::Index,
    matching::Terms,
    negotiation::Proposal,
    scan::Scan,
};
use crate::{
    id::{AgreementId, Ids, ProposalId, SubscriptionId},
    owned::Machine,
    state::{Kept, Logs, Record, StateError, Store},
};

/// Who of the two.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Side {
    /// Who asks: the side of a demand.
    Requestor,
    /// Who runs: the side of an offer.
    Provider,
}

impl Side {
    /// The other one.
    pub(crate) fn other(self) -> Self {
        match self {
            Self::Requestor => Self::Provider,
            Self::Provider => Self::Requestor,
        }
    }
}

/// How long a demand or an offer stands, unless it is taken down.
const SUBSCRIPTION_TTL: TimeDelta = TimeDelta::hours(1);

/// All that is on the market, decided step by step.
#[derive(Debug)]
pub(crate) struct Board {
    pub(super) ids: Ids,
    pub(super) subscriptions: BTreeMap<SubscriptionId, Subscription>,
    /// The demands, and the offers.
    indexes: (Index, Index),
    pub(super) scans: BTreeMap<SubscriptionId, Scan>,
    pub(super) proposals: BTreeMap<ProposalId, Proposal>,
    pub(super) agreements: Kept<AgreementId, Agreement>,
    /// What happened to each node's agreements.
    pub(super) events: Logs<NodeId, AgreementNotice>,
    pub(super) deadlines: BTreeSet<(DateTime<Utc>, Deadline)>,
    pub(super) changes: Vec<Topic>,
}

/// What somebody may wait for on the market.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Topic {
    /// Something came for a demand or an offer, or it is gone.
    Subscription(SubscriptionId),
    /// An agreement's state.
    Agreement(AgreementId),
    /// Something happened to one of a node's agreements.
    Events(NodeId),
}

/// What is over at a time.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Deadline {
    Subscription(SubscriptionId),
    Scan(SubscriptionId),
    Agreement(AgreementId),
}

/// A demand or an offer that stands.
#[derive(Debug)]
pub(super) struct Subscription {
    pub(super) owner: NodeId,
    pub(super) side: Side,
    pub(super) terms: Terms,
    pub(super) created: DateTime<Utc>,
    /// What has come for it, and was not fetched yet.
    queue: VecDeque<(DateTime<Utc>, Notice)>,
}

/// What can come for a demand or an offer.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Notice {
    Proposal(ProposalId),
    Rejected(ProposalId, Option<Reason>),
    Agreement(AgreementId),
}

/// There is no such demand or offer of the caller's.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
#[error("subscription {0} not found: it never was, has expired or was taken down")]
pub(crate) struct NoSubscription(pub(crate) SubscriptionId);

impl Board {
    /// An empty board.
    pub(crate) fn new(ids: Ids) -> Self {
        Self {
            ids,
            subscriptions: BTreeMap::new(),
            indexes: Default::default(),
            scans: BTreeMap::new(),
            proposals: BTreeMap::new(),
            agreements: Kept::default(),
            events: Logs::default(),
            deadlines: BTreeSet::new(),
            changes: Vec::new(),
        }
    }

    /// A board with the agreements that are in the store, if there is one.
    pub(crate) fn load(ids: Ids, store: Option<&Store>) -> Result<Self, StateError> {
        let mut board = Self {
            agreements: Kept::load(store)?,
            events: Logs::load(store)?,
            ..Self::new(ids)
        };
        let undecided = board.agreements.iter().filter(|(_, one)| !one.is_decided());
        let deadline =
            |(id, one): (&AgreementId, &Agreement)| (one.valid_to, Deadline::Agreement(id.clone()));
        board.deadlines = undecided.map(deadline).collect();
        Ok(board)
    }

    /// Puts up a demand or an offer. Whatever suits it is proposed to the demand's side.
    pub(crate) fn subscribe(
        &mut self,
        side: Side,
        owner: NodeId,
        terms: Terms,
        now: DateTime<Utc>,
    ) -> SubscriptionId {
        let id = self.ids.subscription();
        let suits = |other: &SubscriptionId| {
            let other = self.subscriptions.get(other);
            other.is_some_and(|other| other.owner != owner && other.terms.suit(&terms))
        };
        let mut suiting = self.index(side.other()).candidates(&terms);
        suiting.retain(suits);
        self.index_mut(side).insert(&id, &terms);
        let subscription = Subscription {
            owner,
            side,
            terms,
            created: now,
            queue: VecDeque::new(),
        };
        self.subscriptions.insert(id.clone(), subscription);
        self.show(&id);
        self.deadlines
            .insert((now + SUBSCRIPTION_TTL, Deadline::Subscription(id.clone())));
        for other in suiting {
            match side {
                Side::Requestor => self.introduce(&id, &other, now),
                Side::Provider => self.introduce(&other, &id, now),
            }
        }
        id
    }

    /// Takes down a demand or an offer of the caller's, with all that is being negotiated about it.
    pub(crate) fn unsubscribe(
        &mut self,
        side: Side,
        caller: NodeId,
        id: &SubscriptionId,
    ) -> Result<(), NoSubscription> {
        self.subscription(side, caller, id)?;
        self.take_down(id);
        Ok(())
    }

    /// Fetches what has come for a demand or an offer of the caller's, the oldest first; it is gone from here then.
    pub(super) fn collect(
        &mut self,
        side: Side,
        caller: NodeId,
        id: &SubscriptionId,
        at_most: usize,
    ) -> Result<Vec<(DateTime<Utc>, Notice)>, NoSubscription> {
        self.subscription(side, caller, id)?;
        let queue = self.subscriptions.get_mut(id).map(|one| &mut one.queue);
        Ok(queue.map_or_else(Vec::new, |queue| {
            let fetched = at_most.min(queue.len());
            queue.drain(..fetched).collect()
        }))
    }

    pub(super) fn subscription(
        &self,
        side: Side,
        caller: NodeId,
        id: &SubscriptionId,
    ) -> Result<&Subscription, NoSubscription> {
        self.subscriptions
            .get(id)
            .filter(|one| one.side == side && one.owner == caller)
            .ok_or_else(|| NoSubscription(id.clone()))
    }

    /// Leaves `notice` for a demand or an offer, if it still stands.
    pub(super) fn notify(&mut self, id: &SubscriptionId, notice: Notice, now: DateTime<Utc>) {
        if let Some(subscription) = self.subscriptions.get_mut(id) {
            let date = now.trunc_subsecs(3);
            subscription.queue.push_back((date, notice));
            self.changes.push(Topic::Subscription(id.clone()));
        }
    }

    fn index(&self, side: Side) -> &Index {
        match side {
            Side::Requestor => &self.indexes.0,
            Side::Provider => &self.indexes.1,
        }
    }

    fn index_mut(&mut self, side: Side) -> &mut Index {
        match side {
            Side::Requestor => &mut self.indexes.0,
            Side::Provider => &mut self.indexes.1,
        }
    }

    fn take_down(&mut self, id: &SubscriptionId) {
        let Some(taken) = self.subscriptions.remove(id) else {
            return;
        };
        self.index_mut(taken.side).remove(id, &taken.terms);
        let deadline = Deadline::Subscription(id.clone());
        self.deadlines
            .remove(&(taken.created + SUBSCRIPTION_TTL, deadline));
        self.proposals
            .retain(|_, proposal| proposal.demand != *id && proposal.offer != *id);
        self.changes.push(Topic::Subscription(id.clone()));
    }
}

impl Machine for Board {
    type Topic = Topic;

    fn take_changes(&mut self) -> Vec<Topic> {
        std::mem::take(&mut self.changes)
    }

    fn take_records(&mut self) -> Vec<Record> {
        let mut records = self.agreements.take_records();
        records.extend(self.events.take_records());
        records
    }

    fn next_deadline(&self) -> Option<DateTime<Utc>> {
        self.deadlines.first().map(|(time, _)| *time)
    }

    fn wake(&mut self, now: DateTime<Utc>) {
        while let Some((time, deadline)) = self.deadlines.pop_first() {
            if time > now {
                self.deadlines.insert((time, deadline));
                return;
            }
            match deadline {
                Deadline::Subscription(id) => self.take_down(&id),
                Deadline::Scan(id) => self.drop_unused_scan(&id, now),
                Deadline::Agreement(id) => self.expire(&id, now),
            }
        }
    }
}
