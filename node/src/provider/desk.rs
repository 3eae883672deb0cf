//! The desk of a provider: it decides what the provider does about all that happens.
//!
//! ```text
//!   a proposal ──▶ counter, or reject (for good, or until there is room)
//!   an agreement ──▶ approve ──▶ a contract: an exe-unit for each activity, debit notes at intervals
//!   the agreement ends, or is broken ──▶ end the exe-units ──▶ the last debit notes ──▶ the invoice
//! ```
//! Nothing here waits, spawns or knows the time: events come in, actions go out.

use std::collections::{BTreeMap, VecDeque};

use chrono::{DateTime, Utc};
use ya_client_model::market::Reason;

pub(super) use super::event::{Action, Event};
use super::{
    contract::{Contract, Phase, Work},
    negotiation::{Rules, for_good, for_now},
    spec::{Faults, Stage},
};
use crate::{
    id::{ActivityId, AgreementId, BillId},
    market::property::Properties,
    payment::bill::{NewDebitNote, NewInvoice},
};

/// What a provider has promised, and does about it.
#[derive(Debug)]
pub(super) struct Desk {
    rules: Rules,
    faults: Faults,
    offer: Properties,
    slots: usize,
    contracts: BTreeMap<AgreementId, Contract>,
    /// Proposals for which there was no room, and their demands, the oldest first.
    waiting: VecDeque<(String, Properties)>,
}

/// What is said by a provider that is told to refuse.
const REFUSED: &str = "the provider refuses";

/// How many proposals can wait for room: the last. Of the first, some are of demands that were withdrawn since.
const WAITING: usize = 100;

impl Desk {
    /// The desk of a provider with an offer, and room for some agreements.
    pub(super) fn new(rules: Rules, faults: Faults, offer: Properties, slots: usize) -> Self {
        Self {
            rules,
            faults,
            offer,
            slots,
            contracts: BTreeMap::new(),
            waiting: VecDeque::new(),
        }
    }

    /// Takes an agreement of before on again.
    pub(super) fn resume(
        &mut self,
        agreement: AgreementId,
        contract: Contract,
        approved: DateTime<Utc>,
    ) {
        let contract = contract.under(&self.rules, &self.faults, approved);
        self.contracts.insert(agreement, contract);
    }

    /// When a [`Event::Tick`] is due.
    pub(super) fn next_deadline(&self) -> Option<DateTime<Utc>> {
        let deadlines = self.contracts.values().filter_map(Contract::next_deadline);
        deadlines.min()
    }

    /// What to do about an event.
    pub(super) fn decide(&mut self, event: Event, now: DateTime<Utc>) -> Vec<Action> {
        match event {
            Event::Proposed { .. } if self.faults.never_answers == Some(Stage::Proposals) => {
                vec![]
            }
            Event::Offered { .. } if self.faults.never_answers == Some(Stage::Agreements) => {
                vec![]
            }
            Event::Proposed { proposal, demand } => vec![self.answer(proposal, demand, now)],
            Event::Offered {
                agreement,
                offer,
                demand,
            } => self.consider(agreement, &offer, &demand, now),
            Event::Lapsed(agreement) => {
                self.contracts.remove(&agreement);
                self.answer_waiting(now)
            }
            Event::AgreementEnded(agreement) => self.end(&agreement, now),
            Event::Create(agreement, activity) => self.create(agreement, activity),
            Event::Destroy(activity) => self.destroy(activity),
            Event::ExeUnitEnded { activity, how } => self.exe_unit_ended(activity, how, now),
            Event::Counted { activity, usage } => self.bill(activity, usage, now),
            Event::NoteSent(activity, note) => {
                self.note_sent(activity, note, now);
                vec![]
            }
            Event::NoteAccepted(note) => {
                self.note_accepted(&note);
                vec![]
            }
            Event::Tick => self.tick(now),
        }
    }

