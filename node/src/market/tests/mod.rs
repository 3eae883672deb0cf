//! The market's rules, one by one.

mod agreement;
mod negotiation;

use chrono::{DateTime, TimeDelta, Utc};
use serde_json::json;
use ya_client_model::{
    NodeId,
    market::{ProviderEvent, RequestorEvent},
};

use super::{
    agreement::{AgreementError, Step},
    board::{Board, Side},
    matching::Terms,
    negotiation::Seen,
};
use crate::id::{AgreementId, Ids, SubscriptionId};

/// A board with a requestor, a provider, and a time.
struct Scene {
    board: Board,
    requestor: NodeId,
    provider: NodeId,
    now: DateTime<Utc>,
}

fn demand() -> Terms {
    Terms::new(&json!({"want": 1}), "(runtime=vm)").unwrap()
}

fn offer() -> Terms {
    Terms::new(&json!({"runtime": "vm"}), "(want>0)").unwrap()
}

impl Scene {
    fn new() -> Self {
        let mut ids = Ids::seeded(1);
        Self {
            requestor: ids.node(),
            provider: ids.node(),
            board: Board::new(ids),
            now: DateTime::from_timestamp(1_800_000_000, 123_456_789).unwrap(),
        }
    }

    fn demand(&mut self) -> SubscriptionId {
        let requestor = self.requestor;
        self.board
            .subscribe(Side::Requestor, requestor, demand(), self.now)
    }

    fn offer(&mut self) -> SubscriptionId {
        let provider = self.provider;
        self.board
            .subscribe(Side::Provider, provider, offer(), self.now)
    }

    /// A proposal as the requestor sees it.
    fn for_requestor(&self, demand: &SubscriptionId, proposal: &str) -> Seen {
        Seen {
            side: Side::Requestor,
            caller: self.requestor,
            subscription: demand.clone(),
            proposal: proposal.to_owned(),
        }
    }

    fn for_provider(&self, offer: &SubscriptionId, proposal: &str) -> Seen {
        Seen {
            side: Side::Provider,
            caller: self.provider,
            subscription: offer.clone(),
            proposal: proposal.to_owned(),
        }
    }

    /// The one thing that came for the demand.
    fn next_for_demand(&mut self, demand: &SubscriptionId) -> RequestorEvent {
        let requestor = self.requestor;
        let mut events = self
            .board
            .collect_for_demand(requestor, demand, 10)
            .unwrap();
        assert_eq!(events.len(), 1, "{events:?}");
        events.remove(0)
    }

    fn next_for_offer(&mut self, offer: &SubscriptionId) -> ProviderEvent {
        let provider = self.provider;
        let mut events = self.board.collect_for_offer(provider, offer, 10).unwrap();
        assert_eq!(events.len(), 1, "{events:?}");
        events.remove(0)
    }

    fn proposed_to_demand(&mut self, demand: &SubscriptionId) -> String {
        match self.next_for_demand(demand) {
            RequestorEvent::ProposalEvent { proposal, .. } => proposal.proposal_id,
            other => panic!("{other:?}"),
        }
    }

    fn proposed_to_offer(&mut self, offer: &SubscriptionId) -> String {
        match self.next_for_offer(offer) {
            ProviderEvent::ProposalEvent { proposal, .. } => proposal.proposal_id,
            other => panic!("{other:?}"),
        }
    }

    /// Offer, demand, counter, counter: the provider's draft, as the requestor sees it.
    fn negotiate(&mut self) -> (SubscriptionId, SubscriptionId, String) {
        let (offer_id, demand_id) = (self.offer(), self.demand());
        let initial = self.proposed_to_demand(&demand_id);
        let seen = self.for_requestor(&demand_id, &initial);
        self.board.counter(&seen, demand(), self.now).unwrap();
        let asked = self.proposed_to_offer(&offer_id);
        let seen = self.for_provider(&offer_id, &asked);
        self.board.counter(&seen, offer(), self.now).unwrap();
        let draft = self.proposed_to_demand(&demand_id);
        (demand_id, offer_id, draft)
    }

    fn agreement(&mut self) -> (SubscriptionId, SubscriptionId, AgreementId) {
        let (demand, offer, draft) = self.negotiate();
        let valid_to = self.now + TimeDelta::minutes(1);
        let id = self
            .board
            .create_agreement(self.requestor, &draft, valid_to, self.now)
            .unwrap();
        (demand, offer, id)
    }

    fn step(&mut self, who: NodeId, id: &AgreementId, step: Step) -> Result<(), AgreementError> {
        self.board.step(who, id, step, self.now)
    }
}
