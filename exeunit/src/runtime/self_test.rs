//! Whether a runtime works on this machine, before anybody relies on it.

use std::{
    fs, io,
    path::{Path, PathBuf},
};

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
    #[error("cannot make the folder {}", .path.display())]
    Folder { path: PathBuf, source: io::Error },
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

/// What offers say of the sandbox: among it which limits hold for all processes of an activity together, as is found
/// out by setting some.
pub(crate) fn sandbox_template() -> Value {
    // A system that allows no sandbox at all says so by its self-test.
    let enforced = test_sandbox().unwrap_or_default();
    let properties = json!({
        "golem.runtime.capabilities": [],
        "golem.runtime.limits": enforced.names(),
    });
    json!({"properties": properties, "constraints": ""})
}

/// What offers say of virtual machines.
pub(crate) fn machine_template() -> Value {
    json!({"properties": {"golem.runtime.capabilities": []}, "constraints": ""})
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
    let path = std::env::temp_dir().join(format!("exe-unit-test-{}", std::process::id()));
    let made = fs::create_dir(&path).and_then(|()| adopt(&path));
    made.map_err(|source| SelfTestError::Folder {
        path: path.clone(),
        source,
    })?;
    let tested = start_and_stop(Root::InPlace(path.clone()));
    // What is left in it is a handful of empty folders of our own.
    let _ = fs::remove_dir_all(path);
    tested
}

fn start_and_stop(root: Root) -> Result<Enforced, SelfTestError> {
    let config = SandboxConfig {
        program: Program::this()?,
        root,
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
