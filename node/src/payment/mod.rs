//! Payments: money set aside, bills, and what is paid for them.
//!
//! A [`Book`](book::Book) decides everything, purely; [`Payments`] is what the rest of the node asks.

pub(crate) mod allocation;
pub(crate) mod amount;
pub(crate) mod bill;
mod book;
pub(crate) mod filter;
mod overview;
mod parties;
pub(crate) mod platform;
mod settlement;
mod stored;
pub(crate) mod view;

#[cfg(test)]
mod tests;

use std::{sync::Arc, time::Duration};

use chrono::{DateTime, Utc};
use serde_json::Value;
use tokio_util::task::TaskTracker;
use ya_client_model::{NodeId, payment::Account};

pub(crate) use self::overview::{AllocationOverview, BillOverview};
use self::{
    allocation::{
        AllocateError, Allocation, AllocationError, AmendError, Amendment, Decorations,
        NewAllocation,
    },
    bill::{
        Acceptance, Bill, BillError, BillEvent, BillKind, NewDebitNote, NewInvoice, Parties,
        Rejection,
    },
    book::{Book, Topic},
    filter::EventFilter,
    platform::{Platform, address_property},
};
use crate::{
    activity::{Activities, NoActivity},
    clock::Clock,
    id::{AgreementId, AllocationId, BillId, Ids, PaymentId},
    market::{AgreementError, Deal, Market},
    owned::Owned,
    state::{StateError, Store},
};

/// The property by which a demand says where it will be paid for.
pub(crate) const CHOSEN_PLATFORM: &str = "golem.com.payment.chosen-platform";

/// Payments, for requestors and providers. Each operation says on whose behalf.
#[derive(Clone, Debug)]
pub(crate) struct Payments {
    book: Owned<Book>,
    platforms: Arc<[Platform]>,
    market: Market,
    activities: Activities,
}

