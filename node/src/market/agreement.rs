//! Agreements: terms that both sides are bound to.
//!
//! ```text
//!               confirm            approve              terminate (either side)
//!   Proposal ────────────▶ Pending ───────▶ Approved ─────────────────▶ Terminated
//!      │                      │
//!      ├── cancel, expire ────┤ cancel, expire, reject
//!      ▼                      ▼
//!   Cancelled, Expired     Cancelled, Expired, Rejected
//! ```

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};
use ya_client_model::{
    NodeId,
    market::{
        AgreementEventType, Reason, agreement::State, agreement_event::AgreementTerminator,
        proposal::State as ProposalState,
    },
};

use super::{
    board::{Board, Deadline, Notice, Side, Topic},
    matching::Terms,
};
use crate::{
    id::{AgreementId, ProposalId, SubscriptionId},
    state::{Happening, entity},
};

/// One agreement.
#[derive(Debug, Serialize, Deserialize)]
pub(super) struct Agreement {
    pub(super) demand: Half,
    pub(super) offer: Half,
    pub(super) valid_to: DateTime<Utc>,
    pub(super) created: DateTime<Utc>,
    pub(super) approved: Option<DateTime<Utc>>,
    /// Since when it is no more.
    #[serde(default)]
    pub(super) ended: Option<DateTime<Utc>>,
    pub(super) confirmed: bool,
    pub(super) state: State,
    /// Why it is no more, as the side says that ended it.
    pub(super) reason: Option<Reason>,
}

/// What one side brings to an agreement.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(super) struct Half {
    pub(super) subscription: SubscriptionId,
    pub(super) owner: NodeId,
    pub(super) terms: Terms,
    /// Which of its owner's sessions it belongs to.
    pub(super) session: Option<String>,
}

/// What one can do with an agreement. The sides say in which of their sessions they bind themselves, and why they do not.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Step {
    Confirm(Option<String>),
    Approve(Option<String>),
    Reject(Option<Reason>),
    Cancel(Option<Reason>),
    Terminate(Option<Reason>),
    Expire,
}

/// Something that happened to an agreement.
#[derive(Debug, Serialize, Deserialize)]
pub(super) struct AgreementNotice {
    pub(super) agreement: AgreementId,
    pub(super) session: Option<String>,
    pub(super) what: AgreementEventType,
}

/// Why no agreement can be made of a proposal.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum CreateAgreementError {
    /// The caller knows no such proposal.
    #[error("proposal {0} not found: it never was, or either side has left the market")]
    NotFound(String),
    /// It is the caller's own, to which the provider has not answered.
    #[error("proposal {0} is the caller's own; the provider has not answered it")]
    Own(String),
    /// It is an offer that nobody has answered.
    #[error("proposal {0} was never negotiated: it must be countered first")]
    NotNegotiated(String),
    /// It has been rejected or has an agreement already.
    #[error("proposal {id} is {state:?}, no agreement can be made of it")]
    State {
        /// The proposal.
        id: String,
        /// What it is.
        state: ProposalState,
    },
    /// It would be over before it begins.
    #[error("an agreement cannot be valid until {0}, which is past")]
    Expired(DateTime<Utc>),
}

/// Why an agreement cannot go on as it was asked.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum AgreementError {
    /// The caller has no such agreement.
    #[error("agreement {0} not found")]
    NotFound(AgreementId),
    /// It is not the time for this.
    #[error("agreement {id} is {state}, it cannot be {step} now")]
    State {
        /// The agreement.
        id: AgreementId,
        /// Its state.
        state: State,
        /// What was asked for.
        step: &'static str,
    },
}

impl Step {
    /// The state after this step, if it can be taken in `state`.
    fn after(&self, state: State) -> Option<State> {
        Some(match (state, self) {
            (State::Proposal, Self::Confirm(_)) => State::Pending,
            (State::Pending, Self::Approve(_)) => State::Approved,
            (State::Pending, Self::Reject(_)) => State::Rejected,
            (State::Proposal | State::Pending, Self::Cancel(_)) => State::Cancelled,
            (State::Proposal | State::Pending, Self::Expire) => State::Expired,
            (State::Approved, Self::Terminate(_)) => State::Terminated,
            _ => return None,
        })
    }

