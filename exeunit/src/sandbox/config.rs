//! What a sandbox is made of, and what runs in it.

use std::{
    collections::BTreeMap,
    net::{IpAddr, Ipv4Addr},
    os::unix::ffi::OsStrExt,
    path::PathBuf,
};

use super::{limits::Limits, process::WINDOW, wire};
use crate::program::Program;

/// The room for `/dev/shm` where no other scratch space is asked for, in bytes.
const SHARED_MEMORY: u64 = 64 << 20;

/// What a sandbox is made of.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SandboxConfig {
    /// The program that becomes the sandbox's own processes; [`Program::this`] where the caller has
    /// called [`enter`](crate::enter).
    pub program: Program,
    /// Its root folder.
    pub root: Root,
    /// Folders of the host that are seen in it.
    pub volumes: Vec<Volume>,
    /// Its host name; at most 64 bytes.
    pub hostname: String,
}

/// What a sandbox has of a network: nothing by default.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Network {
    /// Names that are found in the sandbox, with their addresses: its `/etc/hosts`, before what the image says there. If
    /// there are none, that file is left as it is.
    pub hosts: BTreeMap<String, IpAddr>,
    /// Its network interfaces, `eth0` and so on, besides the loopback device; at most 16. The frames that come out of
    /// them are [taken](super::Sandbox::take_ports) by whoever started it, and lead nowhere otherwise.
    pub interfaces: Vec<Interface>,
}

/// A network interface of a sandbox.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Interface {
    /// Its hardware address.
    pub mac: [u8; 6],
    /// Its address.
    pub address: Ipv4Addr,
    /// How many leading bits of its address those of its neighbours have in common with it; at most 32.
    pub prefix: u8,
}

/// What the root folder of a sandbox is.
///
/// `/proc` and `/dev` are always the sandbox's own, and are created in it where they are missing.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Root {
    /// A tree that stays as it is, and that any number of sandboxes may share.
    Overlay {
        /// The tree. It is never written to.
        image: PathBuf,
        /// What the sandbox may write, in bytes. It is held in memory and gone with the sandbox.
        scratch_bytes: u64,
    },
    /// A tree that the sandbox writes to. What root has created in it must be [adopted](super::adopt)
    /// before.
    InPlace(PathBuf),
}

/// A folder of the host in a sandbox, where it can be read and written.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Volume {
    /// The folder. What root has created must be [adopted](super::adopt) before.
    pub folder: PathBuf,
    /// Its absolute path in the sandbox, without `..`; created in the root folder where it is missing.
    pub path: String,
}

/// A volume of a sandbox that is held in memory, and gone with it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MemoryVolume {
    /// Its absolute path in the sandbox, without `..`; created in the root folder where it is missing.
    pub path: String,
    /// Its size, in bytes. What is in it counts as memory.
    pub bytes: u64,
}

/// A program to run in a sandbox.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Command {
    /// Its path, or a name to be looked for along the `PATH` of `env`.
    pub program: String,
    /// Its arguments, without its name.
    pub args: Vec<String>,
    /// Its whole environment.
    pub env: BTreeMap<String, String>,
    /// The folder that it begins in.
    pub working_dir: String,
}

impl Command {
    /// A program without arguments or environment, in the root folder.
    pub fn new(program: impl Into<String>) -> Self {
        Self {
            program: program.into(),
            args: Vec::new(),
            env: BTreeMap::new(),
            working_dir: "/".to_owned(),
        }
    }

    /// What an agent is told of it.
    pub(crate) fn run(self, id: u64) -> wire::Run {
        wire::Run {
            id,
            program: self.program,
            args: self.args,
            env: self.env,
            working_dir: self.working_dir,
            window: WINDOW,
            is_task: false,
        }
    }
}

impl wire::Setup {
    pub(super) fn new(config: &SandboxConfig, limits: &Limits) -> Self {
        let bytes = |path: &PathBuf| path.as_os_str().as_bytes().to_vec();
        let (tree, in_place, scratch_bytes) = match &config.root {
            Root::Overlay {
                image,
                scratch_bytes,
            } => (bytes(image), false, *scratch_bytes),
            Root::InPlace(tree) => (bytes(tree), true, SHARED_MEMORY),
        };
        let volume = |volume: &Volume| wire::Volume {
            folder: bytes(&volume.folder),
            path: volume.path.clone(),
        };
        Self {
            tree,
            in_place,
            scratch_bytes,
            volumes: config.volumes.iter().map(volume).collect(),
            hostname: config.hostname.clone(),
            memory_bytes: limits.memory_bytes,
            processes: limits.processes,
            cpu_threads: limits.cpu_threads,
            file_bytes: limits.file_bytes,
            ..Self::default()
        }
    }
}

impl wire::Setup {
    /// The same sandbox, with volumes in memory besides the others.
    pub(super) fn with_memory(self, volumes: &[MemoryVolume]) -> Self {
        let volume = |volume: &MemoryVolume| wire::MemoryVolume {
            path: volume.path.clone(),
            bytes: volume.bytes,
        };
        Self {
            memory_volumes: volumes.iter().map(volume).collect(),
            ..self
        }
    }

    /// The same sandbox, in a network.
    pub(super) fn in_network(self, network: &Network) -> Self {
        let host = |(name, address): (&String, &IpAddr)| (name.clone(), address.to_string());
        Self {
            hosts: network.hosts.iter().map(host).collect(),
            interfaces: network
                .interfaces
                .iter()
                .map(wire::Interface::from)
                .collect(),
            ..self
        }
    }
}

impl From<&Interface> for wire::Interface {
    fn from(interface: &Interface) -> Self {
        Self {
            mac: interface.mac.to_vec(),
            address: interface.address.to_bits(),
            prefix: interface.prefix.into(),
        }
    }
}
