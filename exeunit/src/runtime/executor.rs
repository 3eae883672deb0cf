//! What a script's commands do: with a runtime, and with files that come and go.

use std::{collections::BTreeMap, pin::pin, time::Duration};

use futures::StreamExt;
use tokio::{
    sync::watch,
    time::{Instant, timeout, timeout_at},
};

use super::{Outlet, Run, Runtime, out_of_order, progress::tell_of};
use crate::{
    activity::{Channel, Failure},
    sandbox::{Monitor, Output, Process, RunError},
    script::{Command, Deployment, Period, Transfer},
    threads::Threads,
    transfer::Transfers,
};

/// Runs one command after the other.
#[derive(Debug)]
pub(crate) struct Executor {
    runtime: Box<dyn Runtime>,
    transfers: Transfers,
    /// Those of the runtime and of transfers.
    threads: Threads,
    /// What was deployed.
    deployment: Option<Deployment>,
    /// A `start` was broken off, so that the runtime is of no use before it is deployed again.
    is_broken: bool,
}

/// How long a program that was killed may take to end.
const DYING: Duration = Duration::from_secs(5);

impl Executor {
    pub(crate) fn new(runtime: Box<dyn Runtime>, transfers: Transfers, threads: Threads) -> Self {
        Self {
            runtime,
            transfers,
            threads,
            deployment: None,
            is_broken: false,
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
            Command::Deploy(deployment) => self.deploy(deployment, output).await,
            Command::Start { args } => self.start(args, output).await,
            Command::Run {
                entry_point,
                args,
                env,
                timeout,
                ..
            } => {
                let run = Run {
                    program: entry_point,
                    args,
                    env: self.environment(env),
                };
                self.run(run, timeout, output).await
            }
            Command::Transfer(transfer) => self.transfer(&transfer, output).await,
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
        self.deployment = None;
        self.is_broken = false;
        self.runtime.clear().await;
    }

    /// A command was broken off, or has failed: what it leaves behind is removed.
    pub(crate) async fn clean_up(&mut self, command: &Command) {
        self.threads.at_rest().await;
        match command {
            Command::Deploy(_) => self.clear().await,
            // What was deployed is still to be started, which is possible only anew.
            Command::Start { .. } => {
                self.runtime.clear().await;
                self.is_broken = true;
            }
            _ => {}
        }
    }

    async fn deploy(&mut self, deployment: Deployment, output: &Outlet<'_>) -> Result<(), Failure> {
        let travelled = self.transfers.travelled();
        let deploying = self.runtime.deploy(deployment.clone(), output);
        let answer = tell_of(deploying, travelled, deployment.progress, output).await?;
        self.deployment = Some(deployment);
        output.write(Channel::Stdout, answer.into()).await;
        Ok(())
    }

    async fn start(&mut self, args: Vec<String>, output: &Outlet<'_>) -> Result<(), Failure> {
        if self.is_broken {
            let deployment = self.deployment.clone().ok_or_else(out_of_order)?;
            self.runtime.deploy(deployment, output).await?;
            self.is_broken = false;
        }
        self.runtime.start(args, output).await
    }

    /// What `deploy` gives all commands, and a command's own over it.
    fn environment(&self, own: BTreeMap<String, String>) -> BTreeMap<String, String> {
        let deployment = self.deployment.as_ref();
        let mut environment =
            deployment.map_or_else(BTreeMap::new, |deployed| deployed.env.clone());
        environment.extend(own);
        environment
    }

    async fn run(
        &self,
        run: Run,
        limit: Option<Period>,
        output: &Outlet<'_>,
    ) -> Result<(), Failure> {
        // One that is beyond all time is none.
        let deadline = limit.and_then(|Period(limit)| Instant::now().checked_add(limit));
        let (Some(limit), Some(deadline)) = (limit, deadline) else {
            return finish(self.begin(run).await?, output).await;
        };
        let late = || {
            Failure::new(format!(
                "the command was killed: it has not ended within its timeout of {limit}"
            ))
        };
        // One that is dropped before it has begun is killed as soon as it does.
        let begun = timeout_at(deadline, self.begin(run)).await;
        let process = begun.map_err(|_| late())??;
        let killer = process.killer();
        let mut finishing = pin!(finish(process, output));
        if let Ok(outcome) = timeout_at(deadline, &mut finishing).await {
            return outcome;
        }
        killer();
        // What it has written until now is passed on. Who cannot be killed is left to the runtime.
        let _ = timeout(DYING, finishing).await;
        Err(late())
    }

    async fn begin(&self, run: Run) -> Result<Process, Failure> {
        self.runtime.run(run).await.map_err(|error| Failure {
            code: match error {
                RunError::Refused { code, .. } => code,
                RunError::Gone(_) => Failure::NO_CODE,
            },
            message: error.to_string(),
        })
    }

    async fn transfer(&self, transfer: &Transfer, output: &Outlet<'_>) -> Result<(), Failure> {
        let volumes = self.runtime.volumes().ok_or_else(out_of_order)?;
        self.runtime.before_transfer(&transfer.from).await?;
        let copying = self.transfers.copy(transfer, volumes);
        let travelled = self.transfers.travelled();
        let copied = tell_of(copying, travelled, transfer.progress, output).await;
        copied.map_err(|error| Failure::of(&error))?;
        self.runtime.after_transfer(&transfer.to).await
    }
}

/// Passes on what a process writes, until it ends.
async fn pass_on(process: &mut Process, output: &Outlet<'_>) {
    while let Some(piece) = process.next().await {
        match piece {
            Output::Stdout(bytes) => output.write(Channel::Stdout, bytes).await,
            Output::Stderr(bytes) => output.write(Channel::Stderr, bytes).await,
        }
    }
}

/// Waits for a process, and tells how it has ended.
async fn finish(mut process: Process, output: &Outlet<'_>) -> Result<(), Failure> {
    pass_on(&mut process, output).await;
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
