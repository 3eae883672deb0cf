//! An agreement: made of a proposal, signed by both sides.

use std::time::Duration;

use chrono::{DateTime, TimeDelta, Utc};

use crate::yagna::{Agreement, Approval, Proposal, Reason, Yagna, YagnaError};

/// How long a provider may think about an agreement.
const APPROVAL_TIMEOUT: Duration = Duration::from_secs(15);

/// How long an agreement waits for its provider's word before it is void.
const VALIDITY: TimeDelta = TimeDelta::hours(1);

/// Why a proposal became no agreement.
#[derive(Clone, Debug, thiserror::Error)]
pub(crate) enum NotSigned {
    #[error("the agreement was refused: {0}")]
    Refused(String),
    #[error("the agreement was not approved within {} s", APPROVAL_TIMEOUT.as_secs())]
    NoAnswer,
    #[error("no agreement")]
    Yagna(#[from] YagnaError),
}

/// Makes an agreement of a proposal, signs it, and waits for the provider to do so.
pub(crate) async fn sign(
    yagna: &dyn Yagna,
    proposal: &Proposal,
    now: DateTime<Utc>,
) -> Result<Agreement, NotSigned> {
    let id = yagna.create_agreement(&proposal.id, now + VALIDITY).await?;
    yagna.confirm_agreement(&id).await?;
    match yagna.await_approval(&id, APPROVAL_TIMEOUT).await? {
        Approval::Approved => Ok(yagna.agreement(&id).await?),
        Approval::Refused(reason) => Err(NotSigned::Refused(reason)),
        Approval::Pending => {
            let late = Reason::new("no answer in time").code("Timeout");
            // If the provider approves it in this very moment, it ends for want of an activity.
            if let Err(error) = yagna.cancel_agreement(&id, &late).await {
                tracing::debug!(agreement = %id, %error, "not cancelled");
            }
            Err(NotSigned::NoAnswer)
        }
    }
}
