//! An activity: sends scripts to it, and awaits what comes of their commands.

use std::{sync::Arc, time::Duration};

use futures::Stream;
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};
use serde_json::{Value, json};
use tokio::sync::Mutex;

use crate::{
    id::{ActivityId, BatchId},
    network::NetworkNode,
    retry::once,
    script::{Command, CommandError, CommandOutcome, Destination, Origin, Outcome, Output},
    transfer::{Incoming, Outgoing, Receipt, TransferError},
    yagna::{
        ActivityState, Agreement, CommandResult, CommandStatus, FileService, Yagna, YagnaError,
    },
};

/// How long one question for a result may wait for its answer.
const RESULT_TIMEOUT: Duration = Duration::from_secs(5);

/// How often a question for a result is asked again when yagna fails, and how long after.
const RETRIES: [Duration; 4] = [
    Duration::from_millis(250),
    Duration::from_secs(1),
    Duration::from_secs(2),
    Duration::from_secs(4),
];

/// One exe-unit at work for us.
#[derive(Clone)]
pub(crate) struct Activity {
    pub(crate) id: ActivityId,
    pub(crate) agreement: Arc<Agreement>,
    /// Its place in a network, if it has one.
    pub(crate) network_node: Option<NetworkNode>,
    yagna: Arc<dyn Yagna>,
    /// The batch that the exe-unit may still be at, whether or not anybody waits for it. Locked while one is sent.
    batch: Arc<Mutex<Option<Batch>>>,
}

/// A batch that has not ended, as far as is known.
#[derive(Clone)]
struct Batch {
    id: BatchId,
    /// The first of its commands that is not known to have ended.
    next: usize,
    commands: usize,
}

impl Activity {
    /// Has the agreement's provider start an exe-unit.
    pub(crate) async fn create(
        yagna: Arc<dyn Yagna>,
        agreement: Arc<Agreement>,
    ) -> Result<Self, YagnaError> {
        let id = yagna.create_activity(&agreement.id).await?;
        Ok(Self {
            id,
            agreement,
            network_node: None,
            yagna,
            batch: Arc::default(),
        })
    }

    pub(crate) async fn destroy(&self) -> Result<(), YagnaError> {
        once(|| self.yagna.destroy_activity(&self.id)).await
    }

    /// Runs commands as one batch, when the one before has ended. Yields what comes of each as soon as it is known, up
    /// to the first failure.
    pub(crate) fn exec(&self, commands: Vec<Command>) -> impl Stream<Item = CommandOutcome> + Send {
        async_stream::try_stream! {
            if commands.is_empty() {
                return;
            }
            self.idle().await;
            let mut errands = Vec::with_capacity(commands.len());
            for (index, command) in commands.into_iter().enumerate() {
                errands.push(self.prepare(index, command).await?);
            }
            let script = Value::Array(errands.iter().map(|errand| errand.wire.clone()).collect());
            let batch = self.send(script, errands.len()).await?;
            for (index, errand) in errands.into_iter().enumerate() {
                let result = self.result(&batch, index).await?;
                self.on_result(index, &result).await;
                yield errand.complete(result)?;
            }
        }
    }

    /// Waits until the exe-unit is done with a batch whose results nobody has waited for: it takes no other before, and
    /// cannot be told to leave off.
    async fn idle(&self) {
        let unfinished = self.batch.lock().await.clone();
        let Some(Batch { id, next, commands }) = unfinished else {
            return;
        };
        for index in next..commands {
            match self.result(&id, index).await {
                Ok(result) => self.on_result(index, &result).await,
                Err(error) => {
                    tracing::debug!(activity = %self.id, batch = %id, %error, "its end is unknown");
                    return;
                }
            }
            if self.batch.lock().await.is_none() {
                return;
            }
        }
    }

    /// Sends a script. Who no longer waits for that does not keep it from being known where the exe-unit is.
    async fn send(&self, script: Value, commands: usize) -> Result<BatchId, CommandError> {
        let (yagna, activity) = (self.yagna.clone(), self.id.clone());
        let mut sending = self.batch.clone().lock_owned().await;
        let sent = tokio::spawn(async move {
            let id = yagna.exec(&activity, script.to_string()).await?;
            tracing::debug!(%activity, batch = %id, %script, "sent a script");
            *sending = Some(Batch {
                id: id.clone(),
                next: 0,
                commands,
            });
            Ok(id)
        });
        match sent.await {
            Ok(Ok(batch)) => Ok(batch),
            Ok(Err(error)) => Err(self.diagnose(error).await),
            // The runtime ends.
            Err(_) => Err(CommandError::Abandoned),
        }
    }

    /// A command has ended, and its batch with it if it was the last or has failed.
    async fn on_result(&self, index: usize, result: &CommandResult) {
        let mut batch = self.batch.lock().await;
        let Some(Batch { next, commands, .. }) = &mut *batch else {
            return;
        };
        *next = index + 1;
        if *next == *commands || result.status != CommandStatus::Ok {
            *batch = None;
        }
    }

    /// Waits until the activity has ended, and says why; looks every `interval`.
    pub(crate) async fn ended(&self, interval: Duration) -> CommandError {
        loop {
            tokio::time::sleep(interval).await;
            match self.yagna.activity_status(&self.id).await {
                Ok(status) if status.state == ActivityState::Terminated => {
                    return self.gone(status.reason);
                }
                Ok(_) => {}
                Err(error) => tracing::debug!(activity = %self.id, %error, "state unknown"),
            }
        }
    }

