//! Watching a sandbox, or a machine, from elsewhere.

use std::{collections::BTreeMap, path::PathBuf, sync::Arc, time::Duration};

use rustix::process::Pid;
use tokio::{
    sync::{mpsc, oneshot, watch},
    time::timeout,
};

use super::{error::SandboxGone, host::Order};
use crate::measure;

/// How long an agent may take to answer. It does nothing that takes long, but may be kept from doing anything.
const MUTE: Duration = Duration::from_secs(90);

/// Counters that a runtime keeps by itself, by name.
pub(crate) type Counters = BTreeMap<String, f64>;

/// What the processes of a sandbox have used so far, ended ones included.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Measurement {
    /// Processor time, in steps of some milliseconds.
    pub cpu: Duration,
    /// Memory resident at this moment, in bytes; what processes share counts for each.
    pub resident_bytes: u64,
    /// Scratch space in use at this moment, in bytes.
    pub scratch_bytes: u64,
    /// The most memory that any one process has had resident, ended ones included, in bytes.
    pub peak_process_bytes: u64,
}

/// Watches a sandbox without owning it.
#[derive(Clone, Debug)]
pub struct Monitor {
    orders: mpsc::UnboundedSender<Order>,
    counters: watch::Receiver<Counters>,
    /// The process that everything is in, if the agent's own account is not what counts.
    process: Option<Pid>,
    /// Folders of files on their way into a machine and out of it, which are twice on the disk.
    copies: Arc<[PathBuf]>,
    /// The process that all programs descend from, if they are processes of this system.
    launcher: Option<Pid>,
    /// The most memory that is its programs'; what it takes beyond is its own.
    most_memory: u64,
    sized_folders: Arc<[SizedFolder]>,
}

/// A volume in a folder of the host, which nothing but a look at it keeps to its size.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct SizedFolder {
    /// Its path in the sandbox.
    pub(crate) path: String,
    pub(crate) folder: PathBuf,
    pub(crate) bytes: u64,
}

impl Monitor {
    pub(crate) fn new(
        orders: mpsc::UnboundedSender<Order>,
        counters: watch::Receiver<Counters>,
    ) -> Self {
        Self {
            orders,
            counters,
            process: None,
            copies: Arc::new([]),
            launcher: None,
            most_memory: u64::MAX,
            sized_folders: Arc::new([]),
        }
    }

    /// One of a sandbox, whose launcher is a process of this system.
    pub(super) fn of_sandbox(self, launcher: Option<Pid>) -> Self {
        Self { launcher, ..self }
    }

    /// One that measures a process of this system and all below it, which is a machine with so much memory.
    pub(crate) fn of_machine(self, process: Option<Pid>, most_memory: u64) -> Self {
        Self {
            process,
            most_memory,
            ..self
        }
    }

    /// One that knows of volumes whose size is to be watched.
    pub(crate) fn with_sized_folders(self, folders: Vec<SizedFolder>) -> Self {
        Self {
            sized_folders: folders.into(),
            ..self
        }
    }

    /// One that knows where files on their way are.
    pub(crate) fn with_copies(self, folders: Vec<PathBuf>) -> Self {
        Self {
            copies: folders.into(),
            ..self
        }
    }

    /// Where files on their way are, of a machine.
    pub(crate) fn copies(&self) -> Arc<[PathBuf]> {
        Arc::clone(&self.copies)
    }

    /// The process that all programs of a sandbox descend from.
    pub(crate) fn launcher(&self) -> Option<Pid> {
        self.launcher
    }

    /// The volumes whose size is to be watched.
    pub(crate) fn sized_folders(&self) -> Arc<[SizedFolder]> {
        Arc::clone(&self.sized_folders)
    }

    /// What a runtime counts beyond what is [measured](Self::measure), by the counters' names; nothing of a sandbox.
    pub fn counters(&self) -> BTreeMap<String, f64> {
        self.counters.borrow().clone()
    }

    /// What the sandbox's processes have used so far.
    pub async fn measure(&self) -> Result<Measurement, SandboxGone> {
        let measured = match self.process {
            Some(process) if !self.orders.is_closed() => measure::tree(process),
            Some(_) => return Err(SandboxGone),
            None => {
                let (measured, answer) = oneshot::channel();
                let sent = self.orders.send(Order::Measure(measured));
                sent.map_err(|_| SandboxGone)?;
                match timeout(MUTE, answer).await {
                    Ok(measured) => measured.map_err(|_| SandboxGone)?,
                    Err(_) => {
                        tracing::warn!("a sandbox does not answer any more, and is ended");
                        // Who is gone by now needs not be told.
                        let _ = self.orders.send(Order::Stop);
                        return Err(SandboxGone);
                    }
                }
            }
        };
        Ok(Measurement {
            cpu: Duration::from_micros(measured.cpu_micros),
            resident_bytes: measured.resident_bytes.min(self.most_memory),
            scratch_bytes: measured.scratch_bytes,
            peak_process_bytes: measured.peak_process_bytes,
        })
    }

    /// Waits until the sandbox has ended, or is about to: it was stopped, or one of its own processes was killed.
    pub async fn gone(&self) {
        self.orders.closed().await;
    }
}
