//! What the processes of a sandbox use, from its control group where it has one, and else from its own /proc.

use std::{
    fs::{self, File},
    os::{
        fd::{FromRawFd, OwnedFd},
        unix::fs::FileExt,
    },
    path::PathBuf,
    time::Duration,
};

use rustix::{
    fs::statvfs,
    io::{FdFlags, fcntl_setfd},
    param::{clock_ticks_per_second, page_size},
};

use crate::{
    account::Account,
    sandbox::wire::{Confinement, Measured},
};

/// Enough for the files of a control group.
const FILE: usize = 8 << 10;

/// Measures a sandbox from within.
pub(super) struct Meter {
    cpu: Option<File>,
    memory: Option<File>,
}

impl Meter {
    /// A meter that reads the files that the launcher has opened.
    pub(super) fn of(confinement: &Confinement) -> rustix::io::Result<Self> {
        Ok(Self {
            cpu: confinement.cpu_file.map(take).transpose()?,
            memory: confinement.memory_file.map(take).transpose()?,
        })
    }

    /// Sums up all processes. Without a group, the time of a process that has been waited for is in its parent's account,
    /// and that of one that nobody waits for is in none.
    pub(super) fn measure(&self) -> Measured {
        let processes = fs::read_dir("/proc").into_iter().flatten().flatten();
        let accounts = processes.filter_map(|process| {
            let process = process.path();
            Account::of(&process).map(|account| (process, account))
        });
        let accounts: Vec<_> = accounts.collect();
        let ticks: u64 = accounts.iter().map(|(_, account)| account.ticks).sum();
        // The shared memory lies in the scratch space: what is in use is the same, seen from either.
        let scratch = statvfs("/dev/shm").map_or(0, |fs| (fs.f_blocks - fs.f_bfree) * fs.f_frsize);
        let summed_cpu = Duration::from_micros(ticks * 1_000_000 / clock_ticks_per_second());
        let cpu = read(&self.cpu).and_then(|text| processor_time(&text));
        // What lies in files in memory is the group's too.
        let memory = read(&self.memory).and_then(|text| memory_in_use(&text));
        let memory = memory.map(|bytes| bytes.saturating_sub(scratch));
        Measured {
            cpu_micros: cpu.unwrap_or(summed_cpu).as_micros() as u64,
            resident_bytes: memory.unwrap_or_else(|| resident(&accounts)),
            scratch_bytes: scratch,
            peak_process_bytes: peak_of_children(),
        }
    }
}

/// The memory of all processes. What several share counts once, unless there are so many that it took long to find out.
fn resident(processes: &[(PathBuf, Account)]) -> u64 {
    const MANY: usize = 64;
    let one = |(process, account): &(PathBuf, Account)| {
        let share = || {
            let summary = fs::read_to_string(process.join("smaps_rollup")).ok()?;
            proportional(&summary)
        };
        let share = if processes.len() <= MANY {
            share()
        } else {
            None
        };
        share.unwrap_or(account.resident_pages * page_size() as u64)
    };
    processes.iter().map(one).sum()
}

/// From `smaps_rollup`: what is a process's own, and of what it shares with others, its part.
fn proportional(summary: &str) -> Option<u64> {
    let line = summary.lines().find_map(|line| line.strip_prefix("Pss:"))?;
    let kibibytes: u64 = line.trim().strip_suffix(" kB")?.parse().ok()?;
    Some(kibibytes << 10)
}

/// Takes over a file that was left open for this process.
fn take(descriptor: i32) -> rustix::io::Result<File> {
    // SAFETY: the launcher has opened it for this process alone, and it is taken once, before any other is opened.
    let file = unsafe { OwnedFd::from_raw_fd(descriptor) };
    fcntl_setfd(&file, FdFlags::CLOEXEC)?;
    Ok(file.into())
}

fn read(file: &Option<File>) -> Option<String> {
    let mut text = vec![0; FILE];
    let length = file.as_ref()?.read_at(&mut text, 0).ok()?;
    text.truncate(length);
    String::from_utf8(text).ok()
}

/// From `cpuacct.usage`, a number of nanoseconds, or `cpu.stat`, with microseconds in a line.
fn processor_time(text: &str) -> Option<Duration> {
    match text.trim().parse() {
        Ok(nanoseconds) => Some(Duration::from_nanos(nanoseconds)),
        Err(_) => field(text, "usage_usec").map(Duration::from_micros),
    }
}

/// From `memory.stat`: what belongs to processes, and to files in memory; no cache of files on a disk.
fn memory_in_use(text: &str) -> Option<u64> {
    let of_processes = field(text, "anon").or_else(|| field(text, "rss"))?;
    Some(of_processes + field(text, "shmem").unwrap_or(0))
}

fn field(text: &str, name: &str) -> Option<u64> {
    let value = |line: &str| line.strip_prefix(name)?.strip_prefix(' ')?.parse().ok();
    text.lines().find_map(value)
}

/// The most that one process has had resident that has ended and was waited for, or whose parent was.
fn peak_of_children() -> u64 {
    let mut usage = std::mem::MaybeUninit::<libc::rusage>::zeroed();
    // SAFETY: the call writes at most one `rusage` to where it is told, and there is room for one, all of whose bit
    // patterns are valid.
    let usage = unsafe {
        libc::getrusage(libc::RUSAGE_CHILDREN, usage.as_mut_ptr());
        usage.assume_init()
    };
    u64::try_from(usage.ru_maxrss).unwrap_or(0) << 10
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn groups_of_both_versions_are_read() {
        let second = Some(Duration::from_micros(1_500_000));
        assert_eq!(processor_time("1500000000\n"), second);
        let v2 = "usage_usec 1500000\nuser_usec 1000000\nsystem_usec 500000\n";
        assert_eq!(processor_time(v2), second);
        assert_eq!(processor_time("user_usec 1\n"), None);
        let v1 = "cache 4096\nrss 8192\nrss_huge 1\nshmem 100\nmapped_file 7\n";
        assert_eq!(memory_in_use(v1), Some(8292));
        let v2 = "anon 8192\nfile 4096\nkernel 3\nshmem 100\nanon_thp 9\n";
        assert_eq!(memory_in_use(v2), Some(8292));
        assert_eq!(memory_in_use("file 1\n"), None);
        let summary = "00400000-7fff r--p 00000000 00:00 0 [rollup]\nRss:  900 kB\nPss:   12 kB\nPss_Dirty: 1 kB\n";
        assert_eq!(proportional(summary), Some(12 << 10));
        assert_eq!(proportional("Rss: 1 kB\n"), None);
    }
}
