//! The market: demands, offers, and what becomes of them.
//!
//! A [`Board`](board::Board) decides everything, purely; [`Market`] is what the rest of the node asks.

pub(crate) mod agreement;
mod board;
mod constraint;
mod index;
mod matching;
pub(crate) mod negotiation;
pub(crate) mod property;
mod scan;
mod view;

#[cfg(test)]
mod tests;

use std::time::Duration;

use chrono::{DateTime, Utc};
use tokio_util::task::TaskTracker;
use ya_client_model::{
    NodeId,
    market::{
        Agreement, AgreementListEntry, AgreementOperationEvent, Proposal, ProviderEvent, Reason,
        RequestorEvent, agreement::State,
    },
};

pub(crate) use self::{
    agreement::{AgreementError, CreateAgreementError, Step},
    board::{NoSubscription, Side},
    matching::{Terms, TermsError},
    negotiation::{ProposalError, Seen},
    view::{AgreementOverview, Deal, Standing, Wanted},
};
use self::{
    board::{Board, Topic},
    constraint::Constraint,
};
use crate::{
    clock::Clock,
    id::{AgreementId, Ids, SubscriptionId},
    owned::Owned,
    state::{StateError, Store},
};

/// The market, for everybody who takes part in it. Each operation says on whose behalf.
#[derive(Clone, Debug)]
pub(crate) struct Market {
    board: Owned<Board>,
}

impl Market {
    /// Opens a market, which closes with its last handle.
    /// What was agreed on there is in the store, if there is one.
    pub(crate) fn open(
        ids: Ids,
        clock: Clock,
        tasks: &TaskTracker,
        store: Option<Store>,
    ) -> Result<Self, StateError> {
        let board = Board::load(ids, store.as_ref())?;
        Ok(Self {
            board: Owned::start_kept(board, clock, tasks, store),
        })
    }

    /// Puts up a demand or an offer.
    pub(crate) async fn subscribe(
        &self,
        side: Side,
        caller: NodeId,
        terms: Terms,
    ) -> SubscriptionId {
        self.board
            .ask(move |board, now| board.subscribe(side, caller, terms, now))
            .await
    }

    /// Takes down a demand or an offer; whoever waits for its events hears of it.
    pub(crate) async fn unsubscribe(
        &self,
        side: Side,
        caller: NodeId,
        id: SubscriptionId,
    ) -> Result<(), NoSubscription> {
        self.board
            .ask(move |board, _| board.unsubscribe(side, caller, &id))
            .await
    }

    /// The demands, or the offers, of the caller's that stand.
    pub(crate) async fn standing(&self, side: Side, caller: NodeId) -> Vec<Standing> {
        self.board
            .ask(move |board, _| board.standing(side, caller))
            .await
    }

    /// Begins to look at what stands on one side, as far as `constraints` hold for it; until nobody has fetched what
    /// was found for as long as `patience`.
    pub(crate) async fn scan(
        &self,
        caller: NodeId,
        side: Side,
        constraints: &str,
        patience: Duration,
    ) -> Result<SubscriptionId, TermsError> {
        let constraint = Constraint::parse(constraints)?;
        Ok(self
            .board
            .ask(move |board, now| board.scan(caller, side, constraint, patience, now))
            .await)
    }

    /// Ends a scan of the caller's.
    pub(crate) async fn end_scan(
        &self,
        caller: NodeId,
        scan: SubscriptionId,
    ) -> Result<(), NoSubscription> {
        self.board
            .ask(move |board, _| board.end_scan(caller, &scan))
            .await
    }

    /// Fetches what a scan of the caller's has found, of one node or of all, and waits for something to be found.
    pub(crate) async fn scanned(
        &self,
        caller: NodeId,
        scan: SubscriptionId,
        of: Option<NodeId>,
        timeout: Duration,
        at_most: usize,
    ) -> Result<Vec<Standing>, NoSubscription> {
        let kept = scan.clone();
        self.board
            .ask(move |board, now| board.keep_scan(caller, &kept, timeout, now))
            .await?;
        let topic = Topic::Subscription(scan.clone());
        let found = self.board.poll(topic, timeout, move |board, _| {
            anything(board.scanned(caller, &scan, of, at_most))
        });
        found.await.unwrap_or(Ok(Vec::new()))
    }

    /// The caller's agreements.
    pub(crate) async fn agreements(
        &self,
        caller: NodeId,
        wanted: Wanted,
    ) -> Vec<AgreementListEntry> {
        self.board
            .ask(move |board, _| board.agreements(caller, &wanted))
            .await
    }

