//! What an activity uses.

use std::{
    collections::BTreeMap,
    fs, io,
    path::{Path, PathBuf},
    sync::Arc,
    time::{Duration, Instant},
};

use rustix::param::clock_ticks_per_second;
use tokio::{
    sync::{mpsc, oneshot, watch},
    task::spawn_blocking,
    time::{MissedTickBehavior, interval},
};
use tokio_util::sync::CancellationToken;

use crate::{
    account::Account,
    sandbox::{Monitor, SizedFolder},
    spool::Disk,
};

const GIB: f64 = (1u64 << 30) as f64;

/// How often usage is reported.
const INTERVAL: Duration = Duration::from_secs(1);

/// Measures an activity.
#[derive(Debug)]
pub(crate) struct Meter {
    of: Measured,
    vectors: mpsc::Sender<Vec<f64>>,
    /// Told once, when a limit is exceeded.
    exceeded: Option<oneshot::Sender<Exceeded>>,
    usage: Usage,
}

/// What is measured.
#[derive(Debug)]
pub(crate) struct Measured {
    /// When the activity has begun.
    pub(crate) started: Instant,
    /// The folder that volumes and logs are in.
    pub(crate) work: PathBuf,
    /// What is kept of output shares it.
    pub(crate) disk: Arc<Disk>,
    /// The sandbox that runs at this moment.
    pub(crate) sandbox: watch::Receiver<Option<Monitor>>,
    /// The counters that the agreement has, in its order.
    pub(crate) names: Vec<String>,
    pub(crate) limits: UsageLimits,
}

/// What an activity may use.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct UsageLimits {
    /// Memory of all processes, with what they have written to files in memory.
    pub(crate) memory_bytes: Option<u64>,
    /// What lies in volumes, logs and scratch space.
    pub(crate) storage_bytes: Option<u64>,
}

/// An activity has used more than was agreed on.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("it has used {used} bytes of {what}, and {limit} are agreed on")]
pub(crate) struct Exceeded {
    what: String,
    used: u64,
    limit: u64,
}

impl UsageLimits {
    /// Which limit is exceeded, if any.
    fn check(self, memory_bytes: u64, storage_bytes: u64) -> Result<(), Exceeded> {
        for (what, used, limit) in [
            ("memory", memory_bytes, self.memory_bytes),
            ("storage", storage_bytes, self.storage_bytes),
        ] {
            if let Some(limit) = limit.filter(|&limit| used > limit) {
                let what = what.to_owned();
                return Err(Exceeded { what, used, limit });
            }
        }
        Ok(())
    }
}

/// What an activity has used.
#[derive(Clone, Debug, Default, PartialEq)]
struct Usage {
    duration: Duration,
    /// Processor time of all processes, ended ones too.
    cpu: Duration,
    /// The most memory that the sandbox has taken at a time.
    peak_memory_bytes: u64,
    /// What lies in the work folder, in scratch space and in the spool now.
    storage_bytes: u64,
    /// What the runtime counts by itself; the last it has told, also once it has ended.
    custom: BTreeMap<String, f64>,
}

impl Usage {
    /// The counters in the agreement's order; one that is not known stays at 0.
    fn vector(&self, names: &[String]) -> Vec<f64> {
        let counter = |name: &String| match name.as_str() {
            "golem.usage.duration_sec" => self.duration.as_secs_f64(),
            "golem.usage.cpu_sec" => self.cpu.as_secs_f64(),
            "golem.usage.gib" => self.peak_memory_bytes as f64 / GIB,
            "golem.usage.storage_gib" => self.storage_bytes as f64 / GIB,
            name => self.custom.get(name).copied().unwrap_or_default(),
        };
        names.iter().map(counter).collect()
    }
}

impl Meter {
    /// Measures an activity. The agreement's counters are given to `vectors`; `exceeded` is told of the first limit that
    /// does not hold.
    pub(crate) fn new(
        of: Measured,
        vectors: mpsc::Sender<Vec<f64>>,
        exceeded: oneshot::Sender<Exceeded>,
    ) -> Self {
        Self {
            of,
            vectors,
            exceeded: Some(exceeded),
            usage: Usage::default(),
        }
    }

