//! How what is on the market looks to those who ask.

use chrono::{DateTime, Utc};
use serde::Serialize;
use ya_client_model::{
    NodeId,
    market::{
        Agreement as AgreementView, AgreementListEntry, AgreementOperationEvent, Demand, Offer,
        Proposal as ProposalView, ProviderEvent, Reason, RequestorEvent, Role, agreement::State,
    },
};

use super::{
    agreement::{Agreement, AgreementError},
    board::{Board, NoSubscription, Notice, Side},
    matching::Terms,
    negotiation::{ProposalError, Seen},
};
use crate::id::{AgreementId, ProposalId, SubscriptionId};

/// What others need to know of an agreement: who has to do what, under which terms.
#[derive(Clone, Debug)]
pub(crate) struct Deal {
    /// The agreement.
    pub(crate) agreement: AgreementId,
    /// Who asks, and pays.
    pub(crate) requestor: NodeId,
    /// Who runs, and is paid.
    pub(crate) provider: NodeId,
    /// What the demand's side says of itself.
    pub(crate) demand: Terms,
    /// What the offer's side says of itself.
    pub(crate) offer: Terms,
    /// In which of its sessions the requestor has bound itself.
    pub(crate) requestor_session: Option<String>,
    /// In which of its own the provider has.
    pub(crate) provider_session: Option<String>,
    /// How far it has come.
    pub(crate) state: State,
    /// Why it is no more, as the side says that ended it.
    pub(crate) reason: Option<Reason>,
}

/// A demand or an offer that stands.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(untagged)]
pub(crate) enum Standing {
    /// A demand.
    Demand(Demand),
    /// An offer.
    Offer(Offer),
}

/// Which agreements to list.
#[derive(Clone, Debug, Default)]
pub(crate) struct Wanted {
    /// In which state.
    pub(crate) state: Option<State>,
    /// Made before when.
    pub(crate) before: Option<DateTime<Utc>>,
    /// Made after when.
    pub(crate) after: Option<DateTime<Utc>>,
    /// In which of the caller's sessions.
    pub(crate) session: Option<String>,
}

/// An agreement as whoever runs the node sees it.
#[derive(Clone, Debug)]
pub(crate) struct AgreementOverview {
    pub(crate) deal: Deal,
    pub(crate) created: DateTime<Utc>,
    pub(crate) approved: Option<DateTime<Utc>>,
}

impl Board {
    /// All agreements, by whomever.
    pub(crate) fn all_agreements(&self) -> Vec<AgreementOverview> {
        let overview = |(id, agreement): (&AgreementId, &Agreement)| AgreementOverview {
            deal: deal(id, agreement),
            created: agreement.created,
            approved: agreement.approved,
        };
        self.agreements.iter().map(overview).collect()
    }

    /// The demands, or the offers, of the caller's that stand.
    pub(crate) fn standing(&self, side: Side, caller: NodeId) -> Vec<Standing> {
        let own = self
            .subscriptions
            .iter()
            .filter(|(_, one)| one.side == side && one.owner == caller);
        own.filter_map(|(id, _)| self.view_standing(id)).collect()
    }

    /// Fetches what a scan of the caller's has found.
    pub(crate) fn scanned(
        &mut self,
        caller: NodeId,
        scan: &SubscriptionId,
        of: Option<NodeId>,
        at_most: usize,
    ) -> Result<Vec<Standing>, NoSubscription> {
        let found = self.collect_scanned(caller, scan, of, at_most)?;
        Ok(found
            .iter()
            .filter_map(|id| self.view_standing(id))
            .collect())
    }

