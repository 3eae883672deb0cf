//! What runs commands: an image, its volumes, and a sandbox over both.

mod deployment;
mod runner;

use std::{collections::BTreeMap, path::PathBuf};

use futures::StreamExt;
use prost::bytes::Bytes;
use tokio::sync::{mpsc, watch};

use self::deployment::Deployment;
pub(crate) use self::runner::{Job, News, run_jobs};
use crate::{
    Program,
    activity::{Channel, Failure},
    image::Images,
    sandbox::{self, Monitor, Output, Root, RunError, Sandbox, SandboxConfig},
    script::Command,
    transfer::Transfers,
};

/// What a runtime is made of.
#[derive(Clone, Debug)]
pub(crate) struct RuntimeConfig {
    /// What becomes the sandbox's processes.
    pub(crate) program: Program,
    /// The folder that volumes are created in.
    pub(crate) work: PathBuf,
    /// Where the agreement says that the image is.
    pub(crate) task_package: Option<String>,
    /// The sandbox's host name.
    pub(crate) hostname: String,
    /// What the sandbox may write outside of volumes, in bytes.
    pub(crate) scratch_bytes: u64,
}

/// Runs one command after the other.
#[derive(Debug)]
pub(crate) struct Runtime {
    config: RuntimeConfig,
    images: Images,
    transfers: Transfers,
    /// None before `deploy`.
    deployment: Option<Deployment>,
    /// None before `start`.
    sandbox: Option<Sandbox>,
    /// The sandbox that runs at this moment, for those who watch it.
    monitor: watch::Sender<Option<Monitor>>,
}

/// Where the output of a command goes; whoever takes it in may hold it up.
pub(crate) struct Outlet<'a>(&'a mpsc::Sender<News>);

impl Outlet<'_> {
    async fn write(&self, channel: Channel, bytes: Bytes) {
        // If nobody listens any more, the end of everything is near.
        let _ = self.0.send(News::Output(channel, bytes)).await;
    }
}

impl Runtime {
    pub(crate) fn new(config: RuntimeConfig, images: Images, transfers: Transfers) -> Self {
        Self {
            config,
            images,
            transfers,
            deployment: None,
            sandbox: None,
            monitor: watch::Sender::new(None),
        }
    }

    /// Follows which sandbox runs.
    pub(crate) fn monitor(&self) -> watch::Receiver<Option<Monitor>> {
        self.monitor.subscribe()
    }

    /// Runs a command to its end. Dropping this breaks it off.
    pub(crate) async fn execute(
        &mut self,
        command: Command,
        output: &Outlet<'_>,
    ) -> Result<(), Failure> {
        match command {
            Command::Deploy {} => self.deploy(output).await,
            Command::Start { .. } => self.start().await,
            Command::Run {
                entry_point,
                args,
                env,
                ..
            } => self.run(entry_point, args, env, output).await,
            Command::Transfer {
                format: Some(format),
                ..
            } => Err(Failure::new(format!(
                "archives cannot be packed or unpacked: {format}"
            ))),
            Command::Transfer { from, to, .. } => self.transfer(&from, &to).await,
            Command::Terminate {} => {
                self.clear().await;
                Ok(())
            }
        }
    }

    /// Stops the sandbox, and removes what the activity has written.
    pub(crate) async fn clear(&mut self) {
        self.monitor.send_replace(None);
        if let Some(sandbox) = self.sandbox.take() {
            sandbox.stop().await;
        }
        self.deployment = None;
        deployment::remove_volumes(&self.config.work).await;
    }

    async fn deploy(&mut self, output: &Outlet<'_>) -> Result<(), Failure> {
        let package = self.config.task_package.as_deref();
        let image = self
            .images
            .get(package)
            .await
            .map_err(|error| Failure::of(&error))?;
        let deployment = Deployment::create(image, &self.config.work);
        let deployment = deployment.map_err(|error| Failure::of(&error))?;
        let answer = deployment.answer();
        self.deployment = Some(deployment);
        output.write(Channel::Stdout, answer.into()).await;
        Ok(())
    }

    async fn start(&mut self) -> Result<(), Failure> {
        let deployment = self.deployment.as_ref().ok_or_else(out_of_order)?;
        let config = SandboxConfig {
            program: self.config.program.clone(),
            root: Root::Overlay {
                image: deployment.image.tree.clone(),
                scratch_bytes: self.config.scratch_bytes,
            },
            volumes: deployment.mounts(),
            hostname: self.config.hostname.clone(),
        };
        let sandbox = Sandbox::start(config)
            .await
            .map_err(|error| Failure::of(&error))?;
        self.monitor.send_replace(Some(sandbox.monitor()));
        self.sandbox = Some(sandbox);
        Ok(())
    }

    async fn run(
        &self,
        program: String,
        args: Vec<String>,
        env: BTreeMap<String, String>,
        output: &Outlet<'_>,
    ) -> Result<(), Failure> {
        let (Some(deployment), Some(sandbox)) = (&self.deployment, &self.sandbox) else {
            return Err(out_of_order());
        };
        let command = sandbox::Command {
            program,
            args,
            env: deployment.environment(env),
            working_dir: deployment.working_dir(),
        };
        let mut process = sandbox.run(command).await.map_err(|error| Failure {
            code: match error {
                RunError::Refused { code, .. } => code,
                RunError::Gone(_) => Failure::NO_CODE,
            },
            message: error.to_string(),
        })?;
        while let Some(piece) = process.next().await {
            match piece {
                Output::Stdout(bytes) => output.write(Channel::Stdout, bytes).await,
                Output::Stderr(bytes) => output.write(Channel::Stderr, bytes).await,
            }
        }
        let status = process.wait().await.map_err(|error| Failure::of(&error))?;
        match status.shell_code() {
            0 => Ok(()),
            // Clients take the code out of this sentence: it must stay as it is.
            code => Err(Failure {
                code,
                message: format!("ExeScript command exited with code {code}"),
            }),
        }
    }

    async fn transfer(&self, from: &str, to: &str) -> Result<(), Failure> {
        let deployment = self.deployment.as_ref().ok_or_else(out_of_order)?;
        let copied = self.transfers.copy(from, to, &deployment.volumes).await;
        copied.map_err(|error| Failure::of(&error))
    }
}

/// The activity's states do not let this happen.
fn out_of_order() -> Failure {
    Failure::new("the runtime is not in the state that the command needs")
}