    /// Gives the usage each second, and when `end` comes.
    pub(crate) async fn run(mut self, end: CancellationToken) -> Self {
        let mut ticks = interval(INTERVAL);
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            let is_over = tokio::select! {
                _ = ticks.tick() => false,
                () = end.cancelled() => true,
            };
            self.report().await;
            if is_over {
                return self;
            }
        }
    }

    /// Gives the usage now.
    pub(crate) async fn report(&mut self) {
        self.measure().await;
        // A node that takes no reports ends the exe-unit.
        let _ = self.vectors.send(self.usage.vector(&self.of.names)).await;
    }

    async fn measure(&mut self) {
        let sandbox = self.of.sandbox.borrow().clone();
        let counted = sandbox.as_ref().map(Monitor::counters);
        let custom = counted.unwrap_or_else(|| std::mem::take(&mut self.usage.custom));
        let folders = sandbox.as_ref().map(Monitor::sized_folders);
        let folders = spawn_blocking(move || check_folders(&folders.unwrap_or_default()));
        let folders = folders.await.unwrap_or(Ok(()));
        // Of a sandbox that has ended, the time is in this process's account.
        let sandbox = match sandbox {
            Some(sandbox) => sandbox.measure().await.unwrap_or_default(),
            None => Default::default(),
        };
        let own = Account::of(Path::new("/proc/self")).unwrap_or_default();
        let own = Duration::from_secs_f64(own.ticks as f64 / clock_ticks_per_second() as f64);
        let work = self.of.work.clone();
        let volumes = spawn_blocking(move || size_below(&work)).await.unwrap_or(0);
        let memory = sandbox.resident_bytes + sandbox.scratch_bytes;
        let storage = volumes + sandbox.scratch_bytes;
        // What is kept of output takes no more than is left, so that nobody comes to their end by it.
        let spool = self.of.disk.rest_takes(storage);
        let checked = self.of.limits.check(memory, storage);
        if let Err(exceeded) = checked.and(folders)
            && let Some(tell) = self.exceeded.take()
        {
            // Who is on the way to the end already needs no reason.
            let _ = tell.send(exceeded);
        }
        // Between two looks a process may have come, taken much, and gone.
        let peak = memory.max(sandbox.peak_process_bytes);
        self.usage = Usage {
            duration: self.of.started.elapsed(),
            // Between a sandbox's end and that of its first process, its time is in no account.
            cpu: self.usage.cpu.max(own + sandbox.cpu),
            peak_memory_bytes: self.usage.peak_memory_bytes.max(peak),
            storage_bytes: storage + spool,
            custom,
        };
    }
}

/// Which volume is larger than it may be, if any.
fn check_folders(folders: &[SizedFolder]) -> Result<(), Exceeded> {
    for SizedFolder {
        path,
        folder,
        bytes,
    } in folders
    {
        let used = size_below(folder);
        if used > *bytes {
            return Err(Exceeded {
                what: format!("the volume {path}"),
                used,
                limit: *bytes,
            });
        }
    }
    Ok(())
}

/// What a file takes of a disk though it is empty, in bytes: about what file systems spend on its name and its attributes.
const ENTRY: u64 = 512;

/// The disk space that all files below a folder take, in bytes. Files may come and go meanwhile.
fn size_below(folder: &Path) -> u64 {
    let entries = fs::read_dir(folder).into_iter().flatten().flatten();
    entries.map(|entry| size_of(&entry).unwrap_or(0)).sum()
}

fn size_of(entry: &fs::DirEntry) -> io::Result<u64> {
    use std::os::unix::fs::MetadataExt;
    const BLOCK: u64 = 512;
    let metadata = entry.metadata()?;
    let below = match metadata.is_dir() {
        true => size_below(&entry.path()),
        false => 0,
    };
    Ok(ENTRY + metadata.blocks() * BLOCK + below)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_vector_is_in_the_agreements_order() {
        let usage = Usage {
            duration: Duration::from_millis(1500),
            cpu: Duration::from_millis(250),
            peak_memory_bytes: 1 << 29,
            storage_bytes: 3 << 30,
            custom: [("golem.usage.own".to_owned(), 7.5)].into(),
        };
        let names = [
            "cpu_sec",
            "storage_gib",
            "none",
            "duration_sec",
            "gib",
            "own",
        ];
        let names = names.map(|name| format!("golem.usage.{name}"));
        assert_eq!(usage.vector(&names), [0.25, 3.0, 0.0, 1.5, 0.5, 7.5]);
        assert!(usage.vector(&[]).is_empty());
    }

    #[test]
    fn a_limit_is_exceeded_by_more_than_it() {
        let limits = UsageLimits {
            memory_bytes: Some(10),
            storage_bytes: Some(20),
        };
        assert_eq!(limits.check(10, 20), Ok(()));
        assert_eq!(UsageLimits::default().check(u64::MAX, u64::MAX), Ok(()));
        let message = |memory, storage| {
            let exceeded = limits.check(memory, storage).expect_err("too much");
            exceeded.to_string()
        };
        assert_eq!(
            message(11, 21),
            "it has used 11 bytes of memory, and 10 are agreed on"
        );
        assert_eq!(
            message(0, 21),
            "it has used 21 bytes of storage, and 20 are agreed on"
        );
    }

    #[test]
    fn the_size_of_a_folder_is_that_of_all_files_in_it() {
        let folder = tempfile::tempdir().expect("a folder");
        let empty = size_below(folder.path());
        fs::create_dir(folder.path().join("sub")).expect("a folder");
        fs::write(folder.path().join("sub/file"), vec![1; 1_000_000]).expect("a file");
        std::os::unix::fs::symlink("..", folder.path().join("sub/up")).expect("a link");
        let size = size_below(folder.path()) - empty;
        assert!((1_000_000..1_100_000).contains(&size), "{size}");
    }
}
