//! A yagna that does what a test says: a daemon and its providers in memory.
//!
//! Unless it is told otherwise all goes well: providers offer, sign, run one batch at a time, and send an invoice when an
//! agreement ends. A test says which calls fail, and looks at which were made and at what is still held. Time is
//! tokio's, which such a test pauses.

mod exe_unit;
mod port;
mod program;

use std::{
    collections::{BTreeMap, BTreeSet, VecDeque},
    sync::{Arc, Mutex, MutexGuard},
    time::Duration,
};

use chrono::{DateTime, TimeDelta, Utc};
pub(crate) use program::{Acts, Handler, run, script};
use serde_json::json;
use tokio::{
    sync::Notify,
    time::{Instant, sleep, timeout_at},
};

use crate::{
    golem::Golem,
    id::{ActivityId, AgreementId, BatchId},
    yagna::{
        Amount, Approval, CommandStatus, DebitNote, Demand, Invoice, MarketEvent, PaymentEvent,
        Problem, Properties, Proposal, ProposalStage, YagnaError,
    },
};

/// What time it always is.
pub(crate) const NOW: DateTime<Utc> = DateTime::UNIX_EPOCH;

/// A moment that comes after all that a clock says.
const LATER: DateTime<Utc> = DateTime::from_timestamp(1 << 40, 0).expect("it is a time");

/// How long a call takes.
const LATENCY: Duration = Duration::from_millis(1);

/// How long after the end of an agreement its invoice comes.
const INVOICE_DELAY: Duration = Duration::from_secs(3);

/// What a call does instead of what it should.
#[derive(Clone, Debug)]
pub(crate) enum Fault {
    /// It fails, and has done nothing.
    Fails(Problem),
    /// It does what it should, but nobody hears of it.
    AnswerLost,
    /// It does what it should at once, and answers later.
    Late(Duration),
}

/// A daemon that nobody reaches.
pub(crate) fn unreachable() -> Fault {
    Fault::Fails(Problem::Unreachable("connection refused".into()))
}

/// A daemon that says no.
pub(crate) fn refused(status: u16, message: &str) -> Fault {
    let message = message.into();
    Fault::Fails(Problem::Refused { status, message })
}

/// A daemon and its providers.
#[derive(Clone, Default)]
pub(crate) struct Testbed(Arc<Inner>);

#[derive(Default)]
struct Inner {
    world: Mutex<World>,
    changed: Notify,
}

#[derive(Default)]
struct World {
    calls: Vec<String>,
    faults: BTreeMap<&'static str, VecDeque<Fault>>,
    /// What a requestor has taken and not given back.
    held: BTreeSet<String>,
    /// How many things have an id.
    ids: usize,
    providers: BTreeMap<String, Provider>,
    market: VecDeque<MarketEvent>,
    agreements: BTreeMap<AgreementId, Contract>,
    activities: BTreeMap<ActivityId, ExeUnit>,
    demands: Vec<Demand>,
    notes: Vec<DebitNote>,
    invoices: Vec<Invoice>,
}

struct Provider {
    offer: Properties,
    answer: Approval,
    /// What it wants for an agreement under which an activity was asked for.
    price: Amount,
}

struct Contract {
    provider: String,
    /// What the provider has said of it, once it was confirmed.
    answer: Option<Approval>,
    had_activities: bool,
}

struct ExeUnit {
    agreement: AgreementId,
    batches: BTreeMap<BatchId, Vec<(Instant, CommandStatus)>>,
}

impl Testbed {
    /// With these providers, each dearer than the one before.
    pub(crate) fn new<const N: usize>(providers: [&str; N]) -> Self {
        let bed = Self::default();
        for (name, price) in providers.into_iter().zip(1..) {
            let offer = json!({
                "golem.node.id.name": name,
                "golem.com.pricing.model": "linear",
                "golem.com.usage.vector": ["golem.usage.duration_sec"],
                "golem.com.pricing.model.linear.coeffs": [0.0001 * f64::from(price), 0.0],
            });
            let provider = Provider {
                offer: Properties::from_json(offer),
                answer: Approval::Approved,
                price: Amount::new(1, 1),
            };
            bed.world().providers.insert(name.into(), provider);
        }
        bed
    }

