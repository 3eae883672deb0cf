//! Whether a runtime works on this machine, before anybody relies on it.

use std::{io, path::Path};

use serde_json::{Value, json};

use crate::{
    Program,
    program::NotEntered,
    sandbox::{Enforced, Limits, Root, Sandbox, SandboxConfig, SandboxError, adopt},
    vm::{self, MachineError, Parts, PartsError},
};

/// Why a runtime does not work.
#[derive(Debug, thiserror::Error)]
pub(crate) enum SelfTestError {
    #[error("cannot make a folder for the test")]
    Folder(#[source] io::Error),
    #[error("cannot start the async runtime")]
    Tokio(#[source] io::Error),
    #[error(transparent)]
    Program(#[from] NotEntered),
    #[error(transparent)]
    Sandbox(#[from] SandboxError),
    #[error(transparent)]
    Parts(#[from] PartsError),
    #[error(transparent)]
    Machine(#[from] MachineError),
}

/// What a virtual machine has cannot become more: its processors, its memory, and its disk.
const MACHINE_LIMITS: [&str; 3] = ["cpu", "memory", "storage"];

/// What offers say of the sandbox: among it which limits hold for all processes of an activity together, as is found
/// out by setting some.
pub(crate) fn sandbox_template() -> Value {
    // A system that allows no sandbox at all says so by its self-test.
    let enforced = test_sandbox().unwrap_or_default();
    template(&enforced.names())
}

/// What offers say of virtual machines.
pub(crate) fn machine_template() -> Value {
    template(&MACHINE_LIMITS)
}

fn template(limits: &[&str]) -> Value {
    let properties = json!({
        "golem.runtime.capabilities": [],
        "golem.runtime.limits": limits,
    });
    json!({"properties": properties, "constraints": ""})
}

/// Boots an empty machine and stops it again. Returns the line that says how slow it is, if it is.
pub(crate) fn test_machine(folder: Option<&Path>) -> Result<Option<String>, SelfTestError> {
    let parts = Parts::find(folder)?;
    let program = Program::this()?;
    tokio_runtime()?.block_on(async {
        let choice = vm::choose(&program, &parts).await;
        vm::test(&program, &parts, choice.accelerator, vm::PATIENCE).await?;
        Ok(choice.warning())
    })
}

/// Starts an empty sandbox and stops it again. Which of its limits hold for all its processes.
pub(crate) fn test_sandbox() -> Result<Enforced, SelfTestError> {
    let folder = tempfile::Builder::new().prefix("exe-unit-test-").tempdir();
    let folder = folder.map_err(SelfTestError::Folder)?;
    adopt(folder.path()).map_err(SelfTestError::Folder)?;
    let config = SandboxConfig {
        program: Program::this()?,
        root: Root::InPlace(folder.path().to_owned()),
        volumes: Vec::new(),
        hostname: "test".to_owned(),
    };
    let limits = Limits {
        memory_bytes: Some(64 << 20),
        cpu_threads: Some(1),
        ..Limits::default()
    };
    tokio_runtime()?.block_on(async {
        let sandbox = Sandbox::start_within(config, limits).await?;
        let enforced = sandbox.enforced();
        sandbox.stop().await;
        Ok(enforced)
    })
}

fn tokio_runtime() -> Result<tokio::runtime::Runtime, SelfTestError> {
    let mut runtime = tokio::runtime::Builder::new_current_thread();
    runtime.enable_all().build().map_err(SelfTestError::Tokio)
}
