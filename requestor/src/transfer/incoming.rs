//! Files that providers write.

use std::{
    io::{self, Read, Seek, SeekFrom, Write},
    path::{Path, PathBuf},
};

use sha3::{Digest, Sha3_256};
use tempfile::NamedTempFile;
use tokio::sync::oneshot;

use super::TransferError;

/// The most that a provider may send where the bytes are kept in memory.
pub(super) const MAX_IN_MEMORY: u64 = 256 << 20;

/// How far behind the end of what has come a part may lie: parts overtake each other. Were there no limit, one small part
/// would have memory filled with zeros, or leave a file that is too long to ever be read.
const MAX_GAP: u64 = 16 << 20;

/// A file that a provider may write.
#[derive(Debug)]
pub struct Incoming {
    /// None once the file is whole.
    target: Option<Target>,
    done: Option<oneshot::Sender<Result<Vec<u8>, TransferError>>>,
}

#[derive(Debug)]
enum Target {
    Memory(Vec<u8>),
    File {
        part: NamedTempFile,
        path: PathBuf,
        size: u64,
    },
}

/// Tells when an [`Incoming`] file is whole.
#[derive(Debug)]
pub struct Receipt(oneshot::Receiver<Result<Vec<u8>, TransferError>>);

impl Receipt {
    /// The bytes of a file that is whole; none if they are on disk.
    ///
    /// To be asked after the provider has said that it sent the file: it does not wait for it.
    ///
    /// # Errors
    /// If the file is not whole, or was damaged on its way.
    pub fn take(mut self) -> Result<Vec<u8>, TransferError> {
        self.0.try_recv().unwrap_or(Err(TransferError::Incomplete))
    }
}

impl Incoming {
    /// A file to be on disk, in a folder that exists. What has the name before is replaced. There is no limit to
    /// its size but the disk's.
    ///
    /// # Errors
    /// If it cannot be created.
    pub fn to_file(path: impl Into<PathBuf>) -> Result<(Self, Receipt), TransferError> {
        let path = path.into();
        let folder = match path.parent() {
            Some(folder) if folder != Path::new("") => folder,
            _ => Path::new("."),
        };
        let mut named = tempfile::Builder::new();
        named.prefix(".").suffix(".part");
        // As any new file of the user's, not only for his own eyes as a temporary file is.
        #[cfg(unix)]
        named.permissions(std::os::unix::fs::PermissionsExt::from_mode(0o666));
        let part = named
            .tempfile_in(folder)
            .map_err(TransferError::io("create", &path))?;
        Ok(Self::new(Target::File {
            part,
            path,
            size: 0,
        }))
    }

    /// Bytes to be in memory, 256 MiB at the most.
    pub fn to_memory() -> (Self, Receipt) {
        Self::new(Target::Memory(Vec::new()))
    }

    fn new(target: Target) -> (Self, Receipt) {
        let (done, receipt) = oneshot::channel();
        (
            Self {
                target: Some(target),
                done: Some(done),
            },
            Receipt(receipt),
        )
    }

    /// Takes a part of the file. It blocks the thread while that is written.
    ///
    /// # Errors
    /// If it cannot be written, is too much for the memory, or lies more than 16 MiB behind the end of what has come.
    pub fn write(&mut self, offset: u64, part: &[u8]) -> Result<(), TransferError> {
        let target = self.target.as_mut().ok_or(TransferError::Incomplete)?;
        let end = offset.saturating_add(part.len() as u64);
        let size = target.size();
        match target {
            Target::Memory(_) if end > MAX_IN_MEMORY => return Err(TransferError::TooLarge),
            _ if offset > size.saturating_add(MAX_GAP) => {
                return Err(TransferError::FarOffset { offset, size });
            }
            Target::Memory(bytes) => {
                bytes.resize(size.max(end) as usize, 0);
                bytes[offset as usize..end as usize].copy_from_slice(part);
            }
            Target::File {
                part: file,
                path,
                size,
            } => {
                let file = file.as_file_mut();
                file.seek(SeekFrom::Start(offset))
                    .and_then(|_| file.write_all(part))
                    .map_err(TransferError::io("write", path))?;
                *size = end.max(*size);
            }
        }
        Ok(())
    }

    /// Checks that the file is what was sent (SHA3-256 in hex), and gives it its name. It blocks the thread while the file is
    /// read.
    ///
    /// # Errors
    /// If it was damaged on its way, or cannot get its name.
    pub fn finish(&mut self, hash: Option<&str>) -> Result<(), TransferError> {
        let target = self.target.take().ok_or(TransferError::Incomplete)?;
        let received = target.complete(hash);
        let verdict = received.as_ref().map(|_| ()).map_err(TransferError::clone);
        if let Some(done) = self.done.take() {
            // Nobody may wait for the file any more; it is no less whole for that.
            let _ = done.send(received);
        }
        verdict
    }
}

