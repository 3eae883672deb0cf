//! The other half: a provider's recording, with a requestor that does what the provider was told of.

use std::sync::Arc;

use exeunit::gsb::message::{SetState, SetUsage};
use node::LocalNode;
use serde_json::{Value, json};
use tokio::{sync::Mutex, task::JoinSet};

use super::{
    RUNTIME, SUBNET,
    recording::{Line, Recording, Request},
    session::Session,
};
use crate::{
    clock::odd_clock,
    peer::Peer,
    requestor::{Requestor, text},
};

/// An agreement with the only provider that there is, by somebody else.
pub(super) async fn take_slot(requestor: &Requestor) -> String {
    let demand = demand(requestor).await;
    let id = requestor.subscribe(&demand).await;
    let event = requestor.negotiate(&id, &demand).await;
    requestor.bind(&event["proposal"]).await
}

/// A demand as those that were recorded.
async fn demand(requestor: &Requestor) -> Value {
    let mut demand = requestor.demand().await;
    demand["properties"]["golem.node.debug.subnet"] = json!(SUBNET);
    let constraints = text(&demand["constraints"]);
    let constraints = constraints.replace("subnet=public", &format!("subnet={SUBNET}"));
    let constraints = constraints.replace("name=vm", &format!("name={RUNTIME}"));
    demand["constraints"] = json!(constraints);
    demand
}

pub(super) async fn replay(mut recording: Recording) {
    let node = LocalNode::builder()
        .providers([])
        .clock(odd_clock())
        .app_key("asks", None)
        .app_key("runs", None)
        .start()
        .await
        .unwrap();
    let provider = Requestor::called(&node, "runs");
    let session = Arc::new(Session::new(&recording, provider, String::new()));
    let other = Arc::new(Mutex::new(Other {
        session: Arc::clone(&session),
        requestor: Requestor::called(&node, "asks"),
        peer: Peer::connect(&node.data_folder().join("bus/socket")).await,
        demand: String::new(),
        agreement: String::new(),
        activity: String::new(),
        is_up: false,
        waiting: JoinSet::new(),
    }));
    let lines = recording.lines.into_iter().flat_map(|line| match line {
        Line::Request(request) => vec![Line::Cause(request.clone()), Line::Request(request)],
        other => vec![other],
    });
    recording.lines = lines.collect();
    super::run(&recording, &session, Some(Arc::clone(&other))).await;
    let waiting = std::mem::take(&mut other.lock().await.waiting);
    waiting.join_all().await;
    session.end();
    node.stop().await.unwrap();
}

/// The requestor, and the exe-unit.
pub(super) struct Other {
    session: Arc<Session>,
    requestor: Requestor,
    peer: Peer,
    demand: String,
    agreement: String,
    activity: String,
    /// Whether the activity's exe-unit has said that it is there.
    is_up: bool,
    /// What waits for the provider.
    waiting: JoinSet<()>,
}

impl Other {
    /// Does what the answer to the provider's request tells of.
    pub(super) async fn act(&mut self, request: &Request) {
        let kind = request.kind();
        let events = request.events().unwrap_or_default();
        let event = events.first();
        let event_type = event.map(|event| &event["eventType"]);
        match (kind.as_str(), event_type.and_then(Value::as_str)) {
            (_, Some("ProposalEvent")) => self.propose().await,
            (_, Some("AgreementEvent")) => self.agree(&events[0]).await,
            (_, Some("AgreementTerminatedEvent")) => self.terminate(&events[0]).await,
            (_, Some("InvoiceAcceptedEvent")) => self.accept("invoices").await,
            (_, Some("DebitNoteAcceptedEvent")) => self.accept("debitNotes").await,
            ("GET /activity-api/v1/events", None) if !request.is_vain() => {
                match event_type.is_some_and(|kind| kind.get("CreateActivity").is_some()) {
                    true => self.create(),
                    false => self.destroy().await,
                }
            }
            ("GET /activity-api/v1/activity/*/state", _) => self.report_state(request).await,
            ("GET /activity-api/v1/activity/*/usage", _) => self.report_usage(request).await,
            _ => {}
        }
    }

