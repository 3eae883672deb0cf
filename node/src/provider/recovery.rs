//! What a provider finds again of what it had promised: it keeps no record of its own, but asks those who keep them.

use std::collections::{BTreeMap, HashMap};

use chrono::{DateTime, Utc};
use ya_client_model::{NodeId, activity::State, market::agreement::State as AgreementState};

use super::{
    agent::Apis,
    contract::{Contract, Note, Phase, Work},
    desk::Event,
    price::Price,
};
use crate::{
    activity::ActivityOverview,
    id::{ActivityId, AgreementId},
    market::AgreementOverview,
    payment::{BillOverview, amount::Amount},
};

/// All that there was about providers at a time, before any of them did anything about it.
#[derive(Debug)]
pub(crate) struct History {
    at: DateTime<Utc>,
    of_providers: HashMap<NodeId, Records>,
}

/// All that there is about a provider; activities and bills by their agreements.
#[derive(Debug, Default)]
pub(super) struct Records {
    agreements: Vec<AgreementOverview>,
    activities: BTreeMap<AgreementId, Vec<ActivityOverview>>,
    bills: BTreeMap<AgreementId, Vec<BillOverview>>,
}

/// What is to be done about it: [`Event`]s for the desk, before any other.
#[derive(Debug, Default, PartialEq)]
pub(super) struct Recovery {
    /// Agreements that stand, or were not billed yet.
    pub(super) contracts: Vec<Resumed>,
    /// Activities that have not ended, as far as is known.
    pub(super) living: Vec<ActivityId>,
    /// What has happened since, as the desk does not know.
    pub(super) events: Vec<Event>,
}

/// An agreement that stands, or was not billed yet.
#[derive(Debug, PartialEq)]
pub(super) struct Resumed {
    pub(super) id: AgreementId,
    pub(super) contract: Contract,
    pub(super) approved: DateTime<Utc>,
}

impl History {
    /// What there is about all providers. As soon as one of them is at work, some of it may be forgotten.
    pub(crate) async fn look_up(services: &Apis) -> Self {
        let at = services.clock.now();
        let mut of_providers: HashMap<_, Records> = HashMap::new();
        for one in services.market.all_agreements().await {
            let records = of_providers.entry(one.deal.provider).or_default();
            records.agreements.push(one);
        }
        for one in services.activities.all().await {
            let records = of_providers.entry(one.provider).or_default();
            let those = records.activities.entry(one.agreement.clone());
            those.or_default().push(one);
        }
        for one in services.payments.all_bills().await {
            let records = of_providers.entry(one.issuer).or_default();
            let those = records.bills.entry(one.agreement.clone());
            those.or_default().push(one);
        }
        Self { at, of_providers }
    }

    /// What there was about a provider, and when.
    pub(super) fn take(&mut self, provider: NodeId) -> (DateTime<Utc>, Records) {
        let records = self.of_providers.remove(&provider);
        (self.at, records.unwrap_or_default())
    }
}

impl Records {
    /// The bills that were written, but not sent.
    pub(super) fn unsent(&self) -> impl Iterator<Item = &BillOverview> {
        self.bills.values().flatten().filter(|bill| !bill.is_sent())
    }

    /// What is to be done about them `now`.
    pub(super) fn recover(&self, now: DateTime<Utc>) -> Recovery {
        let mut recovery = Recovery::default();
        for agreement in &self.agreements {
            let id = &agreement.deal.agreement;
            let (offer, demand) = (&agreement.deal.offer, &agreement.deal.demand);
            match agreement.deal.state {
                AgreementState::Pending => recovery.events.push(Event::Offered {
                    agreement: id.clone(),
                    offer: (*offer.properties).clone(),
                    demand: (*demand.properties).clone(),
                }),
                AgreementState::Approved => self.resume(agreement, &mut recovery, now),
                AgreementState::Terminated if !self.is_invoiced(id) => {
                    self.resume(agreement, &mut recovery, now);
                    recovery.events.push(Event::AgreementEnded(id.clone()));
                }
                _ => {}
            }
        }
        // Agreements that nobody has approved come last: there may be no room for them.
        recovery
            .events
            .sort_by_key(|event| matches!(event, Event::Offered { .. }));
        recovery
    }

    fn resume(&self, agreement: &AgreementOverview, recovery: &mut Recovery, now: DateTime<Utc>) {
        let id = &agreement.deal.agreement;
        let offer = &agreement.deal.offer.properties;
        let Some(price) = Price::of(offer) else {
            tracing::error!(agreement = %id, "an agreement without a price is given up");
            return;
        };
        let mut works = BTreeMap::new();
        for activity in self.activities.get(id).into_iter().flatten() {
            let work = self.work(activity, &price);
            if work.phase == Phase::Running && activity.state.state.0 != State::Terminated {
                recovery.living.push(activity.id.clone());
            } else if work.phase == Phase::Running {
                recovery.events.push(Event::ExeUnitEnded {
                    activity: activity.id.clone(),
                    how: "had ended".to_owned(),
                });
            }
            if work.phase == Phase::Running && activity.is_ending {
                recovery.events.push(Event::Destroy(activity.id.clone()));
            }
            works.insert(activity.id.clone(), work);
        }
        let notes: Vec<_> = self.notes(id).collect();
        let approved = agreement.approved.unwrap_or(agreement.created);
        let demand = &agreement.deal.demand.properties;
        let contract = Contract::resumed(offer, demand, approved, works, &notes, now);
        recovery.contracts.extend(contract.map(|contract| Resumed {
            id: id.clone(),
            contract,
            approved,
        }));
    }

    /// How far an activity has come. Its last debit note is that which says what it has cost when it ended.
    fn work(&self, activity: &ActivityOverview, price: &Price) -> Work {
        let billed = self.bills_under(&activity.agreement);
        let billed = billed.filter(|bill| bill.activity.as_ref() == Some(&activity.id));
        let billed: Option<Amount> = billed.map(|bill| bill.amount).max();
        let mut usage = activity.usage.clone();
        usage.resize(price.counters(), 0.0);
        let all_is_billed = billed.is_some() && billed >= price.cost(&usage);
        let has_ended = activity.state.state.0 == State::Terminated;
        Work {
            phase: match has_ended && all_is_billed {
                true => Phase::Billed,
                false => Phase::Running,
            },
            cost: billed.unwrap_or_default(),
        }
    }

    fn notes(&self, agreement: &AgreementId) -> impl Iterator<Item = Note> {
        self.bills_under(agreement).filter_map(|bill| {
            Some(Note {
                id: bill.id.clone(),
                activity: bill.activity.clone()?,
                created: bill.created,
                is_payable: bill.due.is_some(),
                is_accepted: bill.is_accepted(),
            })
        })
    }

    fn is_invoiced(&self, agreement: &AgreementId) -> bool {
        let mut bills = self.bills_under(agreement);
        bills.any(|bill| bill.activity.is_none())
    }

    fn bills_under(&self, agreement: &AgreementId) -> impl Iterator<Item = &BillOverview> {
        self.bills.get(agreement).into_iter().flatten()
    }
}
