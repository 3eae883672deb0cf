//! How much an archive may hold.

use std::{
    io::{self, Read},
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
};

use tokio_util::sync::CancellationToken;

use super::ArchiveError;

/// How much an archive may hold.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Bounds {
    /// Files, folders and links.
    pub(crate) entries: u64,
    /// Bytes of all files.
    pub(crate) bytes: u64,
    /// How many times as large as the archive its files may be.
    pub(crate) ratio: u64,
}

/// Bytes that may come out of an archive however small it is.
const FREE: u64 = 64 << 20;

/// The most bytes that an archive may have between two of its files: names, mostly.
const BETWEEN: u64 = 1 << 20;

impl Bounds {
    /// What is usual, for so many bytes.
    pub(crate) fn of(bytes: u64) -> Self {
        Self {
            entries: 100_000,
            bytes,
            ratio: 200,
        }
    }

    pub(super) fn check_bytes(&self, bytes: u64) -> Result<(), ArchiveError> {
        match bytes <= self.bytes {
            true => Ok(()),
            false => Err(ArchiveError::TooMuch {
                limit: self.bytes,
                what: "bytes",
            }),
        }
    }
}

/// What has come out of an archive so far.
pub(super) struct Tally {
    bounds: Bounds,
    entries: u64,
    bytes: u64,
    /// How much of the archive was read.
    read: Arc<AtomicU64>,
    unwanted: CancellationToken,
}

impl Tally {
    pub(super) fn new(bounds: Bounds, read: Arc<AtomicU64>, unwanted: CancellationToken) -> Self {
        Self {
            bounds,
            entries: 0,
            bytes: 0,
            read,
            unwanted,
        }
    }

    pub(super) fn entry(&mut self) -> Result<(), ArchiveError> {
        self.check_wanted()?;
        self.entries += 1;
        match self.entries <= self.bounds.entries {
            true => Ok(()),
            false => Err(ArchiveError::TooMuch {
                limit: self.bounds.entries,
                what: "entries",
            }),
        }
    }

    pub(super) fn bytes(&mut self, bytes: usize) -> Result<(), ArchiveError> {
        self.check_wanted()?;
        self.bytes += bytes as u64;
        self.bounds.check_bytes(self.bytes)?;
        let allowed = self
            .read
            .load(Ordering::Relaxed)
            .saturating_mul(self.bounds.ratio);
        match self.bytes <= allowed.saturating_add(FREE) {
            true => Ok(()),
            false => Err(ArchiveError::TooMuch {
                limit: self.bounds.ratio,
                what: "times its own size in it",
            }),
        }
    }

    fn check_wanted(&self) -> Result<(), ArchiveError> {
        match self.unwanted.is_cancelled() {
            true => Err(ArchiveError::BrokenOff),
            false => Ok(()),
        }
    }
}

/// Counts what is read.
pub(super) struct Counting<R> {
    reader: R,
    read: Arc<AtomicU64>,
}

impl<R> Counting<R> {
    pub(super) fn new(reader: R) -> (Self, Arc<AtomicU64>) {
        let read = Arc::new(AtomicU64::new(0));
        let counting = Self {
            reader,
            read: read.clone(),
        };
        (counting, read)
    }
}

impl<R: Read> Read for Counting<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let length = self.reader.read(buffer)?;
        self.read.fetch_add(length as u64, Ordering::Relaxed);
        Ok(length)
    }
}

/// Limits what is read between two files, which is held in memory.
pub(super) struct Gate<R> {
    reader: R,
    left: Arc<AtomicU64>,
}

/// Opens and closes a [`Gate`].
pub(super) struct Keeper(Arc<AtomicU64>);

impl<R> Gate<R> {
    pub(super) fn new(reader: R) -> (Self, Keeper) {
        let left = Arc::new(AtomicU64::new(BETWEEN));
        let gate = Self {
            reader,
            left: left.clone(),
        };
        (gate, Keeper(left))
    }
}

impl Keeper {
    /// A file is read, of any size.
    pub(super) fn open(&self) {
        self.0.store(u64::MAX, Ordering::Relaxed);
    }

    /// What comes next is between two files.
    pub(super) fn close(&self) {
        self.0.store(BETWEEN, Ordering::Relaxed);
    }
}

impl<R: Read> Read for Gate<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let left = self.left.load(Ordering::Relaxed);
        if left == 0 {
            return Err(io::Error::other("a name in it is too long"));
        }
        let most = usize::try_from(left).map_or(buffer.len(), |left| left.min(buffer.len()));
        let length = self.reader.read(&mut buffer[..most])?;
        self.left.fetch_sub(length as u64, Ordering::Relaxed);
        Ok(length)
    }
}
