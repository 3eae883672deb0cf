//! A provider at work: it hears of what happens, and does what its desk decides.

use std::collections::{BTreeMap, VecDeque};

use chrono::{DateTime, TimeDelta, Utc};
use serde_json::json;
use tokio::{sync::mpsc, task::JoinSet};
use tokio_util::sync::CancellationToken;
use tracing::Instrument;
use ya_client_model::{
    NodeId,
    activity::{ActivityState, State},
    market::Reason,
};

use super::{
    Provider,
    contract::Breach,
    desk::{Action, Desk, Event},
    ear::{Ear, News},
    exe_unit::{Ended, ExeUnit, Workshop},
    offer,
    recovery::{History, Records},
    spec::{Faults, Runtime},
};
use crate::{
    activity::Activities,
    clock::Clock,
    id::{ActivityId, AgreementId, BillId, SubscriptionId},
    market::{Market, Seen, Side, Step, Terms, TermsError, property::Properties},
    payment::{
        Payments,
        bill::{BillKind, NewDebitNote, NewInvoice},
        platform::Platform,
    },
};

/// A provider of this node, at work.
#[derive(Debug)]
pub(crate) struct Agent {
    id: NodeId,
    name: String,
    runtime: Runtime,
    faults: Faults,
    /// What time it believes it is.
    clock: Clock,
    desk: Desk,
    offer: Terms,
    /// Its offer on the market, as long as it stands.
    subscription: Option<SubscriptionId>,
    services: Apis,
    workshop: Workshop,
    exe_units: JoinSet<(ActivityId, Ended)>,
    /// How each exe-unit is told to end.
    stops: BTreeMap<ActivityId, CancellationToken>,
    /// What there was about it before it began, and when.
    before: (DateTime<Utc>, Records),
}

/// What a provider works with, as any other would over REST.
#[derive(Clone, Debug)]
pub(crate) struct Apis {
    pub(crate) market: Market,
    pub(crate) activities: Activities,
    pub(crate) payments: Payments,
    pub(crate) clock: Clock,
}

/// How much of what was looked at is listened to as well, so that nothing falls between the two.
const OVERLAP: TimeDelta = TimeDelta::milliseconds(10);

impl Agent {
    /// A provider with an identity, that is paid on some platforms, and goes on where it was.
    pub(crate) fn new(
        provider: &Provider,
        id: NodeId,
        platforms: &[Platform],
        services: Apis,
        workshop: Workshop,
        history: &mut History,
    ) -> Result<Self, TermsError> {
        let clock = services.clock.skewed(provider.faults.clock_skew);
        let limits = workshop.limits(&provider.runtime);
        let offer = offer::terms(provider, id, platforms, limits, clock.now())?;
        let properties = Properties::clone(&offer.properties);
        Ok(Self {
            id,
            name: provider.name.clone(),
            runtime: provider.runtime.clone(),
            faults: provider.faults.clone(),
            clock,
            desk: Desk::new(
                provider.rules.clone(),
                provider.faults.clone(),
                properties,
                provider.slots,
            ),
            offer,
            subscription: None,
            services,
            workshop,
            exe_units: JoinSet::new(),
            stops: BTreeMap::new(),
            before: history.take(id),
        })
    }

    /// Works until told to stop; all its exe-units have ended then.
    pub(crate) async fn run(self, stop: CancellationToken) {
        let span = tracing::info_span!("provider", name = self.name);
        self.work(stop).instrument(span).await;
    }

    async fn work(mut self, stop: CancellationToken) {
        let (sender, mut news) = mpsc::unbounded_channel();
        let since = self.recover().await;
        let ears = Ear::open(self.id, &self.services, &self.offer, since, &sender);
        while let Some(heard) = stop.run_until_cancelled(self.next(&mut news)).await {
            match heard {
                News::Subscribed(id) => self.subscription = Some(id),
                News::Event(event) => self.act_on(event).await,
            }
        }
        drop(ears);
        self.stop_exe_units().await;
    }

