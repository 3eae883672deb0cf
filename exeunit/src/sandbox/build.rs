//! The builder: a child of the launcher that makes the namespaces and starts the agent in them.
//!
//! The agent, process 1, has to be the child of somebody who already is in the new namespaces.

use std::{
    io,
    net::Ipv4Addr,
    os::{
        fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd},
        unix::net::UnixStream,
    },
    process::{Child, Command, Stdio},
};

use prost::Message;
use rustix::{
    fs::Mode,
    io::{FdFlags, fcntl_setfd},
    process::{Pid, Signal, getppid, set_parent_process_death_signal, umask},
    system::sethostname,
};

use super::{
    group::Group,
    hosts, interface,
    limits::{self, Expendable},
    mounts::{self, Base, MountError, Step, Tree, path_of},
    namespaces::{self, Settings},
    netlink::Netlink,
    privilege,
    wire::{Confinement, Setup},
};
use crate::program::Program;

#[derive(Debug, thiserror::Error)]
pub(super) enum BuildError {
    #[error("cannot follow the launcher")]
    Launcher(#[source] io::Error),
    #[error("cannot keep to some of the processors")]
    Processors(#[source] rustix::io::Errno),
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
    #[error("it is to have {0} network interfaces and volumes in memory, and there can be {most}", most = interface::MOST)]
    TooMany(usize),
    #[error(transparent)]
    Mount(#[from] MountError),
    #[error("cannot start the agent: as root, its program must be executable for all users")]
    Agent(#[source] io::Error),
}

impl BuildError {
    /// Whether it is the system that forbids sandboxes, and the message says how to allow them.
    pub(super) fn is_forbidden(&self) -> bool {
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

/// Builds a sandbox in new namespaces, as a child of `launcher`, and starts its agent.
pub(super) fn build(
    setup: &Setup,
    host: &UnixStream,
    mut group: Group,
    launcher: Pid,
) -> Result<Child, BuildError> {
    follow(launcher).map_err(BuildError::Launcher)?;
    umask(Mode::from_raw_mode(0o022));
    let (enforced, accounts) = group.join();
    // Only the launcher removes the group, and holds it for as long as it lives.
    drop(group);
    let mut confinement = limits::confinement(setup, enforced);
    if let Some(processors) = setup.cpu_threads.filter(|_| confinement.pinned) {
        limits::pin(processors).map_err(BuildError::Processors)?;
    }
    limits::mark_expendable(Expendable::Agent);
    let trees = if privilege::is_root() {
        // Taken while still root, who alone may be able to reach them; a mount taken so stays valid.
        let trees = take_trees(setup)?;
        privilege::become_unprivileged().map_err(BuildError::Privilege)?;
        // A change of user has made it forget.
        follow(launcher).map_err(BuildError::Launcher)?;
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
    let handed = setup.interfaces.len() + setup.memory_volumes.len();
    if handed > interface::MOST {
        return Err(BuildError::TooMany(handed));
    }
    mounts::assemble(&base, setup.scratch_bytes, &trees.volumes).map_err(BuildError::of_mount)?;
    let in_memory = &trees.volumes[setup.volumes.len()..];
    let in_memory: Vec<_> = in_memory.iter().map(|(_, tree)| tree.as_fd()).collect();
    connect(setup, in_memory)?;
    confinement.cpu_file = pass_on(&accounts.cpu)?;
    confinement.memory_file = pass_on(&accounts.memory)?;
    start_agent(host, &confinement).map_err(BuildError::Agent)
}

/// Gives the sandbox its names and its network devices, and the host what it needs to reach those and some folders.
fn connect(setup: &Setup, folders: Vec<BorrowedFd<'_>>) -> Result<(), MountError> {
    if !setup.hosts.is_empty() {
        let first = setup.interfaces.first();
        let own = first.map_or(Ipv4Addr::LOCALHOST, |interface| {
            Ipv4Addr::from_bits(interface.address)
        });
        hosts::write(&setup.hosts, &setup.hostname, &own.to_string()).step("write /etc/hosts")?;
    }
    sethostname(setup.hostname.as_bytes()).step("set the host name")?;
    let ports = match setup.interfaces.is_empty() {
        true => Vec::new(),
        false => interface::connect(&setup.interfaces)
            .step("make the network interfaces (the kernel must have veth and AF_PACKET)")?,
    };
    let handed: Vec<_> = ports.iter().map(AsFd::as_fd).chain(folders).collect();
    if !handed.is_empty() {
        interface::hand_over(&handed).step("hand network interfaces and volumes to the host")?;
    }
    Netlink::open()
        .and_then(|netlink| netlink.raise_loopback())
        .step("switch the loopback device on")
}

/// Lets this process end when the launcher does.
fn follow(launcher: Pid) -> io::Result<()> {
    set_parent_process_death_signal(Some(Signal::KILL))?;
    match getppid() == Some(launcher) {
        true => Ok(()),
        false => Err(io::Error::other("it has ended")),
    }
}

/// Lets the agent have an open file; its descriptor.
fn pass_on(file: &Option<OwnedFd>) -> Result<Option<i32>, BuildError> {
    let pass_on = |file: &OwnedFd| {
        fcntl_setfd(file, FdFlags::empty())?;
        Ok(file.as_raw_fd())
    };
    let passed = file.as_ref().map(pass_on).transpose();
    passed.map_err(|error: rustix::io::Errno| BuildError::Agent(error.into()))
}

fn enter_namespaces() -> Result<(), BuildError> {
    namespaces::enter().map_err(|source| BuildError::Forbidden {
        source,
        advice: Settings::read().explain(),
    })
}

/// The folders of the host that a sandbox is made of.
struct Trees<'setup> {
    root: Tree,
    /// With their paths in the sandbox; those in memory come last.
    volumes: Vec<(&'setup str, Tree)>,
}

fn take_trees(setup: &Setup) -> Result<Trees<'_>, MountError> {
    let take = |folder: &[u8]| {
        let folder = path_of(folder);
        Tree::of_host(folder).step(format!("open the folder {}", folder.display()))
    };
    let of_host = setup
        .volumes
        .iter()
        .map(|volume| Ok((volume.path.as_str(), take(&volume.folder)?)));
    let in_memory = setup.memory_volumes.iter().map(|volume| {
        let tree = Tree::in_memory("volume", volume.bytes, privilege::owner());
        let tree = tree.step(format!("make the volume {}", volume.path))?;
        Ok((volume.path.as_str(), tree))
    });
    let volumes = of_host
        .chain(in_memory)
        .collect::<Result<_, MountError>>()?;
    Ok(Trees {
        root: take(&setup.tree)?,
        volumes,
    })
}

/// Starts the agent with the root folder to be as its working directory, and its socket as its standard input.
fn start_agent(host: &UnixStream, confinement: &Confinement) -> io::Result<Child> {
    let mut agent: Command = Program::agent();
    agent
        .arg(hex::encode(confinement.encode_to_vec()))
        .env_clear()
        .stdin(Stdio::from(OwnedFd::from(host.try_clone()?)))
        .stdout(Stdio::null())
        .spawn()
}