    async fn propose(&mut self) {
        let demand = demand(&self.requestor).await;
        self.demand = self.requestor.subscribe(&demand).await;
        let offered = self.requestor.next_event(&self.demand).await;
        let proposal = text(&offered["proposal"]["proposalId"]);
        let path = format!(
            "/market-api/v1/demands/{}/proposals/{proposal}",
            self.demand
        );
        self.requestor.post(&path, demand).await.ok();
    }

    async fn agree(&mut self, recorded: &Value) {
        let countered = self.countered().await;
        // With as many places as it had.
        let valid_to = text(&recorded["agreement"]["validTo"]);
        let valid_to = format!("2100{}", &valid_to[4..]);
        let proposal = &countered["proposal"]["proposalId"];
        let new = json!({"proposalId": proposal, "validTo": valid_to});
        let agreement = self.requestor.post("/market-api/v1/agreements", new).await;
        self.agreement = text(&agreement.ok());
        let path = format!("/market-api/v1/agreements/{}/confirm", self.agreement);
        assert_eq!(self.requestor.post_nothing(&path).await.status, 204);
        let demand = format!("/market-api/v1/demands/{}", self.demand);
        self.requestor.delete(&demand).await.ok();
    }

    /// The provider's answer that it has not rejected, or not for good.
    async fn countered(&self) -> Value {
        loop {
            let event = self.requestor.next_event(&self.demand).await;
            if event["eventType"] == "ProposalEvent" {
                return event;
            }
        }
    }

    async fn terminate(&mut self, recorded: &Value) {
        if recorded["terminator"] == "Provider" {
            return;
        }
        self.be_up().await;
        let path = format!("/market-api/v1/agreements/{}/terminate", self.agreement);
        self.requestor
            .post(&path, recorded["reason"].clone())
            .await
            .ok();
    }

    /// Accepts all that was not yet.
    async fn accept(&self, kind: &str) {
        let allocation = self.requestor.allocate().await;
        let bills = format!("/payment-api/v1/{kind}");
        let (id, amount) = match kind {
            "invoices" => ("invoiceId", "amount"),
            _ => ("debitNoteId", "totalAmountDue"),
        };
        for bill in self.requestor.get(&bills).await.ok().as_array().unwrap() {
            if bill["status"] == "RECEIVED" {
                let accept = format!("{bills}/{}/accept", text(&bill[id]));
                let body = json!({"totalAmountAccepted": bill[amount], "allocationId": allocation});
                self.requestor.post(&accept, body).await.ok();
            }
        }
    }

    fn create(&mut self) {
        let (requestor, agreement) = (self.requestor.clone(), self.agreement.clone());
        self.is_up = false;
        self.waiting.spawn(async move {
            requestor.create_activity(&agreement).await;
        });
    }

    async fn destroy(&mut self) {
        self.be_up().await;
        self.use_something(json!({"currentUsage": [0.5, 3.5], "timestamp": 1}))
            .await;
        let path = format!("/activity-api/v1/activity/{}?timeout=60", self.activity);
        let requestor = self.requestor.clone();
        self.waiting.spawn(async move {
            requestor.delete(&path).await.ok();
        });
    }

    async fn be_up(&mut self) {
        if !self.is_up {
            self.is_up = true;
            self.peer
                .register(&format!("/public/exeunit/{}", self.activity))
                .await;
            self.report(json!({"state": ["Initialized", null]})).await;
        }
    }

    async fn report(&mut self, state: Value) {
        let report = json!({"activityId": self.activity, "state": state});
        let report: SetState = serde_json::from_value(report).unwrap();
        self.peer.call("/local/activity", &report).await.unwrap();
    }

    async fn report_state(&mut self, request: &Request) {
        let path = self.session.text(&request.path);
        self.activity = path.split('/').nth(4).unwrap_or_default().to_owned();
        let state = request.answer();
        if state["state"][0] != "New" {
            self.be_up().await;
            self.report(state).await;
        }
    }

    async fn report_usage(&mut self, request: &Request) {
        self.be_up().await;
        let usage = request.answer();
        if usage["currentUsage"].is_array() {
            self.use_something(usage).await;
        }
    }

    async fn use_something(&mut self, usage: Value) {
        let report = json!({"activityId": self.activity, "usage": usage});
        let report: SetUsage = serde_json::from_value(report).unwrap();
        // Nothing can be reported any more if the provider has said that it has ended.
        self.peer.call("/local/activity", &report).await.ok();
    }
}
