//! What the processes of a sandbox may take, and how far a system lets that be enforced.

use std::{fs, io};

use rustix::{
    process::{Pid, Resource, Rlimit, getpid, getrlimit, setrlimit},
    thread::{CpuSet, sched_getaffinity, sched_setaffinity},
};

use super::wire::{Confinement, Setup};

/// What all processes of a sandbox together may take.
///
/// Each limit holds as well as the system allows: [`Enforced`] tells.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// Memory in bytes, with what lies in scratch space and in volumes in memory; `None` for no limit.
    pub memory_bytes: Option<u64>,
    /// Processes and threads at a time.
    pub processes: u64,
    /// How many processors may be kept busy; `None` for all.
    pub cpu_threads: Option<u32>,
    /// The size of any one file that is written, in bytes; `None` for no limit.
    pub file_bytes: Option<u64>,
}

impl Default for Limits {
    /// As many processes as a busy server has; nothing else is limited.
    fn default() -> Self {
        Self {
            memory_bytes: None,
            processes: 4096,
            cpu_threads: None,
            file_bytes: None,
        }
    }
}

/// Which limits hold for all processes of a sandbox together, because a control group has them.
///
/// Where memory is not among them, it holds for each process alone; where processors are not, each process may
/// only run on as many of them; processes are always limited, by the kernel's count per user namespace.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Enforced {
    /// Memory.
    pub memory: bool,
    /// The number of processes.
    pub processes: bool,
    /// Processor time.
    pub cpu: bool,
}

impl Enforced {
    /// The names of the limits that hold for all processes together, as an offer has them.
    pub fn names(self) -> Vec<&'static str> {
        [
            (self.cpu, "cpu"),
            (self.memory, "memory"),
            (self.processes, "processes"),
        ]
        .into_iter()
        .filter_map(|(holds, name)| holds.then_some(name))
        .collect()
    }
}

/// Files that a process may have open.
const OPEN_FILES: u64 = 4096;
/// Signals that may be queued.
const QUEUED_SIGNALS: u64 = 4096;
/// Memory that may be locked, and that message queues may take, in bytes.
const PINNED_MEMORY: u64 = 8 << 20;
const QUEUED_MESSAGES: u64 = 800 << 10;

/// Which process of a sandbox goes first where memory runs out: all of them before anything of the host's, and commands
/// before the agent, without which none can go on. The kernel's scale ends at 1000.
#[derive(Clone, Copy, Debug)]
pub(super) enum Expendable {
    Agent = 500,
    Command = 1000,
}

/// Lets this process, and all that it starts, go as soon as that where memory runs out.
pub(super) fn mark_expendable(expendable: Expendable) {
    // Some systems do not let that be said.
    let _ = fs::write("/proc/self/oom_score_adj", (expendable as u32).to_string());
}

/// What is left for the agent to enforce where `enforced` is done by groups.
pub(super) fn confinement(setup: &Setup, enforced: Enforced) -> Confinement {
    Confinement {
        processes: setup.processes,
        address_space: setup.memory_bytes.filter(|_| !enforced.memory),
        file_bytes: setup.file_bytes,
        pinned: setup.cpu_threads.is_some() && !enforced.cpu,
        enforced: Some(enforced.into()),
        cpu_file: None,
        memory_file: None,
    }
}

/// Limits this process, which is to become a program, and all that it starts.
pub(super) fn lower_all(confinement: &Confinement) -> io::Result<()> {
    let always = [
        (Resource::Core, 0),
        (Resource::Nofile, OPEN_FILES),
        (Resource::Nproc, confinement.processes),
        (Resource::Sigpending, QUEUED_SIGNALS),
        (Resource::Memlock, PINNED_MEMORY),
        (Resource::Msgqueue, QUEUED_MESSAGES),
        (Resource::Nice, 0),
        (Resource::Rtprio, 0),
    ];
    let some = [
        (Resource::As, confinement.address_space),
        (Resource::Fsize, confinement.file_bytes),
    ];
    let some = some
        .into_iter()
        .filter_map(|(resource, limit)| Some((resource, limit?)));
    for (resource, limit) in always.into_iter().chain(some) {
        lower(resource, limit)?;
    }
    Ok(())
}

fn lower(resource: Resource, limit: u64) -> io::Result<()> {
    let maximum = getrlimit(resource).maximum;
    let limit = Some(maximum.map_or(limit, |maximum| maximum.min(limit)));
    let limit = Rlimit {
        current: limit,
        maximum: limit,
    };
    Ok(setrlimit(resource, limit)?)
}

/// Keeps this process, and all that it starts, to some of the processors that it may run on.
pub(super) fn pin(processors: u32) -> rustix::io::Result<()> {
    let this: Option<Pid> = None;
    let allowed = sched_getaffinity(this)?;
    let candidates: Vec<usize> = (0..CpuSet::MAX_CPU)
        .filter(|&processor| allowed.is_set(processor))
        .collect();
    // Not all sandboxes shall be on the same ones.
    let first = getpid().as_raw_nonzero().get().unsigned_abs() as usize;
    let mut chosen = CpuSet::new();
    for next in 0..(processors.max(1) as usize).min(candidates.len()) {
        chosen.set(candidates[(first + next) % candidates.len()]);
    }
    sched_setaffinity(this, &chosen)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_no_group_enforces_the_agent_does() {
        let setup = Setup {
            memory_bytes: Some(1 << 20),
            cpu_threads: Some(2),
            processes: 9,
            ..Setup::default()
        };
        let by_none = confinement(&setup, Enforced::default());
        assert_eq!(
            (by_none.address_space, by_none.pinned),
            (Some(1 << 20), true)
        );
        let all = Enforced {
            memory: true,
            processes: true,
            cpu: true,
        };
        let by_all = confinement(&setup, all);
        assert_eq!((by_all.address_space, by_all.pinned), (None, false));
        assert_eq!((by_none.processes, by_all.processes), (9, 9));
        assert_eq!(all.names(), ["cpu", "memory", "processes"]);
        assert!(Enforced::default().names().is_empty());
    }

    #[test]
    fn a_pinned_thread_has_as_many_processors_as_it_may() {
        let pinned = std::thread::spawn(|| {
            pin(1).expect("a thread may restrict itself");
            sched_getaffinity(None).expect("it can be asked").count()
        });
        assert_eq!(pinned.join().expect("no panic"), 1);
    }
}