    /// Whether that side may take it.
    fn is_for(&self, side: Side) -> bool {
        match self {
            Self::Confirm(_) | Self::Cancel(_) => side == Side::Requestor,
            Self::Approve(_) | Self::Reject(_) => side == Side::Provider,
            Self::Terminate(_) => true,
            Self::Expire => false,
        }
    }

    fn participle(&self) -> &'static str {
        match self {
            Self::Confirm(_) => "confirmed",
            Self::Approve(_) => "approved",
            Self::Reject(_) => "rejected",
            Self::Cancel(_) => "cancelled",
            Self::Terminate(_) => "terminated",
            Self::Expire => "expired",
        }
    }
}

entity!(Agreement, "agreements");

impl Happening for AgreementNotice {
    const LOG: &'static str = "agreements";
}

impl Agreement {
    /// Whether both sides are bound, or never will be.
    pub(super) fn is_decided(&self) -> bool {
        !matches!(self.state, State::Proposal | State::Pending)
    }

    /// Since when nobody is bound any more, if so.
    fn over_since(&self) -> Option<DateTime<Utc>> {
        let is_over = self.is_decided() && self.state != State::Approved;
        is_over.then(|| self.ended.unwrap_or(self.created))
    }

    /// Takes on another state.
    fn enter(&mut self, state: State, now: DateTime<Utc>) {
        self.state = state;
        if self.is_decided() && state != State::Approved {
            self.ended = Some(now);
        }
    }

    pub(super) fn side_of(&self, node: NodeId) -> Option<Side> {
        match node {
            node if node == self.demand.owner => Some(Side::Requestor),
            node if node == self.offer.owner => Some(Side::Provider),
            _ => None,
        }
    }

    fn subscriptions(&self) -> (SubscriptionId, SubscriptionId) {
        let (demand, offer) = (&self.demand.subscription, &self.offer.subscription);
        (demand.clone(), offer.clone())
    }
}

impl Board {
    /// Makes an agreement of a proposal of the provider's. Nobody is bound before it is confirmed and approved.
    pub(crate) fn create_agreement(
        &mut self,
        caller: NodeId,
        proposal: &str,
        valid_to: DateTime<Utc>,
        now: DateTime<Utc>,
    ) -> Result<AgreementId, CreateAgreementError> {
        if valid_to <= now {
            return Err(CreateAgreementError::Expired(valid_to));
        }
        let shown = || proposal.to_owned();
        let (demand, offer) = self
            .halves(caller, proposal)
            .ok_or_else(|| CreateAgreementError::NotFound(shown()))??;
        let id = self.ids.agreement();
        let agreement = Agreement {
            demand,
            offer,
            valid_to,
            created: now,
            approved: None,
            ended: None,
            confirmed: false,
            state: State::Proposal,
            reason: None,
        };
        self.agreements.insert(id.clone(), agreement);
        self.agreements.forget(now, Agreement::over_since);
        self.deadlines
            .insert((valid_to, Deadline::Agreement(id.clone())));
        Ok(id)
    }

    /// What both sides bring to an agreement about a proposal, which is accepted with this.
    fn halves(
        &mut self,
        caller: NodeId,
        shown: &str,
    ) -> Option<Result<(Half, Half), CreateAgreementError>> {
        let id = ProposalId::from_seen(Side::Requestor, shown)?;
        let proposal = self.proposals.get(&id)?;
        let (demand, offer) = (proposal.demand.clone(), proposal.offer.clone());
        let requestor = self.subscriptions.get(&demand)?.owner;
        let provider = self.subscriptions.get(&offer)?.owner;
        if requestor != caller {
            return None;
        }
        let refusal = match (proposal.issuer, proposal.state) {
            (Side::Requestor, _) => Some(CreateAgreementError::Own(shown.to_owned())),
            (_, ProposalState::Draft) => None,
            (_, ProposalState::Initial) => {
                Some(CreateAgreementError::NotNegotiated(shown.to_owned()))
            }
            (_, state) => Some(CreateAgreementError::State {
                id: shown.to_owned(),
                state,
            }),
        };
        if let Some(refusal) = refusal {
            return Some(Err(refusal));
        }
        let asked = self.proposals.get(proposal.previous.as_ref()?)?;
        let half = |subscription, owner, terms: &Terms| Half {
            subscription,
            owner,
            terms: terms.clone(),
            session: None,
        };
        let halves = (
            half(demand, requestor, &asked.terms),
            half(offer, provider, &proposal.terms),
        );
        self.proposals.get_mut(&id)?.state = ProposalState::Accepted;
        Some(Ok(halves))
    }

