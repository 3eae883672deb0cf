//! What an activity uses.

use std::{
    collections::BTreeMap,
    path::{Path, PathBuf},
    sync::Arc,
    time::{Duration, Instant},
};

use rustix::{param::clock_ticks_per_second, process::Pid};
use tokio::{
    sync::{mpsc, oneshot, watch},
    task::spawn_blocking,
    time::{MissedTickBehavior, interval},
};
use tokio_util::sync::CancellationToken;

use crate::{
    account::Account,
    occupied::{self, Hidden},
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
    nameless: Nameless,
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

/// Why an activity has to end.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum Exceeded {
    /// It has used more than was agreed on.
    #[error("it has used {used} bytes of {what}, and {limit} are agreed on")]
    Limit { what: String, used: u64, limit: u64 },
    /// Nobody can tell what it uses.
    #[error("it hides what it uses of the disk: {0}")]
    Hidden(#[from] Hidden),
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
                return Err(Exceeded::Limit { what, used, limit });
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
            nameless: Nameless::default(),
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
        let (on_disk, places) = self.look_at_disk(sandbox.as_ref()).await;
        // Of a sandbox that has ended, the time is in this process's account.
        let sandbox = match sandbox {
            Some(sandbox) => sandbox.measure().await.unwrap_or_default(),
            None => Default::default(),
        };
        let own = Account::of(Path::new("/proc/self")).unwrap_or_default();
        let own = Duration::from_secs_f64(own.ticks as f64 / clock_ticks_per_second() as f64);
        let memory = sandbox.resident_bytes + sandbox.scratch_bytes;
        let storage = on_disk + sandbox.scratch_bytes;
        // What is kept of output takes no more than is left, so that nobody comes to their end by it.
        let spool = self.of.disk.rest_takes(storage);
        let checked = self.of.limits.check(memory, storage);
        if let Err(exceeded) = checked.and(places)
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

    /// What lies on the disk, in bytes, as far as it can be told; and whether each place has what it may have.
    async fn look_at_disk(&mut self, sandbox: Option<&Monitor>) -> (u64, Result<(), Exceeded>) {
        let launcher = sandbox.and_then(Monitor::launcher);
        let sized = sandbox.map(Monitor::sized_folders).unwrap_or_default();
        let copies = sandbox.map(Monitor::copies).unwrap_or_default();
        let work = self.of.work.clone();
        let mut nameless = std::mem::take(&mut self.nameless);
        let looking = spawn_blocking(move || {
            let sized = check_folders(&sized);
            let named = measure_copies_once(&work, &copies);
            nameless.look(launcher, &work);
            (sized, named, nameless)
        });
        let Ok((sized, named, nameless)) = looking.await else {
            return (0, Ok(()));
        };
        self.nameless = nameless;
        let (named, hidden) = match named {
            Ok(bytes) => (bytes, Ok(())),
            // A runtime of somebody else's may have files that are not to be read: it counts them itself.
            Err(_) if launcher.is_none() => (0, Ok(())),
            Err(hidden) => (0, Err(hidden.into())),
        };
        (named + self.nameless.bytes, sized.and(hidden))
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
        let used = occupied::below(folder)?;
        if used > *bytes {
            return Err(Exceeded::Limit {
                what: format!("the volume {path}"),
                used,
                limit: *bytes,
            });
        }
    }
    Ok(())
}

/// What lies in a folder, where files on their way count as much as what they are copied from or to, but not twice.
fn measure_copies_once(work: &Path, copies: &[PathBuf]) -> Result<u64, Hidden> {
    let mut on_their_way = 0;
    for folder in copies {
        on_their_way += occupied::below(folder)?;
    }
    let rest = occupied::below(work)?.saturating_sub(on_their_way);
    Ok(rest.max(on_their_way))
}

/// What lies on the disk without a name.
#[derive(Debug, Default)]
struct Nameless {
    bytes: u64,
    /// Looking takes as long as there are open files, and so is done the less often the longer it takes.
    rest_until: Option<Instant>,
}

impl Nameless {
    /// How many times as long as a look it is until the next.
    const REST: u32 = 10;

    /// Looks for files that the programs below a process have open, on the disk of a folder. Blocks.
    fn look(&mut self, launcher: Option<Pid>, folder: &Path) {
        let begun = Instant::now();
        if self.rest_until.is_some_and(|until| begun < until) {
            return;
        }
        let device = occupied::device(folder).ok();
        let found = launcher
            .zip(device)
            .map(|(launcher, device)| occupied::unlinked(launcher, device));
        self.bytes = found.unwrap_or_default();
        self.rest_until = Some(Instant::now() + begun.elapsed() * Self::REST);
    }
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
}
