//! Which runtime an exe-unit has, and what it is made of.

use super::command_line::{CommandLine, RuntimeKind, ServiceBus};
use crate::{
    Program,
    agreement::Agreement,
    image::Images,
    program::NotEntered,
    runtime::{
        ExternalConfig, ExternalRuntime, Hardware, MachineRuntime, MachineRuntimeConfig, Room,
        Runtime, SandboxRuntime, SandboxRuntimeConfig,
    },
    threads::Threads,
};

/// The memory of a virtual machine if the agreement does not say, in bytes.
const MEMORY: u64 = 512 << 20;
/// How much of the activity's id is the sandbox's host name: as much as containers are used to.
const HOSTNAME: usize = 12;
const GIB: f64 = (1u64 << 30) as f64;

/// What the command line asks to run commands with.
pub(super) fn choose(
    command_line: &CommandLine,
    settings: &ServiceBus,
    agreement: &Agreement,
    images: Images,
    threads: &Threads,
) -> Result<Box<dyn Runtime>, NotEntered> {
    Ok(match &command_line.binary {
        RuntimeKind::Sandbox => Box::new(sandbox(settings, agreement, images)?),
        RuntimeKind::Vm => {
            let config = MachineRuntimeConfig {
                program: Program::this()?,
                parts: command_line.vm_folder.clone(),
                work: settings.work_dir.clone(),
                task_package: agreement.task_package.clone(),
                hostname: hostname(settings),
                memory_bytes: agreement.memory_bytes.unwrap_or(MEMORY),
                processors: agreement.cpu_threads.unwrap_or(1),
                storage_bytes: agreement.storage_bytes,
            };
            Box::new(MachineRuntime::new(config, images, threads.clone()))
        }
        RuntimeKind::External(path) => {
            let gib = |bytes: Option<u64>| bytes.map(|bytes| bytes as f64 / GIB);
            let hardware = Hardware {
                cpu_threads: agreement.cpu_threads,
                memory_gib: gib(agreement.memory_bytes),
                storage_gib: gib(agreement.storage_bytes),
            };
            let task_package = agreement.task_package.clone();
            let config = ExternalConfig {
                program: Program::this()?,
                path: path.clone(),
                arguments: command_line.runtime_arguments.clone(),
                work: settings.work_dir.clone(),
                task_package: task_package.filter(|_| !command_line.runtime_managed_image),
                hardware: command_line.runtime_managed_hardware.then_some(hardware),
            };
            Box::new(ExternalRuntime::new(config, images))
        }
    })
}

fn hostname(settings: &ServiceBus) -> String {
    settings.activity_id.chars().take(HOSTNAME).collect()
}

fn sandbox(
    settings: &ServiceBus,
    agreement: &Agreement,
    images: Images,
) -> Result<SandboxRuntime, NotEntered> {
    let config = SandboxRuntimeConfig {
        program: Program::this()?,
        work: settings.work_dir.clone(),
        task_package: agreement.task_package.clone(),
        hostname: hostname(settings),
        room: Room::new(
            agreement.cpu_threads,
            agreement.memory_bytes,
            agreement.storage_bytes,
        ),
        activity_id: settings.activity_id.clone(),
        network_socket: settings.network_socket.clone(),
    };
    Ok(SandboxRuntime::new(config, images))
}
