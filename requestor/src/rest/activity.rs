//! Activities: scripts, and how they do.

use std::time::Duration;

use ya_client::model::activity::ExeScriptRequest;

use super::{Rest, convert};
use crate::{
    id::{ActivityId, AgreementId, BatchId},
    yagna::{ActivityStatus, CommandResult, Result},
};

/// The activity API.
pub(super) struct Activities<'a>(pub(super) &'a Rest);

impl Activities<'_> {
    pub(super) async fn create(&self, agreement: &AgreementId) -> Result<ActivityId> {
        let call = format!("create an activity under agreement {agreement}");
        let agreement = agreement.to_string();
        let id = self
            .0
            .call(call, async move |apis| {
                apis.activity.control().create_activity(&agreement).await
            })
            .await?;
        Ok(id.into())
    }

    pub(super) async fn destroy(&self, activity: &ActivityId) -> Result<()> {
        let (call, id) = (format!("destroy activity {activity}"), activity.to_string());
        self.0
            .call(call, async move |apis| {
                apis.activity.control().destroy_activity(&id).await
            })
            .await
    }

    pub(super) async fn exec(&self, activity: &ActivityId, script: String) -> Result<BatchId> {
        let (call, id) = (
            format!("run a script in activity {activity}"),
            activity.to_string(),
        );
        let request = ExeScriptRequest::new(script);
        let batch = self
            .0
            .call(call, async move |apis| {
                apis.activity.control().exec(request, &id).await
            })
            .await?;
        Ok(batch.into())
    }

    pub(super) async fn command_result(
        &self,
        activity: &ActivityId,
        batch: &BatchId,
        index: usize,
        timeout: Duration,
    ) -> Result<Option<CommandResult>> {
        let call = format!("wait for command {index} of batch {batch} in activity {activity}");
        let (activity, batch) = (activity.to_string(), batch.to_string());
        let seconds = Some(timeout.as_secs_f32());
        // A timeout is an empty list here; the list is of all commands up to the one that is asked for.
        let results = self
            .0
            .call(call, async move |apis| {
                let control = apis.activity.control();
                control
                    .get_exec_batch_results(&activity, &batch, seconds, Some(index))
                    .await
            })
            .await?;
        let result = results
            .into_iter()
            .find(|result| result.index as usize == index);
        Ok(result.map(convert::command_result))
    }

    pub(super) async fn status(&self, activity: &ActivityId) -> Result<ActivityStatus> {
        let (call, id) = (
            format!("ask how activity {activity} does"),
            activity.to_string(),
        );
        let status = self
            .0
            .call(call, async move |apis| {
                apis.activity.state().get_state(&id).await
            })
            .await?;
        Ok(ActivityStatus {
            state: convert::activity_state(status.state.0),
            reason: status.error_message.or(status.reason),
        })
    }

    pub(super) async fn usage(&self, activity: &ActivityId) -> Result<Vec<f64>> {
        let (call, id) = (
            format!("ask what activity {activity} uses"),
            activity.to_string(),
        );
        let usage = self
            .0
            .call(call, async move |apis| {
                apis.activity.state().get_usage(&id).await
            })
            .await?;
        Ok(usage.current_usage.unwrap_or_default())
    }
}
