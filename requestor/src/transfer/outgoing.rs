//! Files that providers read.

use std::{io::SeekFrom, path::PathBuf};

use tokio::{
    fs::File,
    io::{AsyncReadExt, AsyncSeekExt},
};

use super::TransferError;

/// The most that a provider may ask for at once. Exe-units ask for 40 KiB, and may take less than that for a failure.
pub(super) const MAX_CHUNK: u64 = 4 << 20;

/// A file that providers may read.
#[derive(Debug)]
pub struct Outgoing(Content);

#[derive(Debug)]
enum Content {
    Bytes(Vec<u8>),
    File {
        file: File,
        path: PathBuf,
        size: u64,
    },
}

impl Outgoing {
    /// A file on disk.
    ///
    /// # Errors
    /// If it cannot be opened.
    pub async fn file(path: impl Into<PathBuf>) -> Result<Self, TransferError> {
        let path = path.into();
        let file = File::open(&path)
            .await
            .map_err(TransferError::io("open", &path))?;
        let size = file
            .metadata()
            .await
            .map_err(TransferError::io("read", &path))?
            .len();
        Ok(Self(Content::File { file, path, size }))
    }

    /// Bytes in memory.
    pub fn bytes(bytes: Vec<u8>) -> Self {
        Self(Content::Bytes(bytes))
    }

    /// The file's size in bytes.
    pub fn size(&self) -> u64 {
        match &self.0 {
            Content::Bytes(bytes) => bytes.len() as u64,
            Content::File { size, .. } => *size,
        }
    }

    /// `size` bytes from `offset` on; fewer at the end of the file.
    ///
    /// # Errors
    /// If the file cannot be read, or if more than 4 MiB are wanted at once.
    pub async fn read(&mut self, offset: u64, size: u64) -> Result<Vec<u8>, TransferError> {
        if size > MAX_CHUNK {
            return Err(TransferError::LargeChunk { size });
        }
        match &mut self.0 {
            Content::Bytes(bytes) => {
                let rest = bytes.get(offset as usize..).unwrap_or_default();
                Ok(rest[..rest.len().min(size as usize)].to_vec())
            }
            Content::File { file, path, .. } => {
                let mut part = Vec::new();
                file.seek(SeekFrom::Start(offset))
                    .await
                    .map_err(TransferError::io("read", path))?;
                let read = file.take(size).read_to_end(&mut part).await;
                read.map_err(TransferError::io("read", path))?;
                Ok(part)
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_file_is_read_in_parts() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("numbers");
        std::fs::write(&path, b"0123456789").unwrap();
        let outgoing = [
            Outgoing::file(&path).await.unwrap(),
            Outgoing::bytes(b"0123456789".into()),
        ];
        for mut file in outgoing {
            assert_eq!(file.size(), 10);
            assert_eq!(file.read(4, 3).await.unwrap(), b"456");
            assert_eq!(file.read(8, 100).await.unwrap(), b"89");
            assert_eq!(file.read(10, 1).await.unwrap(), b"");
            assert_eq!(file.read(1000, 1).await.unwrap(), b"");
        }
    }

    #[tokio::test]
    async fn nobody_has_a_whole_image_read_at_once() {
        let mut file = Outgoing::bytes(vec![1; 10]);
        assert_eq!(file.read(0, MAX_CHUNK).await.unwrap().len(), 10);
        for size in [MAX_CHUNK + 1, u64::MAX] {
            let error = file.read(0, size).await.unwrap_err();
            assert!(matches!(error, TransferError::LargeChunk { size: it } if it == size));
        }
    }

    #[tokio::test]
    async fn a_missing_file_is_named() {
        let error = Outgoing::file("/nowhere/at-all").await.unwrap_err();
        assert_eq!(error.to_string(), "cannot open /nowhere/at-all");
    }
}
