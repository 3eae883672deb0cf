//! A look at all that is going on in a node, for whoever runs it: what `kiln node status` and the page show.

use std::collections::BTreeMap;

use chrono::{DateTime, Utc};
use serde::Serialize;
use serde_json::Value;
use ya_client_model::{NodeId, activity::State, market::agreement::State as AgreementState};

use crate::{
    activity::{Activities, ActivityOverview},
    id::{ActivityId, AgreementId, BillId},
    market::{AgreementOverview, Market},
    payment::{AllocationOverview, BillOverview, Payments, amount::Amount},
    provider::{self, ProviderOverview},
};

/// Who looks.
#[derive(Clone, Debug)]
pub(crate) struct Outlook {
    pub(crate) market: Market,
    pub(crate) activities: Activities,
    pub(crate) payments: Payments,
    pub(crate) providers: Vec<ProviderOverview>,
    pub(crate) requestor: NodeId,
    pub(crate) started: DateTime<Utc>,
    pub(crate) url: String,
}

/// What there is to see.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Overview {
    node: Node,
    providers: Vec<Busy>,
    agreements: Vec<Agreement>,
    activities: Vec<Activity>,
    bills: Vec<Bill>,
    allocations: Vec<AllocationOverview>,
}

/// How many of each kind are shown: the last.
const SHOWN: usize = 200;

#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct Node {
    url: String,
    version: &'static str,
    started: DateTime<Utc>,
    requestor: NodeId,
    live_agreements: usize,
    live_activities: usize,
    all_agreements: usize,
    all_activities: usize,
    all_bills: usize,
    /// What all agreements have cost so far.
    cost: Amount,
    /// What of it the requestors have accepted.
    accepted: Amount,
}

#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct Busy {
    #[serde(flatten)]
    provider: ProviderOverview,
    /// How many slots are taken.
    taken: usize,
    /// What its agreements have cost so far.
    cost: Amount,
}

#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct Agreement {
    id: AgreementId,
    state: AgreementState,
    requestor: NodeId,
    provider: NodeId,
    provider_name: String,
    created: DateTime<Utc>,
    approved: Option<DateTime<Utc>>,
    /// Why it is no more.
    reason: Option<String>,
    activities: usize,
    cost: Amount,
}

#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct Activity {
    id: ActivityId,
    agreement: AgreementId,
    provider: NodeId,
    provider_name: String,
    state: State,
    /// Why it is so.
    reason: Option<String>,
    created: DateTime<Utc>,
    /// How many scripts it was sent.
    batches: usize,
    /// By the names of the counters.
    usage: BTreeMap<String, f64>,
    cost: Amount,
}

#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct Bill {
    id: BillId,
    kind: &'static str,
    status: String,
    agreement: AgreementId,
    activity: Option<ActivityId>,
    provider: NodeId,
    provider_name: String,
    amount: Amount,
    created: DateTime<Utc>,
    due: Option<DateTime<Utc>>,
}

impl Outlook {
    /// What is there now.
    pub(crate) async fn look(&self) -> Overview {
        let mut agreements = self.market.all_agreements().await;
        agreements.sort_by_key(|one| one.created);
        let mut activities = self.activities.all().await;
        activities.sort_by_key(|one| one.created);
        let bills = self.payments.all_bills().await;
        let allocations = self.payments.all_allocations().await;

        let offers: BTreeMap<_, _> = agreements
            .iter()
            .map(|one| (&one.deal.agreement, &one.deal.offer.properties))
            .collect();
        let mut costs = Costs::default();
        let shown: Vec<_> = activities
            .iter()
            .map(|activity| {
                let offer = offers.get(&activity.agreement);
                let cost = offer.and_then(|offer| provider::cost(offer, &activity.usage));
                let counters = offer.map(|offer| provider::counters(offer));
                let cost = cost.unwrap_or_default();
                costs.add(activity, cost);
                self.activity(activity, counters.unwrap_or_default(), cost)
            })
            .collect();
        let is_live = |one: &&AgreementOverview| one.deal.state == AgreementState::Approved;
        let live = agreements.iter().filter(is_live);
        let mut taken: BTreeMap<String, usize> = BTreeMap::new();
        for agreement in live.clone() {
            *taken
                .entry(agreement.deal.provider.to_string())
                .or_default() += 1;
        }
        Overview {
            node: Node {
                url: self.url.clone(),
                version: env!("CARGO_PKG_VERSION"),
                started: self.started,
                requestor: self.requestor,
                live_agreements: live.count(),
                live_activities: shown
                    .iter()
                    .filter(|one| one.state != State::Terminated)
                    .count(),
                all_agreements: agreements.len(),
                all_activities: activities.len(),
                all_bills: bills.len(),
                cost: costs.by_agreement.values().copied().sum(),
                accepted: accepted(&bills),
            },
            providers: self.providers(&taken, &costs),
            agreements: last(
                agreements
                    .iter()
                    .map(|one| self.agreement(one, &costs))
                    .collect(),
            ),
            activities: last(shown),
            bills: last(bills.iter().map(|bill| self.bill(bill)).collect()),
            allocations: last(allocations),
        }
    }

