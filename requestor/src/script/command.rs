//! The commands of a script, before anybody knows how they will reach the provider.

use std::{fmt, path::PathBuf};

/// One command of a script.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Command {
    Deploy,
    Start,
    Run { program: String, args: Vec<String> },
    Upload { from: Origin, to: String },
    Download { from: String, to: Destination },
    Terminate,
}

/// What is uploaded.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Origin {
    File(PathBuf),
    Bytes(Vec<u8>),
}

/// Where a download goes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Destination {
    File(PathBuf),
    Memory,
}

/// The command as a person would type it.
impl fmt::Display for Command {
    fn fmt(&self, formatter: &mut fmt::Formatter) -> fmt::Result {
        match self {
            Self::Deploy => formatter.write_str("deploy"),
            Self::Start => formatter.write_str("start"),
            Self::Terminate => formatter.write_str("terminate"),
            Self::Run { program, args } => {
                write!(formatter, "run {program}")?;
                args.iter().try_for_each(|arg| write!(formatter, " {arg}"))
            }
            Self::Upload {
                from: Origin::File(file),
                to,
            } => {
                write!(formatter, "upload {} to {to}", file.display())
            }
            Self::Upload {
                from: Origin::Bytes(bytes),
                to,
            } => {
                write!(formatter, "upload {} bytes to {to}", bytes.len())
            }
            Self::Download {
                from,
                to: Destination::File(file),
            } => {
                write!(formatter, "download {from} to {}", file.display())
            }
            Self::Download {
                from,
                to: Destination::Memory,
            } => write!(formatter, "download {from}"),
        }
    }
}
