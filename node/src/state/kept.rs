//! A map that knows which of its entries were changed since they were last written down.

use std::{
    collections::{BTreeMap, BTreeSet},
    fmt::Display,
    ops::Deref,
};

use chrono::{DateTime, TimeDelta, Utc};

use super::store::{Record, StateError, Store};

/// How many entries of a kind are remembered, at least; what is not over is never forgotten.
pub(crate) const REMEMBERED: usize = 4000;

/// How long what is over is remembered, at least: there is somebody who has something to do about it. At full speed, not
/// many more than [`REMEMBERED`] end in that time.
pub(crate) const REMEMBERED_FOR: TimeDelta = TimeDelta::seconds(30);

/// Something that a node keeps in a table of its own.
pub(crate) trait Entity: Sized {
    /// The table's name.
    const TABLE: &'static str;

    /// All of it, as JSON.
    fn to_json(&self) -> serde_json::Result<String>;

    /// The same again.
    fn from_json(json: &str) -> serde_json::Result<Self>;
}

/// Keeps something in a table as what serde makes of it.
macro_rules! entity {
    ($entity:ty, $table:literal) => {
        impl $crate::state::Entity for $entity {
            const TABLE: &'static str = $table;

            fn to_json(&self) -> serde_json::Result<String> {
                serde_json::to_string(self)
            }

            fn from_json(json: &str) -> serde_json::Result<Self> {
                serde_json::from_str(json)
            }
        }
    };
}

pub(crate) use entity;

/// Entries by their ids. It is read as any map.
#[derive(Debug)]
pub(crate) struct Kept<K, V> {
    entries: BTreeMap<K, V>,
    /// None where nothing is written down.
    changed: Option<BTreeSet<K>>,
    /// How many there were when it was last looked for what can be forgotten.
    left: usize,
}

impl<K, V> Default for Kept<K, V> {
    /// Nothing yet, and nothing that is ever written down.
    fn default() -> Self {
        Self {
            entries: BTreeMap::new(),
            changed: None,
            left: 0,
        }
    }
}

impl<K, V> Deref for Kept<K, V> {
    type Target = BTreeMap<K, V>;

    fn deref(&self) -> &BTreeMap<K, V> {
        &self.entries
    }
}

impl<K: Ord + Clone, V> Kept<K, V> {
    /// An entry, which is taken for changed then.
    pub(crate) fn get_mut(&mut self, key: &K) -> Option<&mut V> {
        let entry = self.entries.get_mut(key)?;
        if let Some(changed) = &mut self.changed {
            changed.insert(key.clone());
        }
        Some(entry)
    }

    /// Puts an entry in, in place of the one that was there.
    pub(crate) fn insert(&mut self, key: K, entry: V) -> Option<V> {
        if let Some(changed) = &mut self.changed {
            changed.insert(key.clone());
        }
        self.entries.insert(key, entry)
    }

    /// Forgets the entries that have been over for longest, [`REMEMBERED_FOR`] at least, if there are more than
    /// [`REMEMBERED`]: `over` says since when one is. In the store they stay. Gives back what was forgotten.
    pub(crate) fn forget(
        &mut self,
        now: DateTime<Utc>,
        over: impl Fn(&V) -> Option<DateTime<Utc>>,
    ) -> Vec<V> {
        if !self.are_many() {
            return Vec::new();
        }
        let surplus = self.entries.len() - REMEMBERED;
        let changed = self.changed.as_ref();
        let is_written = |key: &K| changed.is_none_or(|changed| !changed.contains(key));
        let entries = self.entries.iter().filter(|(key, _)| is_written(key));
        let mut those: Vec<_> = entries
            .filter_map(|(key, entry)| Some((over(entry)?, key.clone())))
            .filter(|(since, _)| *since <= now - REMEMBERED_FOR)
            .collect();
        those.sort();
        those.truncate(surplus);
        let forgotten = those.iter().filter_map(|(_, key)| self.entries.remove(key));
        let forgotten = forgotten.collect();
        self.left = self.entries.len();
        forgotten
    }

    /// Whether it is time to forget some: many at a time, as all have to be looked at.
    pub(crate) fn are_many(&self) -> bool {
        self.entries.len() >= self.left.max(REMEMBERED) + REMEMBERED / 8
    }

    /// Forgets an entry. In the store it stays.
    pub(crate) fn forget_one(&mut self, key: &K) {
        self.entries.remove(key);
    }
}

impl<K: Ord + Clone + Display + From<String>, V: Entity> Kept<K, V> {
    /// What is in the store, if there is one; all changes to it are written down from now on.
    pub(crate) fn load(store: Option<&Store>) -> Result<Self, StateError> {
        let Some(store) = store else {
            return Ok(Self::default());
        };
        let entries = store.entries::<V>()?.into_iter();
        Ok(Self {
            entries: entries.map(|(id, entry)| (id.into(), entry)).collect(),
            changed: Some(BTreeSet::new()),
            left: 0,
        })
    }

    /// What has changed since this was last asked.
    pub(crate) fn take_records(&mut self) -> Vec<Record> {
        let changed = self.changed.as_mut().map(std::mem::take);
        let record = |id: K| Some(Record::entry(&id, self.entries.get(&id)?));
        changed.into_iter().flatten().filter_map(record).collect()
    }
}
