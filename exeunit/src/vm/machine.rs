//! A virtual machine at work: QEMU, and the agent within.
//!
//! The agent's port is a socket that QEMU has as its standard input: there is no path to it, and nothing to be removed.
//! QEMU ends with the exe-unit, however that ends; of root's it is an unprivileged user's process, which
//! finds the files that it needs open.

use std::{
    collections::BTreeMap,
    ffi::OsString,
    fs::{self, File},
    io,
    net::IpAddr,
    os::fd::OwnedFd,
    path::{Path, PathBuf},
    process::Stdio,
    sync::atomic::{AtomicU64, Ordering},
    time::Duration,
};

use futures::{SinkExt, StreamExt};
use prost::bytes::Bytes;
use tokio::{
    net::UnixStream,
    sync::{mpsc, oneshot, watch},
    time::timeout,
};

use super::{accelerator::Accelerator, parts::Parts};
use crate::{
    Program,
    sandbox::{
        self, Command, Connection, Counters, Monitor, Order, Process, RunError, SandboxGone, Task,
        wire::{self, Boot, BootVolume, Report, Request, ToAgent},
    },
    tied::{Access, Call, Tied},
};

/// How long QEMU may take to end once it was told to.
const PATIENCE: Duration = Duration::from_secs(2);
/// How much of the console's end an error repeats, in bytes.
const LAST_WORDS: usize = 1 << 10;
/// The least memory that a kernel boots in with its first file system, in MiB.
pub(super) const LEAST_MEMORY: u64 = 128;

/// What a virtual machine is made of.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MachineConfig {
    /// The program that becomes QEMU's warden; [`Program::this`] where the caller has called [`enter`](crate::enter).
    pub program: Program,
    /// QEMU, the kernel and the first file system.
    pub parts: Parts,
    /// What executes its instructions.
    pub accelerator: Accelerator,
    /// The image, a squashfs, which is never written to; the root folder is empty at first without one.
    pub image: Option<PathBuf>,
    /// A file with an ext4 for what is written; without one that is in memory.
    pub scratch: Option<PathBuf>,
    /// Its memory, in MiB; at least 128.
    pub memory_mib: u64,
    /// Its processors.
    pub processors: u64,
    /// Folders that are empty at first, in the order of their paths.
    pub volumes: Vec<MachineVolume>,
    /// Names that are found in it, with their addresses.
    pub hosts: BTreeMap<String, IpAddr>,
    /// Its host name; at most 64 bytes.
    pub hostname: String,
    /// Where its console is written to.
    pub console: PathBuf,
    /// How long it may take to start.
    pub patience: Duration,
}

/// A folder of a virtual machine.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MachineVolume {
    /// Its absolute path.
    pub path: String,
    /// What it is in.
    pub medium: Medium,
}

/// What a volume of a virtual machine is in.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Medium {
    /// The scratch space, which it shares with all that is written.
    Scratch,
    /// So many bytes of memory.
    Memory(u64),
    /// A disk of its own.
    Disk {
        /// The file with its ext4.
        file: PathBuf,
        /// How it is mounted: `errors=remount-ro`, say.
        options: String,
    },
}

/// Why a virtual machine did not start.
#[derive(Debug, thiserror::Error)]
pub enum MachineError {
    /// Its console has no file.
    #[error("cannot create the machine's console {}", .path.display())]
    Console {
        /// The file.
        path: PathBuf,
        /// Why not.
        source: io::Error,
    },
    /// QEMU did not start.
    #[error("cannot start {}", .path.display())]
    Start {
        /// QEMU.
        path: PathBuf,
        /// Why not.
        source: io::Error,
    },
    /// It has ended.
    #[error("the machine has ended instead of starting{words}")]
    Ended {
        /// The end of its console, after a colon.
        words: String,
    },
    /// It takes too long.
    #[error("the machine has not started within {} s{words}", .patience.as_secs())]
    Late {
        /// How long it had.
        patience: Duration,
        /// The end of its console, after a colon.
        words: String,
    },
    /// One of its parts could not be made. The reason names which, and why.
    #[error("cannot build the machine's file system: {0}")]
    Build(String),
}

/// A virtual machine at work; it ends when this is dropped.
#[derive(Debug)]
pub struct Machine {
    orders: mpsc::UnboundedSender<Order>,
    next_id: AtomicU64,
    qemu: Tied,
    memory_bytes: u64,
}

