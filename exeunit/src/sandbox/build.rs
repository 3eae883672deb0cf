//! The builder: a child of the launcher that makes the namespaces and starts the agent in them.
//!
//! The agent, process 1, has to be the child of somebody who already is in the new namespaces.

use std::{
    fs, io,
    net::Ipv4Addr,
    os::{
        fd::{AsRawFd, OwnedFd},
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
    hosts, interface, limits,
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
    #[error("it is to have {0} network interfaces, and there can be {most}", most = interface::MOST)]
    Interfaces(usize),
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
    // Where memory runs out, a sandbox is to go before anything of the host's. Some systems do not let that be said.
    let _ = fs::write("/proc/self/oom_score_adj", "1000");
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
    if setup.interfaces.len() > interface::MOST {
        return Err(BuildError::Interfaces(setup.interfaces.len()));
    }
    mounts::assemble(&base, setup.scratch_bytes, &trees.volumes).map_err(BuildError::of_mount)?;
    connect(setup)?;
    confinement.cpu_file = pass_on(&accounts.cpu)?;
    confinement.memory_file = pass_on(&accounts.memory)?;
    start_agent(host, &confinement).map_err(BuildError::Agent)
}

/// Gives the sandbox its names and its network devices.
fn connect(setup: &Setup) -> Result<(), MountError> {
    if !setup.hosts.is_empty() {
        let first = setup.interfaces.first();
        let own = first.map_or(Ipv4Addr::LOCALHOST, |interface| {
            Ipv4Addr::from_bits(interface.address)
        });
        hosts::write(&setup.hosts, &setup.hostname, &own.to_string()).step("write /etc/hosts")?;
    }
    sethostname(setup.hostname.as_bytes()).step("set the host name")?;
    if !setup.interfaces.is_empty() {
        interface::connect(&setup.interfaces)
            .and_then(|ports| interface::hand_over(&ports))
            .step("make the network interfaces (the kernel must have veth and AF_PACKET)")?;
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
fn start_agent(host: &UnixStream, confinement: &Confinement) -> io::Result<Child> {
    let mut agent: Command = Program::agent();
    agent
        .arg(hex::encode(confinement.encode_to_vec()))
        .env_clear()
        .stdin(Stdio::from(OwnedFd::from(host.try_clone()?)))
        .stdout(Stdio::null())
        .spawn()
}
