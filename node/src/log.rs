//! What has happened, for whoever asks later.

use std::collections::BTreeMap;

use chrono::{DateTime, SubsecRound, TimeDelta, Utc};

/// How many events are kept; the oldest go first.
pub(crate) const KEPT: usize = 10_000;

/// Events, each with a time of its own.
///
/// Clients read on from the time of the last event that they saw. So times are whole microseconds, which is the finest
/// that all of them can repeat, and no two events share one.
#[derive(Debug)]
pub(crate) struct EventLog<E> {
    events: BTreeMap<DateTime<Utc>, E>,
    last: DateTime<Utc>,
}

impl<E> Default for EventLog<E> {
    fn default() -> Self {
        Self {
            events: BTreeMap::new(),
            last: DateTime::UNIX_EPOCH,
        }
    }
}

impl<E> EventLog<E> {
    /// Notes that `event` happened `now`, or as soon after as it can have a time of its own: that time.
    pub(crate) fn push(&mut self, now: DateTime<Utc>, event: E) -> DateTime<Utc> {
        let next = self.last + TimeDelta::microseconds(1);
        self.last = now.trunc_subsecs(6).max(next);
        self.events.insert(self.last, event);
        if self.events.len() > KEPT {
            self.events.pop_first();
        }
        self.last
    }

    /// The event of exactly that time.
    pub(crate) fn at(&self, time: DateTime<Utc>) -> Option<&E> {
        self.events.get(&time)
    }

    /// The events strictly after `time`, in their order.
    pub(crate) fn after(&self, time: DateTime<Utc>) -> impl Iterator<Item = (DateTime<Utc>, &E)> {
        use std::ops::Bound::{Excluded, Unbounded};
        self.events
            .range((Excluded(time), Unbounded))
            .map(|(time, event)| (*time, event))
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        /// Whatever the clock shows, reading on from the last time seen finds every event once, in order.
        #[test]
        fn reading_on_finds_each_event_once(clock in prop::collection::vec(0i64..5_000, 1..50), page in 1usize..7) {
            let mut log = EventLog::default();
            for (event, nanoseconds) in clock.iter().enumerate() {
                log.push(DateTime::from_timestamp_nanos(1_000_000_000 + nanoseconds), event);
            }
            let (mut seen, mut after) = (Vec::new(), DateTime::UNIX_EPOCH);
            loop {
                let events: Vec<_> = log.after(after).take(page).collect();
                let Some((last, _)) = events.last() else { break };
                prop_assert_eq!(last.timestamp_subsec_nanos() % 1_000, 0);
                after = *last;
                seen.extend(events.into_iter().map(|(_, event)| *event));
            }
            prop_assert_eq!(seen, (0..clock.len()).collect::<Vec<_>>());
        }
    }

    #[test]
    fn the_oldest_go_first() {
        let mut log = EventLog::default();
        for event in 0..KEPT + 2 {
            log.push(DateTime::UNIX_EPOCH, event);
        }
        let first = log.after(DateTime::UNIX_EPOCH).next();
        assert_eq!(first.map(|(_, event)| *event), Some(2));
    }
}