    /// Takes an agreement a step on, on behalf of one of its sides.
    pub(crate) fn step(
        &mut self,
        caller: NodeId,
        id: &AgreementId,
        step: Step,
        now: DateTime<Utc>,
    ) -> Result<(), AgreementError> {
        let not_found = || AgreementError::NotFound(id.clone());
        let agreement = self.agreements.get_mut(id).ok_or_else(not_found)?;
        let side = agreement.side_of(caller).filter(|side| step.is_for(*side));
        let side = side.ok_or_else(not_found)?;
        let next = step
            .after(agreement.state)
            .ok_or_else(|| AgreementError::State {
                id: id.clone(),
                state: agreement.state,
                step: step.participle(),
            })?;
        agreement.enter(next, now);
        if agreement.is_decided() {
            let deadline = (agreement.valid_to, Deadline::Agreement(id.clone()));
            self.deadlines.remove(&deadline);
        }
        self.changes.push(Topic::Agreement(id.clone()));
        self.follow_up(id, side, step, now);
        Ok(())
    }

    /// Notes what a step of one side means, and tells the sides.
    fn follow_up(&mut self, id: &AgreementId, side: Side, step: Step, now: DateTime<Utc>) {
        let Some(agreement) = self.agreements.get_mut(id) else {
            return;
        };
        let (demand, offer) = agreement.subscriptions();
        match step {
            Step::Confirm(session) => {
                agreement.demand.session = session;
                agreement.confirmed = true;
                self.notify(&offer, Notice::Agreement(id.clone()), now);
            }
            Step::Approve(session) => {
                agreement.offer.session = session;
                agreement.approved = Some(now);
                self.announce(id, &AgreementEventType::AgreementApprovedEvent, now);
            }
            Step::Reject(reason) => {
                agreement.reason.clone_from(&reason);
                let rejected = AgreementEventType::AgreementRejectedEvent { reason };
                self.announce(id, &rejected, now);
            }
            Step::Cancel(reason) => {
                agreement.reason.clone_from(&reason);
                let cancelled = AgreementEventType::AgreementCancelledEvent { reason };
                self.announce(id, &cancelled, now);
            }
            Step::Terminate(reason) => {
                agreement.reason.clone_from(&reason);
                let terminated = AgreementEventType::AgreementTerminatedEvent {
                    terminator: match side {
                        Side::Requestor => AgreementTerminator::Requestor,
                        Side::Provider => AgreementTerminator::Provider,
                    },
                    signature: String::new(),
                    // There are clients that fail without one.
                    reason: Some(reason.unwrap_or_else(|| Reason::new("no reason was given"))),
                };
                self.announce(id, &terminated, now);
                // Both sides are free to deal with each other again.
                self.introduce(&demand, &offer, now);
            }
            Step::Expire => {}
        }
    }

    fn announce(&mut self, id: &AgreementId, what: &AgreementEventType, now: DateTime<Utc>) {
        let Some(agreement) = self.agreements.get(id) else {
            return;
        };
        for half in [&agreement.demand, &agreement.offer] {
            let notice = AgreementNotice {
                agreement: id.clone(),
                session: half.session.clone(),
                what: what.clone(),
            };
            self.events.push(half.owner, now, notice);
            self.changes.push(Topic::Events(half.owner));
        }
    }

    /// Ends an agreement that was not approved in time.
    pub(super) fn expire(&mut self, id: &AgreementId, now: DateTime<Utc>) {
        if let Some(agreement) = self.agreements.get_mut(id)
            && let Some(state) = Step::Expire.after(agreement.state)
        {
            agreement.enter(state, now);
            self.changes.push(Topic::Agreement(id.clone()));
        }
    }
}