impl Machine {
    /// Boots a machine; its agent is at work when this returns.
    pub async fn boot(config: MachineConfig) -> Result<Self, MachineError> {
        let failed = |source| MachineError::Start {
            path: config.parts.qemu.clone(),
            source,
        };
        let (ours, theirs) = std::os::unix::net::UnixStream::pair().map_err(failed)?;
        ours.set_nonblocking(true).map_err(failed)?;
        let stream = UnixStream::from_std(ours).map_err(failed)?;
        let console = create(&config.console)?;
        let errors = console.try_clone().map_err(failed)?;
        let call = qemu(&config);
        let qemu = Tied::spawn(&config.program, &call, |command| {
            command
                .env_clear()
                .stdin(Stdio::from(OwnedFd::from(theirs)))
                .stdout(console)
                .stderr(errors);
        });
        let qemu = qemu.map_err(failed)?;
        let mut connection = sandbox::connect(stream);
        let greeted = timeout(config.patience, greet(&mut connection, &config)).await;
        greeted.unwrap_or_else(|_| {
            Err(MachineError::Late {
                patience: config.patience,
                words: last_words(&config),
            })
        })?;
        Ok(Self {
            orders: sandbox::attend(connection),
            next_id: AtomicU64::new(0),
            qemu,
            memory_bytes: config.memory_mib << 20,
        })
    }

    /// Starts a program, beside whatever runs already.
    pub async fn run(&self, command: Command) -> Result<Process, RunError> {
        let id = self.next_id.fetch_add(1, Ordering::Relaxed);
        sandbox::run_by(&self.orders, command.run(id)).await
    }

    /// Starts a task of the agent's own.
    pub(super) async fn run_task(
        &self,
        task: Task,
        arguments: [&str; 2],
    ) -> Result<Process, RunError> {
        let id = self.next_id.fetch_add(1, Ordering::Relaxed);
        let command = Command {
            args: arguments.map(str::to_owned).into(),
            ..Command::new(task.name())
        };
        let run = wire::Run {
            is_task: true,
            ..command.run(id)
        };
        sandbox::run_by(&self.orders, run).await
    }

    /// Lets the agent keep a piece of an archive; returns why it cannot, if so.
    pub(super) async fn store(
        &self,
        bytes: Bytes,
        is_first: bool,
    ) -> Result<Option<String>, SandboxGone> {
        let (stored, answer) = oneshot::channel();
        let store = wire::Store { bytes, is_first };
        let sent = self.orders.send(Order::Store(store, stored));
        sent.map_err(|_| SandboxGone)?;
        answer.await.map_err(|_| SandboxGone)
    }

    /// A way to watch it from elsewhere, which does not keep it alive; it measures QEMU.
    pub fn monitor(&self) -> Monitor {
        let counters = watch::channel(Counters::new()).1;
        Monitor::new(self.orders.clone(), counters).of_machine(self.qemu.id(), self.memory_bytes)
    }

    /// Ends it; when this returns, nothing of it is left.
    pub async fn stop(self) {
        // The agent ends, and the kernel with it; or else QEMU is killed.
        let _ = self.orders.send(Order::Stop);
        self.qemu.wait_or_kill(PATIENCE).await;
    }
}

fn create(path: &PathBuf) -> Result<File, MachineError> {
    let parent = path.parent().map_or(Ok(()), fs::create_dir_all);
    parent
        .and_then(|()| File::create(path))
        .map_err(|source| MachineError::Console {
            path: path.clone(),
            source,
        })
}

/// Tells the machine what to build, and waits until its agent is there.
async fn greet(connection: &mut Connection, config: &MachineConfig) -> Result<(), MachineError> {
    let hosts = config.hosts.iter();
    let boot = Boot {
        has_image: config.image.is_some(),
        has_disk: config.scratch.is_some(),
        // Half of the memory is for programs.
        scratch_bytes: (config.memory_mib << 20) / 2,
        volumes: volumes(config),
        hostname: config.hostname.clone(),
        hosts: hosts
            .map(|(name, address)| (name.clone(), address.to_string()))
            .collect(),
    };
    let request = Some(Request::Boot(boot));
    let sent = connection.send(ToAgent { request }).await;
    let answer = match sent {
        Ok(()) => connection.next().await,
        Err(_) => None,
    };
    match answer {
        Some(Ok(answer)) => match answer.report {
            Some(Report::Ready(_)) => Ok(()),
            Some(Report::Unable(unable)) => Err(MachineError::Build(unable.reason)),
            _ => Err(MachineError::Ended {
                words: ": its agent has said something else than it should".to_owned(),
            }),
        },
        Some(Err(_)) | None => Err(MachineError::Ended {
            words: last_words(config),
        }),
    }
}

