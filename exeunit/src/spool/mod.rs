//! What batches have to tell, kept until it is asked for: events, and the output that results have.
//!
//! It takes little memory, however much that is, and a limited part of the disk. When that part is used up, the
//! events of batches that are over are given up, the oldest first; then those of the batch at work that all of its
//! subscribers have read. Where neither is enough, [`Spool::tell`] says so: whoever writes has to wait or to end.

mod disk;
mod log;
mod record;

use std::{
    collections::BTreeMap,
    io,
    path::PathBuf,
    sync::{
        Arc, Weak,
        atomic::{AtomicU64, Ordering},
    },
};

use ya_client_model::activity::CommandOutput;

pub(crate) use self::disk::Disk;
use self::log::Log;
use crate::event::RuntimeEvent;

/// How much of the events is read at once, in bytes; more if one alone is larger.
const READ: usize = 64 << 10;

/// The events and outputs of all batches.
#[derive(Debug)]
pub(crate) struct Spool {
    folder: PathBuf,
    /// What there is of the disk for it.
    disk: Arc<Disk>,
    batches: BTreeMap<String, Kept>,
    /// Batches that are over, the oldest first, whose events are on the disk.
    over: Vec<String>,
}

#[derive(Debug)]
struct Kept {
    events: Log,
    outputs: Log,
    /// Where in `outputs` those of a command are.
    index: BTreeMap<usize, [Option<Place>; 2]>,
    readers: Vec<Weak<AtomicU64>>,
    /// Its events were given up.
    is_given_up: bool,
}

#[derive(Clone, Copy, Debug)]
struct Place {
    start: u64,
    length: usize,
    is_text: bool,
}

/// A reader of a batch's events; what it has read may be given up. It stops to be one when it is dropped.
#[derive(Debug)]
pub(crate) struct Reader {
    position: Arc<AtomicU64>,
}

/// Why something cannot be told or read.
#[derive(Debug, thiserror::Error)]
pub(crate) enum SpoolError {
    /// There is no room, and there will be some once readers have read on.
    #[error("the {limit} bytes of the disk that are for events are full")]
    Full {
        /// The bytes that there are in all.
        limit: u64,
        /// Whether anybody reads, so that there will be room.
        is_read: bool,
    },
    /// Somebody has come too late.
    #[error("the first events of the batch are not kept any more")]
    GivenUp,
    /// The disk has failed.
    #[error("cannot keep what a batch has to tell")]
    Disk(#[from] io::Error),
}

impl Spool {
    /// An empty one, whose files are in `folder`, without names. It takes of the disk what there is for it.
    pub(crate) fn new(folder: PathBuf, disk: Arc<Disk>) -> Self {
        Self {
            folder,
            disk,
            batches: BTreeMap::new(),
            over: Vec::new(),
        }
    }

    /// Adds an event to those of its batch.
    pub(crate) fn tell(&mut self, event: &RuntimeEvent) -> Result<(), SpoolError> {
        let bytes = record::write(event);
        self.make_room(&event.batch_id, bytes.len() as u64)?;
        self.append(event, &bytes)
    }

    /// Adds an event for which there may be no room left.
    pub(crate) fn tell_at_last(&mut self, event: &RuntimeEvent) -> Result<(), SpoolError> {
        self.append(event, &record::write(event))
    }

    fn append(&mut self, event: &RuntimeEvent, bytes: &[u8]) -> Result<(), SpoolError> {
        self.kept(&event.batch_id).events.append(bytes)?;
        self.count();
        Ok(())
    }

    /// Keeps the outputs that the result of a command has.
    pub(crate) fn keep(
        &mut self,
        batch_id: &str,
        index: usize,
        outputs: [Option<CommandOutput>; 2],
    ) -> Result<(), SpoolError> {
        let kept = self.kept(batch_id);
        let mut places = [None, None];
        for (place, output) in places.iter_mut().zip(outputs) {
            let Some(output) = output else {
                continue;
            };
            let (is_text, bytes) = match output {
                CommandOutput::Str(text) => (true, text.into_bytes()),
                CommandOutput::Bin(bytes) => (false, bytes),
            };
            let start = kept.outputs.length();
            kept.outputs.append(&bytes)?;
            *place = Some(Place {
                start,
                length: bytes.len(),
                is_text,
            });
        }
        kept.index.insert(index, places);
        self.count();
        Ok(())
    }

    /// How many bytes the outputs of a command have.
    pub(crate) fn size_of_outputs(&self, batch_id: &str, index: usize) -> usize {
        let places = self.places(batch_id, index);
        places.iter().flatten().map(|place| place.length).sum()
    }

