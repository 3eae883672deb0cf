//! Parts of files, read at any place by any number of readers.

use std::{
    fs::File,
    io::{self, Read},
    os::unix::fs::FileExt,
    sync::Arc,
};

/// A part of a file.
#[derive(Clone, Debug)]
pub(crate) struct Region {
    file: Arc<File>,
    start: u64,
    size: u64,
}

impl Region {
    /// All that is in `file` now.
    pub(crate) fn whole(file: File) -> io::Result<Self> {
        let size = file.metadata()?.len();
        Ok(Self {
            file: Arc::new(file),
            start: 0,
            size,
        })
    }

    /// A part of this part, which it does not exceed.
    pub(crate) fn part(&self, start: u64, size: u64) -> io::Result<Self> {
        let end = start.checked_add(size);
        if end.is_none_or(|end| end > self.size) {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        Ok(Self {
            file: Arc::clone(&self.file),
            start: self.start + start,
            size,
        })
    }

    /// Bytes that it has.
    pub(crate) fn size(&self) -> u64 {
        self.size
    }

    /// Reads it from its beginning.
    pub(crate) fn reader(&self) -> RegionReader {
        RegionReader {
            file: Arc::clone(&self.file),
            at: self.start,
            left: self.size,
        }
    }
}

/// Reads a [`Region`] from its beginning to its end.
#[derive(Debug)]
pub(crate) struct RegionReader {
    file: Arc<File>,
    at: u64,
    left: u64,
}

impl Read for RegionReader {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let most = usize::try_from(self.left).map_or(buffer.len(), |left| left.min(buffer.len()));
        if most == 0 {
            return Ok(0);
        }
        match self.file.read_at(&mut buffer[..most], self.at)? {
            // The file has become shorter since.
            0 => Err(io::ErrorKind::UnexpectedEof.into()),
            count => {
                self.at += count as u64;
                self.left -= count as u64;
                Ok(count)
            }
        }
    }
}
