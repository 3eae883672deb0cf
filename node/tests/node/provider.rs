//! The provider's half of the API, as somebody else's provider uses it.

use node::LocalNodeBuilder;
use reqwest::Method;
use serde_json::{Value, json};

use crate::{
    recorded::check,
    requestor::{PLATFORM, Requestor, far, text},
    scene::Scene,
};

/// A node with a requestor, and a provider that is none of the node's own.
struct Market {
    _scene: Scene,
    requestor: Requestor,
    provider: Requestor,
}

impl Market {
    async fn open() -> Self {
        let two = |builder: LocalNodeBuilder| {
            let builder = builder.clock(crate::clock::odd_clock());
            builder
                .providers([])
                .app_key("asks", None)
                .app_key("runs", None)
        };
        let scene = Scene::start_with(two).await;
        let bearer = |name| Requestor::called(&scene.node, name);
        Self {
            requestor: bearer("asks"),
            provider: bearer("runs"),
            _scene: scene,
        }
    }

    /// An offer of the provider's; its id.
    async fn offer(&self) -> String {
        let provider = self.provider.identity().await;
        let offer = json!({
            "properties": {
                "golem.runtime.name": "vm", "golem.node.debug.subnet": "public",
                "golem.com.payment.protocol.version": 3,
                (format!("golem.com.payment.platform.{PLATFORM}.address")): provider,
            },
            "constraints": format!("(golem.srv.comp.expiration<{})", far() * 2),
        });
        let up = self.provider.post("/market-api/v1/offers", offer).await;
        check("new offer", &up);
        text(&up.ok())
    }

    /// The next thing that comes for an offer.
    async fn next_for(&self, offer: &str) -> Value {
        let path = format!("/market-api/v1/offers/{offer}/events?timeout=20&maxEvents=1");
        self.provider.get(&path).await.ok()[0].clone()
    }

