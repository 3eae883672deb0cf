//! The runtime that is there by default: an image, its volumes, and a sandbox over both.

use std::path::PathBuf;

use async_trait::async_trait;
use tokio::sync::watch;

use super::{Outlet, Room, Run, Runtime, deployment, deployment::Deployed, out_of_order};
use crate::{
    Program,
    activity::Failure,
    image::Images,
    sandbox::{self, Monitor, Process, RunError, Sandbox, SandboxGone},
    script::Deployment,
    transfer::Volumes,
};

/// What a sandbox runtime is made of.
#[derive(Clone, Debug)]
pub(crate) struct SandboxRuntimeConfig {
    /// What becomes the sandbox's processes.
    pub(crate) program: Program,
    /// The folder that volumes are created in.
    pub(crate) work: PathBuf,
    /// Where the agreement says that the image is.
    pub(crate) task_package: Option<String>,
    /// The sandbox's host name.
    pub(crate) hostname: String,
    /// What the sandbox may take.
    pub(crate) room: Room,
}

/// Runs commands in namespaces of this kernel.
#[derive(Debug)]
pub(crate) struct SandboxRuntime {
    config: SandboxRuntimeConfig,
    images: Images,
    /// None before `deploy`.
    deployed: Option<Deployed>,
    /// None before `start`.
    sandbox: Option<Sandbox>,
    /// The sandbox that runs at this moment, for those who watch it.
    monitor: watch::Sender<Option<Monitor>>,
}

impl SandboxRuntime {
    pub(crate) fn new(config: SandboxRuntimeConfig, images: Images) -> Self {
        Self {
            config,
            images,
            deployed: None,
            sandbox: None,
            monitor: watch::Sender::new(None),
        }
    }
}

#[async_trait]
impl Runtime for SandboxRuntime {
    async fn deploy(&mut self, _: Deployment, _: &Outlet<'_>) -> Result<String, Failure> {
        let package = self.config.task_package.as_deref();
        let image = self.images.get(package).await;
        let image = image.map_err(|error| Failure::of(&error))?;
        let deployed = Deployed::create(image, &self.config.work);
        let deployed = deployed.map_err(|error| Failure::of(&error))?;
        let answer = deployed.answer();
        self.deployed = Some(deployed);
        Ok(answer)
    }

    async fn start(&mut self, _: Vec<String>, _: &Outlet<'_>) -> Result<(), Failure> {
        let deployed = self.deployed.as_ref().ok_or_else(out_of_order)?;
        let SandboxRuntimeConfig {
            program,
            hostname,
            room,
            ..
        } = self.config.clone();
        let config = deployed.sandbox(program, hostname, room.scratch_bytes);
        let sandbox = Sandbox::start_within(config, room.limits).await;
        let sandbox = sandbox.map_err(|error| Failure::of(&error))?;
        self.monitor.send_replace(Some(sandbox.monitor()));
        self.sandbox = Some(sandbox);
        Ok(())
    }

    async fn run(&self, run: Run) -> Result<Process, RunError> {
        let (Some(deployed), Some(sandbox)) = (&self.deployed, &self.sandbox) else {
            return Err(SandboxGone.into());
        };
        let command = sandbox::Command {
            program: run.program,
            args: run.args,
            env: deployed.environment(run.env),
            working_dir: deployed.working_dir(),
        };
        sandbox.run(command).await
    }

    fn volumes(&self) -> Option<&Volumes> {
        self.deployed.as_ref().map(|deployed| &deployed.volumes)
    }

    fn monitor(&self) -> watch::Receiver<Option<Monitor>> {
        self.monitor.subscribe()
    }

    async fn clear(&mut self) {
        self.monitor.send_replace(None);
        if let Some(sandbox) = self.sandbox.take() {
            sandbox.stop().await;
        }
        self.deployed = None;
        deployment::remove_volumes(&self.config.work).await;
    }
}
