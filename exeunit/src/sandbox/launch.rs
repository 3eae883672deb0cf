//! The launcher: a single-threaded child of the host that makes the namespaces and starts the agent in them.
//!
//! It is a program of its own, started again, because a process with threads cannot enter a user namespace,
//! and because the agent, process 1, has to be the child of somebody who already is in the new namespaces.
//!
//! ```text
//! host ── spawns ──▶ launcher ── root only: takes the folders, becomes an unprivileged user
//!                       │     ── enters the namespaces, takes the folders, assembles the file system
//!                       └─ spawns ──▶ agent: process 1; /proc, pivot_root, drops all capabilities, serves
//! ```
//!
//! The agent ends when the host's end of the socket closes, and when the launcher dies; the launcher ends when the
//! agent does. With process 1, the kernel kills all others; with the last of them go the namespaces and their mounts.

use std::{
    fs::File,
    io::{self, Read, Write},
    os::unix::net::UnixStream,
    process::{Command, Stdio},
};

use prost::{Message, bytes::BytesMut};
use rustix::{
    fs::Mode,
    io::fcntl_dupfd_cloexec,
    process::umask,
    stdio::{dup2_stdin, stdin},
    system::sethostname,
};
use tokio_util::codec::Encoder;

use super::{
    loopback,
    mounts::{self, Base, MountError, Step, Tree, path_of},
    namespaces::{self, Settings},
    privilege,
    wire::{AgentFrames, FromAgent, Report, Request, Setup, ToAgent, Unable},
};
use crate::{cause::in_one_line, frame::FrameError, program::Program};

/// What a program does that is started as a launcher: the code that it exits with.
pub(crate) fn main() -> u8 {
    close_inherited();
    let Ok(mut host) = take_stdin() else {
        return 1;
    };
    let launched = receive(&mut host)
        .map_err(LaunchError::Host)
        .and_then(|setup| launch(&setup, &host));
    match launched {
        Ok(mut agent) => {
            // The host learns of the agent's end by the end of its socket: no copy may be left here.
            drop(host);
            agent.wait().map_or(1, |status| u8::from(!status.success()))
        }
        Err(error) => {
            let unable = Unable {
                forbidden: error.is_forbidden(),
                reason: in_one_line(&error),
            };
            // If the host cannot be told any more, nobody is left to tell.
            let _ = send(&mut host, Report::Unable(unable));
            1
        }
    }
}

#[derive(Debug, thiserror::Error)]
enum LaunchError {
    #[error("cannot read what the sandbox is to be made of")]
    Host(#[source] io::Error),
    #[error("cannot become an unprivileged user")]
    Privilege(#[source] rustix::io::Errno),
    #[error("this system does not allow user namespaces: {advice}")]
    Forbidden {
        source: io::Error,
        advice: &'static str,
    },
    #[error("this system allows user namespaces, but not what they are for: {advice}")]
    Hampered {
        source: MountError,
        advice: &'static str,
    },
    #[error(transparent)]
    Mount(#[from] MountError),
    #[error("cannot start the agent: as root, its program must be executable for all users")]
    Agent(#[source] io::Error),
}

impl LaunchError {
    fn is_forbidden(&self) -> bool {
        matches!(self, Self::Forbidden { .. } | Self::Hampered { .. })
    }

    fn of_mount(source: MountError) -> Self {
        let settings = Settings::read();
        match source.is_denied() && settings.take_capabilities_away() {
            true => Self::Hampered {
                source,
                advice: settings.explain(),
            },
            false => Self::Mount(source),
        }
    }
}

fn launch(setup: &Setup, host: &UnixStream) -> Result<std::process::Child, LaunchError> {
    umask(Mode::from_raw_mode(0o022));
    let trees = if privilege::is_root() {
        // Taken while still root, who alone may be able to reach them; a mount taken so stays valid.
        let trees = take_trees(setup)?;
        privilege::become_unprivileged().map_err(LaunchError::Privilege)?;
        enter_namespaces()?;
        trees
    } else {
        enter_namespaces()?;
        take_trees(setup)?
    };
    let base = match setup.in_place {
        true => Base::InPlace(trees.root),
        false => Base::Below(trees.root),
    };
    mounts::assemble(&base, setup.scratch_bytes, &trees.volumes).map_err(LaunchError::of_mount)?;
    sethostname(setup.hostname.as_bytes()).step("set the host name")?;
    loopback::raise().step("switch the loopback device on")?;
    start_agent(host).map_err(LaunchError::Agent)
}

fn enter_namespaces() -> Result<(), LaunchError> {
    namespaces::enter().map_err(|source| LaunchError::Forbidden {
        source,
        advice: Settings::read().explain(),
    })
}

/// The folders of the host that a sandbox is made of.
struct Trees<'setup> {
    root: Tree,
    /// With their paths in the sandbox.
    volumes: Vec<(&'setup str, Tree)>,
}

fn take_trees(setup: &Setup) -> Result<Trees<'_>, MountError> {
    let take = |folder: &[u8]| {
        let folder = path_of(folder);
        Tree::of_host(folder).step(format!("open the folder {}", folder.display()))
    };
    let volumes = setup
        .volumes
        .iter()
        .map(|volume| Ok((volume.path.as_str(), take(&volume.folder)?)))
        .collect::<Result<_, MountError>>()?;
    Ok(Trees {
        root: take(&setup.tree)?,
        volumes,
    })
}

/// Starts the agent with the root folder to be as its working directory, and its socket as its standard input.
fn start_agent(host: &UnixStream) -> io::Result<std::process::Child> {
    let mut agent: Command = Program::agent();
    agent
        .env_clear()
        .stdin(Stdio::from(std::os::fd::OwnedFd::from(host.try_clone()?)))
        .stdout(Stdio::null())
        .spawn()
}

/// This process's standard input, a socket; what it leaves in its place is empty.
pub(super) fn take_stdin() -> io::Result<UnixStream> {
    let socket = fcntl_dupfd_cloexec(stdin(), 3)?;
    dup2_stdin(File::open("/dev/null")?)?;
    Ok(UnixStream::from(socket))
}

/// Closes every descriptor but the standard three.
///
/// To be called before anything opens one.
pub(crate) fn close_inherited() {
    // SAFETY: nothing in this process owns a descriptor above 2 yet: it has just begun.
    unsafe { libc::syscall(libc::SYS_close_range, 3, libc::c_uint::MAX, 0) };
}

/// Reads exactly the first message of the host; what follows is the agent's.
fn receive(host: &mut UnixStream) -> io::Result<Setup> {
    let mut length = [0; 4];
    host.read_exact(&mut length)?;
    let mut message = vec![0; u32::from_be_bytes(length) as usize];
    host.read_exact(&mut message)?;
    match ToAgent::decode(&message[..])?.request {
        Some(Request::Setup(setup)) => Ok(setup),
        _ => Err(io::Error::from(io::ErrorKind::InvalidData)),
    }
}

fn send(host: &mut UnixStream, report: Report) -> Result<(), FrameError> {
    let mut frame = BytesMut::new();
    let report = FromAgent {
        report: Some(report),
    };
    AgentFrames::default().encode(report, &mut frame)?;
    Ok(host.write_all(&frame)?)
}