impl Target {
    /// Up to where parts have come.
    fn size(&self) -> u64 {
        match self {
            Self::Memory(bytes) => bytes.len() as u64,
            Self::File { size, .. } => *size,
        }
    }

    fn complete(self, hash: Option<&str>) -> Result<Vec<u8>, TransferError> {
        match self {
            Self::Memory(bytes) => {
                check("the file", hash, || Ok(Sha3_256::digest(&bytes).to_vec()))?;
                Ok(bytes)
            }
            Self::File { mut part, path, .. } => {
                check(&path.display().to_string(), hash, || {
                    digest(part.as_file_mut()).map_err(TransferError::io("read", &path))
                })?;
                let renamed = part.persist(&path).map_err(|error| error.error);
                renamed.map_err(TransferError::io("create", &path))?;
                Ok(Vec::new())
            }
        }
    }
}

fn check(
    name: &str,
    expected: Option<&str>,
    actual: impl FnOnce() -> Result<Vec<u8>, TransferError>,
) -> Result<(), TransferError> {
    let Some(expected) = expected else {
        return Ok(());
    };
    let actual = hex::encode(actual()?);
    if actual.eq_ignore_ascii_case(expected) {
        return Ok(());
    }
    Err(TransferError::Damaged {
        name: name.into(),
        expected: expected.into(),
        actual,
    })
}

fn digest(file: &mut std::fs::File) -> io::Result<Vec<u8>> {
    let mut hasher = Sha3_256::new();
    let mut buffer = vec![0; 1 << 16];
    file.seek(SeekFrom::Start(0))?;
    loop {
        match file.read(&mut buffer)? {
            0 => return Ok(hasher.finalize().to_vec()),
            read => hasher.update(&buffer[..read]),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sha3(bytes: &[u8]) -> String {
        hex::encode(Sha3_256::digest(bytes))
    }

    #[test]
    fn a_file_gets_its_name_when_it_is_whole() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("plot.png");
        let (mut file, receipt) = Incoming::to_file(&path).unwrap();
        file.write(3, b"def").unwrap();
        file.write(0, b"abc").unwrap();
        assert!(!path.exists());
        file.finish(Some(&sha3(b"abcdef"))).unwrap();
        receipt.take().unwrap();
        assert_eq!(std::fs::read(&path).unwrap(), b"abcdef");
        assert!(matches!(
            file.write(0, b"x"),
            Err(TransferError::Incomplete)
        ));
    }

    #[test]
    fn a_damaged_file_leaves_nothing() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("plot.png");
        let (mut file, receipt) = Incoming::to_file(&path).unwrap();
        file.write(0, b"abX").unwrap();
        let error = file.finish(Some(&sha3(b"abc"))).unwrap_err();
        assert!(
            error
                .to_string()
                .contains("plot.png was damaged on its way"),
            "{error}"
        );
        assert!(matches!(receipt.take(), Err(TransferError::Damaged { .. })));
        assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 0);
    }

    #[test]
    fn bytes_in_memory_have_a_limit() {
        let (mut file, receipt) = Incoming::to_memory();
        file.write(0, b"abc").unwrap();
        for offset in [MAX_IN_MEMORY, u64::MAX] {
            assert!(matches!(
                file.write(offset, b"x"),
                Err(TransferError::TooLarge)
            ));
        }
        file.finish(None).unwrap();
        assert_eq!(receipt.take().unwrap(), b"abc");
    }

    #[test]
    fn a_part_that_leaves_too_much_out_is_refused() {
        let folder = tempfile::tempdir().unwrap();
        let (on_disk, _receipt) = Incoming::to_file(folder.path().join("file")).unwrap();
        let (in_memory, _receipt) = Incoming::to_memory();
        for mut file in [on_disk, in_memory] {
            file.write(MAX_GAP, b"overtakes").unwrap();
            let size = MAX_GAP + 9;
            let error = file.write(size + MAX_GAP + 1, b"too far").unwrap_err();
            assert!(matches!(error, TransferError::FarOffset { size: it, .. } if it == size));
        }
    }

    #[test]
    fn a_file_that_was_never_finished_is_incomplete() {
        let (_file, receipt) = Incoming::to_memory();
        assert!(matches!(receipt.take(), Err(TransferError::Incomplete)));
    }
}