/// Why a provider cannot write a bill.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum IssueError {
    /// There is no such activity of its.
    #[error(transparent)]
    Activity(#[from] NoActivity),
    /// There is no such agreement of its.
    #[error(transparent)]
    Agreement(#[from] AgreementError),
    /// Nobody has said where it will be paid.
    #[error("agreement {0} does not say on which platform it is paid for")]
    NoPlatform(AgreementId),
}

impl Payments {
    /// Begins a book, for what is agreed on in `market` and done in `activities`.
    pub(crate) fn open(
        ids: Ids,
        platforms: Vec<Platform>,
        clock: Clock,
        tasks: &TaskTracker,
        market: Market,
        activities: Activities,
        store: Option<Store>,
    ) -> Result<Self, StateError> {
        let shared = platforms.as_slice().into();
        let book = Book::load(ids, platforms, store.as_ref())?;
        Ok(Self {
            platforms: shared,
            book: Owned::start_kept(book, clock, tasks, store),
            market,
            activities,
        })
    }

    /// Where the caller can pay and be paid.
    pub(crate) fn accounts(&self, caller: NodeId) -> Vec<Account> {
        let account = |platform: &Platform| Account {
            platform: platform.to_string(),
            address: caller.to_string(),
            driver: platform.driver.clone(),
            network: platform.network.clone(),
            token: platform.token.clone(),
            send: true,
            receive: true,
        };
        self.platforms.iter().map(account).collect()
    }

    /// Sets money aside.
    pub(crate) async fn allocate(
        &self,
        caller: NodeId,
        new: NewAllocation,
    ) -> Result<Allocation, AllocateError> {
        self.book
            .ask(move |book, now| book.allocate(caller, new, now))
            .await
    }

    /// An allocation of the caller's.
    pub(crate) async fn allocation(
        &self,
        caller: NodeId,
        id: AllocationId,
    ) -> Result<Allocation, AllocationError> {
        self.book
            .ask(move |book, _| book.allocation(caller, &id))
            .await
    }

    /// All of them.
    pub(crate) async fn allocations(&self, caller: NodeId) -> Vec<Allocation> {
        self.book.ask(move |book, _| book.allocations(caller)).await
    }

    /// Gives free what is left of an allocation.
    pub(crate) async fn release(
        &self,
        caller: NodeId,
        id: AllocationId,
    ) -> Result<(), AllocationError> {
        self.book
            .ask(move |book, now| book.release(caller, &id, now))
            .await
    }

    /// Changes an allocation of the caller's.
    pub(crate) async fn amend(
        &self,
        caller: NodeId,
        id: AllocationId,
        amendment: Amendment,
    ) -> Result<Allocation, AmendError> {
        self.book
            .ask(move |book, now| book.amend(caller, &id, &amendment, now))
            .await
    }

    /// What a demand has to say so that it can be paid for.
    pub(crate) async fn decorations(
        &self,
        caller: NodeId,
        ids: Vec<AllocationId>,
    ) -> Result<Decorations, AllocationError> {
        self.book
            .ask(move |book, _| book.decorations(caller, &ids))
            .await
    }

    /// Writes a debit note, on behalf of an activity's provider.
    pub(crate) async fn issue_debit_note(
        &self,
        caller: NodeId,
        new: NewDebitNote,
    ) -> Result<Bill, IssueError> {
        let activity = new.activity_id.clone();
        let agreement = self.activities.agreement(caller, activity).await?;
        let parties = self.parties(caller, agreement).await?;
        Ok(self
            .book
            .ask(move |book, now| book.issue_debit_note(parties, new, now))
            .await)
    }

    /// Writes an invoice, on behalf of an agreement's provider.
    pub(crate) async fn issue_invoice(
        &self,
        caller: NodeId,
        new: NewInvoice,
    ) -> Result<Bill, IssueError> {
        let parties = self.parties(caller, new.agreement_id.clone()).await?;
        Ok(self
            .book
            .ask(move |book, now| book.issue_invoice(parties, new, now))
            .await)
    }

    /// Gives a bill of the caller's to its recipient.
    pub(crate) async fn send(
        &self,
        caller: NodeId,
        kind: BillKind,
        id: BillId,
    ) -> Result<(), BillError> {
        self.book
            .ask(move |book, now| book.send(caller, kind, &id, now))
            .await
    }

    /// Takes a bill of the caller's back.
    pub(crate) async fn cancel(
        &self,
        caller: NodeId,
        kind: BillKind,
        id: BillId,
    ) -> Result<(), BillError> {
        self.book
            .ask(move |book, now| book.cancel(caller, kind, &id, now))
            .await
    }

    /// The bills of a kind that the caller has written or was given after a time.
    pub(crate) async fn bills(
        &self,
        caller: NodeId,
        kind: BillKind,
        after: DateTime<Utc>,
        at_most: usize,
    ) -> Vec<Bill> {
        self.book
            .ask(move |book, _| book.bills(caller, kind, after, at_most))
            .await
    }

    /// What was paid for a bill of the caller's, as JSON.
    pub(crate) async fn payments_for(
        &self,
        caller: NodeId,
        kind: BillKind,
        id: BillId,
    ) -> Result<Vec<Value>, BillError> {
        let payments = self.book.ask(move |book, _| {
            book.bill(caller, kind, &id)?;
            Ok::<_, BillError>(book.payments_for(caller, &id))
        });
        let view = |(date, payment)| view::payment(date, &payment);
        Ok(payments.await?.into_iter().map(view).collect())
    }

    /// A payment of the caller's, as JSON.
    pub(crate) async fn payment(&self, caller: NodeId, id: PaymentId) -> Option<Value> {
        let payment = self.book.ask(move |book, _| book.payment(caller, &id));
        let (date, payment) = payment.await?;
        Some(view::payment(date, &payment))
    }

    /// A bill that the caller has written or was given.
    pub(crate) async fn bill(
        &self,
        caller: NodeId,
        kind: BillKind,
        id: BillId,
    ) -> Result<Bill, BillError> {
        self.book
            .ask(move |book, _| book.bill(caller, kind, &id).cloned())
            .await
    }

    /// Promises to pay a bill.
    pub(crate) async fn accept(
        &self,
        caller: NodeId,
        kind: BillKind,
        id: BillId,
        acceptance: Acceptance,
    ) -> Result<(), BillError> {
        self.book
            .ask(move |book, now| book.accept(caller, kind, &id, &acceptance, now))
            .await
    }

    /// Refuses to pay a bill.
    pub(crate) async fn reject(
        &self,
        caller: NodeId,
        kind: BillKind,
        id: BillId,
        rejection: Rejection,
    ) -> Result<(), BillError> {
        self.book
            .ask(move |book, now| book.reject(caller, kind, &id, rejection, now))
            .await
    }

    /// What happened to the caller's bills after a time, as far as it wants to hear of it; waits for something.
    pub(crate) async fn events(
        &self,
        caller: NodeId,
        kind: BillKind,
        filter: EventFilter,
        after: DateTime<Utc>,
        timeout: Duration,
        at_most: usize,
    ) -> Vec<(DateTime<Utc>, BillId, BillEvent)> {
        let topic = Topic::Events(caller, kind);
        let events = self.book.poll(topic, timeout, move |book, _| {
            let events = book.events(caller, kind, &filter, after, at_most);
            (!events.is_empty()).then_some(events)
        });
        events.await.unwrap_or_default()
    }

    /// What the caller has paid and was paid after a time, as JSON; waits for something.
    pub(crate) async fn payments(
        &self,
        caller: NodeId,
        after: DateTime<Utc>,
        timeout: Duration,
        at_most: usize,
    ) -> Vec<Value> {
        let topic = Topic::Payments(caller);
        let payments = self.book.poll(topic, timeout, move |book, _| {
            let payments = book.payments(caller, after, at_most);
            (!payments.is_empty()).then_some(payments)
        });
        let payments = payments.await.unwrap_or_default();
        let view = |(date, payment)| view::payment(date, &payment);
        payments.into_iter().map(view).collect()
    }

    /// Who pays whom under an agreement, of which the caller is the provider.
    async fn parties(&self, caller: NodeId, id: AgreementId) -> Result<Parties, IssueError> {
        let deal = self.market.deal(caller, id.clone()).await?;
        if deal.provider != caller {
            return Err(AgreementError::NotFound(id).into());
        }
        parties(&deal).ok_or(IssueError::NoPlatform(id))
    }
}

fn parties(deal: &Deal) -> Option<Parties> {
    let (demand, offer) = (&deal.demand.properties, &deal.offer.properties);
    let platform = demand.text(CHOSEN_PLATFORM)?;
    let address = address_property(platform);
    let payer = demand.text(&address).map(str::to_owned);
    let payee = offer.text(&address).map(str::to_owned);
    Some(Parties {
        agreement: deal.agreement.clone(),
        issuer: deal.provider,
        recipient: deal.requestor,
        payee_address: payee.unwrap_or_else(|| deal.provider.to_string()),
        payer_address: payer.unwrap_or_else(|| deal.requestor.to_string()),
        platform: platform.to_owned(),
        issuer_session: deal.provider_session.clone(),
        recipient_session: deal.requestor_session.clone(),
    })
}
