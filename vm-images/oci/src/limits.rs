//! How much a stranger's archive may take.

use std::{
    cell::Cell,
    io::{self, Read},
};

/// How much may come out of archives. What exceeds it is refused before it takes more.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// Bytes that all archives of an image hold together, unpacked.
    pub bytes: u64,
    /// Files, folders and links that they hold together.
    pub entries: u64,
    /// How many times as long as the compressed bytes the unpacked ones may be; the first 64 MiB may be anything.
    pub ratio: u64,
}

/// So many bytes may be compressed to any length: little things compress well.
const FREE: u64 = 64 << 20;

/// What an archive's header may take, in bytes: names and attributes are that long at most, and memory is taken for
/// them.
const LONGEST_HEADER: u64 = 1 << 20;

impl Default for Limits {
    /// 32 GiB, 2 million entries, and a ratio of 200: real images stay far below.
    fn default() -> Self {
        Self {
            bytes: 32 << 30,
            entries: 2_000_000,
            ratio: 200,
        }
    }
}

/// What is exceeded.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum Excess {
    #[error("it holds more than {0} bytes unpacked, which is the limit")]
    Bytes(u64),
    #[error("it holds more than {0} files, which is the limit")]
    Entries(u64),
    #[error(
        "it is compressed more than {0} times, which is the limit: it may be made to fill disks"
    )]
    Ratio(u64),
    #[error(
        "a name or an attribute in it is longer than {LONGEST_HEADER} bytes, which is the limit"
    )]
    Header,
}

/// What archives have taken so far.
#[derive(Debug)]
pub(crate) struct Meter {
    limits: Limits,
    bytes: Cell<u64>,
    entries: Cell<u64>,
    /// Bytes that may be read before the next file begins, if it has not begun.
    header: Cell<u64>,
}

impl Meter {
    pub(crate) fn new(limits: Limits) -> Self {
        Self {
            limits,
            bytes: Cell::new(0),
            entries: Cell::new(0),
            header: Cell::new(u64::MAX),
        }
    }

    /// One more entry.
    pub(crate) fn count_entry(&self) -> io::Result<()> {
        self.entries.set(self.entries.get() + 1);
        self.require(
            self.entries.get() <= self.limits.entries,
            Excess::Entries(self.limits.entries),
        )
    }

    /// From here to [`end_header`](Self::end_header), a header is read.
    pub(crate) fn begin_header(&self) {
        self.header.set(LONGEST_HEADER);
    }

    pub(crate) fn end_header(&self) {
        self.header.set(u64::MAX);
    }

    /// So many more unpacked bytes, which all together come out of `packed` ones in the archive at hand.
    fn count_bytes(&self, count: u64, unpacked: u64, packed: u64) -> io::Result<()> {
        let Limits { bytes, ratio, .. } = self.limits;
        self.bytes.set(self.bytes.get().saturating_add(count));
        self.require(self.bytes.get() <= bytes, Excess::Bytes(bytes))?;
        let within = unpacked <= FREE.max(packed.saturating_mul(ratio));
        self.require(within, Excess::Ratio(ratio))?;
        let left = self.header.get().checked_sub(count);
        self.require(left.is_some(), Excess::Header)?;
        if self.header.get() != u64::MAX {
            self.header.set(left.unwrap_or_default());
        }
        Ok(())
    }

    fn require(&self, within: bool, excess: Excess) -> io::Result<()> {
        if within {
            Ok(())
        } else {
            Err(io::Error::other(excess))
        }
    }
}

/// Counts what is read through it.
pub(crate) struct Counted<'a, R> {
    reader: R,
    count: &'a Cell<u64>,
}

impl<'a, R: Read> Counted<'a, R> {
    pub(crate) fn new(reader: R, count: &'a Cell<u64>) -> Self {
        Self { reader, count }
    }
}

impl<R: Read> Read for Counted<'_, R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let count = self.reader.read(buffer)?;
        self.count.set(self.count.get() + count as u64);
        Ok(count)
    }
}

/// Meters what is unpacked through it.
pub(crate) struct Metered<'a, R> {
    reader: R,
    meter: &'a Meter,
    packed: &'a Cell<u64>,
    unpacked: u64,
}

impl<'a, R: Read> Metered<'a, R> {
    /// `packed` says how many bytes have been read of what `reader` unpacks.
    pub(crate) fn new(reader: R, meter: &'a Meter, packed: &'a Cell<u64>) -> Self {
        Self {
            reader,
            meter,
            packed,
            unpacked: 0,
        }
    }
}

impl<R: Read> Read for Metered<'_, R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let count = self.reader.read(buffer)?;
        self.unpacked += count as u64;
        self.meter
            .count_bytes(count as u64, self.unpacked, self.packed.get())?;
        Ok(count)
    }
}
