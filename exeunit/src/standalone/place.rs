//! What commands are run in.

use crate::{
    Program,
    program::NotEntered,
    runtime::{Deployed, protocol::RunProcess},
    sandbox::{Command, Monitor, Process, RunError, Sandbox, SandboxError},
};

/// Why there is no place.
#[derive(Debug, thiserror::Error)]
pub(super) enum PlaceError {
    #[error(transparent)]
    Program(#[from] NotEntered),
    #[error(transparent)]
    Sandbox(#[from] SandboxError),
}

/// A deployment at work.
pub(super) struct Place {
    deployed: Deployed,
    sandbox: Sandbox,
}

impl Place {
    /// Starts a sandbox over a deployment.
    pub(super) async fn sandbox(
        deployed: Deployed,
        hostname: String,
        scratch_bytes: u64,
    ) -> Result<Self, PlaceError> {
        let config = deployed.sandbox(Program::this()?, hostname, scratch_bytes);
        let sandbox = Sandbox::start(config).await?;
        Ok(Self { deployed, sandbox })
    }

    pub(super) fn monitor(&self) -> Monitor {
        self.sandbox.monitor()
    }

    /// Starts a command; the first of its arguments is its name.
    pub(super) async fn run(&self, run: RunProcess) -> Result<Process, RunError> {
        let working_dir = match run.work_dir.is_empty() {
            true => self.deployed.working_dir(),
            false => run.work_dir,
        };
        let command = Command {
            program: run.bin,
            args: run.args.into_iter().skip(1).collect(),
            env: self.deployed.environment(Default::default()),
            working_dir,
        };
        self.sandbox.run(command).await
    }

    /// Ends it; when this returns, none of its processes is left.
    pub(super) async fn stop(self) {
        self.sandbox.stop().await;
    }
}
