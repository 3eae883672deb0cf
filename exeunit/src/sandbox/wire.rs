//! What a host and the agent inside its sandbox tell each other.
//!
//! The messages travel as [frames](crate::frame) on one stream of bytes, so that it may as well be a serial port
//! of a virtual machine: no descriptors are passed, and commands are told apart by ids that the
//! host chooses.
//!
//! ```text
//! host                              agent
//!  Setup                     ─▶       only to a launcher, which builds the sandbox
//!  Boot                      ─▶       only to process 1 of a virtual machine, which does the same there
//!                            ◀─      Ready | Unable
//!  Run {id, …, window}       ─▶
//!                            ◀─      Started {id} | Refused {id, …}
//!                            ◀─      Output {id, …}     never more bytes than the window has
//!  Credit {id, bytes}        ─▶       widens it again as the host consumes
//!  Signal | Release {id}     ─▶
//!                            ◀─      Ended {id, …}      always the last word on a command
//!  Store {…}                 ─▶       only to a virtual machine
//!                            ◀─      Stored             in the order of the pieces
//!  Measure                   ─▶
//!                            ◀─      Measured           in the order of the questions
//! ```

use std::collections::BTreeMap;

use crate::frame::Frames;

/// The host's end of the stream.
pub(crate) type HostFrames = Frames<ToAgent, FromAgent>;
/// The agent's end of the stream.
pub(crate) type AgentFrames = Frames<FromAgent, ToAgent>;

/// A message of the host.
#[derive(Clone, PartialEq, prost::Message)]
pub(crate) struct ToAgent {
    #[prost(oneof = "Request", tags = "1, 2, 3, 4, 5, 6, 7, 8")]
    pub(crate) request: Option<Request>,
}

#[derive(Clone, PartialEq, prost::Oneof)]
pub(crate) enum Request {
    #[prost(message, tag = "1")]
    Setup(Setup),
    #[prost(message, tag = "2")]
    Run(Run),
    #[prost(message, tag = "3")]
    Credit(Credit),
    #[prost(message, tag = "4")]
    Signal(Signal),
    #[prost(message, tag = "5")]
    Release(Release),
    #[prost(message, tag = "6")]
    Measure(Measure),
    #[prost(message, tag = "7")]
    Boot(Boot),
    #[prost(message, tag = "8")]
    Store(Store),
}

/// What the sandbox is to be made of. Paths are the host's, as bytes.
#[derive(Clone, PartialEq, prost::Message)]
pub(crate) struct Setup {
    /// The tree that becomes its root folder.
    #[prost(bytes = "vec", tag = "1")]
    pub(crate) tree: Vec<u8>,
    /// Whether what is written goes into the tree itself, instead of the scratch space.
    #[prost(bool, tag = "2")]
    pub(crate) in_place: bool,
    /// The size of the scratch space.
    #[prost(uint64, tag = "3")]
    pub(crate) scratch_bytes: u64,
    #[prost(message, repeated, tag = "4")]
    pub(crate) volumes: Vec<Volume>,
    #[prost(string, tag = "5")]
    pub(crate) hostname: String,
    /// What all processes together may take; without a number, as much as there is.
    #[prost(uint64, optional, tag = "6")]
    pub(crate) memory_bytes: Option<u64>,
    #[prost(uint64, tag = "7")]
    pub(crate) processes: u64,
    #[prost(uint32, optional, tag = "8")]
    pub(crate) cpu_threads: Option<u32>,
    /// The size of any one file.
    #[prost(uint64, optional, tag = "9")]
    pub(crate) file_bytes: Option<u64>,
    #[prost(message, repeated, tag = "12")]
    pub(crate) memory_volumes: Vec<MemoryVolume>,
    /// Addresses by name, for `/etc/hosts`.
    #[prost(btree_map = "string, string", tag = "10")]
    pub(crate) hosts: BTreeMap<String, String>,
    #[prost(message, repeated, tag = "11")]
    pub(crate) interfaces: Vec<Interface>,
}

/// A network interface.
#[derive(Clone, PartialEq, prost::Message)]
pub(crate) struct Interface {
    /// Its hardware address, of six bytes.
    #[prost(bytes = "vec", tag = "1")]
    pub(crate) mac: Vec<u8>,
    /// Its IPv4 address, as a number.
    #[prost(uint32, tag = "2")]
    pub(crate) address: u32,
    /// How many leading bits of it are the network's.
    #[prost(uint32, tag = "3")]
    pub(crate) prefix: u32,
}

#[derive(Clone, PartialEq, prost::Message)]
pub(crate) struct Volume {
    /// The host's folder.
    #[prost(bytes = "vec", tag = "1")]
    pub(crate) folder: Vec<u8>,
    /// Where it is in the sandbox.
    #[prost(string, tag = "2")]
    pub(crate) path: String,
}

