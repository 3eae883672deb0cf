//! Runs programs of an image where they can do no harm: in namespaces of their own, without privileges.
//!
//! No root is needed, and nothing is installed. A sandbox lives until it is [stopped](Sandbox::stop) or
//! dropped, or until the program that has started it ends, however it does: no process, mount or folder of
//! it stays behind. What one command leaves running in it is there for the next.
//!
//! ```no_run
//! use exeunit::{Program, sandbox::{Command, Output, Root, Sandbox, SandboxConfig}};
//! use futures::StreamExt;
//!
//! # async fn run() -> Result<(), Box<dyn std::error::Error>> {
//! let sandbox = Sandbox::start(SandboxConfig {
//!     program: Program::this()?,
//!     root: Root::Overlay { image: "/var/cache/images/debian".into(), scratch_bytes: 64 << 20 },
//!     volumes: vec![],
//!     hostname: "kiln".into(),
//! })
//! .await?;
//! let mut process = sandbox.run(Command::new("/bin/date")).await?;
//! while let Some(output) = process.next().await {
//!     if let Output::Stdout(bytes) = output {
//!         print!("{}", String::from_utf8_lossy(&bytes));
//!     }
//! }
//! assert!(process.wait().await?.is_success());
//! sandbox.stop().await;
//! # Ok(()) }
//! ```
//!
//! # What a program sees
//!
//! The [root folder](Root), its [volumes](Volume), `/proc` of the sandbox alone, a `/dev` of a few harmless
//! devices, a loopback network device and the [interfaces](Interface) that it is given, and a host name. It is user 0 there, and everything that
//! its image or the caller has put there is its own; outside it is the caller, or, when the caller is root, a
//! user that nobody else is. It has no capability and can gain none, standard input is empty, and a
//! list of system calls is refused: mounts, namespaces, `ptrace`, keys, `bpf` and the like.
//!
//! # What a program may take
//!
//! [`Limits`] hold for all processes of a sandbox together where control groups can be made: as root, or where systemd or
//! an administrator has handed a group over, of version 1 or 2; then processor time and memory are counted by them, too.
//! Elsewhere memory is limited for each process, processors by keeping all processes to some of them, and the number of
//! processes as everywhere by the kernel's count per user namespace. [`Sandbox::enforced`] tells which it is.
//!
//! # What it needs
//!
//! Linux 5.12 and unprivileged user namespaces. Where a system forbids those, the
//! [error](SandboxError::Forbidden) names the setting; nothing is ever run outside a sandbox instead. On kernels
//! before 6.6 a folder of the image that was removed cannot be made again.

#![expect(
    unsafe_code,
    reason = "a few calls to the kernel, each with its own argument, have no safe form"
)]

mod agent;
mod build;
mod config;
mod error;
mod files;
mod group;
mod guest;
mod host;
mod hosts;
mod interface;
mod launch;
mod limits;
mod monitor;
mod mounts;
mod namespaces;
mod netlink;
mod privilege;
mod process;
mod seccomp;
pub(crate) mod wire;
mod writers;

use std::{
    os::fd::OwnedFd,
    process::Stdio,
    sync::atomic::{AtomicU64, Ordering},
    time::Duration,
};

use futures::{SinkExt, StreamExt};
use tokio::{
    net::UnixStream,
    process::Child,
    sync::{mpsc, oneshot, watch},
    time::timeout,
};
use tokio_util::codec::Framed;

#[doc(hidden)]
pub use self::host::{understand_agent, understand_host};
pub(crate) use self::{
    agent::main as agent_main,
    files::{Task, pack, unpack},
    guest::main as guest_main,
    host::{Connection, Order},
    launch::close_inherited,
    launch::main as launcher_main,
    monitor::{Counters, SizedFolder},
    privilege::{adopt_open, become_unprivileged, is_root},
    process::WINDOW,
};
pub use self::{
    config::{Command, Interface, MemoryVolume, Network, Root, SandboxConfig, Volume},
    error::{RunError, SandboxError, SandboxGone},
    limits::{Enforced, Limits},
    monitor::{Measurement, Monitor},
    privilege::adopt,
    process::{ExitStatus, Output, Process},
    writers::wait_for_writers,
};
pub use rustix::process::Signal;