    fn view_standing(&self, id: &SubscriptionId) -> Option<Standing> {
        let one = self.subscriptions.get(id)?;
        let properties = one.terms.properties.to_json();
        let constraints = one.terms.constraints.to_string();
        let (id, timestamp) = (id.to_string(), one.created);
        Some(match one.side {
            Side::Requestor => Standing::Demand(Demand {
                properties,
                constraints,
                demand_id: id,
                requestor_id: one.owner,
                timestamp,
            }),
            Side::Provider => Standing::Offer(Offer {
                properties,
                constraints,
                offer_id: id,
                provider_id: one.owner,
                timestamp,
            }),
        })
    }

    /// The caller's agreements, the oldest first.
    pub(crate) fn agreements(&self, caller: NodeId, wanted: &Wanted) -> Vec<AgreementListEntry> {
        let entry = |(id, agreement): (&AgreementId, &super::agreement::Agreement)| {
            let (role, half) = match agreement.side_of(caller)? {
                Side::Requestor => (Role::Requestor, &agreement.demand),
                Side::Provider => (Role::Provider, &agreement.offer),
            };
            let is_wanted = wanted.state.is_none_or(|state| state == agreement.state)
                && wanted.before.is_none_or(|time| agreement.created < time)
                && wanted.after.is_none_or(|time| agreement.created > time)
                && (wanted.session.is_none() || wanted.session == half.session);
            is_wanted.then(|| AgreementListEntry {
                id: id.to_string(),
                timestamp: agreement.created,
                approved_date: agreement.approved,
                role,
            })
        };
        let mut entries: Vec<_> = self.agreements.iter().filter_map(entry).collect();
        entries.sort_by_key(|entry| entry.timestamp);
        entries
    }

    /// Fetches what has come for a demand of the caller's.
    pub(crate) fn collect_for_demand(
        &mut self,
        caller: NodeId,
        demand: &SubscriptionId,
        at_most: usize,
    ) -> Result<Vec<RequestorEvent>, NoSubscription> {
        let notices = self.collect(Side::Requestor, caller, demand, at_most)?;
        let event = |(event_date, notice)| match notice {
            Notice::Proposal(id) => Some(RequestorEvent::ProposalEvent {
                event_date,
                proposal: self.view_proposal(Side::Requestor, &id)?,
            }),
            Notice::Rejected(id, reason) => Some(RequestorEvent::ProposalRejectedEvent {
                event_date,
                proposal_id: id.seen_by(Side::Requestor),
                reason,
            }),
            // Agreements are put before the offer's side alone.
            Notice::Agreement(_) => None,
        };
        Ok(notices.into_iter().filter_map(event).collect())
    }

    /// Fetches what has come for an offer of the caller's.
    pub(crate) fn collect_for_offer(
        &mut self,
        caller: NodeId,
        offer: &SubscriptionId,
        at_most: usize,
    ) -> Result<Vec<ProviderEvent>, NoSubscription> {
        let notices = self.collect(Side::Provider, caller, offer, at_most)?;
        let event = |(event_date, notice)| match notice {
            Notice::Proposal(id) => Some(ProviderEvent::ProposalEvent {
                event_date,
                proposal: self.view_proposal(Side::Provider, &id)?,
            }),
            Notice::Rejected(id, reason) => Some(ProviderEvent::ProposalRejectedEvent {
                event_date,
                proposal_id: id.seen_by(Side::Provider),
                reason,
            }),
            Notice::Agreement(id) => Some(ProviderEvent::AgreementEvent {
                event_date,
                agreement: self.view_agreement(caller, &id)?,
            }),
        };
        Ok(notices.into_iter().filter_map(event).collect())
    }

    /// A proposal, of either side, as the caller sees it.
    pub(crate) fn proposal(&self, seen: &Seen) -> Result<ProposalView, ProposalError> {
        let (id, _) = self.find(seen)?;
        self.view_proposal(seen.side, &id)
            .ok_or_else(|| ProposalError::NotFound(seen.proposal.clone()))
    }

