//! What the node is told: the activity's states, and what it uses.

use std::time::Duration;

use chrono::Utc;
use tokio::{sync::mpsc, time::timeout};
use ya_client_model::activity::{ActivityState, ActivityUsage};

use crate::gsb::{
    Bus, CallError,
    message::{Message, SetState, SetUsage},
};

/// How long the node may take for an answer before it is told the next thing.
const PATIENCE: Duration = Duration::from_secs(5);

/// The node does not take reports any more.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("nobody takes reports at {url}")]
pub(crate) struct ReportError {
    url: String,
    source: CallError,
}

/// Tells the node of an activity.
#[derive(Clone, Debug)]
pub(crate) struct Reporter {
    bus: Bus,
    activity_id: String,
    /// The address of whoever is told.
    url: String,
}

impl Reporter {
    pub(crate) fn new(bus: Bus, activity_id: String, url: String) -> Self {
        Self {
            bus,
            activity_id,
            url,
        }
    }

    /// Reports states and usage as they come, until nobody has any more to report.
    pub(crate) async fn run(
        self,
        mut states: mpsc::UnboundedReceiver<ActivityState>,
        mut usage: mpsc::Receiver<Vec<f64>>,
    ) -> Result<(), ReportError> {
        loop {
            // The usage at a state is told before the state: with the last one, the bill is made.
            tokio::select! {
                biased;
                Some(usage) = usage.recv() => self.usage(usage).await?,
                Some(state) = states.recv() => self.state(state).await?,
                else => return Ok(()),
            }
        }
    }

    async fn state(&self, state: ActivityState) -> Result<(), ReportError> {
        let activity_id = self.activity_id.clone();
        self.tell(&SetState { activity_id, state }).await
    }

    async fn usage(&self, usage: Vec<f64>) -> Result<(), ReportError> {
        let usage = ActivityUsage {
            current_usage: Some(usage),
            timestamp: Utc::now().timestamp(),
        };
        let activity_id = self.activity_id.clone();
        self.tell(&SetUsage { activity_id, usage }).await
    }

    async fn tell<M: Message<Reply = ()>>(&self, message: &M) -> Result<(), ReportError> {
        let answer = loop {
            let is_there = self.bus.is_there().await;
            let answer = timeout(PATIENCE, self.bus.call(&self.url, message)).await;
            match answer {
                // What was lost on the way is told again, once there is a way.
                Ok(Err(CallError::Closed(_))) | Err(_) if is_there && !self.bus.is_there_now() => {}
                answer => break answer,
            }
        };
        match answer {
            Ok(Ok(())) => Ok(()),
            Ok(Err(source @ (CallError::Closed(_) | CallError::NotFound(_)))) => Err(ReportError {
                url: self.url.clone(),
                source,
            }),
            Ok(Err(error)) => {
                tracing::warn!(message = M::NAME, %error, "the node does not understand a report");
                Ok(())
            }
            Err(_) => {
                tracing::warn!(message = M::NAME, "the node does not answer a report");
                Ok(())
            }
        }
    }
}
