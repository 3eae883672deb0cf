//! What the exe-unit answers on the bus.

use std::time::Duration;

use tokio::sync::mpsc;
use tokio_util::task::TaskTracker;

use crate::{
    cause::in_one_line,
    gsb::{
        CallError, IncomingCall,
        message::{
            CancelExecBatch, Exec, GetExecBatchResults, GetRunningCommand, Message, ReadOn,
            StreamExecBatchResults,
        },
    },
    supervisor::{ResultsError, Supervisor},
    windows::{Pane, Windows},
};

/// Answers calls until the bus has no more. Whoever has to wait is answered by a task of their own.
pub(crate) async fn serve(
    mut calls: mpsc::UnboundedReceiver<IncomingCall>,
    supervisor: Supervisor,
    windows: Windows,
    tasks: TaskTracker,
) {
    while let Some(call) = calls.recv().await {
        let supervisor = supervisor.clone();
        match call.message_name() {
            // Scripts run in the order that they arrive in.
            Exec::NAME => exec(call, supervisor).await,
            GetExecBatchResults::NAME => drop(tasks.spawn(results(call, supervisor))),
            StreamExecBatchResults::NAME => {
                drop(tasks.spawn(stream(call, supervisor, windows.clone())));
            }
            ReadOn::NAME => read_on(call, &windows).await,
            CancelExecBatch::NAME => cancel(call, supervisor).await,
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

async fn stream(mut call: IncomingCall, supervisor: Supervisor, windows: Windows) {
    let begun = match call.message::<StreamExecBatchResults>() {
        Ok(stream) => begin(stream, &windows),
        Err(error) => Err(error),
    };
    let (batch_id, mut pane) = match begun {
        Ok(begun) => begun,
        Err(error) => return call.answer::<StreamExecBatchResults>(Err(error)).await,
    };
    // What it has read may be given up where there is no room for more.
    let reader = match supervisor.subscribe(batch_id.clone()).await {
        Ok(reader) => reader,
        Err(error) => {
            let error = CallError::NotFound(error.to_string());
            return call.answer::<StreamExecBatchResults>(Err(error)).await;
        }
    };
    loop {
        let events = supervisor.events_after(batch_id.clone(), reader.position());
        match events.await {
            Ok((events, _)) if events.is_empty() => return call.end().await,
            Ok((events, next)) => {
                for event in events {
                    if let Some(pane) = &mut pane
                        && !pane.next().await
                    {
                        return call.end().await;
                    }
                    if !call.item::<StreamExecBatchResults>(Ok(event)).await {
                        return;
                    }
                }
                reader.advance(next);
            }
            Err(error) => {
                let error = CallError::NotFound(in_one_line(&error));
                return call.answer::<StreamExecBatchResults>(Err(error)).await;
            }
        }
    }
}

/// The batch that a stream is of, and its window.
fn begin(
    stream: StreamExecBatchResults,
    windows: &Windows,
) -> Result<(String, Option<Pane>), CallError> {
    let Some(window) = stream.window else {
        return Ok((stream.batch_id, None));
    };
    let id = window.stream_id.clone();
    let taken = || CallError::BadRequest(format!("there is a stream {id} already"));
    let pane = windows.open(window).ok_or_else(taken)?;
    Ok((stream.batch_id, Some(pane)))
}

async fn read_on(call: IncomingCall, windows: &Windows) {
    let answer = call
        .message::<ReadOn>()
        .map(|more| windows.read_on(&more.stream_id, more.events));
    call.answer::<ReadOn>(answer).await;
}

async fn cancel(call: IncomingCall, supervisor: Supervisor) {
    let answer = match call.message::<CancelExecBatch>() {
        Ok(cancel) => {
            let cancelled = supervisor.cancel(cancel.batch_id).await;
            cancelled.map_err(|error| CallError::NotFound(error.to_string()))
        }
        Err(error) => Err(error),
    };
    call.answer::<CancelExecBatch>(answer).await;
}

async fn running(call: IncomingCall, supervisor: Supervisor) {
    let running = supervisor.running_command().await;
    let none = || CallError::NotFound("no command is running".to_owned());
    let answer = running.map(|command| vec![command]).ok_or_else(none);
    call.answer::<GetRunningCommand>(answer).await;
}
