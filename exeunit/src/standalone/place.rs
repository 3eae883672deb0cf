//! What commands are run in.

use std::sync::Arc;

use crate::{
    Program,
    activity::Failure,
    cause::in_one_line,
    program::NotEntered,
    runtime::{Deployed, MachineRuntimeConfig, Room, boot_machine, protocol::RunProcess},
    sandbox::{Command, Monitor, Process, RunError, Sandbox, SandboxError},
    script::Deployment,
    threads::Threads,
    transfer::Volumes,
    vm::{Exchange, Machine},
};

/// The code of a program that was not run, as shells have it.
const NOT_RUN: i32 = 126;

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
    Machine(Arc<Machine>, u64),
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
        wanted: &Deployment,
    ) -> Result<Self, PlaceError> {
        let machine = boot_machine(config, &deployed, wanted).await;
        let most_bytes = config.storage_bytes.unwrap_or(config.memory_bytes);
        let machine = machine.map_err(PlaceError::Machine)?;
        let kind = Kind::Machine(Arc::new(machine), most_bytes);
        Ok(Self { deployed, kind })
    }

    pub(super) fn monitor(&self) -> Monitor {
        match &self.kind {
            Kind::Sandbox(sandbox) => sandbox.monitor(),
            Kind::Machine(machine, _) => machine.monitor(),
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
            Kind::Machine(machine, _) => {
                let threads = Threads::default();
                let files = Exchange::new(machine, &threads);
                for volume in &self.deployed.volumes.0 {
                    let put = files.put(&volume.folder, &volume.path).await;
                    put.map_err(|error| RunError::Refused {
                        code: NOT_RUN,
                        reason: in_one_line(&error),
                    })?;
                }
                machine.run(command).await
            }
        }
    }

    /// What is to be done when a command has ended, and before anybody is told.
    pub(super) fn aftermath(&self) -> Option<Aftermath> {
        match &self.kind {
            Kind::Sandbox(_) => None,
            Kind::Machine(machine, most_bytes) => Some(Aftermath {
                machine: machine.clone(),
                volumes: self.deployed.volumes.clone(),
                most_bytes: *most_bytes,
            }),
        }
    }

    /// Ends it; when this returns, none of its processes is left.
    pub(super) async fn stop(self) {
        match self.kind {
            Kind::Sandbox(sandbox) => sandbox.stop().await,
            Kind::Machine(machine, _) => {
                // Who still copies from it loses it.
                if let Some(machine) = Arc::into_inner(machine) {
                    machine.stop().await;
                }
            }
        }
    }
}

/// Copies the volumes of a machine to their folders, where an exe-unit expects what was written to them.
pub(super) struct Aftermath {
    machine: Arc<Machine>,
    volumes: Volumes,
    most_bytes: u64,
}

impl Aftermath {
    pub(super) async fn happen(&self) {
        let threads = Threads::default();
        let files = Exchange::new(&self.machine, &threads);
        for volume in &self.volumes.0 {
            let (path, folder) = (&volume.path, &volume.folder);
            let got = files.get(path, "", folder, self.most_bytes).await;
            if let Err(error) = got {
                eprintln!("kiln-runtime: {}", in_one_line(&error));
            }
        }
    }
}
