//! The file that says which process is the daemon.
//!
//! The daemon holds a lock on its pid file for as long as it lives, and the kernel gives the lock back however it
//! ends. So a file that nobody has locked is stale, whatever process has the pid in it by now.

use std::{
    fs::{File, OpenOptions, TryLockError},
    io::{self, Read, Write},
    os::fd::OwnedFd,
    path::{Path, PathBuf},
};

use rustix::{
    io::Errno,
    process::{Pid, PidfdFlags, Signal, pidfd_open, pidfd_send_signal},
};

/// The pid file of this process, which is locked until this value is dropped.
#[derive(Debug)]
pub(crate) struct PidFile {
    _locked: File,
}

/// The process that holds a pid file.
#[derive(Debug)]
pub(crate) struct Holder {
    pid: u32,
    // Names the process itself: a pid may mean another one a moment later.
    process: OwnedFd,
}

/// Why a pid file is of no use.
#[derive(Debug, thiserror::Error)]
pub enum PidFileError {
    /// Another process holds it.
    #[error("another process holds {}", .0.display())]
    Held(PathBuf),
    /// It cannot be opened, locked, read or written.
    #[error("cannot use the pid file {}", path.display())]
    Io {
        /// Where it is.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// It is locked, but says nothing of use.
    #[error("{} is locked but names no process: its holder has just started, or is no daemon of ours", .0.display())]
    Unreadable(PathBuf),
}

impl PidFile {
    /// Takes the pid file at `path` for this process, and writes its pid into it.
    pub(crate) fn take(path: &Path) -> Result<Self, PidFileError> {
        let failed = |source| PidFileError::Io {
            path: path.into(),
            source,
        };
        let mut file = OpenOptions::new()
            .create(true)
            .truncate(false)
            .write(true)
            .open(path)
            .map_err(failed)?;
        file.try_lock().map_err(|error| match error {
            TryLockError::WouldBlock => PidFileError::Held(path.into()),
            TryLockError::Error(source) => failed(source),
        })?;
        file.set_len(0)
            .and_then(|()| writeln!(file, "{}", std::process::id()))
            .map_err(failed)?;
        Ok(Self { _locked: file })
    }
}

impl Holder {
    /// The process that holds the pid file at `path`, if one does.
    pub(crate) fn of(path: &Path) -> Result<Option<Self>, PidFileError> {
        let failed = |source| PidFileError::Io {
            path: path.into(),
            source,
        };
        let mut file = match File::open(path) {
            Ok(file) => file,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
            Err(error) => return Err(failed(error)),
        };
        if !is_locked(&file).map_err(failed)? {
            return Ok(None);
        }
        let mut text = String::new();
        file.read_to_string(&mut text).map_err(failed)?;
        let pid = text.trim().parse().ok().and_then(Pid::from_raw);
        let pid = pid.ok_or_else(|| PidFileError::Unreadable(path.into()))?;
        let process = match pidfd_open(pid, PidfdFlags::empty()) {
            Ok(process) => process,
            Err(Errno::SRCH) => return Ok(None),
            Err(error) => return Err(failed(error.into())),
        };
        // Still locked now that the process is held fast: the pid was its holder's, not a later process's.
        let holds = is_locked(&file).map_err(failed)?;
        Ok(holds.then_some(Self {
            pid: pid.as_raw_nonzero().get().cast_unsigned(),
            process,
        }))
    }

    /// Its process id.
    pub(crate) fn pid(&self) -> u32 {
        self.pid
    }

    /// Ends it, and returns when it has ended.
    pub(crate) fn stop(&self) -> io::Result<()> {
        for signal in [Signal::TERM, Signal::CONT] {
            match pidfd_send_signal(&self.process, signal) {
                Ok(()) | Err(Errno::SRCH) => {}
                Err(error) => return Err(error.into()),
            }
        }
        self.wait()
    }

    fn wait(&self) -> io::Result<()> {
        use rustix::event::{PollFd, PollFlags, poll};
        let mut ended = [PollFd::new(&self.process, PollFlags::IN)];
        loop {
            match poll(&mut ended, None) {
                Ok(_) => return Ok(()),
                Err(Errno::INTR) => {}
                Err(error) => return Err(error.into()),
            }
        }
    }
}

fn is_locked(file: &File) -> io::Result<bool> {
    match file.try_lock_shared() {
        Ok(()) => file.unlock().map(|()| false),
        Err(TryLockError::WouldBlock) => Ok(true),
        Err(TryLockError::Error(error)) => Err(error),
    }
}
