//! What a sandbox may take of a machine, by what was agreed on.

use crate::sandbox::Limits;

/// The scratch space if nothing limits it, in bytes.
const SCRATCH: u64 = 1 << 30;

/// What a sandbox may take.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Room {
    /// What may be written outside of volumes, in bytes.
    pub(crate) scratch_bytes: u64,
    /// What its processes may take.
    pub(crate) limits: Limits,
}

/// What a process takes of memory at least, with what the kernel needs for it, in bytes.
const PROCESS: u64 = 512 << 10;
/// As few processes as any service gets along with.
const FEW: u64 = 128;

/// As many processes as there is memory for: a fork bomb shall come to this end, and not to that of all memory.
fn processes(memory_bytes: Option<u64>) -> u64 {
    let most = Limits::default().processes;
    memory_bytes.map_or(most, |bytes| (bytes / PROCESS).clamp(FEW, most))
}

impl Room {
    /// What an agreement gives; what it does not limit has no limit.
    pub(crate) fn new(
        cpu_threads: Option<u64>,
        memory_bytes: Option<u64>,
        storage_bytes: Option<u64>,
    ) -> Self {
        // It is in memory, half of which is left to processes: who fills it shall be told that it is full, not be killed.
        let scratch = [memory_bytes.map(|bytes| bytes / 2), storage_bytes];
        Self {
            scratch_bytes: scratch.into_iter().flatten().min().unwrap_or(SCRATCH),
            limits: Limits {
                memory_bytes,
                cpu_threads: cpu_threads.and_then(|threads| threads.try_into().ok()),
                file_bytes: storage_bytes,
                processes: processes(memory_bytes),
            },
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn there_are_as_many_processes_as_memory_for_them() {
        for (memory, most) in [
            (Some(0), 128),
            (Some(1 << 30), 2048),
            (Some(64 << 30), 4096),
            (None, 4096),
        ] {
            assert_eq!(
                Room::new(None, memory, None).limits.processes,
                most,
                "{memory:?}"
            );
        }
    }

    #[test]
    fn scratch_space_is_within_memory_and_storage() {
        for (memory, storage, scratch) in [
            (Some(8), Some(100), 4),
            (Some(8), Some(3), 3),
            (None, Some(3), 3),
            (Some(8), None, 4),
            (None, None, SCRATCH),
        ] {
            let room = Room::new(Some(2), memory, storage);
            assert_eq!(room.scratch_bytes, scratch, "{memory:?} {storage:?}");
            assert_eq!(
                (room.limits.memory_bytes, room.limits.cpu_threads),
                (memory, Some(2))
            );
        }
    }
}