    fn answer(&mut self, proposal: String, demand: Properties, now: DateTime<Utc>) -> Action {
        if self.faults.refuses == Some(Stage::Proposals) {
            return Action::RejectProposal(proposal, for_good(REFUSED));
        }
        match self.rules.answer(&self.offer, &demand, now) {
            Err(reason) => Action::RejectProposal(proposal, reason),
            Ok(_) if !self.has_room() => {
                self.waiting.push_back((proposal.clone(), demand));
                if self.waiting.len() > WAITING {
                    self.waiting.pop_front();
                }
                Action::RejectProposal(proposal, self.no_room())
            }
            Ok(terms) => Action::Counter(proposal, terms),
        }
    }

    fn consider(
        &mut self,
        agreement: AgreementId,
        offer: &Properties,
        demand: &Properties,
        now: DateTime<Utc>,
    ) -> Vec<Action> {
        if self.faults.refuses == Some(Stage::Agreements) {
            return vec![Action::RejectAgreement(agreement, for_good(REFUSED))];
        }
        if !self.has_room() {
            return vec![Action::RejectAgreement(agreement, self.no_room())];
        }
        let Some(contract) = Contract::new(offer, demand, now) else {
            let nameless = for_now("the agreement names no price");
            return vec![Action::RejectAgreement(agreement, nameless)];
        };
        let delay = self.faults.approves_after;
        let approved = now + delay.unwrap_or_default();
        let mut contract = contract.under(&self.rules, &self.faults, approved);
        contract.approve_at = delay.map(|_| approved);
        self.contracts.insert(agreement.clone(), contract);
        match delay {
            None => vec![Action::Approve(agreement)],
            Some(_) => vec![],
        }
    }

    /// Ends what was done for an agreement; and there is room for others.
    fn end(&mut self, id: &AgreementId, now: DateTime<Utc>) -> Vec<Action> {
        let Some(contract) = self.contracts.get_mut(id).filter(|one| !one.ended) else {
            return vec![];
        };
        contract.ended = true;
        let running: Vec<_> = contract.running().cloned().collect();
        let mut actions = Vec::new();
        for activity in running {
            actions.extend(self.destroy(activity));
        }
        actions.extend(self.close(id, now));
        actions.extend(self.answer_waiting(now));
        actions
    }

    /// Answers those for whom there was no room.
    fn answer_waiting(&mut self, now: DateTime<Utc>) -> Vec<Action> {
        if !self.has_room() {
            return vec![];
        }
        std::mem::take(&mut self.waiting)
            .into_iter()
            .filter_map(|(proposal, demand)| {
                // Who was rejected once is not told so again.
                let terms = self.rules.answer(&self.offer, &demand, now).ok()?;
                Some(Action::Counter(proposal, terms))
            })
            .collect()
    }

    fn create(&mut self, agreement: AgreementId, activity: ActivityId) -> Vec<Action> {
        let contract = self.contracts.get_mut(&agreement);
        let Some(contract) = contract.filter(|contract| !contract.ended) else {
            let refusal = "the agreement has ended".to_owned();
            return vec![Action::ReportEnd(activity, refusal)];
        };
        // It may have been found again before it was heard of.
        if contract.activities.contains_key(&activity) {
            return vec![];
        }
        if let Some(running) = contract.running().next() {
            let refusal = format!("activity {running} runs under the agreement already");
            return vec![Action::ReportEnd(activity, refusal)];
        }
        contract.idle_since = None;
        contract
            .activities
            .insert(activity.clone(), Work::default());
        vec![Action::Start(agreement, activity)]
    }

    fn destroy(&mut self, activity: ActivityId) -> Vec<Action> {
        match self.work(&activity) {
            Some(work) if work.phase == Phase::Running => {
                work.phase = Phase::Ending;
                vec![Action::Stop(activity)]
            }
            _ => vec![],
        }
    }

    fn exe_unit_ended(
        &mut self,
        activity: ActivityId,
        how: String,
        now: DateTime<Utc>,
    ) -> Vec<Action> {
        let Some((_, contract)) = self.contract_of(&activity) else {
            return vec![];
        };
        if let Some(work) = contract.activities.get_mut(&activity) {
            work.phase = Phase::Ended;
        }
        contract.idle_since = Some(now);
        vec![
            Action::ReportEnd(activity.clone(), how),
            Action::Count(activity),
        ]
    }

