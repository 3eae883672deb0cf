//! Logs of what has happened, one for each whom it concerns.

use std::{collections::HashMap, fmt::Display, hash::Hash, str::FromStr};

use chrono::{DateTime, Utc};
use serde::{Serialize, de::DeserializeOwned};

use super::store::{Record, StateError, Store};
use crate::log::EventLog;

/// Something that happens, and that a node keeps in a log of its own.
pub(crate) trait Happening: Serialize + DeserializeOwned {
    /// The log's name.
    const LOG: &'static str;
}

/// Logs by whom they concern.
#[derive(Debug)]
pub(crate) struct Logs<K, E> {
    logs: HashMap<K, EventLog<E>>,
    /// What was noted since it was last written down; none where nothing is.
    unwritten: Option<Vec<(K, DateTime<Utc>)>>,
}

impl<K, E> Default for Logs<K, E> {
    /// Nothing yet, and nothing that is ever written down.
    fn default() -> Self {
        Self {
            logs: HashMap::new(),
            unwritten: None,
        }
    }
}

impl<K: Eq + Hash + Clone, E> Logs<K, E> {
    /// Notes an event for `whom`, `now` or as soon after as it can have a time of its own.
    pub(crate) fn push(&mut self, whom: K, now: DateTime<Utc>, event: E) {
        let log = self.logs.entry(whom.clone()).or_default();
        let time = log.push(now, event);
        if let Some(unwritten) = &mut self.unwritten {
            unwritten.push((whom, time));
        }
    }

    /// The events of `whom` strictly after a time, in their order.
    pub(crate) fn after(
        &self,
        whom: &K,
        time: DateTime<Utc>,
    ) -> impl Iterator<Item = (DateTime<Utc>, &E)> {
        let log = self.logs.get(whom).into_iter();
        log.flat_map(move |log| log.after(time))
    }
}

impl<K: Eq + Hash + Clone + Display + FromStr, E: Happening> Logs<K, E> {
    /// What is in the store, if there is one; all that happens is written down from now on.
    pub(crate) fn load(store: Option<&Store>) -> Result<Self, StateError> {
        let Some(store) = store else {
            return Ok(Self::default());
        };
        let mut logs = Self::default();
        for (whom, time, event) in store.happenings::<K, E>()? {
            logs.push(whom, time, event);
        }
        logs.unwritten = Some(Vec::new());
        Ok(logs)
    }

    /// What has happened since this was last asked.
    pub(crate) fn take_records(&mut self) -> Vec<Record> {
        let unwritten = self.unwritten.as_mut().map(std::mem::take);
        let record = |(whom, time): (K, DateTime<Utc>)| {
            let event = self.logs.get(&whom)?.at(time)?;
            Some(Record::happening(&whom, time, event))
        };
        unwritten.into_iter().flatten().filter_map(record).collect()
    }
}
