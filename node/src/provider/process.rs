//! A process that may have been started by a node before this one: known by its id and by when it began.

use std::{fs, io, os::fd::OwnedFd, path::Path, process::ExitStatus, sync::Arc, thread};

use rustix::{
    event::{PollFd, PollFlags, Timespec, poll},
    process::{Pid, PidfdFlags, Signal, kill_process, pidfd_open, pidfd_send_signal},
};
use tokio::{process::Child, sync::watch};

/// A process, however it was come by.
#[derive(Debug)]
pub(super) enum Process {
    /// A child of this one.
    Child(Child),
    /// One that was found.
    Found(Found),
}

/// A process that is not a child of this one.
#[derive(Debug)]
pub(super) struct Found {
    handle: Arc<OwnedFd>,
    /// Closed when it has ended.
    ended: watch::Receiver<()>,
}

/// What a process that was running is known by in a file, after this program has ended: no other process has it.
pub(super) fn mark(pid: u32) -> io::Result<String> {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat"))?;
    // The name, in parentheses, can hold anything; what follows are numbers, and when it began is the 20th of them.
    let began = stat
        .rsplit_once(')')
        .and_then(|(_, fields)| fields.split_whitespace().nth(19))
        .ok_or(io::ErrorKind::InvalidData)?;
    let boot = fs::read_to_string("/proc/sys/kernel/random/boot_id")?;
    Ok(format!("{pid} {began} {}", boot.trim()))
}

impl Process {
    /// The process that a file marks, if it runs.
    pub(super) fn find(file: &Path) -> io::Result<Option<Self>> {
        let marked = match fs::read_to_string(file) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
            marked => marked?,
        };
        let id = marked
            .split(' ')
            .next()
            .and_then(|id| id.parse::<i32>().ok());
        let pid = id
            .and_then(Pid::from_raw)
            .ok_or(io::ErrorKind::InvalidData)?;
        let Ok(handle) = pidfd_open(pid, PidfdFlags::empty()) else {
            return Ok(None);
        };
        // With the handle open, the id is nobody else's: so the mark is that of the handle's process.
        match mark(pid.as_raw_nonzero().get().unsigned_abs()) {
            Ok(mark) if mark == marked => {
                Found::watch(handle).map(|found| Some(Self::Found(found)))
            }
            _ => Ok(None),
        }
    }

    /// Waits until it has ended: how, if that can be known.
    pub(super) async fn wait(&mut self) -> Option<io::Result<ExitStatus>> {
        match self {
            Self::Child(child) => Some(child.wait().await),
            Self::Found(found) => {
                while found.ended.changed().await.is_ok() {}
                None
            }
        }
    }

    /// Whether it is known to have ended.
    pub(super) fn is_known_to_have_ended(&self) -> bool {
        match self {
            Self::Child(child) => child.id().is_none(),
            Self::Found(found) => found.ended.has_changed().is_err(),
        }
    }

    /// Whether it runs, as far as the system says.
    pub(super) fn runs(&mut self) -> bool {
        match self {
            Self::Child(child) => matches!(child.try_wait(), Ok(None)),
            Self::Found(found) => {
                let at_once = Timespec {
                    tv_sec: 0,
                    tv_nsec: 0,
                };
                matches!(found.poll(Some(&at_once)), Ok(0))
            }
        }
    }

    /// Sends a signal, to just this process: its id is not anybody else's before it was waited for.
    pub(super) fn signal(&self, signal: Signal) {
        let sent = match self {
            Self::Child(child) => {
                let pid = child.id().and_then(|id| Pid::from_raw(id.try_into().ok()?));
                pid.map(|pid| kill_process(pid, signal))
            }
            Self::Found(found) => Some(pidfd_send_signal(&found.handle, signal)),
        };
        if let Some(Err(error)) = sent {
            tracing::warn!(%error, "an exe-unit cannot be told to end");
        }
    }
}

impl Found {
    /// Watches a process from a thread of its own, which ends with the process: nobody else is told of its end.
    fn watch(handle: OwnedFd) -> io::Result<Self> {
        let (end, ended) = watch::channel(());
        let found = Self {
            handle: Arc::new(handle),
            ended,
        };
        let watched = Self {
            handle: Arc::clone(&found.handle),
            ended: found.ended.clone(),
        };
        thread::Builder::new()
            .name("exe-unit".to_owned())
            .spawn(move || {
                while matches!(watched.poll(None), Ok(0) | Err(rustix::io::Errno::INTR)) {}
                drop(end);
            })?;
        Ok(found)
    }

    /// Waits until it has ended, or the time is up: then 0.
    fn poll(&self, timeout: Option<&Timespec>) -> rustix::io::Result<usize> {
        poll(&mut [PollFd::new(&self.handle, PollFlags::IN)], timeout)
    }
}

#[cfg(test)]
mod tests {
    use std::process::Stdio;

    use tokio::process::Command;

    use super::*;

    fn sleeper() -> Child {
        let mut command = Command::new("/bin/sleep");
        command.arg("1000").stdin(Stdio::null()).kill_on_drop(true);
        command.spawn().unwrap()
    }

    #[tokio::test]
    async fn a_process_is_found_by_its_mark_and_ended() {
        let mut child = sleeper();
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("process");
        fs::write(&file, mark(child.id().unwrap()).unwrap()).unwrap();
        let mut found = Process::find(&file).unwrap().unwrap();
        assert!(found.runs() && !found.is_known_to_have_ended());
        found.signal(Signal::TERM);
        assert!(found.wait().await.is_none(), "nobody knows how");
        assert!(found.is_known_to_have_ended() && !found.runs());
        child.wait().await.unwrap();
        assert!(Process::find(&file).unwrap().is_none());
    }

    #[tokio::test]
    async fn a_process_that_only_has_the_same_id_is_not_it() {
        let mut child = sleeper();
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("process");
        assert!(Process::find(&file).unwrap().is_none(), "there is no file");
        let marked = mark(child.id().unwrap()).unwrap();
        let (_, boot) = marked.rsplit_once(' ').unwrap();
        fs::write(&file, format!("{} 1 {boot}", child.id().unwrap())).unwrap();
        assert!(Process::find(&file).unwrap().is_none());
        fs::write(&file, "nonsense").unwrap();
        assert!(Process::find(&file).is_err());
        child.kill().await.unwrap();
    }
}
