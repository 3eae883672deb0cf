//! Why a node does not start.

use std::{
    io,
    path::{Path, PathBuf},
};

use exeunit::NotEntered;

use crate::{folder::HoldError, state::StateError};

/// Why there is no node.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// It has no folder for its files.
    #[error("cannot make the folder {path}")]
    #[expect(missing_docs, reason = "the message says it")]
    Folder { path: PathBuf, source: io::Error },
    /// Another node keeps its state there.
    #[error("another node is at work in {path}: a folder has one at a time")]
    #[expect(missing_docs, reason = "the message says it")]
    Taken { path: PathBuf },
    /// Exe-units could not find the bus.
    #[error("cannot listen for exe-units at {path}")]
    #[expect(missing_docs, reason = "the message says it")]
    Bus { path: PathBuf, source: io::Error },
    /// No program could find the node.
    #[error("cannot listen on port {port} of loopback")]
    #[expect(missing_docs, reason = "the message says it")]
    Listen { port: u16, source: io::Error },
    /// Two requestors would be one.
    #[error("the app key {name} is there twice: names and keys must differ")]
    #[expect(missing_docs, reason = "the message says it")]
    AppKey { name: String },
    /// An image cannot be had.
    #[error("cannot put the image {path} in: {reason}")]
    #[expect(missing_docs, reason = "the message says it")]
    Image { path: PathBuf, reason: String },
    /// Exe-units could not plug sandboxes into networks.
    #[error("cannot listen for sandboxes at {path}")]
    #[expect(missing_docs, reason = "the message says it")]
    Networks { path: PathBuf, source: io::Error },
    /// Nothing can become an exe-unit.
    #[error(transparent)]
    ExeUnit(#[from] NotEntered),
    /// What it kept when it ran before cannot be used.
    #[error("what the node keeps cannot be used")]
    State(#[from] StateError),
    /// A provider says something that the market does not understand.
    #[error("the offer of provider {provider} makes no sense: {reason}")]
    #[expect(missing_docs, reason = "the message says it")]
    Offer { provider: String, reason: String },
}

impl StartError {
    /// A folder cannot be had.
    pub(super) fn folder(path: &Path) -> impl FnOnce(HoldError) -> Self {
        let path = path.to_owned();
        |error| match error {
            HoldError::Taken => Self::Taken { path },
            HoldError::Io(source) => Self::Folder { path, source },
        }
    }
}
