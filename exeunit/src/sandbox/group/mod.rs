//! Control groups: what all processes of a sandbox together may take, where this system lets that be said.
//!
//! With version 1 each controller has a hierarchy of its own, and a group is made below this process's own in each
//! of them. With version 2, a group with processes cannot have groups with controllers below it, so a place is
//! looked for from this process's own group upwards: what systemd has delegated to a user, or the uppermost group.
//! Where no group can be made, or has not the controllers, nothing is enforced and nobody is told otherwise.
//!
//! A group's folder is locked for as long as somebody lives who will remove it; what has no lock was left behind
//! by a process that was killed, and is removed by the next who comes.

mod place;

use std::{
    fs::{self, File},
    io::{self, Write},
    os::fd::OwnedFd,
    path::{Path, PathBuf},
    thread,
    time::{Duration, Instant},
};

use rustix::{
    fs::{Access, FlockOperation, access, flock},
    process::getpid,
    time::{ClockId, clock_gettime},
};

use self::place::Place;
use super::{limits::Enforced, wire::Setup};

/// What the folders of groups are called: this, and the id of the process that has made it.
const PREFIX: &str = "kiln-";

/// The part of a second in which a share of processor time has to be used up, in microseconds.
const PERIOD: u64 = 100_000;

/// The control groups of one sandbox: one folder in each hierarchy. They are removed by [`remove`](Self::remove).
#[derive(Debug, Default)]
pub(super) struct Group {
    parts: Vec<Part>,
}

#[derive(Debug)]
struct Part {
    folder: PathBuf,
    /// Processes are put into the group by writing to it, also by who has no right to open it any more.
    members: File,
    enforces: Enforced,
    /// Tells processor time.
    cpu: Option<File>,
    /// Tells memory in use.
    memory: Option<File>,
    /// Locked as long as this process lives.
    _lock: File,
}

/// What a group tells of its processes, as open files.
#[derive(Debug, Default)]
pub(super) struct Accounts {
    pub(super) cpu: Option<OwnedFd>,
    pub(super) memory: Option<OwnedFd>,
}

impl Group {
    /// Makes what this system allows; nothing, if it allows nothing.
    pub(super) fn create(setup: &Setup) -> Self {
        let read = |path| fs::read_to_string(path).unwrap_or_default();
        let places = place::find(&read("/proc/self/mountinfo"), &read("/proc/self/cgroup"));
        Self::create_at(&places, setup)
    }

    fn create_at(places: &[Place], setup: &Setup) -> Self {
        let parts = places.iter().filter_map(|place| match &place.controllers {
            Some(controllers) => create_v1(place, controllers, setup),
            None => create_v2(place, setup),
        });
        Self {
            parts: parts.collect(),
        }
    }

    /// Puts this process, and with it all that it will start, into the group. What of the limits now holds for them.
    pub(super) fn join(&mut self) -> (Enforced, Accounts) {
        let (mut enforced, mut accounts) = (Enforced::default(), Accounts::default());
        for part in &mut self.parts {
            if part.members.write_all(b"0").is_err() {
                continue;
            }
            enforced.memory |= part.enforces.memory;
            enforced.processes |= part.enforces.processes;
            enforced.cpu |= part.enforces.cpu;
            let taken = |file: &mut Option<File>| file.take().map(OwnedFd::from);
            accounts.cpu = accounts.cpu.or_else(|| taken(&mut part.cpu));
            accounts.memory = accounts.memory.or_else(|| taken(&mut part.memory));
        }
        (enforced, accounts)
    }

    /// Removes it. No process may be in it any more.
    pub(super) fn remove(self) {
        for part in self.parts {
            // What cannot be removed now is by the next who makes one.
            let _ = fs::remove_dir(&part.folder);
        }
    }
}

fn create_v1(place: &Place, controllers: &[String], setup: &Setup) -> Option<Part> {
    let has = |name: &str| controllers.iter().any(|controller| controller == name);
    if !["memory", "pids", "cpu", "cpuacct"].into_iter().any(has) {
        return None;
    }
    sweep(&place.own);
    let (folder, lock) = make_folder(&place.own).ok()?;
    let set = |file: &str, value: String| fs::write(folder.join(file), value).is_ok();
    let memory = setup
        .memory_bytes
        .filter(|_| has("memory"))
        .is_some_and(|bytes| {
            let is_set = set("memory.limit_in_bytes", bytes.to_string());
            // The file is only there where swap is counted.
            set("memory.memsw.limit_in_bytes", bytes.to_string());
            is_set
        });
    let cpu = setup
        .cpu_threads
        .filter(|_| has("cpu"))
        .is_some_and(|threads| {
            let quota = u64::from(threads) * PERIOD;
            set("cpu.cfs_period_us", PERIOD.to_string())
                && set("cpu.cfs_quota_us", quota.to_string())
        });
    let enforces = Enforced {
        memory,
        cpu,
        processes: has("pids") && set("pids.max", setup.processes.to_string()),
    };
    finish(folder, lock, enforces, ["cpuacct.usage", "memory.stat"])
}