    fn name(&self, provider: NodeId) -> String {
        let known = self.providers.iter().find(|one| one.id == provider);
        known.map_or_else(|| provider.to_string(), |one| one.name.clone())
    }

    fn providers(&self, taken: &BTreeMap<String, usize>, costs: &Costs) -> Vec<Busy> {
        let busy = |provider: &ProviderOverview| {
            let id = provider.id.to_string();
            Busy {
                taken: taken.get(&id).copied().unwrap_or_default(),
                cost: costs.by_provider.get(&id).copied().unwrap_or_default(),
                provider: provider.clone(),
            }
        };
        self.providers.iter().map(busy).collect()
    }

    fn agreement(&self, one: &AgreementOverview, costs: &Costs) -> Agreement {
        let deal = &one.deal;
        Agreement {
            id: deal.agreement.clone(),
            state: deal.state,
            requestor: deal.requestor,
            provider: deal.provider,
            provider_name: self.name(deal.provider),
            created: one.created,
            approved: one.approved,
            reason: deal.reason.as_ref().map(|reason| reason.message.clone()),
            activities: costs
                .activities
                .get(&deal.agreement)
                .copied()
                .unwrap_or_default(),
            cost: costs
                .by_agreement
                .get(&deal.agreement)
                .copied()
                .unwrap_or_default(),
        }
    }

    fn activity(&self, one: &ActivityOverview, counters: Vec<String>, cost: Amount) -> Activity {
        Activity {
            id: one.id.clone(),
            agreement: one.agreement.clone(),
            provider: one.provider,
            provider_name: self.name(one.provider),
            state: one.state.state.0,
            reason: one
                .state
                .reason
                .clone()
                .or_else(|| one.state.error_message.clone()),
            created: one.created,
            batches: one.batches,
            usage: counters
                .into_iter()
                .zip(one.usage.iter().copied())
                .collect(),
            cost,
        }
    }

    fn bill(&self, bill: &BillOverview) -> Bill {
        Bill {
            id: bill.id.clone(),
            kind: bill.kind.name(),
            status: status(&bill.status),
            agreement: bill.agreement.clone(),
            activity: bill.activity.clone(),
            provider: bill.issuer,
            provider_name: self.name(bill.issuer),
            amount: bill.amount,
            created: bill.created,
            due: bill.due,
        }
    }
}

/// What activities have cost, added up.
#[derive(Default)]
struct Costs {
    by_agreement: BTreeMap<AgreementId, Amount>,
    by_provider: BTreeMap<String, Amount>,
    activities: BTreeMap<AgreementId, usize>,
}

impl Costs {
    fn add(&mut self, activity: &ActivityOverview, cost: Amount) {
        *self
            .by_agreement
            .entry(activity.agreement.clone())
            .or_default() += cost;
        *self
            .by_provider
            .entry(activity.provider.to_string())
            .or_default() += cost;
        *self
            .activities
            .entry(activity.agreement.clone())
            .or_default() += 1;
    }
}

/// What was accepted: of each agreement the invoice, or else its activities' highest debit notes.
fn accepted(bills: &[BillOverview]) -> Amount {
    let mut notes: BTreeMap<(&AgreementId, &ActivityId), Amount> = BTreeMap::new();
    let mut invoices: BTreeMap<&AgreementId, Amount> = BTreeMap::new();
    for bill in bills.iter().filter(|bill| bill.is_accepted()) {
        let highest = match &bill.activity {
            Some(activity) => notes.entry((&bill.agreement, activity)).or_default(),
            None => invoices.entry(&bill.agreement).or_default(),
        };
        *highest = bill.amount.max(*highest);
    }
    let open = notes
        .iter()
        .filter(|((agreement, _), _)| !invoices.contains_key(agreement));
    let notes: Amount = open.map(|(_, amount)| *amount).sum();
    notes + invoices.values().copied().sum()
}

/// What a status is called in the API.
fn status(status: &impl Serialize) -> String {
    match serde_json::to_value(status) {
        Ok(Value::String(name)) => name,
        _ => String::new(),
    }
}

fn last<T>(mut all: Vec<T>) -> Vec<T> {
    all.drain(..all.len().saturating_sub(SHOWN));
    all
}
