//! A disk for what a machine writes.

use std::{
    fs::{self, File},
    io,
    path::{Path, PathBuf},
    process::Stdio,
};

use rustix::fs::{FallocateFlags, fallocate};

use super::parts::find_program;
use crate::sandbox::adopt;

const MAKE: &str = "mkfs.ext4";

/// Why there is no disk.
#[derive(Debug, thiserror::Error)]
pub(crate) enum DiskError {
    #[error("there is no {MAKE} on the PATH, which makes a machine's disk: install e2fsprogs")]
    NoProgram,
    #[error("cannot create the disk {}", .path.display())]
    Create { path: PathBuf, source: io::Error },
    #[error("{MAKE} has failed on {}: {words}", .path.display())]
    Make { path: PathBuf, words: String },
}

/// Creates a disk with an empty file system; it takes as much of the host's as was written to it, and `preallocated` bytes
/// at once.
pub(crate) async fn create(path: &Path, bytes: u64, preallocated: u64) -> Result<(), DiskError> {
    let program = find_program(MAKE).ok_or(DiskError::NoProgram)?;
    let at = |source: io::Error| DiskError::Create {
        path: path.to_owned(),
        source,
    };
    File::create(path)
        .and_then(|file| file.set_len(bytes))
        .map_err(at)?;
    // What survives a crash of the machine is of no use to anybody.
    let options = ["-q", "-F", "-m", "0", "-O", "^has_journal"];
    let output = tokio::process::Command::new(program)
        .args(options)
        .args(["-E", "nodiscard,lazy_itable_init=1,root_owner=0:0"])
        .arg(path)
        .stdin(Stdio::null())
        .kill_on_drop(true)
        .output()
        .await
        .map_err(at)?;
    if !output.status.success() {
        let _ = fs::remove_file(path);
        return Err(DiskError::Make {
            path: path.to_owned(),
            words: String::from_utf8_lossy(&output.stderr).trim().to_owned(),
        });
    }
    let file = File::options().write(true).open(path).map_err(at)?;
    if preallocated > 0 {
        let allocated = fallocate(&file, FallocateFlags::empty(), 0, preallocated.min(bytes));
        allocated.map_err(|error| at(error.into()))?;
    }
    adopt(path).map_err(at)
}
