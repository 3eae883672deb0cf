//! Processes that a test waits for without being their parent.

use std::{fs, os::fd::OwnedFd};

use rustix::{
    event::{PollFd, PollFlags, Timespec, poll},
    io::retry_on_intr,
    process::{Pid, PidfdFlags, Signal, pidfd_open, pidfd_send_signal},
};

/// A process, and no other that may get its id after it.
pub(crate) struct Watched(OwnedFd);

impl Watched {
    pub(crate) fn new(pid: Pid) -> Self {
        Self(pidfd_open(pid, PidfdFlags::empty()).expect("it lives"))
    }

    pub(crate) fn kill(&self) {
        pidfd_send_signal(&self.0, Signal::KILL).expect("it lives");
    }

    /// Whether it ends, or has ended, within some seconds.
    pub(crate) fn ends_within(&self, seconds: i64) -> bool {
        let mut ended = [PollFd::new(&self.0, PollFlags::IN)];
        let limit = Timespec {
            tv_sec: seconds,
            tv_nsec: 0,
        };
        retry_on_intr(|| poll(&mut ended, Some(&limit))).expect("it can be waited for") == 1
    }
}

/// The children of a process.
pub(crate) fn children(of: Pid) -> Vec<Pid> {
    let id = of.as_raw_nonzero();
    // Of each thread: any of them may have started one.
    let threads = fs::read_dir(format!("/proc/{id}/task"))
        .into_iter()
        .flatten()
        .flatten();
    let lists = threads.map(|thread| fs::read_to_string(thread.path().join("children")));
    let ids = |list: String| -> Vec<Pid> {
        let ids = list
            .split_whitespace()
            .filter_map(|id| Pid::from_raw(id.parse().ok()?));
        ids.collect()
    };
    lists.flatten().flat_map(ids).collect()
}

/// What is mounted on this machine that looks like a part of a sandbox: of its other mounts, any may come and go.
pub(crate) fn sandbox_mounts() -> Vec<String> {
    const PARTS: [&str; 3] = [" - tmpfs scratch ", " - tmpfs volume ", " - overlay image "];
    let mounts = fs::read_to_string("/proc/self/mountinfo").expect("mounts");
    let is_part = |line: &&str| PARTS.iter().any(|part| line.contains(part));
    mounts.lines().filter(is_part).map(str::to_owned).collect()
}