    /// A proposal as one side sees it.
    fn view_proposal(&self, side: Side, id: &ProposalId) -> Option<ProposalView> {
        let proposal = self.proposals.get(id)?;
        let issuers = match proposal.issuer {
            Side::Requestor => &proposal.demand,
            Side::Provider => &proposal.offer,
        };
        Some(ProposalView {
            properties: proposal.terms.properties.to_json(),
            constraints: proposal.terms.constraints.to_string(),
            proposal_id: id.seen_by(side),
            issuer_id: self.subscriptions.get(issuers)?.owner,
            state: proposal.state,
            timestamp: proposal.created,
            prev_proposal_id: proposal.previous.as_ref().map(|id| id.seen_by(side)),
        })
    }

    /// An agreement of the caller's.
    pub(crate) fn agreement(
        &self,
        caller: NodeId,
        id: &AgreementId,
    ) -> Result<AgreementView, AgreementError> {
        self.view_agreement(caller, id)
            .ok_or_else(|| AgreementError::NotFound(id.clone()))
    }

    /// What others need to know of an agreement of the caller's.
    pub(crate) fn deal(&self, caller: NodeId, id: &AgreementId) -> Result<Deal, AgreementError> {
        let agreement = self
            .agreements
            .get(id)
            .filter(|agreement| agreement.side_of(caller).is_some())
            .ok_or_else(|| AgreementError::NotFound(id.clone()))?;
        Ok(deal(id, agreement))
    }

    /// What happened to a node's agreements after a time, of one of its sessions or of all.
    pub(crate) fn agreement_events(
        &self,
        owner: NodeId,
        session: Option<&str>,
        after: DateTime<Utc>,
        at_most: usize,
    ) -> Vec<AgreementOperationEvent> {
        self.events
            .after(&owner, after)
            .filter(|(_, notice)| session.is_none() || notice.session.as_deref() == session)
            .take(at_most)
            .map(|(event_date, notice)| AgreementOperationEvent {
                event_date,
                agreement_id: notice.agreement.to_string(),
                event_type: notice.what.clone(),
            })
            .collect()
    }

    /// An agreement as `viewer`, one of its sides, sees it.
    fn view_agreement(&self, viewer: NodeId, id: &AgreementId) -> Option<AgreementView> {
        let agreement = self.agreements.get(id)?;
        let half = match agreement.side_of(viewer)? {
            Side::Requestor => &agreement.demand,
            Side::Provider => &agreement.offer,
        };
        // Signatures are for networks whose nodes do not trust each other.
        let signature = |signed: bool| signed.then(|| "NoSignature".to_owned());
        Some(AgreementView {
            agreement_id: id.to_string(),
            demand: Demand {
                properties: agreement.demand.terms.properties.to_json(),
                constraints: agreement.demand.terms.constraints.to_string(),
                demand_id: agreement.demand.subscription.to_string(),
                requestor_id: agreement.demand.owner,
                timestamp: agreement.created,
            },
            offer: Offer {
                properties: agreement.offer.terms.properties.to_json(),
                constraints: agreement.offer.terms.constraints.to_string(),
                offer_id: agreement.offer.subscription.to_string(),
                provider_id: agreement.offer.owner,
                timestamp: agreement.created,
            },
            valid_to: agreement.valid_to,
            approved_date: agreement.approved,
            state: agreement.state,
            timestamp: agreement.created,
            app_session_id: half.session.clone(),
            proposed_signature: signature(agreement.confirmed),
            approved_signature: signature(agreement.approved.is_some()),
            committed_signature: signature(agreement.approved.is_some()),
        })
    }
}

fn deal(id: &AgreementId, agreement: &Agreement) -> Deal {
    Deal {
        agreement: id.clone(),
        requestor: agreement.demand.owner,
        provider: agreement.offer.owner,
        demand: agreement.demand.terms.clone(),
        offer: agreement.offer.terms.clone(),
        requestor_session: agreement.demand.session.clone(),
        provider_session: agreement.offer.session.clone(),
        state: agreement.state,
        reason: agreement.reason.clone(),
    }
}
