//! An agreement as its provider keeps it: what was agreed on, and what was done for it.

use std::collections::BTreeMap;

use chrono::{DateTime, TimeDelta, Utc};

use super::{
    negotiation::{Rules, expiration},
    offer::{ACCEPT_TIMEOUT, NOTE_INTERVAL, PAYMENT_TIMEOUT},
    price::Price,
    spec::Faults,
};
use crate::{
    id::{ActivityId, BillId},
    market::property::Properties,
    payment::amount::Amount,
};

/// An agreement that the provider has approved.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Contract {
    pub(super) price: Price,
    /// How often there are debit notes.
    pub(super) note_interval: Option<TimeDelta>,
    /// How soon a debit note must be accepted.
    accept_timeout: Option<TimeDelta>,
    /// How soon one must be paid; only the invoice is to be paid if there is no such thing.
    payment_timeout: Option<TimeDelta>,
    expires: Option<DateTime<Utc>>,
    /// Whether the market knows that it has ended.
    pub(super) ended: bool,
    pub(super) activities: BTreeMap<ActivityId, Work>,
    pub(super) next_note: Option<DateTime<Utc>>,
    /// Since when there is no activity.
    pub(super) idle_since: Option<DateTime<Utc>>,
    /// Debit notes that were not accepted yet, and by when they must be.
    pub(super) unaccepted: BTreeMap<BillId, (ActivityId, DateTime<Utc>)>,
    last_payable: DateTime<Utc>,
    /// When to approve the agreement, if that was not done yet.
    pub(super) approve_at: Option<DateTime<Utc>>,
    /// When to drop it, if that is to be.
    pub(super) drop_at: Option<DateTime<Utc>>,
    idle_limit: TimeDelta,
}

/// A debit note of before.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Note {
    pub(super) id: BillId,
    pub(super) activity: ActivityId,
    pub(super) created: DateTime<Utc>,
    /// Whether it is to be paid before the agreement ends.
    pub(super) is_payable: bool,
    pub(super) is_accepted: bool,
}

/// An activity under a contract.
#[derive(Clone, Debug, Default, PartialEq)]
pub(super) struct Work {
    pub(super) phase: Phase,
    /// What it has cost, by its last debit note.
    pub(super) cost: Amount,
}

/// How far an activity has come.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) enum Phase {
    /// Its exe-unit runs.
    #[default]
    Running,
    /// Its exe-unit was told to end.
    Ending,
    /// Its exe-unit is no more; its last debit note is being written.
    Ended,
    /// Nothing is left to do for it.
    Billed,
}

/// Why a provider ends an agreement.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Breach {
    /// Nobody needs it.
    Idle,
    /// Its time is over.
    Expired,
    /// A debit note was not accepted in time.
    Unaccepted,
    /// It was told to.
    Dropped,
}

impl Breach {
    /// What other providers call it.
    pub(super) fn code(self) -> &'static str {
        match self {
            Self::Idle => "NoActivity",
            Self::Expired => "Expired",
            Self::Unaccepted => "DebitNotesDeadline",
            Self::Dropped => "Cancelled",
        }
    }

    /// What it means.
    pub(super) fn message(self) -> &'static str {
        match self {
            Self::Idle => "no activity was created for too long",
            Self::Expired => "the agreement has expired",
            Self::Unaccepted => "a debit note was not accepted in time",
            Self::Dropped => "the provider drops the agreement",
        }
    }
}

/// How soon an invoice is to be paid unless something else was agreed on.
const DEFAULT_PAYMENT_TIMEOUT: TimeDelta = TimeDelta::hours(24);

impl Contract {
    /// What both sides agreed on `now`; nothing if that names no price.
    pub(super) fn new(offer: &Properties, demand: &Properties, now: DateTime<Utc>) -> Option<Self> {
        let agreed = |name| seconds(offer.number(name)?);
        let note_interval = agreed(NOTE_INTERVAL).or(Some(TimeDelta::seconds(120)));
        // What only one side asks for is not agreed on.
        let accept_timeout = demand
            .number(ACCEPT_TIMEOUT)
            .and_then(|_| agreed(ACCEPT_TIMEOUT));
        Some(Self {
            price: Price::of(offer)?,
            note_interval,
            accept_timeout,
            payment_timeout: agreed(PAYMENT_TIMEOUT),
            expires: expiration(demand),
            ended: false,
            activities: BTreeMap::new(),
            next_note: note_interval.map(|interval| now + interval),
            idle_since: Some(now),
            unaccepted: BTreeMap::new(),
            last_payable: now,
            approve_at: None,
            drop_at: None,
            idle_limit: Rules::default().idle_limit,
        })
    }

