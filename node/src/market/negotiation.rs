//! Proposals: how the two sides of a possible deal come to terms.
//!
//! ```text
//!  match ──▶ Initial ──counter──▶ Draft ──counter──▶ Draft ── … ──▶ Accepted, once an agreement is made of it
//!               │                   │ ▲
//!             reject             reject counter
//!               ▼                   ▼ │
//!            Rejected            Rejected
//! ```
//! The first proposal is the offer, which the demand's side gets; each further one is an answer to the one before it,
//! and goes to the other side. A proposal is answered once, unless it was rejected.

use chrono::{DateTime, Utc};
use ya_client_model::{
    NodeId,
    market::{Reason, proposal::State},
};

use super::{
    board::{Board, NoSubscription, Notice, Side},
    matching::Terms,
};
use crate::id::{ProposalId, SubscriptionId};

/// One proposal.
#[derive(Clone, Debug)]
pub(super) struct Proposal {
    pub(super) demand: SubscriptionId,
    pub(super) offer: SubscriptionId,
    /// Whose it is.
    pub(super) issuer: Side,
    pub(super) terms: Terms,
    pub(super) state: State,
    pub(super) created: DateTime<Utc>,
    /// Which one it answers.
    pub(super) previous: Option<ProposalId>,
    answered: bool,
}

/// Why a proposal cannot be looked at, answered or rejected.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum ProposalError {
    /// The caller has no such demand or offer.
    #[error(transparent)]
    Subscription(#[from] NoSubscription),
    /// There is no such proposal for that demand or offer.
    #[error("proposal {0} not found: it never was, or either side has left the market")]
    NotFound(String),
    /// It is the caller's own.
    #[error("proposal {0} is the caller's own, and not to be answered by it")]
    Own(String),
    /// It has an answer.
    #[error("proposal {0} was countered already")]
    AlreadyCountered(String),
    /// There is an agreement about it.
    #[error("proposal {0} became an agreement already")]
    Accepted(String),
    /// The answer does not suit what it answers.
    #[error("the answer to proposal {0} does not match it")]
    NotMatching(String),
}

impl ProposalId {
    /// The id as one side sees it.
    pub(crate) fn seen_by(&self, side: Side) -> String {
        format!("{}{self}", prefix(side))
    }

    /// The id that one side sees as `text`.
    pub(crate) fn from_seen(side: Side, text: &str) -> Option<Self> {
        text.strip_prefix(prefix(side)).map(Self::from)
    }
}

fn prefix(side: Side) -> &'static str {
    match side {
        Side::Requestor => "R-",
        Side::Provider => "P-",
    }
}

/// Which proposal a caller means: of which of its demands or offers, by the id that its side sees.
#[derive(Clone, Debug)]
pub(crate) struct Seen {
    /// The caller's side.
    pub(crate) side: Side,
    /// The caller.
    pub(crate) caller: NodeId,
    /// Its demand or offer.
    pub(crate) subscription: SubscriptionId,
    /// The proposal's id.
    pub(crate) proposal: String,
}

impl Board {
    /// Proposes an offer to the side of a demand, if both stand.
    pub(super) fn introduce(
        &mut self,
        demand: &SubscriptionId,
        offer: &SubscriptionId,
        now: DateTime<Utc>,
    ) {
        let Some(standing) = self.subscriptions.get(offer) else {
            return;
        };
        if !self.subscriptions.contains_key(demand) {
            return;
        }
        let proposal = Proposal {
            demand: demand.clone(),
            offer: offer.clone(),
            issuer: Side::Provider,
            terms: standing.terms.clone(),
            state: State::Initial,
            created: now,
            previous: None,
            answered: false,
        };
        self.propose(proposal, now);
    }

    /// Answers a proposal of the other side with other terms.
    pub(crate) fn counter(
        &mut self,
        seen: &Seen,
        terms: Terms,
        now: DateTime<Utc>,
    ) -> Result<ProposalId, ProposalError> {
        let (id, proposal) = self.answerable(seen)?;
        let shown = || seen.proposal.clone();
        match proposal.state {
            State::Accepted => return Err(ProposalError::Accepted(shown())),
            State::Rejected => {}
            _ if proposal.answered => return Err(ProposalError::AlreadyCountered(shown())),
            _ => {}
        }
        if !terms.suit(&proposal.terms) {
            return Err(ProposalError::NotMatching(shown()));
        }
        let answer = Proposal {
            issuer: seen.side,
            terms,
            state: State::Draft,
            created: now,
            previous: Some(id.clone()),
            answered: false,
            ..proposal.clone()
        };
        if let Some(answered) = self.proposals.get_mut(&id) {
            answered.answered = true;
            if answered.state == State::Rejected {
                answered.state = State::Draft;
            }
        }
        Ok(self.propose(answer, now))
    }

    /// Rejects a proposal of the other side, which is told, if it knows of it: nobody knows to whom its offer was shown.
    pub(crate) fn reject_proposal(
        &mut self,
        seen: &Seen,
        reason: Option<Reason>,
        now: DateTime<Utc>,
    ) -> Result<(), ProposalError> {
        let (id, proposal) = self.answerable(seen)?;
        if proposal.state == State::Accepted {
            return Err(ProposalError::Accepted(seen.proposal.clone()));
        }
        let known = proposal.state != State::Initial;
        let issuers = match proposal.issuer {
            Side::Requestor => proposal.demand.clone(),
            Side::Provider => proposal.offer.clone(),
        };
        if let Some(proposal) = self.proposals.get_mut(&id) {
            proposal.state = State::Rejected;
        }
        if known {
            self.notify(&issuers, Notice::Rejected(id, reason), now);
        }
        Ok(())
    }

    /// A proposal of the other side.
    fn answerable(&self, seen: &Seen) -> Result<(ProposalId, &Proposal), ProposalError> {
        let (id, proposal) = self.find(seen)?;
        if proposal.issuer == seen.side {
            return Err(ProposalError::Own(seen.proposal.clone()));
        }
        Ok((id, proposal))
    }

    pub(super) fn find(&self, seen: &Seen) -> Result<(ProposalId, &Proposal), ProposalError> {
        self.subscription(seen.side, seen.caller, &seen.subscription)?;
        let id = ProposalId::from_seen(seen.side, &seen.proposal);
        let found = id.and_then(|id| {
            let proposal = self.proposals.get(&id)?;
            let about = match seen.side {
                Side::Requestor => &proposal.demand,
                Side::Provider => &proposal.offer,
            };
            (*about == seen.subscription).then_some((id, proposal))
        });
        found.ok_or_else(|| ProposalError::NotFound(seen.proposal.clone()))
    }

    /// Puts a proposal before the side that did not issue it.
    fn propose(&mut self, proposal: Proposal, now: DateTime<Utc>) -> ProposalId {
        let id = self.ids.proposal();
        let receivers = match proposal.issuer {
            Side::Requestor => proposal.offer.clone(),
            Side::Provider => proposal.demand.clone(),
        };
        self.proposals.insert(id.clone(), proposal);
        self.notify(&receivers, Notice::Proposal(id.clone()), now);
        id
    }
}
