//! What commands are run in.

use crate::{
    Program,
    activity::Failure,
    program::NotEntered,
    runtime::{Deployed, MachineRuntimeConfig, Room, boot_machine, protocol::RunProcess},
    sandbox::{Command, Monitor, Process, RunError, Sandbox, SandboxError},
    vm::Machine,
};

/// Why there is no place.
#[derive(Debug, thiserror::Error)]
pub(super) enum PlaceError {
    #[error(transparent)]
    Program(#[from] NotEntered),
    #[error(transparent)]
    Sandbox(#[from] SandboxError),
    #[error("{}", .0.message)]
    Machine(Failure),
}

/// A deployment at work.
pub(super) struct Place {
    deployed: Deployed,
    kind: Kind,
}

enum Kind {
    Sandbox(Box<Sandbox>),
    Machine(Box<Machine>),
}

impl Place {
    /// Starts a sandbox over a deployment.
    pub(super) async fn sandbox(
        deployed: Deployed,
        hostname: String,
        room: Room,
    ) -> Result<Self, PlaceError> {
        let config = deployed.sandbox(Program::this()?, hostname, room.scratch_bytes);
        let sandbox = Sandbox::start_within(config, room.limits).await?;
        let kind = Kind::Sandbox(Box::new(sandbox));
        Ok(Self { deployed, kind })
    }

    /// Boots a virtual machine over a deployment.
    pub(super) async fn machine(
        deployed: Deployed,
        config: &MachineRuntimeConfig,
    ) -> Result<Self, PlaceError> {
        let hostname = config.hostname.clone();
        let machine = boot_machine(config, &deployed, hostname).await;
        let kind = Kind::Machine(Box::new(machine.map_err(PlaceError::Machine)?));
        Ok(Self { deployed, kind })
    }

    pub(super) fn monitor(&self) -> Monitor {
        match &self.kind {
            Kind::Sandbox(sandbox) => sandbox.monitor(),
            Kind::Machine(machine) => machine.monitor(),
        }
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
        match &self.kind {
            Kind::Sandbox(sandbox) => sandbox.run(command).await,
            Kind::Machine(machine) => machine.run(command).await,
        }
    }

    /// Ends it; when this returns, none of its processes is left.
    pub(super) async fn stop(self) {
        match self.kind {
            Kind::Sandbox(sandbox) => sandbox.stop().await,
            Kind::Machine(machine) => machine.stop().await,
        }
    }
}
