//! What a requestor asks an exe-unit on the bus, in JSON.
//!
//! It is what can be asked over the rest of the API as well, and goes the same way.

use std::time::Duration;

use exeunit::gsb::{
    CallError,
    message::{CancelExecBatch, Exec, GetExecBatchResults, GetRunningCommand, Message},
};
use serde::Serialize;
use serde_json::Value;
use ya_client_model::NodeId;

use super::{Activities, ExecError, SERVICES};
use crate::id::ActivityId;

/// How long a requestor waits for results at most.
const LONGEST: Duration = Duration::from_secs(3600);

impl Activities {
    /// The activity of a requestor's whose exe-unit an address on the bus leads to, and which message to it.
    pub(crate) async fn addressed<'a>(
        &self,
        requestor: NodeId,
        address: &'a str,
    ) -> Option<(ActivityId, &'a str)> {
        let (id, message) = address.strip_prefix(SERVICES)?.split_once('/')?;
        let id = ActivityId::from(id);
        let (owner, _) = self.parties(id.clone()).await?;
        (owner == requestor).then_some((id, message))
    }

    /// Asks an exe-unit.
    pub(crate) async fn ask(
        &self,
        caller: NodeId,
        id: ActivityId,
        name: &str,
        message: Value,
    ) -> Result<Value, ExecError> {
        let asked = Asked {
            activities: self,
            caller,
            id,
            message,
        };
        match name {
            Exec::NAME => asked.exec().await,
            GetExecBatchResults::NAME => asked.results().await,
            GetRunningCommand::NAME => asked.running_command().await,
            CancelExecBatch::NAME => asked.cancel().await,
            _ => Err(asked.refused(format_args!("`{name}` cannot be asked in JSON"))),
        }
    }
}

/// A question to an exe-unit.
struct Asked<'a> {
    activities: &'a Activities,
    caller: NodeId,
    id: ActivityId,
    message: Value,
}

impl Asked<'_> {
    async fn exec(self) -> Result<Value, ExecError> {
        let exec: Exec = self.read()?;
        let batch = exec.batch_id.into();
        let (id, script) = (self.id.clone(), exec.exe_script);
        let admitted = self.activities.exec_batch(self.caller, id, batch, script);
        let batch = admitted.await?;
        self.json(&batch)
    }

    async fn results(self) -> Result<Value, ExecError> {
        let get: GetExecBatchResults = self.read()?;
        let timeout = Duration::try_from_secs_f32(get.timeout.unwrap_or(0.0));
        let timeout = timeout.unwrap_or_default().min(LONGEST);
        let (id, batch) = (self.id.clone(), get.batch_id.into());
        let results = self
            .activities
            .results(self.caller, id, batch, timeout, get.command_index);
        let results = results.await?;
        self.json(&results)
    }

    async fn running_command(self) -> Result<Value, ExecError> {
        let _: GetRunningCommand = self.read()?;
        let running = self
            .activities
            .running_command(self.caller, self.id.clone());
        let running = running.await?;
        self.json(&running)
    }

    async fn cancel(self) -> Result<Value, ExecError> {
        let cancel: CancelExecBatch = self.read()?;
        let (id, batch) = (self.id.clone(), cancel.batch_id.into());
        self.activities.cancel(self.caller, id, batch).await?;
        Ok(Value::Null)
    }

    /// The message, which must be for the activity whose exe-unit is asked.
    fn read<M: Message>(&self) -> Result<M, ExecError> {
        let id = &self.message["activityId"];
        if id.as_str().is_some_and(|id| id != self.id.to_string()) {
            return Err(self.refused(format_args!("the message is for activity {id}")));
        }
        M::deserialize(&self.message).map_err(|error| self.refused(error))
    }

    fn json(&self, answer: &impl Serialize) -> Result<Value, ExecError> {
        serde_json::to_value(answer).map_err(|error| self.refused(error))
    }

    fn refused(&self, reason: impl std::fmt::Display) -> ExecError {
        ExecError::Call {
            activity: self.id.clone(),
            error: CallError::BadRequest(reason.to_string()),
        }
    }
}
