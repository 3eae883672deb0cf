//! The exe-unit's log: nobody sees its standard streams.

use std::{
    fs::{self, File, OpenOptions},
    io,
    path::{Path, PathBuf},
    sync::Mutex,
};

use tracing_subscriber::EnvFilter;

/// The log of this process cannot be written.
#[derive(Debug, thiserror::Error)]
#[error("cannot write the log {}", .path.display())]
pub(super) struct LogError {
    path: PathBuf,
    source: io::Error,
}

/// Writes whatever is logged from now on to `logs/exe-unit.log` in a folder; `RUST_LOG` says how much.
pub(super) fn begin(work: &Path) -> Result<(), LogError> {
    let folder = work.join("logs");
    let path = folder.join("exe-unit.log");
    let file = fs::create_dir_all(&folder).and_then(|()| open(&path));
    let file = file.map_err(|source| LogError { path, source })?;
    let filter =
        EnvFilter::try_from_default_env().unwrap_or_else(|_| EnvFilter::new("warn,exeunit=info"));
    // A log that was begun before, by another part of the same process, goes on.
    let _ = tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_ansi(false)
        .with_writer(Mutex::new(file))
        .try_init();
    Ok(())
}

fn open(path: &Path) -> io::Result<File> {
    OpenOptions::new().create(true).append(true).open(path)
}
