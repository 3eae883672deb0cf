//! Which exe-units are silent: they report every second what they use.

use std::collections::{BTreeMap, BTreeSet};

use chrono::{DateTime, TimeDelta, Utc};

use crate::id::ActivityId;

/// How long an exe-unit may be silent, as in a daemon: then it counts as unresponsive, and after the same time again it is
/// ended.
const SILENCE: TimeDelta = TimeDelta::seconds(5);

/// When each exe-unit has been silent for too long. Those that have never reported anything are not waited for.
#[derive(Debug, Default)]
pub(super) struct Watch {
    deadlines: BTreeSet<(DateTime<Utc>, ActivityId)>,
    of: BTreeMap<ActivityId, DateTime<Utc>>,
}

impl Watch {
    /// Waits for an exe-unit from `now` on.
    pub(super) fn wait_for(&mut self, id: &ActivityId, now: DateTime<Utc>) {
        self.forget(id);
        let deadline = now + SILENCE;
        self.of.insert(id.clone(), deadline);
        self.deadlines.insert((deadline, id.clone()));
    }

    /// Does not wait for one any more.
    pub(super) fn forget(&mut self, id: &ActivityId) {
        if let Some(deadline) = self.of.remove(id) {
            self.deadlines.remove(&(deadline, id.clone()));
        }
    }

    pub(super) fn next_deadline(&self) -> Option<DateTime<Utc>> {
        self.deadlines.first().map(|(deadline, _)| *deadline)
    }

    /// One that has been silent for too long, and is not waited for any more.
    pub(super) fn take_silent(&mut self, now: DateTime<Utc>) -> Option<ActivityId> {
        let (deadline, id) = self.deadlines.first()?;
        let id = (*deadline <= now).then(|| id.clone())?;
        self.forget(&id);
        Some(id)
    }
}