    /// Finds again what it had promised before the node was started, and what runs for it. Since when it has to listen.
    async fn recover(&mut self) -> DateTime<Utc> {
        let before = (self.before.0, Records::default());
        let (since, records) = std::mem::replace(&mut self.before, before);
        let mut recovery = records.recover(self.clock.now());
        for bill in records.unsent() {
            self.send(bill.kind, bill.id.clone()).await;
        }
        for contract in recovery.contracts {
            tracing::info!(agreement = %contract.id, "an agreement is found again");
            self.desk
                .resume(contract.id, contract.contract, contract.approved);
        }
        for activity in recovery.living {
            match self.workshop.find(&activity) {
                Some(exe_unit) => {
                    tracing::info!(%activity, "an exe-unit is found again");
                    self.watch(activity, exe_unit);
                }
                None => {
                    let ended = self.workshop.bury(&activity);
                    recovery.events.insert(0, self.buried(activity, &ended));
                }
            }
        }
        for event in recovery.events {
            self.act_on(event).await;
        }
        since - OVERLAP
    }

    /// The next thing that happens.
    async fn next(&mut self, news: &mut mpsc::UnboundedReceiver<News>) -> News {
        let clock = self.clock.clone();
        let deadline = self.desk.next_deadline();
        let due = async {
            match deadline {
                Some(deadline) => clock.sleep_towards(deadline).await,
                None => std::future::pending().await,
            }
        };
        tokio::select! {
            Some(news) = news.recv() => news,
            Some(Ok((activity, ended))) = self.exe_units.join_next() => {
                News::Event(self.buried(activity, &ended))
            }
            () = due => News::Event(Event::Tick),
        }
    }

    fn buried(&mut self, activity: ActivityId, ended: &Ended) -> Event {
        self.stops.remove(&activity);
        let how = format!(
            "the exe-unit of activity {activity} on provider {} {ended}",
            self.name
        );
        tracing::info!(%activity, "{how}");
        Event::ExeUnitEnded { activity, how }
    }

    async fn stop_exe_units(&mut self) {
        for stop in self.stops.values() {
            stop.cancel();
        }
        while let Some(ended) = self.exe_units.join_next().await {
            if let Ok((activity, ended)) = ended {
                let event = self.buried(activity, &ended);
                self.act_on(event).await;
            }
        }
    }

    /// Does what the desk decides about an event, and about what comes of that.
    async fn act_on(&mut self, event: Event) {
        let mut events = VecDeque::from([event]);
        while let Some(event) = events.pop_front() {
            tracing::trace!(?event);
            for action in self.desk.decide(event, self.clock.now()) {
                tracing::trace!(?action);
                events.extend(self.perform(action).await);
            }
        }
    }

    async fn perform(&mut self, action: Action) -> Option<Event> {
        match action {
            Action::Counter(proposal, properties) => self.counter(proposal, properties).await,
            Action::RejectProposal(proposal, reason) => {
                self.reject_proposal(proposal, reason).await;
            }
            Action::Approve(agreement) => return self.approve(agreement).await,
            Action::RejectAgreement(agreement, reason) => {
                self.step(&agreement, Step::Reject(Some(reason))).await;
            }
            Action::Terminate(agreement, breach) => self.terminate(&agreement, breach).await,
            Action::Start(agreement, activity) => return self.start(agreement, activity).await,
            Action::Stop(activity) => {
                if let Some(stop) = self.stops.get(&activity) {
                    stop.cancel();
                }
            }
            Action::ReportEnd(activity, how) => self.report_end(activity, how).await,
            Action::Count(activity) => return self.count(activity).await,
            Action::SendNote(note) => return self.send_note(note).await,
            Action::SendInvoice(invoice) => self.send_invoice(invoice).await,
        }
        None
    }

    fn seen(&self, proposal: String) -> Option<Seen> {
        Some(Seen {
            side: Side::Provider,
            caller: self.id,
            subscription: self.subscription.clone()?,
            proposal,
        })
    }

    async fn counter(&self, proposal: String, properties: Properties) {
        let terms = self.offer.with_properties(properties);
        if let Some(seen) = self.seen(proposal.clone())
            && let Err(error) = self.services.market.counter(seen, terms).await
        {
            tracing::debug!(proposal, %error, "not countered");
        }
    }

    async fn reject_proposal(&self, proposal: String, reason: Reason) {
        tracing::info!(proposal, reason = reason.message, "a proposal is rejected");
        if let Some(seen) = self.seen(proposal.clone())
            && let Err(error) = self
                .services
                .market
                .reject_proposal(seen, Some(reason))
                .await
        {
            tracing::debug!(proposal, %error, "not rejected");
        }
    }

