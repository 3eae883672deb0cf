//! The disk space of an activity, which what it writes and what is kept of its output share.

use std::sync::atomic::{AtomicU64, Ordering};

/// The part of the agreed disk space that events may take until they are read, and that outputs may take.
const PART: u64 = 4;
/// The least that they may take, in bytes: some pieces of output.
const LEAST: u64 = 1 << 20;
/// The least that outputs of results may take, in bytes: those of two commands, however long.
const LEAST_OUTPUTS: u64 = 16 << 20;

/// Who takes how much of the disk space that is agreed on.
#[derive(Debug)]
pub(crate) struct Disk {
    agreed: u64,
    /// What the spool takes.
    spool: AtomicU64,
    /// What all else does: volumes, logs and scratch space.
    rest: AtomicU64,
}

impl Disk {
    /// Of which nothing is taken yet, with so many bytes.
    pub(crate) fn new(agreed: u64) -> Self {
        Self {
            agreed,
            spool: AtomicU64::new(0),
            rest: AtomicU64::new(0),
        }
    }

    /// The bytes that events may take: a part of all, and no more than others leave.
    pub(super) fn for_events(&self) -> u64 {
        let left = self
            .agreed
            .saturating_sub(self.rest.load(Ordering::Relaxed));
        left.min(self.agreed / PART).max(LEAST)
    }

    /// The bytes that outputs of results may take: as much.
    pub(super) fn for_outputs(&self) -> u64 {
        self.for_events().max(LEAST_OUTPUTS)
    }

    pub(super) fn spool_takes(&self, bytes: u64) {
        self.spool.store(bytes, Ordering::Relaxed);
    }

    /// Notes what is taken besides the spool; returns what the spool takes.
    pub(crate) fn rest_takes(&self, bytes: u64) -> u64 {
        self.rest.store(bytes, Ordering::Relaxed);
        self.spool.load(Ordering::Relaxed)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn events_have_a_part_of_the_disk_and_no_more_than_is_left() {
        const MIB: u64 = 1 << 20;
        for (agreed, rest, events) in [
            (400, 0, 100),
            (400, 299, 100),
            (400, 350, 50),
            (400, 500, 1),
            (2, 0, 1),
        ] {
            let disk = Disk::new(agreed * MIB);
            assert_eq!(disk.rest_takes(rest * MIB), 0);
            assert_eq!(disk.for_events(), events * MIB, "{rest} of {agreed}");
            disk.spool_takes(7);
            assert_eq!(disk.rest_takes(0), 7);
        }
    }
}