use self::wire::{HostFrames, Report, Request, Run, ToAgent};

/// How long the kernel may take to end the processes of a sandbox.
const PATIENCE: Duration = Duration::from_secs(5);

/// A place where programs run, apart from everything else.
#[derive(Debug)]
pub struct Sandbox {
    orders: mpsc::UnboundedSender<Order>,
    next_id: AtomicU64,
    launcher: Child,
    enforced: Enforced,
    ports: Vec<OwnedFd>,
    memory_volumes: Vec<OwnedFd>,
}

impl Sandbox {
    /// Builds a sandbox whose processes may take what [`Limits::default`] says; it stands when this returns.
    pub async fn start(config: SandboxConfig) -> Result<Self, SandboxError> {
        Self::start_within(config, Limits::default()).await
    }

    /// Builds a sandbox whose processes may take as much as `limits` say; it stands when this returns.
    pub async fn start_within(config: SandboxConfig, limits: Limits) -> Result<Self, SandboxError> {
        Self::start_with(config, limits, &Network::default(), &[]).await
    }

    /// Builds a sandbox that is part of a network.
    pub async fn start_in(config: SandboxConfig, network: &Network) -> Result<Self, SandboxError> {
        Self::start_with(config, Limits::default(), network, &[]).await
    }

    /// Builds a sandbox with limits, as part of a network, and with volumes in memory.
    pub async fn start_with(
        config: SandboxConfig,
        limits: Limits,
        network: &Network,
        memory_volumes: &[MemoryVolume],
    ) -> Result<Self, SandboxError> {
        let program = config.program.path();
        let launched = launch(&config).map_err(|source| SandboxError::Launch {
            program: program.to_owned(),
            source,
        })?;
        let (connection, ports, launcher) = launched;
        let mut connection = connect(connection);
        let setup = wire::Setup::new(&config, &limits)
            .in_network(network)
            .with_memory(memory_volumes);
        let enforced = greet(&mut connection, &config, setup).await?;
        let mut ports = match network.interfaces.len() + memory_volumes.len() {
            0 => Vec::new(),
            // They were sent before the agent was started, whose greeting is here.
            count => interface::take(&ports, count).map_err(|error| {
                SandboxError::Build(format!(
                    "cannot take its network interfaces and volumes: {error}"
                ))
            })?,
        };
        let memory_volumes = ports.split_off(network.interfaces.len());
        Ok(Self {
            orders: attend(connection),
            next_id: AtomicU64::new(0),
            launcher,
            enforced,
            ports,
            memory_volumes,
        })
    }

    /// The folders of its volumes in memory, in their order, as places to open files from; nothing from the second time
    /// on. What is in them is gone with the last who has one open.
    pub fn take_memory_volumes(&mut self) -> Vec<OwnedFd> {
        std::mem::take(&mut self.memory_volumes)
    }

    /// Which of its limits hold for all its processes together.
    pub fn enforced(&self) -> Enforced {
        self.enforced
    }

    /// Starts a program, beside whatever runs already.
    pub async fn run(&self, command: Command) -> Result<Process, RunError> {
        let id = self.next_id.fetch_add(1, Ordering::Relaxed);
        run_by(&self.orders, command.run(id)).await
    }

    /// A way to watch it from elsewhere, which does not keep it alive.
    pub fn monitor(&self) -> Monitor {
        let id = self.launcher.id().map(u32::cast_signed);
        let launcher = id.and_then(rustix::process::Pid::from_raw);
        let counters = watch::channel(Counters::new()).1;
        Monitor::new(self.orders.clone(), counters).of_sandbox(launcher)
    }

    /// The ports of its network interfaces, in their order; nothing from the second time on.
    ///
    /// Each is a packet socket that does not block. A frame is read and written whole, with a `struct virtio_net_hdr` of
    /// 10 bytes before it; large ones are as the kernel had them, without checksums and not yet cut into segments. An
    /// interface whose port is closed leads nowhere.
    pub fn take_ports(&mut self) -> Vec<OwnedFd> {
        std::mem::take(&mut self.ports)
    }

