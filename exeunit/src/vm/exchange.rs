//! The volumes of a machine and the folders that stand for them here: files are in one or the other.

use std::{
    fs,
    io::{self, Write},
    path::Path,
    pin::pin,
};

use futures::{StreamExt, TryStreamExt};

use super::Machine;
use crate::{
    bridge::{self, SinkWriter},
    cause::in_one_line,
    remove_tree,
    sandbox::{Output, RunError, SandboxGone, Task, pack, unpack},
    threads::Threads,
};

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

/// Copies files into a machine's volumes and out of them.
pub(crate) struct Exchange<'a> {
    machine: &'a Machine,
    threads: &'a Threads,
}

impl<'a> Exchange<'a> {
    pub(crate) fn new(machine: &'a Machine, threads: &'a Threads) -> Self {
        Self { machine, threads }
    }

    /// Copies all that is in a folder here into a volume.
    pub(crate) async fn put(&self, folder: &Path, volume: &str) -> Result<(), ExchangeError> {
        if is_empty(folder) {
            return Ok(());
        }
        let (failed, guest) = (in_folder(volume), in_guest(volume));
        let (sink, pieces) = bridge::out();
        let from = folder.to_owned();
        self.threads.start(move || {
            let mut archive = SinkWriter::new(&sink);
            let packed = pack(&from, Path::new(""), &mut archive).and_then(|()| archive.flush());
            drop(archive);
            sink.end(packed);
        });
        let mut pieces = pin!(pieces);
        let mut is_first = true;
        while let Some(piece) = pieces.try_next().await.map_err(&failed)? {
            if let Some(reason) = self.machine.store(piece, is_first).await? {
                return Err(guest(reason));
            }
            is_first = false;
        }
        let mut process = self.machine.run_task(Task::Unpack, [volume, ""]).await?;
        let mut complaint = Vec::new();
        while let Some(Output::Stdout(bytes) | Output::Stderr(bytes)) = process.next().await {
            complaint.extend_from_slice(&bytes);
        }
        match process.wait().await?.is_success() {
            true => Ok(()),
            false => Err(guest(String::from_utf8_lossy(&complaint).trim().to_owned())),
        }
    }

    /// Moves all that is in a folder here into a volume.
    pub(crate) async fn take(&self, folder: &Path, volume: &str) -> Result<(), ExchangeError> {
        self.put(folder, volume).await?;
        empty(folder).map_err(in_folder(volume))
    }

    /// Copies what is at a path of a volume into a folder here, and nothing else is left there, up to a number of bytes.
    pub(crate) async fn get(
        &self,
        volume: &str,
        path: &str,
        folder: &Path,
        most_bytes: u64,
    ) -> Result<(), ExchangeError> {
        empty(folder).map_err(in_folder(volume))?;
        let guest = in_guest(volume);
        let mut packing = self.machine.run_task(Task::Pack, [volume, path]).await?;
        let (source, reader) = bridge::into();
        let to = folder.to_owned();
        let unpacked = self.threads.start(move || unpack(reader, &to, most_bytes));
        let mut received = 0;
        while let Some(output) = packing.next().await {
            let bytes = match output {
                Output::Stdout(bytes) => bytes,
                Output::Stderr(complaint) => {
                    return Err(guest(String::from_utf8_lossy(&complaint).into_owned()));
                }
            };
            received += bytes.len() as u64;
            if received > most_bytes {
                return Err(guest("it is more than was agreed on".to_owned()));
            }
            // Who has failed takes no more.
            if source.send(bytes).await.is_err() {
                break;
            }
        }
        source.end().await;
        let unpacked = unpacked.await.map_err(io::Error::other).flatten();
        unpacked.map_err(|error| guest(in_one_line(&error)))
    }
}

fn in_folder(volume: &str) -> impl Fn(io::Error) -> ExchangeError {
    let volume = volume.to_owned();
    move |source| ExchangeError::Folder {
        volume: volume.clone(),
        source,
    }
}

fn in_guest(volume: &str) -> impl Fn(String) -> ExchangeError {
    let volume = volume.to_owned();
    move |reason| ExchangeError::Guest {
        volume: volume.clone(),
        reason,
    }
}

fn is_empty(folder: &Path) -> bool {
    fs::read_dir(folder).is_ok_and(|mut entries| entries.next().is_none())
}

fn empty(folder: &Path) -> io::Result<()> {
    for entry in fs::read_dir(folder)? {
        remove_tree(&entry?.path())?;
    }
    Ok(())
}
