//! Archives: folders of the sandbox that are packed or unpacked while they travel.
//!
//! An archive is a stranger's: what it holds goes below the one folder that it is unpacked in, whatever its names and
//! links say, and nothing but files, folders and links inside of the folder comes out of it.

mod bounds;
mod pack;
mod unpack;

use std::{io, os::fd::OwnedFd, path::Path};

use futures::Stream;
use prost::bytes::Bytes;
use tokio_util::sync::CancellationToken;

pub(super) use self::bounds::Bounds;
use self::unpack::Unpacking;
use super::{Download, TransferError, fileset::Selection};
use crate::{bridge, script::ArchiveFormat, threads::Threads};

/// Why an archive cannot be packed or unpacked.
#[derive(Debug, thiserror::Error)]
pub(crate) enum ArchiveError {
    #[error("the archive is damaged, or not one of the kind that was named")]
    Malformed(#[source] io::Error),
    #[error("the archive's {entry:?} is refused: {reason}")]
    Refused { entry: String, reason: &'static str },
    #[error("cannot {step} {entry:?} of the archive")]
    File {
        step: &'static str,
        entry: String,
        source: io::Error,
    },
    #[error("the archive is refused: it has more than {limit} {what}")]
    TooMuch { limit: u64, what: &'static str },
    #[error("the archive cannot be kept until it is whole")]
    Keep(#[source] io::Error),
    #[error("unpacking was broken off")]
    BrokenOff,
}

/// What packs and unpacks.
#[derive(Clone, Debug)]
pub(super) struct Archives {
    /// What archives may hold.
    pub(super) bounds: Bounds,
    pub(super) threads: Threads,
}

impl Archives {
    /// A folder as an archive: a stream of its bytes, which is packed as it is read.
    pub(super) fn pack(
        &self,
        folder: OwnedFd,
        format: ArchiveFormat,
        depth: Option<usize>,
        selection: Selection,
    ) -> impl Stream<Item = Result<Bytes, TransferError>> + Send + use<> {
        let (sink, pieces) = bridge::out();
        self.threads.start(move || {
            let result = pack::pack(&folder, format, depth, &selection, &sink);
            sink.end(result.map_err(TransferError::from));
        });
        pieces
    }

    /// Unpacks an archive into a folder, as it comes; or, if that cannot be, from an unnamed file in `disk`.
    pub(super) async fn unpack(
        &self,
        mut archive: Download,
        format: ArchiveFormat,
        folder: OwnedFd,
        selection: Selection,
        disk: &Path,
    ) -> Result<(), TransferError> {
        let unwanted = CancellationToken::new();
        let _broken_off = unwanted.clone().drop_guard();
        let unpacking = Unpacking {
            folder,
            selection,
            bounds: self.bounds,
            unwanted,
        };
        // A zip has its list at the end, and a hash is known at the end only: nothing is unpacked before.
        let is_zip = matches!(format, ArchiveFormat::Zip | ArchiveFormat::ZipStored);
        let unpacked = if is_zip || archive.has_digest() {
            let file = keep(&mut archive, &self.bounds, disk).await?;
            self.threads.start(move || unpacking.file(file, format))
        } else {
            let (source, reader) = bridge::into();
            let unpacked = self.threads.start(move || unpacking.tar(reader, format));
            while let Some(bytes) = archive.next().await? {
                // Who has enough, or has failed, takes no more.
                if source.send(bytes).await.is_err() {
                    break;
                }
            }
            source.end().await;
            unpacked
        };
        match unpacked.await {
            Ok(result) => Ok(result?),
            Err(error) => std::panic::resume_unwind(error.into_panic()),
        }
    }
}

/// All of an archive in an unnamed file.
async fn keep(
    archive: &mut Download,
    bounds: &Bounds,
    disk: &Path,
) -> Result<std::fs::File, TransferError> {
    let failed = |error| TransferError::from(ArchiveError::Keep(error));
    let file = tempfile::tempfile_in(disk).map_err(failed)?;
    let mut file = tokio::fs::File::from_std(file);
    let mut length = 0;
    while let Some(bytes) = archive.next().await? {
        length += bytes.len() as u64;
        bounds.check_bytes(length)?;
        let written = tokio::io::AsyncWriteExt::write_all(&mut file, &bytes).await;
        written.map_err(failed)?;
    }
    let flushed = tokio::io::AsyncWriteExt::flush(&mut file).await;
    flushed.map_err(failed)?;
    Ok(file.into_std().await)
}

#[cfg(test)]
mod tests;