    async fn approve(&self, agreement: AgreementId) -> Option<Event> {
        match self.step(&agreement, Step::Approve(None)).await {
            true => None,
            false => Some(Event::Lapsed(agreement)),
        }
    }

    async fn terminate(&self, agreement: &AgreementId, breach: Breach) {
        let message = breach.message();
        tracing::info!(%agreement, message, "an agreement is broken");
        let reason = Reason {
            message: message.to_owned(),
            extra: json!({"golem.provider.code": breach.code()}),
        };
        self.step(agreement, Step::Terminate(Some(reason))).await;
    }

    /// Takes an agreement a step on, if that can be.
    async fn step(&self, agreement: &AgreementId, step: Step) -> bool {
        let id = agreement.clone();
        let taken = self.services.market.step(self.id, id, step).await;
        if let Err(error) = &taken {
            tracing::info!(%agreement, %error, "too late");
        }
        taken.is_ok()
    }

    async fn start(&mut self, agreement: AgreementId, activity: ActivityId) -> Option<Event> {
        let failed = |how: String| {
            let how = format!(
                "the exe-unit of activity {activity} on provider {} {how}",
                self.name
            );
            tracing::error!(%activity, "{how}");
            let activity = activity.clone();
            Some(Event::ExeUnitEnded { activity, how })
        };
        let agreement = match self.services.market.agreement(self.id, agreement).await {
            Ok(agreement) => agreement,
            Err(error) => return failed(format!("has no agreement: {error}")),
        };
        let started = self
            .workshop
            .start(&activity, &agreement, &self.runtime, &self.faults);
        match started {
            Ok(exe_unit) => {
                self.watch(activity, exe_unit);
                None
            }
            Err(error) => {
                let cause = std::error::Error::source(&error).map(ToString::to_string);
                failed(format!(
                    "was not started: {error}: {}",
                    cause.unwrap_or_default()
                ))
            }
        }
    }

    /// Waits for the end of an exe-unit, or brings it about.
    fn watch(&mut self, activity: ActivityId, exe_unit: ExeUnit) {
        let stop = CancellationToken::new();
        self.stops.insert(activity.clone(), stop.clone());
        self.exe_units
            .spawn(async move { (activity, exe_unit.run(stop).await) });
    }

    /// Tells the requestor that an activity is over, unless the exe-unit itself has.
    async fn report_end(&self, activity: ActivityId, how: String) {
        let state = ActivityState {
            state: State::Terminated.into(),
            reason: Some(how),
            error_message: None,
        };
        let (provider, activities) = (self.id, &self.services.activities);
        if let Err(error) = activities.report_state(provider, activity, state).await {
            tracing::error!(%error, "the end of an activity is not known");
        }
    }

    async fn count(&self, activity: ActivityId) -> Option<Event> {
        let activities = &self.services.activities;
        let usage = activities.usage(self.id, activity.clone()).await;
        let usage = usage.inspect_err(|error| tracing::error!(%error, "not counted"));
        let usage = usage.ok()?.current_usage.unwrap_or_default();
        Some(Event::Counted { activity, usage })
    }

    async fn send_note(&self, note: NewDebitNote) -> Option<Event> {
        let (activity, payments) = (note.activity_id.clone(), &self.services.payments);
        let issued = payments.issue_debit_note(self.id, note).await;
        let issued = issued.inspect_err(
            |error| tracing::error!(%activity, %error, "no debit note can be written"),
        );
        let id = issued.ok()?.id().clone();
        self.send(BillKind::DebitNote, id.clone()).await;
        Some(Event::NoteSent(activity, id))
    }

    async fn send_invoice(&self, invoice: NewInvoice) {
        let (agreement, payments) = (invoice.agreement_id.clone(), &self.services.payments);
        match payments.issue_invoice(self.id, invoice).await {
            Ok(invoice) => self.send(BillKind::Invoice, invoice.id().clone()).await,
            Err(error) => tracing::error!(%agreement, %error, "no invoice can be written"),
        }
    }

    async fn send(&self, kind: BillKind, id: BillId) {
        if let Err(error) = self.services.payments.send(self.id, kind, id).await {
            tracing::error!(%error, "a bill was not sent");
        }
    }
}
