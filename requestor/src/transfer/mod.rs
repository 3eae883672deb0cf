//! Files on their way between a requestor and a provider: what is read here, and what is written here.
//!
//! A provider asks for parts, or sends them, by offset. A file that comes in is written under a temporary
//! name beside its own, and gets its own when it is whole.

mod incoming;
mod outgoing;

use std::{
    io,
    path::{Path, PathBuf},
    sync::Arc,
};

use self::{incoming::MAX_IN_MEMORY, outgoing::MAX_CHUNK};
pub use self::{
    incoming::{Incoming, Receipt},
    outgoing::Outgoing,
};

/// Why a file could not be read or written.
#[derive(Clone, Debug, thiserror::Error)]
pub enum TransferError {
    /// The file system says no.
    #[error("cannot {action} {path}")]
    Io {
        /// What was tried.
        action: &'static str,
        /// With which file.
        path: PathBuf,
        /// What the system says.
        source: Arc<io::Error>,
    },
    /// The bytes that came are not those that were sent.
    #[error("{name} was damaged on its way: its SHA3-256 is {actual}, not {expected}")]
    #[expect(missing_docs, reason = "the message says it")]
    Damaged {
        name: String,
        expected: String,
        actual: String,
    },
    /// More was sent than fits in memory.
    #[error("more than {} MiB were sent into memory: download to a file instead", MAX_IN_MEMORY >> 20)]
    TooLarge,
    /// More was asked for at once than is read at once.
    #[error("{size} bytes were asked for at once, which may be {MAX_CHUNK} at the most")]
    #[expect(missing_docs, reason = "the message says it")]
    LargeChunk { size: u64 },
    /// A part was sent that leaves out too much before it.
    #[error("a part was sent for offset {offset}, far behind the {size} bytes that have come")]
    #[expect(missing_docs, reason = "the message says it")]
    FarOffset { offset: u64, size: u64 },
    /// The provider said that it sent the file, but did not.
    #[error("the provider did not send the whole file")]
    Incomplete,
}

impl TransferError {
    fn io(action: &'static str, path: &Path) -> impl FnOnce(io::Error) -> Self {
        move |source| Self::Io {
            action,
            path: path.into(),
            source: Arc::new(source),
        }
    }
}
