//! Bytes that are appended and read again: in memory while they are few, in an unnamed file from then on.

use std::{
    fs::File,
    io,
    os::unix::fs::FileExt,
    path::{Path, PathBuf},
};

use rustix::fs::{FallocateFlags, fallocate};

/// How many bytes are held in memory before a file takes them.
const IN_MEMORY: usize = 16 << 10;

/// What blocks of files are freed by.
const BLOCK: u64 = 4096;

/// Bytes that are appended, read again from anywhere, and freed from their beginning on.
///
/// Its file has no name: whatever ends the process, nothing of it is left.
#[derive(Debug)]
pub(super) struct Log {
    folder: PathBuf,
    place: Place,
    /// Everything before this was freed; a multiple of a block.
    freed: u64,
}

#[derive(Debug)]
enum Place {
    Memory(Vec<u8>),
    File { file: File, length: u64 },
}

impl Log {
    /// An empty one; a file of it would be in `folder`.
    pub(super) fn new(folder: &Path) -> Self {
        Self {
            folder: folder.to_owned(),
            place: Place::Memory(Vec::new()),
            freed: 0,
        }
    }

    /// How many bytes were appended in all.
    pub(super) fn length(&self) -> u64 {
        match &self.place {
            Place::Memory(bytes) => bytes.len() as u64,
            Place::File { length, .. } => *length,
        }
    }

    /// How many bytes of the disk it takes.
    pub(super) fn on_disk(&self) -> u64 {
        match &self.place {
            Place::Memory(_) => 0,
            Place::File { length, .. } => length - self.freed,
        }
    }

    /// The first byte that is still there.
    pub(super) fn freed(&self) -> u64 {
        self.freed
    }

    /// Appends bytes, all or none of them.
    pub(super) fn append(&mut self, bytes: &[u8]) -> io::Result<()> {
        if let Place::Memory(held) = &mut self.place {
            if held.len() + bytes.len() <= IN_MEMORY {
                held.extend_from_slice(bytes);
                return Ok(());
            }
            let file = tempfile::tempfile_in(&self.folder)?;
            file.write_all_at(held, 0)?;
            let length = held.len() as u64;
            self.place = Place::File { file, length };
        }
        if let Place::File { file, length } = &mut self.place {
            file.write_all_at(bytes, *length)?;
            *length += bytes.len() as u64;
        }
        Ok(())
    }

    /// Up to `most` bytes from `start` on; fewer only at the end.
    pub(super) fn read(&self, start: u64, most: usize) -> io::Result<Vec<u8>> {
        let rest = self.length().saturating_sub(start);
        let wanted = usize::try_from(rest).map_or(most, |rest| rest.min(most));
        match &self.place {
            Place::Memory(held) => {
                let start = usize::try_from(start).unwrap_or(usize::MAX);
                Ok(held[start.min(held.len())..][..wanted].to_vec())
            }
            Place::File { file, .. } => {
                let mut bytes = vec![0; wanted];
                file.read_exact_at(&mut bytes, start)?;
                Ok(bytes)
            }
        }
    }

    /// Gives the disk space of the bytes before `end` back, as far as that is whole blocks.
    pub(super) fn free_until(&mut self, end: u64) -> io::Result<()> {
        let end = end.min(self.length()) / BLOCK * BLOCK;
        if let Place::File { file, .. } = &self.place
            && end > self.freed
        {
            let hole = FallocateFlags::PUNCH_HOLE | FallocateFlags::KEEP_SIZE;
            fallocate(file, hole, self.freed, end - self.freed)?;
            self.freed = end;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bytes_are_read_as_they_were_appended_wherever_they_are() {
        let folder = tempfile::tempdir().expect("a folder");
        let mut log = Log::new(folder.path());
        let mut expected = Vec::new();
        for number in 0..100u32 {
            let piece = vec![number as u8; 997];
            log.append(&piece).expect("it is appended");
            expected.extend(piece);
            assert_eq!(log.length(), expected.len() as u64);
            let start = expected.len() / 3;
            let read = log.read(start as u64, 2000).expect("it is read");
            assert_eq!(read, expected[start..][..read.len()]);
            assert_eq!(read.len(), 2000.min(expected.len() - start));
        }
        assert!(log.on_disk() > 0);
        let nothing = std::fs::read_dir(folder.path()).expect("a folder").count();
        assert_eq!(nothing, 0, "the file has no name");
        assert!(log.read(1 << 40, 10).expect("it is read").is_empty());
    }

    #[test]
    fn space_is_given_back() {
        use std::os::unix::fs::MetadataExt;
        let folder = tempfile::tempdir().expect("a folder");
        let mut log = Log::new(folder.path());
        log.append(&vec![7; 1 << 20]).expect("it is appended");
        log.free_until((1 << 20) - 5000).expect("it is freed");
        assert_eq!(log.on_disk(), 8192);
        assert_eq!(log.freed(), (1 << 20) - 8192);
        let Place::File { file, .. } = &log.place else {
            panic!("{log:?}");
        };
        assert!(file.metadata().expect("a file").blocks() * 512 <= 64 << 10);
        let rest = log.read((1 << 20) - 8192, 1 << 20).expect("it is read");
        assert_eq!(rest, vec![7; 8192]);
    }
}
