//! What can go wrong with a sandbox.

use std::{io, path::PathBuf};

use crate::frame::FrameError;

/// Why a sandbox did not start.
#[derive(Debug, thiserror::Error)]
pub enum SandboxError {
    /// Its first process could not be started.
    #[error("cannot start {} as a sandbox's launcher", .program.display())]
    Launch {
        /// The program.
        program: PathBuf,
        /// Why not.
        source: io::Error,
    },
    /// This system allows no sandboxes. The reason names the setting, and how to change it.
    #[error("no sandbox can be started: {0}")]
    Forbidden(String),
    /// One of its parts could not be made. The reason names which, and why.
    #[error("cannot build the sandbox: {0}")]
    Build(String),
    /// Its first processes ended without a word, or spoke nonsense: the program may not call
    /// [`enter`](crate::enter).
    #[error("{} is no program that becomes a sandbox: does its `main` call `exeunit::enter` first?", .program.display())]
    Mute {
        /// The program.
        program: PathBuf,
        /// What was received instead of an answer, if anything was.
        source: Option<FrameError>,
    },
}

/// Why a command did not run.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum RunError {
    /// Its program could not be started.
    #[error("{reason}")]
    Refused {
        /// What a shell would have exited with: 127 if there is no such program, else 126.
        code: i32,
        /// Why not, with the program's name.
        reason: String,
    },
    /// The sandbox has ended, and with it everything in it.
    #[error(transparent)]
    Gone(#[from] SandboxGone),
}

/// The sandbox has ended: it was stopped, or its processes were killed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the sandbox has ended")]
pub struct SandboxGone;
