//! An agreement: made of a proposal, signed by both sides.

use std::time::Duration;

use chrono::{DateTime, TimeDelta, Utc};

use crate::{
    id::AgreementId,
    retry::{is_outage, once, retried},
    yagna::{Agreement, Approval, Proposal, Reason, Yagna, YagnaError},
};

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
    /// There is no agreement; the proposal stands.
    #[error("no agreement")]
    NotMade(#[source] YagnaError),
    /// There was an agreement, and has been abandoned.
    #[error("no agreement")]
    Abandoned(#[source] YagnaError),
}

impl NotSigned {
    /// Whether the same proposal can be tried again: yagna could not be reached for it.
    pub(crate) fn is_outage(&self) -> bool {
        matches!(self, Self::NotMade(error) if is_outage(error))
    }

    /// Whether it is yagna that fails for the moment, and not the provider.
    pub(crate) fn is_transient(&self) -> bool {
        match self {
            Self::Refused(_) | Self::NoAnswer => false,
            Self::NotMade(error) | Self::Abandoned(error) => error.is_transient(),
        }
    }
}

/// Makes an agreement of a proposal, signs it, and waits for the provider to do so. What is not signed by both sides at
/// the end, as far as we know, is taken back.
pub(crate) async fn sign(
    yagna: &dyn Yagna,
    proposal: &Proposal,
    now: DateTime<Utc>,
) -> Result<Agreement, NotSigned> {
    let valid_to = now + VALIDITY;
    let id = retried(|| yagna.create_agreement(&proposal.id, valid_to)).await;
    let id = id.map_err(NotSigned::NotMade)?;
    let signed = conclude(yagna, &id).await;
    match &signed {
        // The provider has ended one that it refused.
        Ok(_) | Err(NotSigned::Refused(_)) => {}
        Err(NotSigned::NoAnswer) => abandon(yagna, &id, "no answer in time", "Timeout").await,
        Err(_) => abandon(yagna, &id, "the requestor cannot go on with it", "Failed").await,
    }
    signed
}

async fn conclude(yagna: &dyn Yagna, id: &AgreementId) -> Result<Agreement, NotSigned> {
    let confirmed = once(|| yagna.confirm_agreement(id)).await;
    confirmed.map_err(NotSigned::Abandoned)?;
    let approval = retried(|| yagna.await_approval(id, APPROVAL_TIMEOUT)).await;
    match approval.map_err(NotSigned::Abandoned)? {
        Approval::Approved => {
            let agreement = retried(|| yagna.agreement(id)).await;
            agreement.map_err(NotSigned::Abandoned)
        }
        Approval::Refused(reason) => Err(NotSigned::Refused(reason)),
        Approval::Pending => Err(NotSigned::NoAnswer),
    }
}

/// Takes an agreement back, or ends it if the provider has approved it meanwhile.
async fn abandon(yagna: &dyn Yagna, id: &AgreementId, why: &str, code: &str) {
    let reason = Reason::new(why).code(code);
    let Err(not_cancelled) = once(|| yagna.cancel_agreement(id, &reason)).await else {
        return;
    };
    if let Err(error) = once(|| yagna.terminate_agreement(id, &reason)).await {
        tracing::warn!(agreement = %id, %not_cancelled, %error, "it ends when it expires");
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        id::ProposalId,
        testbed::{Fault, Testbed, refused, unreachable},
        yagna::{Properties, ProposalStage},
    };

    fn proposal() -> Proposal {
        Proposal {
            id: ProposalId::from("ada/proposal"),
            issuer: "ada".into(),
            stage: ProposalStage::Draft,
            answers: None,
            properties: Properties::default(),
        }
    }

    async fn signed(bed: &Testbed) -> Result<Agreement, NotSigned> {
        sign(bed, &proposal(), DateTime::UNIX_EPOCH).await
    }

    #[tokio::test(start_paused = true)]
    async fn an_outage_of_seconds_does_not_keep_an_agreement_from_being_signed() {
        let bed = Testbed::new(["ada"]);
        for call in [
            "create_agreement",
            "confirm_agreement",
            "await_approval",
            "agreement",
        ] {
            bed.next(call, [unreachable(), unreachable()]);
        }
        bed.next("confirm_agreement", [Fault::AnswerLost]);
        let agreement = signed(&bed).await.unwrap();
        assert_eq!(bed.held(), [agreement.id.as_str()]);
    }

    #[tokio::test(start_paused = true)]
    async fn an_agreement_that_cannot_be_concluded_is_nobodys() {
        for call in ["confirm_agreement", "await_approval", "agreement"] {
            let bed = Testbed::new(["ada"]);
            bed.next(call, vec![unreachable(); 5]);
            let error = signed(&bed).await.unwrap_err();
            assert!(error.is_transient(), "{call}: {error:?}");
            assert_eq!(bed.held(), [] as [&str; 0], "{call}");

            bed.next(call, [refused(400, "no such agreement")]);
            let error = signed(&bed).await.unwrap_err();
            assert!(!error.is_transient(), "{call}: {error:?}");
            assert_eq!(bed.held(), [] as [&str; 0], "{call}");
        }
    }

    #[tokio::test(start_paused = true)]
    async fn an_agreement_that_the_provider_does_not_sign_is_nobodys() {
        let bed = Testbed::new(["ada"]);
        for (answer, error) in [
            (
                Approval::Pending,
                "the agreement was not approved within 15 s",
            ),
            (
                Approval::Refused("no room".into()),
                "the agreement was refused: no room",
            ),
        ] {
            bed.answers("ada", answer);
            assert_eq!(signed(&bed).await.unwrap_err().to_string(), error);
            assert_eq!(bed.held(), [] as [&str; 0], "{error}");
        }
    }
}
