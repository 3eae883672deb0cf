//! What runs commands: the trait of all runtimes, and what runs a script's commands with one.
//!
//! ```text
//! runner ── owns ──▶ Executor ──▶ dyn Runtime    sandbox: namespaces of this kernel
//!                       │                        vm: a virtual machine
//!                       │                        external: a program of somebody else's
//!                       └───────▶ Transfers, into and out of the runtime's volumes
//! ```

mod deployment;
mod executor;
mod external;
mod machine;
mod progress;
pub(crate) mod protocol;
mod room;
mod runner;
mod sandbox;
mod self_test;
mod volumes;

use std::{collections::BTreeMap, fmt};

use async_trait::async_trait;
use prost::bytes::Bytes;
use tokio::sync::{mpsc, watch};

pub(crate) use self::{
    deployment::{Deployed, VolumeError},
    executor::Executor,
    external::{ExternalConfig, ExternalRuntime, Hardware, say},
    machine::{
        MachineRuntime, MachineRuntimeConfig, boot as boot_machine, open as open_image, remove_disk,
    },
    progress::Travelled,
    room::Room,
    runner::{Job, News, run_jobs},
    sandbox::{SandboxRuntime, SandboxRuntimeConfig},
    self_test::{SelfTestError, machine_template, sandbox_template, test_machine, test_sandbox},
};
use crate::{
    activity::{Channel, Failure},
    event::Progress,
    sandbox::{Monitor, Process, RunError},
    script::Deployment,
    transfer::Volumes,
};

/// A program to run.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Run {
    /// Its path in the image, or a name to be looked for along the `PATH`.
    pub(crate) program: String,
    /// Its arguments, without its name.
    pub(crate) args: Vec<String>,
    /// Its environment, over the image's.
    pub(crate) env: BTreeMap<String, String>,
}

/// What runs commands.
///
/// Its methods are called in the order of an activity: [`deploy`](Self::deploy), [`start`](Self::start), any number
/// of [`run`](Self::run), and [`clear`](Self::clear) at any time, after which it can be deployed again. Dropping one of
/// their futures breaks it off. After a `deploy` or a `start` that has failed or was broken off, only `clear` may follow.
#[async_trait]
pub(crate) trait Runtime: fmt::Debug + Send + Sync {
    /// Prepares the image and the volumes. Returns what the requestor is told, as JSON.
    async fn deploy(
        &mut self,
        deployment: Deployment,
        output: &Outlet<'_>,
    ) -> Result<String, Failure>;

    /// Starts what commands run in.
    async fn start(&mut self, args: Vec<String>, output: &Outlet<'_>) -> Result<(), Failure>;

    /// Starts a program. The process takes signals, and is killed when it is dropped.
    async fn run(&self, run: Run) -> Result<Process, RunError>;

    /// The folders that files are transferred into and out of; none before `deploy`.
    fn volumes(&self) -> Option<&Volumes>;

    /// Brings what is at a URL into its volume's folder, if that is not where it is in any case.
    async fn before_transfer(&self, _from: &str) -> Result<(), Failure> {
        Ok(())
    }

    /// Brings what was transferred to a URL to where programs see it, if that is not its volume's folder.
    async fn after_transfer(&self, _to: &str) -> Result<(), Failure> {
        Ok(())
    }

    /// Follows what can be measured: the sandbox or machine that runs at this moment.
    fn monitor(&self) -> watch::Receiver<Option<Monitor>>;

    /// Stops whatever runs, and removes what was deployed; when this returns, nothing of either is left.
    async fn clear(&mut self);
}

/// Where the output of a command goes; whoever takes it in may hold it up.
pub(crate) struct Outlet<'a>(&'a mpsc::Sender<News>);

impl Outlet<'_> {
    pub(crate) async fn write(&self, channel: Channel, bytes: Bytes) {
        // If nobody listens any more, the end of everything is near.
        let _ = self.0.send(News::Output(channel, bytes)).await;
    }

    /// Tells how far the command is.
    pub(crate) async fn progress(&self, progress: Progress) {
        let _ = self.0.send(News::Progress(progress)).await;
    }
}

/// The activity's states do not let this happen.
fn out_of_order() -> Failure {
    Failure::new("the runtime is not in the state that the command needs")
}