    /// The outputs of a command: standard output and standard error.
    pub(crate) fn outputs(
        &self,
        batch_id: &str,
        index: usize,
    ) -> Result<[Option<CommandOutput>; 2], SpoolError> {
        let read = |place: Option<Place>| -> io::Result<Option<CommandOutput>> {
            let (Some(place), Some(kept)) = (place, self.batches.get(batch_id)) else {
                return Ok(None);
            };
            let bytes = kept.outputs.read(place.start, place.length)?;
            Ok(Some(match place.is_text {
                true => CommandOutput::Str(String::from_utf8_lossy(&bytes).into_owned()),
                false => CommandOutput::Bin(bytes),
            }))
        };
        let [stdout, stderr] = self.places(batch_id, index);
        Ok([read(stdout)?, read(stderr)?])
    }

    /// Reads a batch from its first event on.
    pub(crate) fn reader(&mut self, batch_id: &str) -> Reader {
        let position = Arc::new(AtomicU64::new(0));
        let readers = &mut self.kept(batch_id).readers;
        readers.retain(|reader| reader.strong_count() > 0);
        readers.push(Arc::downgrade(&position));
        Reader { position }
    }

    /// The events of a batch from a position on, as many as are read at once, and the position after them.
    pub(crate) fn events_after(
        &self,
        batch_id: &str,
        position: u64,
    ) -> Result<(Vec<RuntimeEvent>, u64), SpoolError> {
        let Some(kept) = self.batches.get(batch_id) else {
            return Ok((Vec::new(), position));
        };
        if kept.is_given_up || position < kept.events.freed() {
            return Err(SpoolError::GivenUp);
        }
        let mut bytes = kept.events.read(position, READ)?;
        if let Some(size) = record::size(&bytes)
            && size > bytes.len()
        {
            bytes = kept.events.read(position, size)?;
        }
        let (events, length) = record::read(&bytes, batch_id)?;
        Ok((events, position + length as u64))
    }

    /// A batch is over: its events may be given up where there is no room for others.
    pub(crate) fn end(&mut self, batch_id: &str) {
        let is_on_disk = |kept: &Kept| kept.events.on_disk() > 0;
        if self.batches.get(batch_id).is_some_and(is_on_disk) {
            self.over.push(batch_id.to_owned());
        }
    }

    /// Nobody will ask for a batch any more.
    pub(crate) fn forget(&mut self, batch_id: &str) {
        self.batches.remove(batch_id);
        self.over.retain(|over| over != batch_id);
        self.count();
    }

    fn kept(&mut self, batch_id: &str) -> &mut Kept {
        let folder = &self.folder;
        let new = || Kept {
            events: Log::new(folder),
            outputs: Log::new(folder),
            index: BTreeMap::new(),
            readers: Vec::new(),
            is_given_up: false,
        };
        self.batches.entry(batch_id.to_owned()).or_insert_with(new)
    }

    fn places(&self, batch_id: &str, index: usize) -> [Option<Place>; 2] {
        let places = self
            .batches
            .get(batch_id)
            .and_then(|kept| kept.index.get(&index));
        places.copied().unwrap_or_default()
    }

    fn events_on_disk(&self) -> u64 {
        let events = self.batches.values().map(|kept| kept.events.on_disk());
        events.sum()
    }

    /// Lets others know what it takes of the disk.
    fn count(&self) {
        let outputs = self.batches.values().map(|kept| kept.outputs.on_disk());
        self.disk
            .spool_takes(self.events_on_disk() + outputs.sum::<u64>());
    }

    fn make_room(&mut self, batch_id: &str, bytes: u64) -> Result<(), SpoolError> {
        let limit = self.disk.for_events();
        if self.events_on_disk() + bytes <= limit {
            return Ok(());
        }
        while !self.over.is_empty() && self.events_on_disk() + bytes > limit {
            let oldest = self.over.remove(0);
            let folder = self.folder.clone();
            let kept = self.kept(&oldest);
            kept.events = Log::new(&folder);
            kept.is_given_up = true;
        }
        if self.events_on_disk() + bytes <= limit {
            return Ok(());
        }
        let kept = self.kept(batch_id);
        let read = kept.readers.iter().filter_map(Weak::upgrade);
        let read = read.map(|position| position.load(Ordering::Relaxed)).min();
        if let Some(read) = read {
            kept.events.free_until(read)?;
        }
        match self.events_on_disk() + bytes <= limit {
            true => Ok(()),
            false => Err(SpoolError::Full {
                limit,
                is_read: read.is_some(),
            }),
        }
    }
}

impl Reader {
    pub(crate) fn position(&self) -> u64 {
        self.position.load(Ordering::Relaxed)
    }

    /// Everything before a position was read.
    pub(crate) fn advance(&self, position: u64) {
        self.position.store(position, Ordering::Relaxed);
    }
}

#[cfg(test)]
mod tests;
