//! What exe-units report to the node.

use exeunit::gsb::{
    CallError, decode, encode,
    message::{Message, SetState, SetUsage},
};

use super::roster::Roster;
use crate::{
    gsb::{Answer, Call, Calls},
    id::ActivityId,
    owned::Owned,
};

/// Where exe-units report to, on the bus.
pub(super) const ADDRESS: &str = "/local/activity";

/// Notes what is reported, in its order, as long as the bus is there.
pub(super) async fn serve(mut calls: Calls, roster: Owned<Roster>) {
    while let Some(call) = calls.recv().await {
        let noted = note(&call, &roster).await;
        if let Err(error) = &noted {
            tracing::warn!(report = call.address, %error, "an exe-unit's report was refused");
        }
        let answer = match encode(&noted) {
            Ok(data) => Answer::Last(data),
            Err(error) => Answer::Failed(error),
        };
        // An exe-unit may have gone after its last report.
        let _ = call.answers.send(answer);
    }
}

async fn note(call: &Call, roster: &Owned<Roster>) -> Result<(), CallError> {
    let noted = match call.component.as_str() {
        SetState::NAME => {
            let SetState { activity_id, state } = decode(&call.data)?;
            let id = ActivityId::from(activity_id);
            tracing::debug!(activity = %id, state = ?state.state, reason = ?state.reason, "state");
            roster
                .ask(move |roster, now| roster.report_state(&id, state, now))
                .await
        }
        SetUsage::NAME => {
            let SetUsage { activity_id, usage } = decode(&call.data)?;
            let id = ActivityId::from(activity_id);
            roster
                .ask(move |roster, now| roster.report_usage(&id, usage, now))
                .await
        }
        other => {
            let unknown = format!("there is no report `{other}`");
            return Err(CallError::BadRequest(unknown));
        }
    };
    noted.map_err(|error| CallError::NotFound(error.to_string()))
}
