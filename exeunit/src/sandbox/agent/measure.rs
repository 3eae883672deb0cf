//! What the processes of a sandbox use, from the sandbox's own /proc.

use std::fs;

use rustix::{
    fs::statvfs,
    param::{clock_ticks_per_second, page_size},
};

use crate::{account::Account, sandbox::wire::Measured};

/// Sums up all processes. The time of a process that has been waited for is in its parent's account.
pub(super) fn measure() -> Measured {
    let processes = fs::read_dir("/proc").into_iter().flatten().flatten();
    let accounts = processes.filter_map(|process| Account::of(&process.path()));
    let (ticks, pages) = accounts.fold((0, 0), |(ticks, pages), account| {
        (ticks + account.ticks, pages + account.resident_pages)
    });
    // The shared memory lies in the scratch space: what is in use is the same, seen from either.
    let scratch = statvfs("/dev/shm").map_or(0, |fs| (fs.f_blocks - fs.f_bfree) * fs.f_frsize);
    Measured {
        cpu_micros: ticks * 1_000_000 / clock_ticks_per_second(),
        resident_bytes: pages * page_size() as u64,
        scratch_bytes: scratch,
    }
}
