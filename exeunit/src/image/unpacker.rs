//! Unpacks an image in a process of its own.
//!
//! Whoever has packed it may be a stranger, and what lists its files believes it: some megabytes can stand for as many
//! gigabytes of names. The process has a limit of memory, and takes nobody with it.

use std::{
    fs,
    os::unix::process::ExitStatusExt,
    path::{Path, PathBuf},
    process::{Command, ExitStatus, Stdio},
};

use rustix::process::{
    Resource, Rlimit, Signal, getpid, getppid, getrlimit, set_parent_process_death_signal,
    setrlimit,
};

use super::{ImageError, at};
use crate::{Program, cause::in_one_line, sandbox::adopt};

/// The memory that listing and unpacking an image may take, in bytes: that of a million files with long names.
const MEMORY: u64 = 2 << 30;
/// How many times as large as an image's file what is in it may be. Programs are compressed to a third, text to a tenth.
const RATIO: u64 = 100;
/// Bytes that may be in an image however small its file is.
const FREE: u64 = 1 << 30;
/// Bytes that may be in an image however large its file is.
const MOST: u64 = 64 << 30;
/// The most files, folders and links that may be in an image.
const ENTRIES: u64 = 1_000_000;

/// Has a process unpack an image's file into a folder that does not exist. Blocks.
pub(super) fn unpack(program: &Program, file: &Path, tree: &Path) -> Result<(), ImageError> {
    let mut unpacker: Command = program.unpacker();
    let unpacked = unpacker
        .args([file, tree])
        .arg(getpid().as_raw_nonzero().to_string())
        .env_clear()
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::piped())
        .output()
        .map_err(at("start the unpacking of", file))?;
    match unpacked.status.success() {
        true => Ok(()),
        false => Err(ImageError::NotUnpacked(reason(
            unpacked.status,
            &String::from_utf8_lossy(&unpacked.stderr),
        ))),
    }
}

fn reason(status: ExitStatus, said: &str) -> String {
    match status.signal() {
        Some(signal) => format!(
            "it may take {MEMORY} bytes of memory, and has ended by signal {signal}: {}",
            said.trim()
        ),
        None => said.trim().to_owned(),
    }
}

/// What a program does that is started as an unpacker: the code that it exits with.
pub(crate) fn main() -> u8 {
    let arguments: Vec<PathBuf> = std::env::args_os().skip(1).map(PathBuf::from).collect();
    let [file, tree, parent] = &arguments[..] else {
        return 1;
    };
    // Whoever holds the lock of the folder is to be the only one who writes to it.
    let follows = set_parent_process_death_signal(Some(Signal::KILL)).is_ok();
    let is_followed = |id: rustix::process::Pid| parent.to_str() == Some(&id.to_string());
    if !follows || !getppid().is_some_and(is_followed) {
        return 1;
    }
    limit_memory();
    match unpack_here(file, tree) {
        Ok(()) => 0,
        Err(error) => {
            eprintln!("{}", in_one_line(&error));
            1
        }
    }
}

fn limit_memory() {
    let maximum = getrlimit(Resource::Data).maximum.unwrap_or(MEMORY);
    let limit = Some(maximum.min(MEMORY));
    // To lower a limit is always allowed.
    let _ = setrlimit(
        Resource::Data,
        Rlimit {
            current: limit,
            maximum: limit,
        },
    );
}

#[derive(Debug, thiserror::Error)]
enum UnpackError {
    #[error(transparent)]
    Open(#[from] gvmi::OpenError),
    #[error(transparent)]
    Tree(#[from] gvmi::TreeError),
    #[error("what is in the image is too much: {found} {what}, where {limit} are the most")]
    TooMuch {
        what: &'static str,
        found: u64,
        limit: u64,
    },
    #[error(transparent)]
    Unpack(#[from] gvmi::UnpackError),
    #[error("cannot give its files to the user that sandboxes run as")]
    Adopt(#[source] std::io::Error),
    #[error("cannot read its size")]
    Size(#[source] std::io::Error),
}

fn unpack_here(file: &Path, tree: &Path) -> Result<(), UnpackError> {
    let files = gvmi::Image::open(file)?.tree()?;
    let length = fs::metadata(file).map_err(UnpackError::Size)?.len();
    check_size(length, files.size(), files.entries().count() as u64)?;
    files.unpack(tree)?;
    adopt(tree).map_err(UnpackError::Adopt)
}

/// Refuses what would fill the disk with next to nothing: all images of a machine share a folder.
fn check_size(length: u64, bytes: u64, entries: u64) -> Result<(), UnpackError> {
    let most_bytes = length.saturating_mul(RATIO).clamp(FREE, MOST);
    for (what, found, limit) in [("bytes", bytes, most_bytes), ("files", entries, ENTRIES)] {
        if found > limit {
            return Err(UnpackError::TooMuch { what, found, limit });
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_image_may_be_large_and_no_bomb() {
        const GIB: u64 = 1 << 30;
        for (length, bytes, entries, refusal) in [
            (100, GIB, 3, None),
            (GIB / 2, 50 * GIB, ENTRIES, None),
            (GIB, 64 * GIB, ENTRIES, None),
            (100, GIB + 1, 3, Some("1073741825 bytes, where 1073741824")),
            (GIB / 2, 50 * GIB + 1, 3, Some("bytes, where 53687091200")),
            (GIB, 64 * GIB + 1, 3, Some("bytes, where 68719476736")),
            (GIB, 5, ENTRIES + 1, Some("1000001 files, where 1000000")),
            (u64::MAX, u64::MAX, 5, Some("bytes, where 68719476736")),
        ] {
            let refused = check_size(length, bytes, entries).err();
            let refused = refused.map(|error| error.to_string());
            let as_expected = match (&refused, refusal) {
                (None, None) => true,
                (Some(refused), Some(reason)) => refused.contains(reason),
                _ => false,
            };
            assert!(as_expected, "{bytes} in {length}: {refused:?}");
        }
    }
}
