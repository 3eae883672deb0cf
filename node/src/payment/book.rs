//! The book in which all money is entered.

use std::{
    collections::{BTreeMap, BTreeSet},
    fmt,
    str::FromStr,
};

use chrono::{DateTime, Utc};
use ya_client_model::NodeId;

use super::{
    allocation::Allocation,
    bill::{Bill, BillEvent, BillKind, Subject},
    filter::EventFilter,
    platform::Platform,
    settlement::{Payment, Tab},
    view,
};
use crate::{
    id::{ActivityId, AgreementId, AllocationId, BillId, Ids, PaymentId},
    owned::Machine,
    state::{Kept, Logs, Record, StateError, Store},
};

/// All allocations, bills and payments, decided step by step.
#[derive(Debug)]
pub(crate) struct Book {
    pub(super) ids: Ids,
    pub(super) platforms: Vec<Platform>,
    pub(super) allocations: Kept<AllocationId, Allocation>,
    pub(super) bills: Kept<BillId, Bill>,
    pub(super) tabs: Kept<AgreementId, Tab>,
    /// Which debit note was the last one of each activity.
    pub(super) last_notes: BTreeMap<ActivityId, BillId>,
    /// What each node has paid and was paid.
    pub(super) payments: Logs<NodeId, Payment>,
    /// What happened to the bills that a node has sent or got.
    pub(super) events: Logs<Reader, (BillId, BillEvent)>,
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
            allocations: Kept::default(),
            bills: Kept::default(),
            tabs: Kept::default(),
            last_notes: BTreeMap::new(),
            payments: Logs::default(),
            events: Logs::default(),
            deadlines: BTreeSet::new(),
            changes: Vec::new(),
        }
    }

    /// The book that is in the store, if there is one.
    pub(crate) fn load(
        ids: Ids,
        platforms: Vec<Platform>,
        store: Option<&Store>,
    ) -> Result<Self, StateError> {
        let mut book = Self {
            allocations: Kept::load(store)?,
            bills: Kept::load(store)?,
            tabs: Kept::load(store)?,
            payments: Logs::load(store)?,
            events: Logs::load(store)?,
            ..Self::new(ids, platforms)
        };
        let releases = book.allocations.iter().filter_map(|(id, allocation)| {
            Some((allocation.releases_at()?, Deadline::Release(id.clone())))
        });
        // What was on its way arrives at once.
        let on_their_way = book.bills.values().filter(|bill| bill.paying.is_some());
        let arrivals = on_their_way.map(|bill| (bill.created, Deadline::Settle(bill.id.clone())));
        book.deadlines = releases.chain(arrivals).collect();
        book.last_notes = last_notes(book.bills.values());
        Ok(book)
    }

    /// What happened to a node's bills of a kind after a time, as far as it wants to hear of it.
    pub(crate) fn events(
        &self,
        owner: NodeId,
        kind: BillKind,
        filter: &EventFilter,
        after: DateTime<Utc>,
        at_most: usize,
    ) -> Vec<(DateTime<Utc>, BillId, BillEvent)> {
        let is_wanted = |(_, (bill, event)): &(DateTime<Utc>, &(BillId, BillEvent))| {
            let event_type = view::event_type(kind, event);
            filter.wants(owner, self.bills.get(bill), event, &event_type)
        };
        self.events
            .after(&Reader { owner, kind }, after)
            .filter(is_wanted)
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
        self.payments
            .after(&owner, after)
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
        let all = self.payments.after(&owner, DateTime::UNIX_EPOCH);
        let mut those = all.filter(|(_, payment)| payment.id == *id);
        those.next().map(|(date, payment)| (date, payment.clone()))
    }

    /// What was paid for a bill, which one of its sides asks for.
    pub(crate) fn payments_for(
        &self,
        owner: NodeId,
        bill: &BillId,
    ) -> Vec<(DateTime<Utc>, Payment)> {
        let all = self.payments.after(&owner, DateTime::UNIX_EPOCH);
        all.filter(|(_, payment)| payment.bill == *bill)
            .map(|(date, payment)| (date, payment.clone()))
            .collect()
    }

    /// Forgets old bills of which nothing is to come, where there are many.
    ///
    /// An invoice goes after all debit notes of its agreement, and with it what was accepted under that: a note that is
    /// accepted pays only what was not accepted before.
    pub(super) fn forget_bills(&mut self, now: DateTime<Utc>) {
        if !self.bills.are_many() {
            return;
        }
        let notes = self.bills.values().filter(|bill| bill.is_note());
        let with_notes: BTreeSet<_> = notes.map(|note| note.parties.agreement.clone()).collect();
        let forgotten = self.bills.forget(now, |bill| {
            let is_first = bill.is_note() || !with_notes.contains(&bill.parties.agreement);
            bill.over_since().filter(|_| is_first)
        });
        for bill in forgotten {
            match bill.subject {
                Subject::Activity { activity, .. } => {
                    if self.last_notes.get(&activity) == Some(&bill.id) {
                        self.last_notes.remove(&activity);
                    }
                }
                Subject::Agreement { .. } => self.tabs.forget_one(&bill.parties.agreement),
            }
        }
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
        let event = (bill.clone(), event);
        self.events.push(Reader { owner, kind }, now, event);
        self.changes.push(Topic::Events(owner, kind));
    }
}

/// Which debit note was the last one of each activity: the one that no other comes after.
fn last_notes<'a>(bills: impl Iterator<Item = &'a Bill> + Clone) -> BTreeMap<ActivityId, BillId> {
    let note = |bill: &'a Bill| match &bill.subject {
        Subject::Activity {
            activity, previous, ..
        } => Some((activity, previous, &bill.id)),
        Subject::Agreement { .. } => None,
    };
    let followed: BTreeSet<_> = bills
        .clone()
        .filter_map(note)
        .filter_map(|(_, previous, _)| previous.as_ref())
        .collect();
    let last = bills
        .filter_map(note)
        .filter(|(_, _, id)| !followed.contains(id));
    last.map(|(activity, _, id)| (activity.clone(), id.clone()))
        .collect()
}

/// Who reads of bills of a kind.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) struct Reader {
    owner: NodeId,
    kind: BillKind,
}

impl fmt::Display for Reader {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{} of {}", self.kind.name(), self.owner)
    }
}

impl FromStr for Reader {
    type Err = ();

    fn from_str(text: &str) -> Result<Self, ()> {
        let (name, owner) = text.split_once(" of ").ok_or(())?;
        let kinds = [BillKind::DebitNote, BillKind::Invoice];
        let kind = kinds.into_iter().find(|kind| kind.name() == name);
        Ok(Self {
            owner: owner.parse().map_err(|_| ())?,
            kind: kind.ok_or(())?,
        })
    }
}

impl Machine for Book {
    type Topic = Topic;

    fn take_changes(&mut self) -> Vec<Topic> {
        std::mem::take(&mut self.changes)
    }

    fn take_records(&mut self) -> Vec<Record> {
        let mut records = self.allocations.take_records();
        records.extend(self.bills.take_records());
        records.extend(self.tabs.take_records());
        records.extend(self.payments.take_records());
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
                Deadline::Release(id) => self.close(&id, now),
                Deadline::Settle(id) => self.settle(&id, now),
            }
        }
    }
}