fn create_v2(place: &Place, setup: &Setup) -> Option<Part> {
    let below_top = |folder: &&Path| folder.starts_with(&place.top);
    place
        .own
        .ancestors()
        .take_while(below_top)
        .find_map(|parent| {
            // Who moves a process must be allowed to write here as well.
            access(parent.join("cgroup.procs"), Access::WRITE_OK).ok()?;
            for controller in ["memory", "pids", "cpu"] {
                // One that is on already, or that cannot be switched on, shows by its files in the new group.
                let _ = fs::write(
                    parent.join("cgroup.subtree_control"),
                    format!("+{controller}"),
                );
            }
            sweep(parent);
            let (folder, lock) = make_folder(parent).ok()?;
            let set = |file: &str, value: String| {
                folder.join(file).exists() && fs::write(folder.join(file), value).is_ok()
            };
            let memory = setup.memory_bytes.is_some_and(|bytes| {
                // The file is only there where swap is counted.
                set("memory.swap.max", "0".to_owned());
                set("memory.max", bytes.to_string())
            });
            let cpu = setup.cpu_threads.is_some_and(|threads| {
                set(
                    "cpu.max",
                    format!("{} {PERIOD}", u64::from(threads) * PERIOD),
                )
            });
            let enforces = Enforced {
                memory,
                cpu,
                processes: set("pids.max", setup.processes.to_string()),
            };
            if enforces == Enforced::default() {
                let _ = fs::remove_dir(&folder);
                return None;
            }
            finish(folder, lock, enforces, ["cpu.stat", "memory.stat"])
        })
}

fn finish(
    folder: PathBuf,
    lock: File,
    enforces: Enforced,
    [cpu, memory]: [&str; 2],
) -> Option<Part> {
    let members = File::options()
        .write(true)
        .open(folder.join("cgroup.procs"));
    let Ok(members) = members else {
        let _ = fs::remove_dir(&folder);
        return None;
    };
    Some(Part {
        members,
        enforces,
        cpu: File::open(folder.join(cpu)).ok(),
        memory: File::open(folder.join(memory)).ok(),
        _lock: lock,
        folder,
    })
}

/// Makes a folder that is locked by this process.
fn make_folder(parent: &Path) -> io::Result<(PathBuf, File)> {
    let now = clock_gettime(ClockId::Monotonic);
    let name = format!(
        "{PREFIX}{}-{}{:09}",
        getpid().as_raw_nonzero(),
        now.tv_sec,
        now.tv_nsec
    );
    let folder = parent.join(name);
    loop {
        fs::create_dir(&folder)?;
        let lock = File::open(&folder);
        let lock =
            lock.and_then(|lock| Ok(flock(&lock, FlockOperation::LockExclusive).map(|()| lock)?));
        // Before it was locked, it looked like one that was left behind: somebody may have removed it.
        match folder.exists() {
            true => return Ok((folder, lock?)),
            false => continue,
        }
    }
}

/// Removes what was left behind by sandboxes whose own processes were all killed, as soon as the last of theirs has ended.
pub(super) fn sweep_all(patience: Duration) {
    const PAUSE: Duration = Duration::from_millis(2);
    let begin = Instant::now();
    let read = |path| fs::read_to_string(path).unwrap_or_default();
    for place in place::find(&read("/proc/self/mountinfo"), &read("/proc/self/cgroup")) {
        let below_top = |folder: &&Path| folder.starts_with(&place.top);
        for parent in place.own.ancestors().take_while(below_top) {
            while !sweep(parent) && begin.elapsed() < patience {
                thread::sleep(PAUSE);
            }
        }
    }
}

/// Removes the groups in a folder whose owners were killed. False if one has processes still, which are about to end.
fn sweep(parent: &Path) -> bool {
    let entries = fs::read_dir(parent).into_iter().flatten().flatten();
    let is_group = |entry: &fs::DirEntry| entry.file_name().to_string_lossy().starts_with(PREFIX);
    let mut is_done = true;
    for folder in entries.filter(is_group).map(|entry| entry.path()) {
        let Ok(lock) = File::open(&folder) else {
            continue;
        };
        if flock(&lock, FlockOperation::NonBlockingLockExclusive).is_ok() {
            let removed = fs::remove_dir(&folder);
            is_done &= removed.is_ok() || !is_busy(&folder);
        }
    }
    is_done
}

fn is_busy(group: &Path) -> bool {
    fs::read_to_string(group.join("cgroup.procs")).is_ok_and(|members| !members.is_empty())
}
