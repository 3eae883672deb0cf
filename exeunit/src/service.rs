//! What the exe-unit answers on the bus.

use std::time::Duration;

use tokio::sync::mpsc;
use tokio_util::task::TaskTracker;

use crate::{
    gsb::{
        CallError, IncomingCall,
        message::{Exec, GetExecBatchResults, GetRunningCommand, Message, StreamExecBatchResults},
    },
    supervisor::{ResultsError, Supervisor},
};

/// Answers calls until the bus has no more. Whoever has to wait is answered by a task of their own.
pub(crate) async fn serve(
    mut calls: mpsc::UnboundedReceiver<IncomingCall>,
    supervisor: Supervisor,
    tasks: TaskTracker,
) {
    while let Some(call) = calls.recv().await {
        let supervisor = supervisor.clone();
        match call.message_name() {
            // Scripts run in the order that they arrive in.
            Exec::NAME => exec(call, supervisor).await,
            GetExecBatchResults::NAME => drop(tasks.spawn(results(call, supervisor))),
            StreamExecBatchResults::NAME => drop(tasks.spawn(stream(call, supervisor))),
            GetRunningCommand::NAME => running(call, supervisor).await,
            name => {
                let error =
                    CallError::BadRequest(format!("an exe-unit does not understand {name}"));
                call.answer::<Exec>(Err(error)).await;
            }
        }
    }
}

async fn exec(call: IncomingCall, supervisor: Supervisor) {
    let answer = match call.message::<Exec>() {
        Ok(exec) => {
            let batch_id = exec.batch_id.clone();
            let admitted = supervisor.exec(exec.batch_id, exec.exe_script).await;
            let refused =
                |error: crate::activity::DuplicateBatch| CallError::BadRequest(error.to_string());
            admitted.map(|()| batch_id).map_err(refused)
        }
        Err(error) => Err(error),
    };
    call.answer::<Exec>(answer).await;
}

async fn results(call: IncomingCall, supervisor: Supervisor) {
    let answer = match call.message::<GetExecBatchResults>() {
        Ok(get) => {
            let patience = Duration::try_from_secs_f32(get.timeout.unwrap_or(0.0));
            let results = supervisor.results(
                get.batch_id,
                get.command_index,
                patience.unwrap_or_default(),
            );
            results.await.map_err(|error| match error {
                ResultsError::Unknown(_) => CallError::NotFound(error.to_string()),
                ResultsError::Timeout(_) => CallError::Timeout(error.to_string()),
            })
        }
        Err(error) => Err(error),
    };
    call.answer::<GetExecBatchResults>(answer).await;
}

async fn stream(mut call: IncomingCall, supervisor: Supervisor) {
    let batch_id = match call.message::<StreamExecBatchResults>() {
        Ok(stream) => stream.batch_id,
        Err(error) => return call.answer::<StreamExecBatchResults>(Err(error)).await,
    };
    let mut seen = 0;
    loop {
        match supervisor.events_after(batch_id.clone(), seen).await {
            Ok(events) if events.is_empty() => return call.end().await,
            Ok(events) => {
                seen += events.len();
                for event in events {
                    if !call.item::<StreamExecBatchResults>(Ok(event)).await {
                        return;
                    }
                }
            }
            Err(error) => {
                let error = CallError::NotFound(error.to_string());
                return call.answer::<StreamExecBatchResults>(Err(error)).await;
            }
        }
    }
}

async fn running(call: IncomingCall, supervisor: Supervisor) {
    let running = supervisor.running_command().await;
    let none = || CallError::NotFound("no command is running".to_owned());
    let answer = running.map(|command| vec![command]).ok_or_else(none);
    call.answer::<GetRunningCommand>(answer).await;
}