    /// An agreement that was confirmed, and what the provider hears of it.
    async fn agreement(&self) -> (String, Value) {
        let offer = self.offer().await;
        let demand = self.requestor.demand().await;
        let id = self.requestor.subscribe(&demand).await;
        let shown = self.requestor.next_event(&id).await;
        let shown = text(&shown["proposal"]["proposalId"]);
        let path = format!("/market-api/v1/demands/{id}/proposals/{shown}");
        self.requestor.post(&path, demand).await.ok();

        let asked = self.next_for(&offer).await;
        let proposal = text(&asked["proposal"]["proposalId"]);
        let path = format!("/market-api/v1/offers/{offer}/proposals/{proposal}");
        assert_eq!(self.provider.get(&path).await.ok(), asked["proposal"]);
        let own = &self.provider.get("/market-api/v1/offers").await.ok()[0];
        let terms = json!({"properties": own["properties"], "constraints": own["constraints"]});
        check("provider counters", &self.provider.post(&path, terms).await);

        let countered = self.requestor.next_event(&id).await;
        let new = json!({"proposalId": countered["proposal"]["proposalId"], "validTo": "2100-01-01T00:00:00Z"});
        let agreement = self.requestor.post("/market-api/v1/agreements", new).await;
        let agreement = text(&agreement.ok());
        let path = format!("/market-api/v1/agreements/{agreement}/confirm");
        assert_eq!(self.requestor.post_nothing(&path).await.status, 204);
        (agreement, self.next_for(&offer).await)
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_provider_of_others_takes_part() {
    let market = Market::open().await;
    let (requestor, provider) = (&market.requestor, &market.provider);
    let (agreement, heard) = market.agreement().await;
    assert_eq!(heard["eventType"], "AgreementEvent");
    assert_eq!(heard["agreement"]["agreementId"], agreement.as_str());
    let path = format!("/market-api/v1/agreements/{agreement}");
    let approved = provider
        .post_nothing(&format!("{path}/approve?timeout=5&appSessionId=s"))
        .await;
    check("approved", &approved);
    let waited = requestor
        .post_nothing(&format!("{path}/wait?timeout=20"))
        .await;
    assert_eq!(waited.status, 204);
    let listed = provider.get("/market-api/v1/agreements?state=Approved");
    let listed = listed.await.ok();
    assert_eq!(listed[0]["id"], agreement.as_str());
    assert_eq!(listed[0]["role"], "Provider");
    let others = requestor.get("/market-api/v1/agreements?state=Pending");
    assert_eq!(others.await.ok(), json!([]));

    // The provider learns that an activity is wanted, and says how it does.
    let creating = tokio::spawn({
        let (requestor, agreement) = (requestor.clone(), agreement.clone());
        async move { requestor.create_activity(&agreement).await }
    });
    let orders = "/activity-api/v1/events?timeout=20&afterTimestamp=2000-01-01T00:00:00Z";
    let first = provider.get(orders).await;
    check("orders", &first);
    // So does each program of it, by what it said when it approved.
    let in_session = async |session: &str, seconds: u8| {
        let after = "afterTimestamp=2000-01-01T00:00:00Z";
        let path =
            format!("/activity-api/v1/events?appSessionId={session}&timeout={seconds}&{after}");
        provider.get(&path).await
    };
    assert_eq!(in_session("s", 20).await, first);
    assert_eq!(in_session("other", 0).await.error(408), "Timeout");
    // Who has lost its place finds them again.
    let orders = provider.get(orders).await;
    assert_eq!(orders, first);
    let activity = text(&orders.ok()[0]["activityId"]);
    let state = format!("/activity-api/v1/activity/{activity}/state");
    let initialized = json!({"state": ["Initialized", null]});
    assert_eq!(requestor.put(&state, initialized.clone()).await.status, 404);
    check(
        "state is reported",
        &provider.put(&state, initialized).await,
    );
    assert_eq!(creating.await.unwrap(), activity);
    let own = format!("/activity-api/v1/activity?agreementId={agreement}");
    assert_eq!(provider.get(&own).await.ok(), json!([activity]));

    // It bills, and is paid.
    let note =
        json!({"activityId": activity, "totalAmountDue": "0.5", "usageCounterVector": [0.0, 0.0]});
    let note = provider.post("/payment-api/v1/debitNotes", note).await;
    check("new debit note", &note);
    let id = text(&note.ok()["debitNoteId"]);
    let sent = provider
        .post_nothing(&format!("/payment-api/v1/debitNotes/{id}/send"))
        .await;
    check("sent", &sent);
    let after = "2000-01-01T00:00:00Z";
    let (received, _) = requestor.next_bill("debitNote", after).await;
    assert_eq!(received["totalAmountDue"], "0.500000000000000000");
    let ended = json!({"state": ["Terminated", null], "reason": "done"});
    provider.put(&state, ended).await.ok();
    requestor.terminate(&agreement).await;
    let reason = provider.get(&format!("{path}/terminate/reason")).await.ok();
    assert_eq!(reason["message"], "Finished");
    let invoice = json!({
        "agreementId": agreement, "activityIds": [activity], "amount": "0.5",
        "paymentDueDate": "2100-01-01T00:00:00.670129582Z",
    });
    let invoice = provider.post("/payment-api/v1/invoices", invoice).await;
    check("new invoice", &invoice);
    let id = text(&invoice.ok()["invoiceId"]);
    let path = format!("/payment-api/v1/invoices/{id}");
    provider.post_nothing(&format!("{path}/send")).await.ok();
    let allocation = requestor.allocate().await;
    let acceptance = json!({"totalAmountAccepted": "0.5", "allocationId": allocation});
    requestor
        .post(&format!("{path}/accept"), acceptance)
        .await
        .ok();
    let payments = "/payment-api/v1/payments?timeout=20&afterTimestamp=2000-01-01T00:00:00Z";
    let paid = provider.get(payments).await.ok();
    assert_eq!(paid[0]["amount"], "0.500000000000000000");
    let for_invoice = provider.get(&format!("{path}/payments")).await.ok();
    assert_eq!(for_invoice, paid);
    let one = text(&paid[0]["paymentId"]);
    let one = provider
        .get(&format!("/payment-api/v1/payments/{one}"))
        .await;
    assert_eq!(one.ok(), paid[0]);
    assert_eq!(
        provider.get("/payment-api/v1/invoices").await.ok()[0]["status"],
        "SETTLED"
    );
}

/// What somebody hears of invoices who names types of events in a header.
async fn hears(who: &Requestor, header: &str, types: &str) -> Vec<String> {
    let path = "/payment-api/v1/invoiceEvents?timeout=0&afterTimestamp=2000-01-01T00:00:00Z";
    let request = who.request(Method::GET, path).header(header, types);
    let events = Requestor::send(request).await.ok();
    let events = events.as_array().unwrap().iter();
    events.map(|event| text(&event["eventType"])).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn each_side_hears_of_the_events_that_it_names() {
    let market = Market::open().await;
    let (requestor, provider) = (&market.requestor, &market.provider);
    let (agreement, _) = market.agreement().await;
    let approve = format!("/market-api/v1/agreements/{agreement}/approve");
    assert_eq!(provider.post_nothing(&approve).await.status, 204);
    let invoice = json!({
        "agreementId": agreement, "amount": "0.5", "paymentDueDate": "2100-01-01T00:00:00Z",
    });
    let invoice = provider.post("/payment-api/v1/invoices", invoice).await;
    let path = format!(
        "/payment-api/v1/invoices/{}",
        text(&invoice.ok()["invoiceId"])
    );
    provider.post_nothing(&format!("{path}/send")).await.ok();
    // It has been received, but that is not what is waited for.
    let waits = "/payment-api/v1/invoiceEvents?timeout=20";
    let waits = requestor.request(Method::GET, waits);
    let waits = waits.header("X-Requestor-Events", "InvoiceSettledEvent");
    let waiting = tokio::spawn(Requestor::send(waits));
    let allocation = requestor.allocate().await;
    let acceptance = json!({"totalAmountAccepted": "0.5", "allocationId": allocation});
    requestor
        .post(&format!("{path}/accept"), acceptance)
        .await
        .ok();
    let waited = waiting.await.unwrap().ok();
    assert_eq!(waited.as_array().unwrap().len(), 1, "{waited}");
    assert_eq!(waited[0]["eventType"], "InvoiceSettledEvent");

    let [received, accepted, settled] =
        ["Received", "Accepted", "Settled"].map(|what| format!("Invoice{what}Event"));
    let all = format!("{received},{accepted},{settled}");
    let (as_requestor, as_provider) = ("X-Requestor-Events", "X-Provider-Events");
    for (who, header, types, heard) in [
        (requestor, as_requestor, &all, vec![&received, &settled]),
        (requestor, as_requestor, &received, vec![&received]),
        (requestor, as_requestor, &accepted, vec![]),
        // What is said of the other side does not concern this one.
        (requestor, as_provider, &accepted, vec![&received, &settled]),
        (provider, as_provider, &all, vec![&accepted, &settled]),
        (
            provider,
            as_provider,
            &format!("x, {settled}"),
            vec![&settled],
        ),
        (provider, as_provider, &String::new(), vec![]),
        (provider, as_requestor, &received, vec![&accepted, &settled]),
    ] {
        let found = hears(who, header, types).await;
        assert_eq!(found.iter().collect::<Vec<_>>(), heard, "{header}: {types}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_provider_of_others_can_refuse() {
    let market = Market::open().await;
    let (agreement, _) = market.agreement().await;
    let path = format!("/market-api/v1/agreements/{agreement}");
    let reason = json!({"message": "no"});
    let rejected = market
        .provider
        .post(&format!("{path}/reject"), reason)
        .await;
    assert_eq!(rejected.status, 204);
    let waited = market.requestor.post_nothing(&format!("{path}/wait")).await;
    assert!(waited.error(410).contains("Rejected: no"));
    let late = market
        .provider
        .post_nothing(&format!("{path}/approve"))
        .await;
    assert!(late.error(410).contains("cannot be approved"));
    let reason = market
        .provider
        .get(&format!("{path}/terminate/reason"))
        .await;
    assert!(reason.error(404).contains("not terminated"));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_provider_that_approves_too_late_hears_that_it_was_cancelled() {
    let market = Market::open().await;
    let (agreement, _) = market.agreement().await;
    let path = format!("/market-api/v1/agreements/{agreement}");
    let reason = json!({"message": "too late"});
    let cancelled = market
        .requestor
        .post(&format!("{path}/cancel"), reason)
        .await;
    assert_eq!(cancelled.status, 200);
    let approved = market
        .provider
        .post_nothing(&format!("{path}/approve?timeout=5"))
        .await;
    assert!(approved.error(410).contains("is Cancelled"));
    let events = "/market-api/v1/agreementEvents?timeout=20&afterTimestamp=2000-01-01T00:00:00Z";
    let event = &market.provider.get(events).await.ok()[0];
    assert_eq!(event["eventType"], "AgreementCancelledEvent");
    assert_eq!(event["reason"]["message"], "too late");
    let waited = market.requestor.post_nothing(&format!("{path}/wait")).await;
    assert_eq!(waited.error(410), "Cancelled: too late");
}

#[tokio::test(flavor = "multi_thread")]
async fn orders_are_waited_for_as_a_daemon_has_it() {
    let market = Market::open().await;
    let since = "2000-01-01T00:00:00Z";
    let none = format!("/activity-api/v1/events?timeout=0&afterTimestamp={since}");
    let none = market.provider.get(&none).await;
    check("no orders", &none);
    let without = market.provider.get("/activity-api/v1/events").await;
    assert!(without.error(400).contains("afterTimestamp"));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_scan_shows_what_is_there_and_what_comes() {
    let market = Market::open().await;
    let requestor = &market.requestor;
    let first = market.offer().await;
    let scan = json!({"type": "offer", "constraints": "(golem.runtime.name=vm)", "timeout": 60});
    let scan = requestor.post("/market-api/v1/scan", scan).await;
    assert_eq!(scan.status, 201);
    let path = format!("/market-api/v1/scan/{}", text(&scan.ok()));
    let events = format!("{path}/events?timeout=20");
    assert_eq!(
        requestor.get(&events).await.ok()[0]["offerId"],
        first.as_str()
    );
    let waiting = tokio::spawn({
        let (requestor, events) = (requestor.clone(), events.clone());
        async move { requestor.get(&events).await.ok() }
    });
    let second = market.offer().await;
    assert_eq!(waiting.await.unwrap()[0]["offerId"], second.as_str());
    let nobodys = market.provider.get(&events).await;
    assert!(nobodys.error(404).contains("not found"));
    assert_eq!(requestor.delete(&path).await.status, 204);
    assert!(
        requestor
            .get(&events)
            .await
            .error(404)
            .contains("not found")
    );
    let nonsense = json!({"type": "offer", "constraints": "(a"});
    let nonsense = requestor.post("/market-api/v1/scan", nonsense).await;
    assert!(nonsense.error(400).contains("at byte 2"));
}