/// A piece of an archive, for the next task that unpacks one.
#[derive(Clone, PartialEq, prost::Message)]
pub(crate) struct Store {
    #[prost(bytes = "bytes", tag = "1")]
    pub(crate) bytes: prost::bytes::Bytes,
    /// It is the first: what was stored before, for a task that has never come, is thrown away.
    #[prost(bool, tag = "2")]
    pub(crate) is_first: bool,
}

/// A piece was stored, or all of it thrown away.
#[derive(Clone, PartialEq, prost::Message)]
pub(crate) struct Stored {
    /// Why it was not.
    #[prost(string, optional, tag = "1")]
    pub(crate) reason: Option<String>,
}

/// What a virtual machine is to make of its devices.
#[derive(Clone, PartialEq, prost::Message)]
pub(crate) struct Boot {
    /// Whether its first disk is an image; the root folder is empty otherwise.
    #[prost(bool, tag = "1")]
    pub(crate) has_image: bool,
    /// Whether its next disk is the scratch space, which is in memory otherwise.
    #[prost(bool, tag = "2")]
    pub(crate) has_disk: bool,
    /// The size of the scratch space in memory.
    #[prost(uint64, tag = "3")]
    pub(crate) scratch_bytes: u64,
    #[prost(string, tag = "5")]
    pub(crate) hostname: String,
    /// Folders that are empty at first, each after those that it is in.
    #[prost(message, repeated, tag = "6")]
    pub(crate) volumes: Vec<BootVolume>,
    /// Names of hosts, with their addresses.
    #[prost(btree_map = "string, string", tag = "7")]
    pub(crate) hosts: BTreeMap<String, String>,
}

/// A folder of a virtual machine: in its scratch space, unless it says otherwise.
#[derive(Clone, PartialEq, prost::Message)]
pub(crate) struct BootVolume {
    #[prost(string, tag = "1")]
    pub(crate) path: String,
    /// The size of the memory that it is in.
    #[prost(uint64, optional, tag = "2")]
    pub(crate) memory_bytes: Option<u64>,
    /// Which of the machine's disks it is, from 0 on: one with an ext4.
    #[prost(uint32, optional, tag = "3")]
    pub(crate) disk: Option<u32>,
    /// How that is mounted.
    #[prost(string, tag = "4")]
    pub(crate) options: String,
}

/// A volume that is held in memory.
#[derive(Clone, PartialEq, prost::Message)]
pub(crate) struct MemoryVolume {
    /// Where it is in the sandbox.
    #[prost(string, tag = "1")]
    pub(crate) path: String,
    #[prost(uint64, tag = "2")]
    pub(crate) bytes: u64,
}

#[derive(Clone, PartialEq, prost::Message)]
pub(crate) struct Run {
    #[prost(uint64, tag = "1")]
    pub(crate) id: u64,
    #[prost(string, tag = "2")]
    pub(crate) program: String,
    #[prost(string, repeated, tag = "3")]
    pub(crate) args: Vec<String>,
    #[prost(btree_map = "string, string", tag = "4")]
    pub(crate) env: BTreeMap<String, String>,
    #[prost(string, tag = "5")]
    pub(crate) working_dir: String,
    /// How many bytes of output the agent may send before it needs credit.
    #[prost(uint64, tag = "6")]
    pub(crate) window: u64,
    /// Whether the program is the name of a task of the agent's own.
    #[prost(bool, tag = "7")]
    pub(crate) is_task: bool,
}

/// The host has consumed so many bytes of a command's output.
#[derive(Clone, PartialEq, prost::Message)]
pub(crate) struct Credit {
    #[prost(uint64, tag = "1")]
    pub(crate) id: u64,
    #[prost(uint64, tag = "2")]
    pub(crate) bytes: u64,
}

/// A signal for a command's process group.
#[derive(Clone, PartialEq, prost::Message)]
pub(crate) struct Signal {
    #[prost(uint64, tag = "1")]
    pub(crate) id: u64,
    #[prost(int32, tag = "2")]
    pub(crate) signal: i32,
}

/// Nobody waits for the command any more: its process group is killed and its output thrown away.
#[derive(Clone, PartialEq, prost::Message)]
pub(crate) struct Release {
    #[prost(uint64, tag = "1")]
    pub(crate) id: u64,
}

/// Asks what all processes together have used.
#[derive(Clone, PartialEq, prost::Message)]
pub(crate) struct Measure {}

/// A message of the agent.
#[derive(Clone, PartialEq, prost::Message)]
pub(crate) struct FromAgent {
    #[prost(oneof = "Report", tags = "1, 2, 3, 4, 5, 6, 7, 8")]
    pub(crate) report: Option<Report>,
}

#[derive(Clone, PartialEq, prost::Oneof)]
pub(crate) enum Report {
    #[prost(message, tag = "1")]
    Ready(Ready),
    #[prost(message, tag = "2")]
    Unable(Unable),
    #[prost(message, tag = "3")]
    Started(Started),
    #[prost(message, tag = "4")]
    Refused(Refused),
    #[prost(message, tag = "5")]
    Output(Output),
    #[prost(message, tag = "6")]
    Ended(Ended),
    #[prost(message, tag = "7")]
    Measured(Measured),
    #[prost(message, tag = "8")]
    Stored(Stored),
}