    /// Fetches what has come for a demand, and waits for something to come.
    pub(crate) async fn demand_events(
        &self,
        caller: NodeId,
        demand: SubscriptionId,
        timeout: Duration,
        at_most: usize,
    ) -> Result<Vec<RequestorEvent>, NoSubscription> {
        let topic = Topic::Subscription(demand.clone());
        let fetched = self.board.poll(topic, timeout, move |board, _| {
            anything(board.collect_for_demand(caller, &demand, at_most))
        });
        fetched.await.unwrap_or(Ok(Vec::new()))
    }

    /// Fetches what has come for an offer, and waits for something to come.
    pub(crate) async fn offer_events(
        &self,
        caller: NodeId,
        offer: SubscriptionId,
        timeout: Duration,
        at_most: usize,
    ) -> Result<Vec<ProviderEvent>, NoSubscription> {
        let topic = Topic::Subscription(offer.clone());
        let fetched = self.board.poll(topic, timeout, move |board, _| {
            anything(board.collect_for_offer(caller, &offer, at_most))
        });
        fetched.await.unwrap_or(Ok(Vec::new()))
    }

    /// Answers a proposal of the other side; the answer's id, as the caller sees it.
    pub(crate) async fn counter(&self, seen: Seen, terms: Terms) -> Result<String, ProposalError> {
        self.board
            .ask(move |board, now| {
                let answer = board.counter(&seen, terms, now)?;
                Ok(answer.seen_by(seen.side))
            })
            .await
    }

    /// Rejects a proposal of the other side.
    pub(crate) async fn reject_proposal(
        &self,
        seen: Seen,
        reason: Option<Reason>,
    ) -> Result<(), ProposalError> {
        self.board
            .ask(move |board, now| board.reject_proposal(&seen, reason, now))
            .await
    }

    /// A proposal, of either side.
    pub(crate) async fn proposal(&self, seen: Seen) -> Result<Proposal, ProposalError> {
        self.board.ask(move |board, _| board.proposal(&seen)).await
    }

    /// Makes an agreement of a provider's proposal.
    pub(crate) async fn create_agreement(
        &self,
        caller: NodeId,
        proposal: String,
        valid_to: DateTime<Utc>,
    ) -> Result<AgreementId, CreateAgreementError> {
        self.board
            .ask(move |board, now| board.create_agreement(caller, &proposal, valid_to, now))
            .await
    }

    /// Takes an agreement a step on.
    pub(crate) async fn step(
        &self,
        caller: NodeId,
        agreement: AgreementId,
        step: Step,
    ) -> Result<(), AgreementError> {
        self.board
            .ask(move |board, now| board.step(caller, &agreement, step, now))
            .await
    }

    /// An agreement of the caller's.
    pub(crate) async fn agreement(
        &self,
        caller: NodeId,
        id: AgreementId,
    ) -> Result<Agreement, AgreementError> {
        self.board
            .ask(move |board, _| board.agreement(caller, &id))
            .await
    }

    /// All agreements, by whomever.
    pub(crate) async fn all_agreements(&self) -> Vec<AgreementOverview> {
        self.board.ask(|board, _| board.all_agreements()).await
    }

    /// What others need to know of an agreement of the caller's.
    pub(crate) async fn deal(
        &self,
        caller: NodeId,
        id: AgreementId,
    ) -> Result<Deal, AgreementError> {
        self.board
            .ask(move |board, _| board.deal(caller, &id))
            .await
    }

    /// Waits until an agreement is approved, or never will be; nothing if neither happens in time.
    pub(crate) async fn wait_for_approval(
        &self,
        caller: NodeId,
        id: AgreementId,
        timeout: Duration,
    ) -> Result<Option<Deal>, AgreementError> {
        let topic = Topic::Agreement(id.clone());
        let decided = self.board.poll(topic, timeout, move |board, _| {
            match board.deal(caller, &id) {
                Ok(deal) if matches!(deal.state, State::Proposal | State::Pending) => None,
                deal => Some(deal),
            }
        });
        decided.await.transpose()
    }

    /// What happened to the caller's agreements after a time, in one of its sessions or in all; waits for something.
    pub(crate) async fn agreement_events(
        &self,
        caller: NodeId,
        session: Option<String>,
        after: DateTime<Utc>,
        timeout: Duration,
        at_most: usize,
    ) -> Vec<AgreementOperationEvent> {
        let topic = Topic::Events(caller);
        let events = self.board.poll(topic, timeout, move |board, _| {
            let events = board.agreement_events(caller, session.as_deref(), after, at_most);
            (!events.is_empty()).then_some(events)
        });
        events.await.unwrap_or_default()
    }
}

/// What was fetched, unless there was nothing.
fn anything<T, E>(fetched: Result<Vec<T>, E>) -> Option<Result<Vec<T>, E>> {
    match fetched {
        Ok(events) if events.is_empty() => None,
        fetched => Some(fetched),
    }
}