    /// Has a provider offer something else.
    pub(crate) fn offers(&self, provider: &str, property: &str, value: serde_json::Value) {
        self.provider(provider, |it| it.offer.set(property, value));
    }

    /// Has a provider answer agreements so.
    pub(crate) fn answers(&self, provider: &str, answer: Approval) {
        self.provider(provider, |it| it.answer = answer);
    }

    fn provider(&self, name: &str, change: impl FnOnce(&mut Provider)) {
        change(self.world().providers.get_mut(name).expect("a provider"));
    }

    /// What the next calls of that name do, one after the other.
    pub(crate) fn next(&self, call: &'static str, faults: impl IntoIterator<Item = Fault>) {
        self.world().faults.entry(call).or_default().extend(faults);
    }

    /// Has a provider send a debit note over so much in all.
    pub(crate) fn claim(&self, activity: &ActivityId, total: &str) {
        let mut world = self.world();
        let agreement = world.activities[activity].agreement.clone();
        let note = DebitNote {
            issuer: world.agreements[&agreement].provider.as_str().into(),
            agreement,
            activity: activity.clone(),
            total: total.parse().expect("an amount"),
            usage: vec![1.0],
        };
        world.notes.push(note);
        self.0.changed.notify_waiters();
    }

    /// A requestor with this budget.
    pub(crate) async fn golem(&self, budget: &str) -> Golem {
        let golem = Golem::builder().budget(budget.parse().expect("an amount"));
        let started = golem.start_by(|| NOW, self.clone()).await;
        started.expect("it starts")
    }

    /// All calls up to now that change something, with their objects.
    pub(crate) fn calls(&self) -> Vec<String> {
        self.world().calls.clone()
    }

    /// How often a call was made.
    pub(crate) fn count(&self, call: &str) -> usize {
        let calls = self.calls();
        calls.iter().filter(|it| it.starts_with(call)).count()
    }

    /// The reasons that were given for all calls of that name.
    pub(crate) fn reasons(&self, call: &str) -> Vec<String> {
        let calls = self.calls().into_iter();
        let calls = calls.filter(|it| it.starts_with(call));
        let reason = |call: String| Some(call.split_once(": ")?.1.to_owned());
        calls.filter_map(reason).collect()
    }

    /// All demands that were published.
    pub(crate) fn demands(&self) -> Vec<Demand> {
        self.world().demands.clone()
    }

    /// What a requestor has taken and not given back.
    pub(crate) fn held(&self) -> Vec<String> {
        self.world().held.iter().cloned().collect()
    }

    /// Waits until a requestor holds something of that name.
    pub(crate) async fn holds(&self, what: &str) -> String {
        let held = |world: &mut World| world.held.iter().find(|it| it.starts_with(what)).cloned();
        let held = self.wait(Duration::from_secs(600), held).await;
        held.unwrap_or_else(|| panic!("no {what}, but {:?}", self.held()))
    }

    /// Waits until a requestor has given everything back.
    pub(crate) async fn holds_nothing(&self) {
        let nothing = |world: &mut World| world.held.is_empty().then_some(());
        let nothing = self.wait(Duration::from_secs(600), nothing).await;
        nothing.unwrap_or_else(|| panic!("{:?} are held", self.held()));
    }

    /// Waits until a call was made so often.
    pub(crate) async fn calls_of(&self, call: &str, times: usize) {
        let made = |world: &mut World| {
            let calls = world.calls.iter().filter(|it| it.starts_with(call));
            (calls.count() >= times).then_some(())
        };
        let made = self.wait(Duration::from_secs(600), made).await;
        made.unwrap_or_else(|| panic!("no {call} among {:?}", self.calls()));
    }