    /// Ends it; when this returns, none of its processes is left.
    pub async fn stop(mut self) {
        // Who is gone already has nothing to be stopped, and is only waited for.
        let _ = self.orders.send(Order::Stop);
        let ended = match timeout(PATIENCE, self.launcher.wait()).await {
            Ok(ended) => ended,
            Err(_) => {
                // The builder and the agent end with it, and everything with them.
                let _ = self.launcher.start_kill();
                self.launcher.wait().await
            }
        };
        if !ended.is_ok_and(|status| status.success()) {
            // It was killed, and has not cleared up.
            let _ = tokio::task::spawn_blocking(|| group::sweep_all(PATIENCE)).await;
        }
    }
}

/// Lets whoever takes the orders start a program.
pub(crate) async fn run_by(
    orders: &mpsc::UnboundedSender<Order>,
    run: Run,
) -> Result<Process, RunError> {
    let (reports, received) = mpsc::unbounded_channel();
    let (started, answer) = oneshot::channel();
    // Made before the answer is there: who drops this future does not leave a command behind.
    let process = Process::new(run.id, orders.clone(), received);
    let order = Order::Run {
        run,
        reports,
        started,
    };
    orders.send(order).map_err(|_| SandboxGone)?;
    match answer.await {
        Ok(Ok(())) => Ok(process),
        Ok(Err(refused)) => Err(RunError::Refused {
            code: refused.code,
            reason: refused.reason,
        }),
        Err(_) => Err(SandboxGone.into()),
    }
}

impl Drop for Sandbox {
    fn drop(&mut self) {
        // Commands hold the sender too, so that its dropping would not be noticed.
        let _ = self.orders.send(Order::Stop);
    }
}

/// Starts the launcher, in a process group of its own: an interrupt of the terminal is its host's to handle.
///
/// Returns the connection to it, one through which it hands over ports, and itself.
fn launch(
    config: &SandboxConfig,
) -> std::io::Result<(UnixStream, std::os::unix::net::UnixStream, Child)> {
    let (ours, theirs) = std::os::unix::net::UnixStream::pair()?;
    let (ports, handed) = std::os::unix::net::UnixStream::pair()?;
    ours.set_nonblocking(true)?;
    let mut launcher = tokio::process::Command::from(config.program.launcher());
    let launcher = launcher
        .env_clear()
        .stdin(Stdio::from(OwnedFd::from(theirs)))
        .stdout(Stdio::from(OwnedFd::from(handed)))
        .process_group(0)
        .spawn()?;
    Ok((UnixStream::from_std(ours)?, ports, launcher))
}

/// A connection to an agent over a stream of bytes.
pub(crate) fn connect(stream: UnixStream) -> Connection {
    Framed::new(stream, HostFrames::default())
}

/// Serves orders for what is at the other end of a connection.
pub(crate) fn attend(connection: Connection) -> mpsc::UnboundedSender<Order> {
    let (orders, received) = mpsc::unbounded_channel();
    tokio::spawn(host::serve(connection, received));
    orders
}

/// Tells the launcher what to build, and waits until the agent is there.
async fn greet(
    connection: &mut Connection,
    config: &SandboxConfig,
    setup: wire::Setup,
) -> Result<Enforced, SandboxError> {
    let mute = |source| SandboxError::Mute {
        program: config.program.path().to_owned(),
        source,
    };
    let setup = ToAgent {
        request: Some(Request::Setup(setup)),
    };
    connection
        .send(setup)
        .await
        .map_err(|error| mute(Some(error)))?;
    match connection.next().await {
        Some(Ok(answer)) => match answer.report {
            Some(Report::Ready(ready)) => {
                Ok(ready.enforced.map(Enforced::from).unwrap_or_default())
            }
            Some(Report::Unable(unable)) if unable.forbidden => {
                Err(SandboxError::Forbidden(unable.reason))
            }
            Some(Report::Unable(unable)) => Err(SandboxError::Build(unable.reason)),
            _ => Err(mute(None)),
        },
        Some(Err(error)) => Err(mute(Some(error))),
        None => Err(mute(None)),
    }
}
