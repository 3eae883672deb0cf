//! What a requestor wants of an exe-unit, and what it answers.

use std::time::Duration;

use exeunit::{
    gsb::{
        CallError,
        message::{CancelExecBatch, Exec, GetExecBatchResults, GetRunningCommand, Message},
    },
    script::Command,
};
use ya_client_model::{
    NodeId,
    activity::{ExeScriptCommandResult, ExeScriptCommandState},
};

use super::{Activities, NoActivity, has_ended, obituary, service};
use crate::id::{ActivityId, BatchId};

/// Why an exe-unit does not do as it is told.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum ExecError {
    /// The caller has no such activity.
    #[error(transparent)]
    NotFound(#[from] NoActivity),
    /// It is no more.
    #[error("activity {activity} has ended: {reason}")]
    Ended {
        /// The activity.
        activity: ActivityId,
        /// How it ended.
        reason: String,
    },
    /// The exe-unit said so, or did not say anything.
    #[error("activity {activity}: {error}")]
    Call {
        /// The activity.
        activity: ActivityId,
        /// What the exe-unit said.
        error: CallError,
    },
}

/// How long an exe-unit may take for an answer that it needs not wait for.
const ANSWER_TIMEOUT: Duration = Duration::from_secs(10);

/// How long it may take until it is known how an exe-unit ended that has left the bus.
const OBITUARY_TIMEOUT: Duration = Duration::from_secs(5);

impl Activities {
    /// Has an exe-unit run a script.
    pub(crate) async fn exec(
        &self,
        caller: NodeId,
        id: ActivityId,
        script: Vec<Command>,
    ) -> Result<BatchId, ExecError> {
        let batch = self.roster.ask(|roster, _| roster.new_batch()).await;
        self.exec_batch(caller, id, batch, script).await
    }

    /// Has an exe-unit run a script under an id of the caller's choice, which no other batch of it may have.
    pub(super) async fn exec_batch(
        &self,
        caller: NodeId,
        id: ActivityId,
        batch: BatchId,
        script: Vec<Command>,
    ) -> Result<BatchId, ExecError> {
        let exec = Exec {
            activity_id: id.to_string(),
            batch_id: batch.to_string(),
            exe_script: script,
            timeout: None,
        };
        let answered = self.call(caller, &id, &exec, ANSWER_TIMEOUT).await?;
        let (noted, running) = (BatchId::from(answered), id);
        let batch = noted.clone();
        self.roster
            .ask(move |roster, _| roster.note_batch(&running, noted))
            .await;
        Ok(batch)
    }

    /// The results of a batch, once the command that the caller waits for has ended.
    pub(crate) async fn results(
        &self,
        caller: NodeId,
        id: ActivityId,
        batch: BatchId,
        timeout: Duration,
        command: Option<usize>,
    ) -> Result<Vec<ExeScriptCommandResult>, ExecError> {
        let results = GetExecBatchResults {
            activity_id: id.to_string(),
            batch_id: batch.to_string(),
            timeout: Some(timeout.as_secs_f32()),
            command_index: command,
        };
        self.call(caller, &id, &results, timeout + ANSWER_TIMEOUT)
            .await
    }

    /// Breaks a batch off: the command that runs, and all after it.
    pub(crate) async fn cancel(
        &self,
        caller: NodeId,
        id: ActivityId,
        batch: BatchId,
    ) -> Result<(), ExecError> {
        let cancel = CancelExecBatch {
            activity_id: id.to_string(),
            batch_id: batch.to_string(),
        };
        self.call(caller, &id, &cancel, ANSWER_TIMEOUT).await
    }

    /// What an exe-unit is doing.
    pub(crate) async fn running_command(
        &self,
        caller: NodeId,
        id: ActivityId,
    ) -> Result<Vec<ExeScriptCommandState>, ExecError> {
        let running = GetRunningCommand {
            activity_id: id.to_string(),
        };
        self.call(caller, &id, &running, ANSWER_TIMEOUT).await
    }

    async fn call<M: Message>(
        &self,
        caller: NodeId,
        id: &ActivityId,
        message: &M,
        timeout: Duration,
    ) -> Result<M::Reply, ExecError> {
        self.living(caller, id).await?;
        let service = service(id);
        self.wait_for_exe_unit(caller, id, &service).await?;
        let answer = tokio::time::timeout(timeout, self.bus.call(&service, message)).await;
        let silence = || CallError::Timeout("the exe-unit has not answered in time".to_owned());
        match answer.unwrap_or_else(|_| Err(silence())) {
            Ok(reply) => Ok(reply),
            Err(CallError::Closed(_)) => Err(self.lost(caller, id).await),
            Err(error) => Err(ExecError::Call {
                activity: id.clone(),
                error,
            }),
        }
    }

    /// Waits until an exe-unit is on the bus: after a node was started anew it has to find it first.
    pub(super) async fn wait_for_exe_unit(
        &self,
        caller: NodeId,
        id: &ActivityId,
        service: &str,
    ) -> Result<(), ExecError> {
        tokio::select! {
            () = self.bus.wait_for(service, ANSWER_TIMEOUT) => Ok(()),
            () = self.ended(caller, id.clone()) => self.living(caller, id).await,
        }
    }

    /// Fails if an activity has ended, or is not the caller's to use.
    pub(super) async fn living(&self, caller: NodeId, id: &ActivityId) -> Result<(), ExecError> {
        let looked_at = id.clone();
        let state = self.roster.ask(move |roster, _| {
            roster.check_requestor(caller, &looked_at)?;
            roster.state(caller, &looked_at).cloned()
        });
        let state = state.await?;
        match has_ended(&state) {
            false => Ok(()),
            true => Err(ExecError::Ended {
                activity: id.clone(),
                reason: obituary(&state),
            }),
        }
    }

    /// Why an exe-unit has left the bus, as soon as that is known.
    async fn lost(&self, caller: NodeId, id: &ActivityId) -> ExecError {
        let state = self
            .wait_for_state(caller, id, OBITUARY_TIMEOUT, has_ended)
            .await;
        let reason = match state {
            Ok(Some(state)) => obituary(&state),
            _ => "its exe-unit has left the bus".to_owned(),
        };
        ExecError::Ended {
            activity: id.clone(),
            reason,
        }
    }
}
