//! How a provider hears of what happens: as any other would, by asking again and again.

use std::time::Duration;

use chrono::{DateTime, Utc};
use tokio::{sync::mpsc, task::JoinSet};
use ya_client_model::{
    NodeId,
    activity::provider_event::ProviderEventType,
    market::{AgreementEventType, ProviderEvent},
};

use super::{agent::Apis, desk::Event};
use crate::{
    id::{ActivityId, AgreementId, SubscriptionId},
    market::{Side, Terms, property::Properties},
    payment::{
        bill::{BillEvent, BillKind},
        filter::EventFilter,
    },
};

/// What a provider hears.
pub(super) enum News {
    /// Its offer stands, under this id.
    Subscribed(SubscriptionId),
    /// Something for its desk.
    Event(Event),
}

/// How long to wait for news at a time.
const POLL: Duration = Duration::from_secs(60);

/// How much news to take at a time.
const AT_MOST: usize = 20;

/// How a provider hears of what happens.
#[derive(Clone)]
pub(super) struct Ear {
    id: NodeId,
    services: Apis,
    news: mpsc::UnboundedSender<News>,
}

impl Ear {
    /// Puts an offer up, and listens for all that concerns its provider after a time; until the tasks are dropped.
    pub(super) fn open(
        id: NodeId,
        services: &Apis,
        offer: &Terms,
        since: DateTime<Utc>,
        news: &mpsc::UnboundedSender<News>,
    ) -> JoinSet<()> {
        let ear = Self {
            id,
            services: services.clone(),
            news: news.clone(),
        };
        let mut ears = JoinSet::new();
        ears.spawn(ear.clone().hear_market(offer.clone()));
        ears.spawn(ear.clone().hear_agreements(since));
        ears.spawn(ear.clone().hear_orders(since));
        ears.spawn(ear.hear_acceptances(since));
        ears
    }

    fn tell(&self, event: Event) {
        // When the agent stops, so do its ears.
        let _ = self.news.send(News::Event(event));
    }

    /// Keeps the offer on the market, and hears what comes for it.
    async fn hear_market(self, offer: Terms) {
        let market = &self.services.market;
        loop {
            let id = market
                .subscribe(Side::Provider, self.id, offer.clone())
                .await;
            let _ = self.news.send(News::Subscribed(id.clone()));
            while let Ok(events) = market
                .offer_events(self.id, id.clone(), POLL, AT_MOST)
                .await
            {
                events
                    .into_iter()
                    .filter_map(from_market)
                    .for_each(|event| self.tell(event));
            }
            tracing::debug!(offer = %id, "the offer has expired, and is put up again");
        }
    }

    async fn hear_agreements(self, mut after: DateTime<Utc>) {
        loop {
            let market = &self.services.market;
            let events = market.agreement_events(self.id, None, after, POLL, AT_MOST);
            for event in events.await {
                after = event.event_date;
                let id = AgreementId::from(event.agreement_id);
                match event.event_type {
                    AgreementEventType::AgreementTerminatedEvent { .. } => {
                        self.tell(Event::AgreementEnded(id));
                    }
                    AgreementEventType::AgreementCancelledEvent { .. } => {
                        self.tell(Event::Lapsed(id));
                    }
                    _ => {}
                }
            }
        }
    }

    async fn hear_orders(self, mut after: DateTime<Utc>) {
        loop {
            let activities = &self.services.activities;
            for order in activities.orders(self.id, None, after, POLL, AT_MOST).await {
                after = order.event_date;
                let activity = ActivityId::from(order.activity_id);
                self.tell(match order.event_type {
                    ProviderEventType::CreateActivity { .. } => {
                        Event::Create(order.agreement_id.into(), activity)
                    }
                    ProviderEventType::DestroyActivity {} => Event::Destroy(activity),
                });
            }
        }
    }

    async fn hear_acceptances(self, mut after: DateTime<Utc>) {
        loop {
            let payments = &self.services.payments;
            let (kind, all) = (BillKind::DebitNote, EventFilter::default());
            let events = payments.events(self.id, kind, all, after, POLL, AT_MOST);
            for (date, id, event) in events.await {
                after = date;
                match event {
                    BillEvent::Accepted => self.tell(Event::NoteAccepted(id)),
                    BillEvent::Rejected(_) => {
                        tracing::info!(note = %id, "a debit note was rejected")
                    }
                    BillEvent::Received | BillEvent::Cancelled | BillEvent::Settled => {}
                }
            }
        }
    }
}

fn from_market(event: ProviderEvent) -> Option<Event> {
    let properties = |json| Properties::from_json(json).ok();
    match event {
        ProviderEvent::ProposalEvent { proposal, .. } => Some(Event::Proposed {
            demand: properties(&proposal.properties)?,
            proposal: proposal.proposal_id,
        }),
        ProviderEvent::AgreementEvent { agreement, .. } => Some(Event::Offered {
            offer: properties(&agreement.offer.properties)?,
            demand: properties(&agreement.demand.properties)?,
            agreement: agreement.agreement_id.into(),
        }),
        ProviderEvent::ProposalRejectedEvent { .. } | ProviderEvent::PropertyQueryEvent { .. } => {
            None
        }
    }
}