    /// What the activity has used so far, in the order of the agreement's usage vector.
    pub(crate) async fn usage(&self) -> Result<Vec<f64>, YagnaError> {
        self.yagna.activity_usage(&self.id).await
    }

    async fn result(&self, batch: &BatchId, index: usize) -> Result<CommandResult, CommandError> {
        let mut retries = RETRIES.iter();
        loop {
            let asked = self
                .yagna
                .command_result(&self.id, batch, index, RESULT_TIMEOUT);
            match asked.await {
                Ok(Some(result)) => return Ok(result),
                Ok(None) => retries = RETRIES.iter(),
                Err(error) => match (self.diagnose(error).await, retries.next()) {
                    (CommandError::Yagna(error), Some(pause)) if error.is_transient() => {
                        tracing::debug!(activity = %self.id, %batch, %error, "asking again");
                        tokio::time::sleep(*pause).await;
                    }
                    (error, _) => return Err(error),
                },
            }
        }
    }

    /// The true cause of a failed call: most often that the activity has ended.
    async fn diagnose(&self, error: YagnaError) -> CommandError {
        match self.yagna.activity_status(&self.id).await {
            Ok(status) if status.state == ActivityState::Terminated => self.gone(status.reason),
            _ => CommandError::Yagna(error),
        }
    }

    fn gone(&self, reason: Option<String>) -> CommandError {
        CommandError::ActivityEnded {
            activity: self.id.clone(),
            provider: self.agreement.provider_name().into(),
            node: self.agreement.provider.clone(),
            reason,
        }
    }

    /// Makes a command ready to be sent: opens the files that it reads or writes on this side.
    async fn prepare(&self, index: usize, command: Command) -> Result<Errand, CommandError> {
        let name = command.to_string();
        let failed = |source: TransferError| CommandError::Transfer {
            index,
            command: name.clone(),
            source,
        };
        let mut errand = Errand {
            index,
            name: name.clone(),
            wire: Value::Null,
            file: None,
            receipt: None,
        };
        errand.wire = match command {
            Command::Deploy => match &self.network_node {
                Some(node) => json!({"deploy": node.deployment()}),
                None => json!({"deploy": {}}),
            },
            Command::Start => json!({"start": {"args": []}}),
            Command::Terminate => json!({"terminate": {}}),
            Command::Run { program, args } => json!({"run": {
                "entry_point": program,
                "args": args,
                "capture": {"stdout": {"atEnd": {}}, "stderr": {"atEnd": {}}},
            }}),
            Command::Upload { from, to } => {
                let file = match from {
                    Origin::File(path) => Outgoing::file(path).await.map_err(failed)?,
                    Origin::Bytes(bytes) => Outgoing::bytes(bytes),
                };
                let file = self
                    .yagna
                    .publish_file(file)
                    .await
                    .map_err(CommandError::Yagna)?;
                let wire = transfer(file.url(), &container(&to));
                errand.file = Some(file);
                wire
            }
            Command::Download { from, to } => {
                let (file, receipt) = match to {
                    Destination::File(path) => Incoming::to_file(path).map_err(failed)?,
                    Destination::Memory => Incoming::to_memory(),
                };
                let file = self
                    .yagna
                    .receive_file(file)
                    .await
                    .map_err(CommandError::Yagna)?;
                let wire = transfer(&container(&from), file.url());
                errand.file = Some(file);
                errand.receipt = Some(receipt);
                wire
            }
        };
        Ok(errand)
    }
}

/// A command that is ready to be sent, with what must live until it has run.
struct Errand {
    index: usize,
    name: String,
    wire: Value,
    file: Option<FileService>,
    receipt: Option<Receipt>,
}

impl Errand {
    fn complete(self, result: CommandResult) -> CommandOutcome {
        let Self {
            index,
            name: command,
            receipt,
            file,
            ..
        } = self;
        drop(file);
        let output = Output {
            stdout: result.stdout,
            stderr: result.stderr,
        };
        if let CommandStatus::Failed(message) = result.status {
            return Err(CommandError::Failed {
                index,
                command,
                message,
                output,
            });
        }
        let received = match receipt.map(Receipt::take) {
            Some(Err(source)) => {
                return Err(CommandError::Transfer {
                    index,
                    command,
                    source,
                });
            }
            Some(Ok(received)) => received,
            None => Vec::new(),
        };
        Ok(Outcome { output, received })
    }
}

fn transfer(from: &str, to: &str) -> Value {
    json!({"transfer": {"from": from, "to": to}})
}

/// The URL of a path in the image.
fn container(path: &str) -> String {
    format!("container:{}", utf8_percent_encode(path, IN_PATH))
}

/// What cannot stand as it is in the path of a URL.
const IN_PATH: &AsciiSet = &NON_ALPHANUMERIC
    .remove(b'/')
    .remove(b'-')
    .remove(b'_')
    .remove(b'.')
    .remove(b'~');

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_path_is_a_url_whatever_is_in_it() {
        for (path, url) in [
            ("/golem/out/a-1_b.png", "container:/golem/out/a-1_b.png"),
            (
                "/golem/in/50 % #1?.txt",
                "container:/golem/in/50%20%25%20%231%3F.txt",
            ),
            ("/golem/in/ü", "container:/golem/in/%C3%BC"),
        ] {
            assert_eq!(container(path), url);
        }
    }
}