    /// An agreement that was `approved` before, and what was done for it since. What a requestor could not do while
    /// nobody was there, it has its time for again.
    pub(super) fn resumed(
        offer: &Properties,
        demand: &Properties,
        approved: DateTime<Utc>,
        activities: BTreeMap<ActivityId, Work>,
        notes: &[Note],
        now: DateTime<Utc>,
    ) -> Option<Self> {
        let mut contract = Self::new(offer, demand, approved)?;
        let latest = |notes: &mut dyn Iterator<Item = &Note>| notes.map(|note| note.created).max();
        let last_note = latest(&mut notes.iter()).unwrap_or(approved);
        let last_payable = latest(&mut notes.iter().filter(|note| note.is_payable));
        let is_running = |work: &Work| work.phase == Phase::Running;
        contract.next_note = contract.note_interval.map(|interval| last_note + interval);
        contract.last_payable = last_payable.unwrap_or(approved);
        contract.idle_since = (!activities.values().any(is_running)).then_some(now);
        for note in notes.iter().filter(|note| !note.is_accepted) {
            let is_later = |other: &&Note| {
                other.activity == note.activity && other.is_accepted && other.created > note.created
            };
            if let Some(by) = contract.acceptance_due(now)
                && !notes.iter().any(|other| is_later(&other))
            {
                let unaccepted = (note.activity.clone(), by);
                contract.unaccepted.insert(note.id.clone(), unaccepted);
            }
        }
        contract.activities = activities;
        Some(contract)
    }

    /// Under the rules and the faults of a provider that has `approved` it, or will.
    pub(super) fn under(mut self, rules: &Rules, faults: &Faults, approved: DateTime<Utc>) -> Self {
        self.idle_limit = rules.idle_limit;
        self.accept_timeout = faults.breaks_unaccepted_after.or(self.accept_timeout);
        self.drop_at = faults.drops_agreement_after.map(|after| approved + after);
        self
    }

    /// Is approved `now`, later than it was made.
    pub(super) fn begin(&mut self, now: DateTime<Utc>) {
        self.approve_at = None;
        self.idle_since = Some(now);
        self.next_note = self.note_interval.map(|interval| now + interval);
        self.last_payable = now;
    }

    /// When something about it is due.
    pub(super) fn next_deadline(&self) -> Option<DateTime<Utc>> {
        if self.ended {
            return None;
        }
        if self.approve_at.is_some() {
            return self.approve_at;
        }
        let breaches = self.breaches().map(|(time, _)| time);
        breaches.chain(self.next_note).min()
    }

    /// Why it is to be ended, if it is.
    pub(super) fn breach(&self, now: DateTime<Utc>) -> Option<Breach> {
        let due = self.breaches().filter(|(time, _)| *time <= now);
        due.min_by_key(|(time, _)| *time).map(|(_, breach)| breach)
    }

    fn breaches(&self) -> impl Iterator<Item = (DateTime<Utc>, Breach)> {
        let unaccepted = self.unaccepted.values().map(|(_, by)| *by).min();
        let idle = self.idle_since.map(|since| since + self.idle_limit);
        [
            (self.expires, Breach::Expired),
            (idle, Breach::Idle),
            (unaccepted, Breach::Unaccepted),
            (self.drop_at, Breach::Dropped),
        ]
        .into_iter()
        .filter_map(|(time, breach)| Some((time?, breach)))
    }

    /// The activities whose exe-units run.
    pub(super) fn running(&self) -> impl Iterator<Item = &ActivityId> {
        self.activities
            .iter()
            .filter(|(_, work)| work.phase == Phase::Running)
            .map(|(id, _)| id)
    }

    /// Whether nothing is left to do but to write the invoice.
    pub(super) fn is_done(&self) -> bool {
        let billed = |work: &Work| work.phase == Phase::Billed;
        self.ended && self.activities.values().all(billed)
    }

    /// What it has cost in all.
    pub(super) fn total(&self) -> Amount {
        self.activities.values().map(|work| work.cost).sum()
    }

    /// By when a debit note of `now` must be paid, if it must be before the agreement ends.
    pub(super) fn note_due(&mut self, last: bool, now: DateTime<Utc>) -> Option<DateTime<Utc>> {
        let timeout = self.payment_timeout?;
        if !last && now < self.last_payable + timeout {
            return None;
        }
        self.last_payable = now;
        Some(now + timeout)
    }

    /// By when an invoice of `now` must be paid.
    pub(super) fn invoice_due(&self, now: DateTime<Utc>) -> DateTime<Utc> {
        now + self.payment_timeout.unwrap_or(DEFAULT_PAYMENT_TIMEOUT)
    }

    /// By when a debit note of `now` must be accepted.
    pub(super) fn acceptance_due(&self, now: DateTime<Utc>) -> Option<DateTime<Utc>> {
        self.accept_timeout.map(|timeout| now + timeout)
    }
}

/// A time of so many seconds, if it is one that somebody may wait for.
fn seconds(seconds: f64) -> Option<TimeDelta> {
    /// A thousand years.
    const LONGEST: f64 = 1000.0 * 366.0 * 86_400.0;
    let is_time = seconds > 0.0 && seconds <= LONGEST;
    is_time.then(|| TimeDelta::milliseconds((seconds * 1000.0) as i64))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nobody_waits_for_nonsense() {
        for nonsense in [
            -1e300,
            -1e15,
            -1.0,
            0.0,
            1e15,
            1e300,
            f64::INFINITY,
            f64::NAN,
        ] {
            assert_eq!(seconds(nonsense), None, "{nonsense}");
        }
        assert_eq!(seconds(1.5), Some(TimeDelta::milliseconds(1500)));
    }
}
