//! The book in which all money is entered.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use chrono::{DateTime, Utc};
use ya_client_model::NodeId;

use super::{
    allocation::Allocation,
    bill::{Bill, BillEvent, BillKind},
    platform::Platform,
    settlement::{Payment, Tab},
};
use crate::{
    id::{ActivityId, AgreementId, AllocationId, BillId, Ids, PaymentId},
    log::EventLog,
    owned::Machine,
};

/// All allocations, bills and payments, decided step by step.
#[derive(Debug)]
pub(crate) struct Book {
    pub(super) ids: Ids,
    pub(super) platforms: Vec<Platform>,
    pub(super) allocations: BTreeMap<AllocationId, Allocation>,
    pub(super) bills: BTreeMap<BillId, Bill>,
    pub(super) tabs: BTreeMap<AgreementId, Tab>,
    /// Which debit note was the last one of each activity.
    pub(super) last_notes: BTreeMap<ActivityId, BillId>,
    /// What each node has paid and was paid.
    pub(super) payments: HashMap<NodeId, EventLog<Payment>>,
    /// What happened to the bills that a node has sent or got.
    pub(super) events: HashMap<(NodeId, BillKind), EventLog<(BillId, BillEvent)>>,
    pub(super) deadlines: BTreeSet<(DateTime<Utc>, Deadline)>,
    pub(super) changes: Vec<Topic>,
}

/// What somebody may wait for.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Topic {
    /// Something happened to one of a node's bills of a kind.
    Events(NodeId, BillKind),
    /// One of its payments arrived.
    Payments(NodeId),
}

/// What is due at a time.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Deadline {
    /// The money set aside is free again.
    Release(AllocationId),
    /// The money arrives.
    Settle(BillId),
}

impl Book {
    /// An empty book, for money on certain platforms.
    pub(crate) fn new(ids: Ids, platforms: Vec<Platform>) -> Self {
        Self {
            ids,
            platforms,
            allocations: BTreeMap::new(),
            bills: BTreeMap::new(),
            tabs: BTreeMap::new(),
            last_notes: BTreeMap::new(),
            payments: HashMap::new(),
            events: HashMap::new(),
            deadlines: BTreeSet::new(),
            changes: Vec::new(),
        }
    }

    /// What happened to a node's bills of a kind after a time.
    pub(crate) fn events(
        &self,
        owner: NodeId,
        kind: BillKind,
        after: DateTime<Utc>,
        at_most: usize,
    ) -> Vec<(DateTime<Utc>, BillId, BillEvent)> {
        let events = self.events.get(&(owner, kind));
        events
            .into_iter()
            .flat_map(|log| log.after(after))
            .take(at_most)
            .map(|(date, (bill, event))| (date, bill.clone(), event.clone()))
            .collect()
    }

    /// What a node has paid and was paid after a time.
    pub(crate) fn payments(
        &self,
        owner: NodeId,
        after: DateTime<Utc>,
        at_most: usize,
    ) -> Vec<(DateTime<Utc>, Payment)> {
        let payments = self.payments.get(&owner);
        payments
            .into_iter()
            .flat_map(|log| log.after(after))
            .take(at_most)
            .map(|(date, payment)| (date, payment.clone()))
            .collect()
    }

    /// A payment of a node's.
    pub(crate) fn payment(
        &self,
        owner: NodeId,
        id: &PaymentId,
    ) -> Option<(DateTime<Utc>, Payment)> {
        let all = self.payments.get(&owner)?.after(DateTime::UNIX_EPOCH);
        let mut those = all.filter(|(_, payment)| payment.id == *id);
        those.next().map(|(date, payment)| (date, payment.clone()))
    }

    /// What was paid for a bill, which one of its sides asks for.
    pub(crate) fn payments_for(
        &self,
        owner: NodeId,
        bill: &BillId,
    ) -> Vec<(DateTime<Utc>, Payment)> {
        let all = self.payments.get(&owner).into_iter();
        all.flat_map(|log| log.after(DateTime::UNIX_EPOCH))
            .filter(|(_, payment)| payment.bill == *bill)
            .map(|(date, payment)| (date, payment.clone()))
            .collect()
    }

    /// Enters that something happened to a bill, for `owner`, one of its sides.
    pub(super) fn announce(
        &mut self,
        owner: NodeId,
        kind: BillKind,
        bill: &BillId,
        event: BillEvent,
        now: DateTime<Utc>,
    ) {
        let log = self.events.entry((owner, kind)).or_default();
        log.push(now, (bill.clone(), event));
        self.changes.push(Topic::Events(owner, kind));
    }
}

impl Machine for Book {
    type Topic = Topic;

    fn take_changes(&mut self) -> Vec<Topic> {
        std::mem::take(&mut self.changes)
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
                Deadline::Release(id) => self.close(&id),
                Deadline::Settle(id) => self.settle(&id, now),
            }
        }
    }
}