    fn world(&self) -> MutexGuard<'_, World> {
        self.0.world.lock().expect("no panic while locked")
    }

    /// Sends an invoice, but not at once.
    fn invoice_later(&self, invoice: Invoice) {
        let bed = self.clone();
        tokio::spawn(async move {
            sleep(INVOICE_DELAY).await;
            bed.world().invoices.push(invoice);
            bed.0.changed.notify_waiters();
        });
    }

    /// Makes a call: what it does comes first, its answer after a while.
    async fn call<T>(
        &self,
        name: &'static str,
        object: &str,
        effect: impl FnOnce(&mut World) -> Result<T, Problem>,
    ) -> Result<T, YagnaError> {
        let call = format!("{name} {object}").trim_end().to_owned();
        let fault = {
            let mut world = self.world();
            world.calls.push(call.clone());
            world.faults.get_mut(name).and_then(VecDeque::pop_front)
        };
        let answer = match &fault {
            Some(Fault::Fails(problem)) => Err(problem.clone()),
            _ => effect(&mut self.world()),
        };
        self.0.changed.notify_waiters();
        let answer = match fault {
            Some(Fault::AnswerLost) => Err(Problem::Timeout("the answer was lost".into())),
            Some(Fault::Late(late)) => {
                sleep(late).await;
                answer
            }
            _ => answer,
        };
        sleep(LATENCY).await;
        answer.map_err(|problem| YagnaError { call, problem })
    }

    /// Waits until something is so.
    async fn wait<T>(
        &self,
        timeout: Duration,
        mut look: impl FnMut(&mut World) -> Option<T>,
    ) -> Option<T> {
        let until = Instant::now() + timeout;
        loop {
            let changed = self.0.changed.notified();
            if let Some(found) = look(&mut self.world()) {
                return Some(found);
            }
            timeout_at(until, changed).await.ok()?;
        }
    }
}

impl World {
    fn id<Id: From<String>>(&mut self, kind: &str) -> Id {
        self.ids += 1;
        Id::from(format!("{kind}-{}", self.ids))
    }

    fn take(&mut self, id: &impl ToString) {
        self.held.insert(id.to_string());
    }

    fn give_back(&mut self, id: &impl ToString) -> Result<(), Problem> {
        match self.held.remove(&id.to_string()) {
            true => Ok(()),
            false => Err(Problem::NotFound(id.to_string())),
        }
    }

    /// A provider offers, or answers a proposal of ours.
    fn propose(&mut self, provider: &str, answers: Option<&str>) {
        let stage = match answers {
            Some(_) => ProposalStage::Draft,
            None => ProposalStage::Initial,
        };
        let proposal = Proposal {
            id: self.id::<String>(&format!("{provider}/proposal")).into(),
            issuer: provider.into(),
            stage,
            answers: answers.map(Into::into),
            properties: self.providers[provider].offer.clone(),
        };
        self.market.push_back(MarketEvent::Proposal(proposal));
    }

    /// An agreement is over, and its activities with it. Its provider offers anew, and wants its money.
    fn end(&mut self, id: &AgreementId) -> Option<Invoice> {
        let contract = &self.agreements[id];
        let (provider, had_activities) = (contract.provider.clone(), contract.had_activities);
        let activities = self.activities.iter();
        let of_it = activities.filter(|(_, exe_unit)| exe_unit.agreement == *id);
        for (activity, _) in of_it {
            self.held.remove(activity.as_str());
        }
        self.propose(&provider, None);
        had_activities.then(|| Invoice {
            issuer: provider.as_str().into(),
            agreement: id.clone(),
            amount: self.providers[&provider].price,
        })
    }
}

/// Events of all documents up to now that came after a moment: one a second.
fn events<Id: From<String>>(documents: usize, after: DateTime<Utc>) -> Vec<PaymentEvent<Id>> {
    let event = |number: usize| PaymentEvent {
        id: number.to_string().into(),
        date: LATER + TimeDelta::seconds(number as i64),
        received: true,
    };
    let events = (0..documents).map(event);
    events.filter(|event| event.date > after).collect()
}