    /// Writes a debit note, the last one of its activity if that has ended; and the invoice, if that was all.
    fn bill(
        &mut self,
        activity: ActivityId,
        mut usage: Vec<f64>,
        now: DateTime<Utc>,
    ) -> Vec<Action> {
        let Some((agreement, contract)) = self.contract_of(&activity) else {
            return vec![];
        };
        let agreement = agreement.clone();
        // Nothing was counted yet, if the exe-unit ended soon.
        usage.resize(contract.price.counters(), 0.0);
        let cost = contract.price.cost(&usage);
        let Some(work) = contract.activities.get_mut(&activity) else {
            return vec![];
        };
        // An exe-unit whose counters make no sense costs what it has cost before.
        work.cost = cost.map_or(work.cost, |cost| cost.max(work.cost));
        let cost = work.cost;
        let last = work.phase == Phase::Ended;
        if last {
            work.phase = Phase::Billed;
        }
        let note = NewDebitNote {
            activity_id: activity,
            total_amount_due: cost,
            payment_due_date: contract.note_due(last, now),
            usage_counter_vector: Some(usage.into()),
        };
        let mut actions = vec![Action::SendNote(note)];
        actions.extend(self.close(&agreement, now));
        actions
    }

    /// Writes the invoice for an agreement, once nothing else is left to do for it.
    fn close(&mut self, id: &AgreementId, now: DateTime<Utc>) -> Option<Action> {
        self.contracts.get(id).filter(|one| one.is_done())?;
        let contract = self.contracts.remove(id)?;
        Some(Action::SendInvoice(NewInvoice {
            agreement_id: id.clone(),
            amount: contract.total(),
            payment_due_date: contract.invoice_due(now),
            activity_ids: Some(contract.activities.into_keys().collect()),
        }))
    }

    fn note_sent(&mut self, activity: ActivityId, note: BillId, now: DateTime<Utc>) {
        if let Some((_, contract)) = self.contract_of(&activity)
            && let Some(by) = contract.acceptance_due(now)
        {
            contract.unaccepted.insert(note, (activity, by));
        }
    }

    /// Who accepts a debit note accepts those of the same activity before it.
    fn note_accepted(&mut self, note: &BillId) {
        for contract in self.contracts.values_mut() {
            let Some((activity, by)) = contract.unaccepted.get(note).cloned() else {
                continue;
            };
            contract
                .unaccepted
                .retain(|_, (other, other_by)| *other != activity || *other_by > by);
        }
    }

    fn tick(&mut self, now: DateTime<Utc>) -> Vec<Action> {
        let mut actions = Vec::new();
        let mut broken = Vec::new();
        for (id, contract) in &mut self.contracts {
            if contract.ended {
                continue;
            }
            if let Some(approve_at) = contract.approve_at {
                if approve_at <= now {
                    contract.begin(now);
                    actions.push(Action::Approve(id.clone()));
                }
            } else if let Some(breach) = contract.breach(now) {
                actions.push(Action::Terminate(id.clone(), breach));
                broken.push(id.clone());
            } else if contract.next_note.is_some_and(|time| time <= now) {
                contract.next_note = contract.note_interval.map(|interval| now + interval);
                actions.extend(contract.running().cloned().map(Action::Count));
            }
        }
        for id in broken {
            actions.extend(self.end(&id, now));
        }
        actions
    }

    fn has_room(&self) -> bool {
        let live = self.contracts.values().filter(|contract| !contract.ended);
        live.count() < self.slots
    }

    fn no_room(&self) -> Reason {
        for_now(format!(
            "No capacity available. Reached Agreements limit: {}",
            self.slots
        ))
    }

    fn contract_of(&mut self, activity: &ActivityId) -> Option<(&AgreementId, &mut Contract)> {
        self.contracts
            .iter_mut()
            .find(|(_, contract)| contract.activities.contains_key(activity))
    }

    fn work(&mut self, activity: &ActivityId) -> Option<&mut Work> {
        let (_, contract) = self.contract_of(activity)?;
        contract.activities.get_mut(activity)
    }
}
