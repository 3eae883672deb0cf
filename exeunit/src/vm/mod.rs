//! Runs programs of an image in a virtual machine: behind a kernel of their own.
//!
//! QEMU runs an unmodified kernel, whose first program is the same agent as a [sandbox](crate::sandbox)'s, over a
//! virtual serial port. The image is a read-only disk; what is written lies in memory or in a disk of the agreed size.
//! Where the processor can be used it is, after a test that it really can; else all is emulated, some 12 to 15
//! times slower.

mod accelerator;
mod disk;
mod exchange;
mod initramfs;
mod machine;
mod parts;

use std::{collections::BTreeMap, fs, time::Duration};

use self::accelerator::{Verdict, objection};
pub use self::{
    accelerator::Accelerator,
    machine::{Machine, MachineConfig, MachineError, MachineVolume, Medium},
    parts::{Parts, PartsError, folder, install},
};
pub(crate) use self::{
    disk::{DiskError, create as create_disk},
    exchange::Exchange,
};
use crate::Program;

/// How long a machine may take to start: emulated, and on a machine that is busy.
pub const PATIENCE: Duration = Duration::from_secs(120);
/// How long a machine on the processor may take to start in a test; it takes one or two seconds.
const TEST_PATIENCE: Duration = Duration::from_secs(10);
/// The memory of a machine that is only a test, in MiB.
const TEST_MEMORY: u64 = 256;

/// What a machine is to run on, and if it is emulated, why.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Choice {
    /// What executes its instructions.
    pub accelerator: Accelerator,
    /// What speaks against the processor.
    pub objection: Option<String>,
}

impl Choice {
    /// The line that says how slow machines will be; nothing if they are not.
    pub fn warning(&self) -> Option<String> {
        let objection = self.objection.as_ref()?;
        Some(format!(
            "virtual machines are emulated, some 12 to 15 times slower than the processor: {objection}"
        ))
    }
}

/// Chooses what machines run on. A test that takes some seconds is made once after each start of the system.
pub async fn choose(program: &Program, parts: &Parts) -> Choice {
    let objection = match objection() {
        Some(objection) => Some(objection),
        None => {
            let verdict = match Verdict::read(&parts.folder) {
                Some(verdict) => verdict,
                None => {
                    let tested = test(program, parts, Accelerator::Kvm, TEST_PATIENCE).await;
                    let verdict = Verdict::new(tested.is_ok());
                    verdict.write(&parts.folder);
                    verdict
                }
            };
            let reason = "/dev/kvm opens, but a test machine has not started with it";
            (!verdict.works).then(|| reason.to_owned())
        }
    };
    let accelerator = match objection {
        Some(_) => Accelerator::Tcg,
        None => Accelerator::Kvm,
    };
    Choice {
        accelerator,
        objection,
    }
}

/// Boots a machine without an image, and stops it again.
pub async fn test(
    program: &Program,
    parts: &Parts,
    accelerator: Accelerator,
    patience: Duration,
) -> Result<(), MachineError> {
    let console = std::env::temp_dir().join(format!("exe-unit-test-{}.log", std::process::id()));
    let machine = Machine::boot(MachineConfig {
        program: program.clone(),
        parts: parts.clone(),
        accelerator,
        image: None,
        scratch: None,
        memory_mib: TEST_MEMORY,
        processors: 1,
        volumes: Vec::new(),
        hosts: BTreeMap::new(),
        hostname: "test".to_owned(),
        console: console.clone(),
        patience,
    })
    .await;
    let _ = fs::remove_file(console);
    machine?.stop().await;
    Ok(())
}
