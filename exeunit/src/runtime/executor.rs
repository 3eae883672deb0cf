//! What a script's commands do: with a runtime, and with files that come and go.

use std::collections::BTreeMap;

use futures::StreamExt;
use tokio::sync::watch;

use super::{Outlet, Run, Runtime, out_of_order};
use crate::{
    activity::{Channel, Failure},
    sandbox::{Monitor, Output, RunError},
    script::{Command, Transfer},
    transfer::Transfers,
};

/// Runs one command after the other.
#[derive(Debug)]
pub(crate) struct Executor {
    runtime: Box<dyn Runtime>,
    transfers: Transfers,
    /// What `deploy` has given all commands, under their own.
    env: BTreeMap<String, String>,
}

impl Executor {
    pub(crate) fn new(runtime: Box<dyn Runtime>, transfers: Transfers) -> Self {
        Self {
            runtime,
            transfers,
            env: BTreeMap::new(),
        }
    }

    /// Follows what can be measured of the runtime.
    pub(crate) fn monitor(&self) -> watch::Receiver<Option<Monitor>> {
        self.runtime.monitor()
    }

    /// Runs a command to its end. Dropping this breaks it off.
    pub(crate) async fn execute(
        &mut self,
        command: Command,
        output: &Outlet<'_>,
    ) -> Result<(), Failure> {
        match command {
            Command::Deploy(deployment) => {
                let env = deployment.env.clone();
                let answer = self.runtime.deploy(deployment, output).await?;
                self.env = env;
                output.write(Channel::Stdout, answer.into()).await;
                Ok(())
            }
            Command::Start { args } => self.runtime.start(args, output).await,
            Command::Run {
                entry_point,
                args,
                env,
                ..
            } => self.run(entry_point, args, env, output).await,
            Command::Transfer(transfer) => self.transfer(&transfer).await,
            Command::Terminate {} => {
                self.clear().await;
                Ok(())
            }
            // The activity's states refuse it.
            Command::Sign {} => Err(out_of_order()),
        }
    }

    /// Stops the runtime, and removes what the activity has written.
    pub(crate) async fn clear(&mut self) {
        self.env.clear();
        self.runtime.clear().await;
    }

    async fn run(
        &self,
        program: String,
        args: Vec<String>,
        env: BTreeMap<String, String>,
        output: &Outlet<'_>,
    ) -> Result<(), Failure> {
        let mut environment = self.env.clone();
        environment.extend(env);
        let run = Run {
            program,
            args,
            env: environment,
        };
        let mut process = self.runtime.run(run).await.map_err(|error| Failure {
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

    async fn transfer(&self, transfer: &Transfer) -> Result<(), Failure> {
        if let Some(format) = transfer.format {
            let message = format!("archives cannot be packed or unpacked: {format:?}");
            return Err(Failure::new(message));
        }
        let volumes = self.runtime.volumes().ok_or_else(out_of_order)?;
        let copied = self
            .transfers
            .copy(&transfer.from, &transfer.to, volumes)
            .await;
        copied.map_err(|error| Failure::of(&error))
    }
}