/// The sandbox stands.
#[derive(Clone, PartialEq, prost::Message)]
pub(crate) struct Ready {
    #[prost(message, optional, tag = "1")]
    pub(crate) enforced: Option<Enforced>,
}

/// Which limits hold for all processes together.
#[derive(Clone, Copy, PartialEq, prost::Message)]
pub(crate) struct Enforced {
    #[prost(bool, tag = "1")]
    pub(crate) memory: bool,
    #[prost(bool, tag = "2")]
    pub(crate) processes: bool,
    #[prost(bool, tag = "3")]
    pub(crate) cpu: bool,
}

impl From<super::Enforced> for Enforced {
    fn from(enforced: super::Enforced) -> Self {
        let super::Enforced {
            memory,
            processes,
            cpu,
        } = enforced;
        Self {
            memory,
            processes,
            cpu,
        }
    }
}

impl From<Enforced> for super::Enforced {
    fn from(enforced: Enforced) -> Self {
        let Enforced {
            memory,
            processes,
            cpu,
        } = enforced;
        Self {
            memory,
            processes,
            cpu,
        }
    }
}

/// What the launcher leaves to the agent, which gets it as an argument.
#[derive(Clone, PartialEq, prost::Message)]
pub(crate) struct Confinement {
    /// Processes and threads.
    #[prost(uint64, tag = "1")]
    pub(crate) processes: u64,
    /// What each process may take of memory, because no limit holds for all of them together.
    #[prost(uint64, optional, tag = "2")]
    pub(crate) address_space: Option<u64>,
    /// The size of any one file.
    #[prost(uint64, optional, tag = "3")]
    pub(crate) file_bytes: Option<u64>,
    /// Whether no process may choose its processors: they were chosen.
    #[prost(bool, tag = "4")]
    pub(crate) pinned: bool,
    #[prost(message, optional, tag = "5")]
    pub(crate) enforced: Option<Enforced>,
    /// Open files of the control group, by their descriptors.
    #[prost(int32, optional, tag = "6")]
    pub(crate) cpu_file: Option<i32>,
    #[prost(int32, optional, tag = "7")]
    pub(crate) memory_file: Option<i32>,
}

/// The sandbox could not be built.
#[derive(Clone, PartialEq, prost::Message)]
pub(crate) struct Unable {
    #[prost(string, tag = "1")]
    pub(crate) reason: String,
    /// Whether it is the system that forbids sandboxes, and the reason says how to allow them.
    #[prost(bool, tag = "2")]
    pub(crate) forbidden: bool,
}

#[derive(Clone, PartialEq, prost::Message)]
pub(crate) struct Started {
    #[prost(uint64, tag = "1")]
    pub(crate) id: u64,
}

/// The command's program did not start.
#[derive(Clone, PartialEq, prost::Message)]
pub(crate) struct Refused {
    #[prost(uint64, tag = "1")]
    pub(crate) id: u64,
    /// The code that a shell would exit with: 127 if there is no such program, else 126.
    #[prost(int32, tag = "2")]
    pub(crate) code: i32,
    #[prost(string, tag = "3")]
    pub(crate) reason: String,
}

#[derive(Clone, PartialEq, prost::Message)]
pub(crate) struct Output {
    #[prost(uint64, tag = "1")]
    pub(crate) id: u64,
    /// Standard error if true, else standard output.
    #[prost(bool, tag = "2")]
    pub(crate) is_error: bool,
    #[prost(bytes = "bytes", tag = "3")]
    pub(crate) bytes: prost::bytes::Bytes,
}

/// The command's process ended, and all its output up to then has been sent.
#[derive(Clone, PartialEq, prost::Message)]
pub(crate) struct Ended {
    #[prost(uint64, tag = "1")]
    pub(crate) id: u64,
    #[prost(oneof = "End", tags = "2, 3")]
    pub(crate) end: Option<End>,
}

#[derive(Clone, Copy, PartialEq, prost::Oneof)]
pub(crate) enum End {
    #[prost(int32, tag = "2")]
    Code(i32),
    #[prost(int32, tag = "3")]
    Signal(i32),
}

/// What all processes of the sandbox, ended ones too, have used.
#[derive(Clone, PartialEq, prost::Message)]
pub(crate) struct Measured {
    /// Processor time, in microseconds.
    #[prost(uint64, tag = "1")]
    pub(crate) cpu_micros: u64,
    /// Memory resident now.
    #[prost(uint64, tag = "2")]
    pub(crate) resident_bytes: u64,
    /// The scratch space in use now.
    #[prost(uint64, tag = "3")]
    pub(crate) scratch_bytes: u64,
    /// The most memory that any one process, ended ones too, has had resident.
    #[prost(uint64, tag = "4")]
    pub(crate) peak_process_bytes: u64,
}
