//! What batches have to tell, kept until it is asked for: events, and the output that results have.
//!
//! It takes little memory, however much that is, and limited parts of the disk. When the part of events is used up,
//! those of batches that are over are given up, the oldest first; then those of the batch at work that all of its
//! subscribers have read. Where neither is enough, [`Spool::tell`] says so: whoever writes has to wait or to end.
//! Outputs have a part of their own, and are given up likewise; whoever asks for one that is gone is told.

mod disk;
mod log;
mod record;

use std::{
    collections::BTreeMap,
    io,
    path::{Path, PathBuf},
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
    /// Batches that are over, the oldest first, of which something is on the disk.
    over: Vec<String>,
}

#[derive(Debug)]
struct Kept {
    events: Log,
    outputs: Log,
    /// Where in `outputs` those of a command are; nothing of one whose outputs were given up.
    index: BTreeMap<usize, Option<[Option<Place>; 2]>>,
    readers: Vec<Weak<AtomicU64>>,
    /// Its events were given up.
    is_given_up: bool,
}

impl Kept {
    fn give_up_outputs(&mut self, folder: &Path) {
        self.outputs = Log::new(folder);
        self.index.values_mut().for_each(|places| *places = None);
    }
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
    #[error("the {limit} bytes of the disk that are for it are full")]
    Full {
        /// The bytes that there are in all.
        limit: u64,
        /// Whether anybody reads, so that there will be room.
        is_read: bool,
    },
    /// Somebody has come too late.
    #[error("the first events of the batch are not kept any more")]
    GivenUp,
    /// There was no room for an output, or others needed it.
    #[error("what it has written is not kept any more")]
    OutputGone,
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
        let bytes = record::write(event);
        match self.make_room(&event.batch_id, bytes.len() as u64) {
            Ok(()) | Err(SpoolError::Full { .. }) => self.append(event, &bytes),
            Err(error) => Err(error),
        }
    }

    fn append(&mut self, event: &RuntimeEvent, bytes: &[u8]) -> Result<(), SpoolError> {
        self.kept(&event.batch_id).events.append(bytes)?;
        self.count();
        Ok(())
    }

    /// Keeps the outputs that the result of a command has. Where that cannot be, whoever asks for them is told.
    pub(crate) fn keep(
        &mut self,
        batch_id: &str,
        index: usize,
        outputs: [Option<CommandOutput>; 2],
    ) -> Result<(), SpoolError> {
        // It is none until it is kept.
        self.kept(batch_id).index.insert(index, None);
        let outputs = outputs.map(|output| {
            output.map(|output| match output {
                CommandOutput::Str(text) => (true, text.into_bytes()),
                CommandOutput::Bin(bytes) => (false, bytes),
            })
        });
        let bytes: usize = outputs.iter().flatten().map(|(_, bytes)| bytes.len()).sum();
        self.make_room_for_outputs(bytes as u64)?;
        let kept = self.kept(batch_id);
        let mut places = [None, None];
        for (place, output) in places.iter_mut().zip(outputs) {
            let Some((is_text, bytes)) = output else {
                continue;
            };
            let start = kept.outputs.length();
            kept.outputs.append(&bytes)?;
            *place = Some(Place {
                start,
                length: bytes.len(),
                is_text,
            });
        }
        kept.index.insert(index, Some(places));
        self.count();
        Ok(())
    }

    /// How many bytes the outputs of a command have.
    pub(crate) fn size_of_outputs(&self, batch_id: &str, index: usize) -> usize {
        let places = self.places(batch_id, index).unwrap_or_default();
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
        let places = self.places(batch_id, index);
        let [stdout, stderr] = places.ok_or(SpoolError::OutputGone)?;
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
        let is_on_disk = |kept: &Kept| kept.events.on_disk() + kept.outputs.on_disk() > 0;
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

    /// Where the outputs of a command are; of one that has written nothing, nowhere.
    fn places(&self, batch_id: &str, index: usize) -> Option<[Option<Place>; 2]> {
        let kept = self.batches.get(batch_id);
        let places = kept.and_then(|kept| kept.index.get(&index));
        places.copied().unwrap_or(Some([None, None]))
    }

    fn events_on_disk(&self) -> u64 {
        let events = self.batches.values().map(|kept| kept.events.on_disk());
        events.sum()
    }

    /// Lets others know what it takes of the disk.
    fn count(&self) {
        let bytes = self.events_on_disk() + self.outputs_on_disk();
        self.disk.spool_takes(bytes);
    }

    fn outputs_on_disk(&self) -> u64 {
        let outputs = self.batches.values().map(|kept| kept.outputs.on_disk());
        outputs.sum()
    }

    fn make_room_for_outputs(&mut self, bytes: u64) -> Result<(), SpoolError> {
        let limit = self.disk.for_outputs();
        let mut taken = self.outputs_on_disk();
        for oldest in &self.over {
            if taken + bytes <= limit {
                break;
            }
            if let Some(kept) = self.batches.get_mut(oldest)
                && kept.outputs.on_disk() > 0
            {
                taken -= kept.outputs.on_disk();
                kept.give_up_outputs(&self.folder);
            }
        }
        match taken + bytes <= limit {
            true => Ok(()),
            false => Err(SpoolError::Full {
                limit,
                is_read: false,
            }),
        }
    }

    fn make_room(&mut self, batch_id: &str, bytes: u64) -> Result<(), SpoolError> {
        let limit = self.disk.for_events();
        let mut taken = self.events_on_disk();
        for oldest in &self.over {
            if taken + bytes <= limit {
                break;
            }
            if let Some(kept) = self.batches.get_mut(oldest)
                && kept.events.on_disk() > 0
            {
                taken -= kept.events.on_disk();
                kept.events = Log::new(&self.folder);
                kept.is_given_up = true;
            }
        }
        if taken + bytes <= limit {
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