/// The volumes as the machine is told of them. Their disks come after the image and the scratch space.
fn volumes(config: &MachineConfig) -> Vec<BootVolume> {
    let others = u32::from(config.image.is_some()) + u32::from(config.scratch.is_some());
    let mut disks = others..;
    let volume = |volume: &MachineVolume| {
        let path = volume.path.clone();
        match &volume.medium {
            Medium::Scratch => BootVolume {
                path,
                ..BootVolume::default()
            },
            Medium::Memory(bytes) => BootVolume {
                path,
                memory_bytes: Some(*bytes),
                ..BootVolume::default()
            },
            Medium::Disk { options, .. } => BootVolume {
                path,
                disk: disks.next(),
                options: options.clone(),
                memory_bytes: None,
            },
        }
    };
    config.volumes.iter().map(volume).collect()
}

/// The end of the console, to follow a message.
fn last_words(config: &MachineConfig) -> String {
    let console = fs::read(&config.console).unwrap_or_default();
    let end = &console[console.len().saturating_sub(LAST_WORDS)..];
    match String::from_utf8_lossy(end).trim() {
        "" => String::new(),
        words => format!(": {words}"),
    }
}

/// The first descriptor that is not a standard one.
const FIRST_FILE: usize = 3;

/// How QEMU is called. The files have the descriptors from 3 on, in their order.
fn qemu(config: &MachineConfig) -> Call {
    let mut files = vec![
        (config.parts.kernel(), Access::Read),
        (config.parts.initramfs(), Access::Read),
        (config.console.clone(), Access::Append),
    ];
    let memory = config.memory_mib.max(LEAST_MEMORY);
    let mut line: Vec<OsString> = vec![config.parts.qemu.clone().into()];
    let mut add = |arguments: &str| line.extend(arguments.split(' ').map(OsString::from));
    add("-nodefaults -no-user-config -no-reboot -display none -msg timestamp=off");
    add(&format!("-machine q35,accel={}", config.accelerator));
    add(match config.accelerator {
        Accelerator::Kvm => "-cpu host",
        Accelerator::Tcg => "-cpu max",
    });
    add(&format!("-m {memory} -smp {}", config.processors.max(1)));
    add("-kernel /proc/self/fd/3 -initrd /proc/self/fd/4");
    add("-add-fd fd=5,set=5 -serial file:/dev/fdset/5");
    add("-device virtio-serial-pci -chardev socket,id=agent,fd=0");
    add("-device virtserialport,chardev=agent,name=kiln.agent");
    add("-sandbox on,obsolete=deny,elevateprivileges=deny,spawn=deny,resourcecontrol=deny");
    if let Some(image) = &config.image {
        add_disk(&mut files, &mut line, image, &[Access::Read]);
    }
    let of_volumes = config
        .volumes
        .iter()
        .filter_map(|volume| match &volume.medium {
            Medium::Disk { file, .. } => Some(file),
            Medium::Scratch | Medium::Memory(_) => None,
        });
    for disk in config.scratch.iter().chain(of_volumes) {
        // QEMU wants to look before it writes.
        let accesses = [Access::Read, Access::ReadWrite];
        add_disk(&mut files, &mut line, disk, &accesses);
    }
    // The check of the timer fails on a busy host, which emulates it late.
    line.extend(
        [
            "-append",
            "console=ttyS0 quiet loglevel=3 panic=-1 no_timer_check",
        ]
        .map(OsString::from),
    );
    Call {
        line,
        files,
        unprivileged: true,
    }
}

/// Adds a disk; QEMU takes whichever descriptor it has the right access by.
fn add_disk(
    files: &mut Vec<(PathBuf, Access)>,
    line: &mut Vec<OsString>,
    disk: &Path,
    accesses: &[Access],
) {
    let set = FIRST_FILE + files.len();
    let mut add = |arguments: String| line.extend(arguments.split(' ').map(OsString::from));
    for &access in accesses {
        let descriptor = FIRST_FILE + files.len();
        files.push((disk.to_owned(), access));
        add(format!("-add-fd fd={descriptor},set={set}"));
    }
    let read_only = match accesses.contains(&Access::ReadWrite) {
        true => "off",
        false => "on",
    };
    add(format!(
        "-drive file=/dev/fdset/{set},if=none,id=disk{set},format=raw,readonly={read_only},file.locking=off"
    ));
    add(format!("-device virtio-blk-pci,drive=disk{set}"));
}
