//! The volumes of a machine and the folders that stand for them here: files are in one or the other.

use std::{
    fs,
    io::{self, Write},
    path::{Path, PathBuf},
};

use futures::StreamExt;
use prost::bytes::{Bytes, BytesMut};
use tokio::{sync::mpsc, task::spawn_blocking};
use tokio_util::io::{StreamReader, SyncIoBridge};

use super::Machine;
use crate::{
    cause::in_one_line,
    sandbox::{Output, RunError, SandboxGone, Task, pack},
};

/// How many bytes are sent at once.
const PIECE: usize = 256 << 10;

/// Why files did not arrive.
#[derive(Debug, thiserror::Error)]
pub(crate) enum ExchangeError {
    #[error("cannot read or write the folder of the volume {volume}")]
    Folder { volume: String, source: io::Error },
    #[error("the machine cannot pack or unpack the volume {volume}: {reason}")]
    Guest { volume: String, reason: String },
    #[error(transparent)]
    Run(#[from] RunError),
    #[error(transparent)]
    Gone(#[from] SandboxGone),
}

impl Machine {
    /// Copies all that is in a folder here into a volume.
    pub(crate) async fn put(&self, folder: &Path, volume: &str) -> Result<(), ExchangeError> {
        if is_empty(folder) {
            return Ok(());
        }
        let (pieces, mut received) = mpsc::channel(2);
        let from = folder.to_owned();
        let packing = spawn_blocking(move || {
            let mut to = Pieces {
                pieces,
                pending: BytesMut::new(),
            };
            pack(&from, Path::new(""), &mut to)
        });
        while let Some(piece) = received.recv().await {
            let stored = self.store(piece).await?;
            if let Some(reason) = stored {
                let volume = volume.to_owned();
                return Err(ExchangeError::Guest { volume, reason });
            }
        }
        let failed = |source| ExchangeError::Folder {
            volume: volume.to_owned(),
            source,
        };
        packing
            .await
            .map_err(io::Error::other)
            .flatten()
            .map_err(failed)?;
        let mut process = self.run_task(Task::Unpack, [volume, ""]).await?;
        let mut complaint = Vec::new();
        while let Some(Output::Stdout(bytes) | Output::Stderr(bytes)) = process.next().await {
            complaint.extend_from_slice(&bytes);
        }
        if !process.wait().await?.is_success() {
            return Err(ExchangeError::Guest {
                volume: volume.to_owned(),
                reason: String::from_utf8_lossy(&complaint).trim().to_owned(),
            });
        }
        Ok(())
    }

    /// Moves all that is in a folder here into a volume.
    pub(crate) async fn take(&self, folder: &Path, volume: &str) -> Result<(), ExchangeError> {
        self.put(folder, volume).await?;
        empty(folder).map_err(|source| ExchangeError::Folder {
            volume: volume.to_owned(),
            source,
        })
    }

    /// Copies what is at a path of a volume into a folder here, and nothing else is left there, up to a number of bytes.
    pub(crate) async fn get(
        &self,
        volume: &str,
        path: &str,
        folder: &Path,
        most_bytes: u64,
    ) -> Result<(), ExchangeError> {
        let failed = |source| ExchangeError::Folder {
            volume: volume.to_owned(),
            source,
        };
        empty(folder).map_err(failed)?;
        let process = self.run_task(Task::Pack, [volume, path]).await?;
        let mut received = 0;
        let pieces = process.filter_map(move |output| {
            let piece = match output {
                Output::Stdout(bytes) => {
                    received += bytes.len() as u64;
                    match received <= most_bytes {
                        true => Ok(bytes),
                        false => Err(io::Error::other("it is more than was agreed on")),
                    }
                }
                Output::Stderr(bytes) => Err(io::Error::other(
                    String::from_utf8_lossy(&bytes).into_owned(),
                )),
            };
            futures::future::ready(Some(piece))
        });
        let reader = SyncIoBridge::new(StreamReader::new(Box::pin(pieces)));
        let to = folder.to_owned();
        let unpacked = spawn_blocking(move || tar::Archive::new(reader).unpack(to)).await;
        let unpacked = unpacked.map_err(io::Error::other).flatten();
        unpacked.map_err(|error| ExchangeError::Guest {
            volume: volume.to_owned(),
            reason: in_one_line(&error),
        })
    }
}

/// Takes an archive in, and sends it on in pieces.
struct Pieces {
    pieces: mpsc::Sender<Bytes>,
    pending: BytesMut,
}

impl Write for Pieces {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.pending.extend_from_slice(bytes);
        if self.pending.len() >= PIECE {
            self.flush()?;
        }
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        let piece = self.pending.split().freeze();
        let sent = self.pieces.blocking_send(piece);
        sent.map_err(|_| io::Error::from(io::ErrorKind::BrokenPipe))
    }
}

fn is_empty(folder: &Path) -> bool {
    fs::read_dir(folder).is_ok_and(|mut entries| entries.next().is_none())
}

fn empty(folder: &Path) -> io::Result<()> {
    for entry in fs::read_dir(folder)? {
        let path: PathBuf = entry?.path();
        match path.symlink_metadata()?.is_dir() {
            true => fs::remove_dir_all(path)?,
            false => fs::remove_file(path)?,
        }
    }
    Ok(())
}
