//! A requestor that speaks plain HTTP.

use node::LocalNode;
use reqwest::{Method, StatusCode, header::CONTENT_TYPE};
use serde_json::{Value, json};

/// Somebody with an app key.
#[derive(Clone)]
pub(crate) struct Requestor {
    pub(crate) http: reqwest::Client,
    url: String,
    app_key: String,
}

/// What came back.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Answer {
    pub(crate) status: u16,
    pub(crate) content_type: String,
    pub(crate) text: String,
}

impl Answer {
    /// The JSON in it.
    pub(crate) fn json(&self) -> Value {
        serde_json::from_str(&self.text).unwrap_or_else(|error| panic!("{error}: {self:?}"))
    }

    /// The JSON of a success.
    pub(crate) fn ok(&self) -> Value {
        assert!(self.status < 300, "{self:?}");
        match self.text.as_str() {
            "" => Value::Null,
            _ => self.json(),
        }
    }

    /// The message of a failure.
    pub(crate) fn error(&self, status: u16) -> String {
        assert_eq!(self.status, status, "{self:?}");
        assert_eq!(self.content_type, "application/json");
        let json = self.json();
        assert_eq!(json.as_object().unwrap().len(), 1, "{json}");
        json["message"].as_str().unwrap().to_owned()
    }
}

pub(crate) const PLATFORM: &str = "erc20-holesky-tglm";

impl Requestor {
    pub(crate) fn of(node: &LocalNode) -> Self {
        Self::at(node.url(), node.app_key())
    }

    /// With the app key of that name.
    pub(crate) fn called(node: &LocalNode, name: &str) -> Self {
        let mut keys = node.app_keys().filter(|(other, _)| *other == name);
        Self::at(node.url(), keys.next().unwrap().1)
    }

    pub(crate) fn at(url: &str, app_key: &str) -> Self {
        Self {
            http: reqwest::Client::new(),
            url: url.to_owned(),
            app_key: app_key.to_owned(),
        }
    }

    /// A path with the app key in its query.
    pub(crate) fn websocket_url(&self, path: &str) -> String {
        let url = self.url.replacen("http", "ws", 1);
        format!("{url}{path}?authToken={}", self.app_key)
    }

    pub(crate) fn request(&self, method: Method, path: &str) -> reqwest::RequestBuilder {
        let url = format!("{}{path}", self.url);
        self.http.request(method, url).bearer_auth(&self.app_key)
    }

    pub(crate) async fn send(request: reqwest::RequestBuilder) -> Answer {
        let response = request.send().await.unwrap();
        let content_type = response.headers().get(CONTENT_TYPE);
        Answer {
            status: response.status().as_u16(),
            content_type: content_type
                .map_or("", |value| value.to_str().unwrap())
                .to_owned(),
            text: response.text().await.unwrap(),
        }
    }

    pub(crate) async fn get(&self, path: &str) -> Answer {
        Self::send(self.request(Method::GET, path)).await
    }

    pub(crate) async fn delete(&self, path: &str) -> Answer {
        Self::send(self.request(Method::DELETE, path)).await
    }

    pub(crate) async fn post(&self, path: &str, body: Value) -> Answer {
        Self::send(self.request(Method::POST, path).json(&body)).await
    }

    pub(crate) async fn post_nothing(&self, path: &str) -> Answer {
        Self::send(self.request(Method::POST, path)).await
    }

    pub(crate) async fn identity(&self) -> String {
        let me = self.get("/me").await.ok();
        me["identity"].as_str().unwrap().to_owned()
    }

    /// An allocation of 100; its id.
    pub(crate) async fn allocate(&self) -> String {
        let allocation = json!({
            "totalAmount": "100", "paymentPlatform": PLATFORM, "makeDeposit": false,
            "allocationId": "", "spentAmount": "", "remainingAmount": "", "timestamp": "2026-11-20T10:14:37.663370+00:00",
        });
        let allocation = self.post("/payment-api/v1/allocations", allocation).await;
        text(&allocation.ok()["allocationId"])
    }

    /// What a demand says, as yapapi would write it.
    pub(crate) async fn demand(&self) -> Value {
        let allocation = self.allocate().await;
        let decorations = format!("/payment-api/v1/demandDecorations?allocationIds={allocation}");
        let decorations = self.get(&decorations).await.ok();
        let mut properties = json!({
            "golem.srv.comp.expiration": far(),
            "golem.srv.caps.multi-activity": true,
            "golem.node.debug.subnet": "public",
            "golem.com.payment.chosen-platform": PLATFORM,
            "golem.com.payment.debit-notes.accept-timeout?": 240,
        });
        for property in decorations["properties"].as_array().unwrap() {
            properties[text(&property["key"])] = property["value"].clone();
        }
        let constraints: String = decorations["constraints"]
            .as_array()
            .unwrap()
            .iter()
            .map(text)
            .collect();
        json!({
            "properties": properties,
            "constraints": format!("(&(golem.node.debug.subnet=public)\n\t(golem.runtime.name=vm){constraints})"),
        })
    }

    /// A demand on the market; its id.
    pub(crate) async fn subscribe(&self, demand: &Value) -> String {
        let demands = self.post("/market-api/v1/demands", demand.clone()).await;
        assert_eq!(demands.status, StatusCode::CREATED);
        text(&demands.ok())
    }

    /// The next event about a demand.
    pub(crate) async fn next_event(&self, demand: &str) -> Value {
        let path = format!("/market-api/v1/demands/{demand}/events?timeout=20&maxEvents=1");
        let events = self.get(&path).await.ok();
        events[0].clone()
    }

    /// Counters the next proposal, which answers the provider's with `answer`; the provider's answer to that.
    pub(crate) async fn negotiate(&self, demand: &str, answer: &Value) -> Value {
        let event = self.next_event(demand).await;
        let proposal = text(&event["proposal"]["proposalId"]);
        let path = format!("/market-api/v1/demands/{demand}/proposals/{proposal}");
        self.post(&path, answer.clone()).await.ok();
        self.next_event(demand).await
    }

    /// An agreement of a provider's proposal, which nobody is bound to yet.
    pub(crate) async fn create_agreement(&self, proposal: &Value, valid_to: &str) -> String {
        let new = json!({"proposalId": proposal["proposalId"], "validTo": valid_to});
        text(&self.post("/market-api/v1/agreements", new).await.ok())
    }

    /// An agreement of a provider's proposal, approved.
    pub(crate) async fn bind(&self, proposal: &Value) -> String {
        let agreement = self
            .create_agreement(proposal, "2100-01-01T00:00:00Z")
            .await;
        let path = format!("/market-api/v1/agreements/{agreement}");
        let confirmed = self.post_nothing(&format!("{path}/confirm")).await;
        assert_eq!(confirmed.status, 204, "{confirmed:?}");
        let approved = self.post_nothing(&format!("{path}/wait?timeout=20")).await;
        assert_eq!(approved.status, 204, "{approved:?}");
        agreement
    }

    /// An agreement about a demand, which is not there any more then.
    pub(crate) async fn agree_on(&self, demand: &Value) -> String {
        let id = self.subscribe(demand).await;
        let event = self.negotiate(&id, demand).await;
        let agreement = self.bind(&event["proposal"]).await;
        let path = format!("/market-api/v1/demands/{id}");
        self.delete(&path).await.ok();
        agreement
    }

    pub(crate) async fn create_activity(&self, agreement: &str) -> String {
        let path = "/activity-api/v1/activity?timeout=20";
        text(&self.post(path, json!(agreement)).await.ok())
    }

    pub(crate) async fn terminate(&self, agreement: &str) {
        let path = format!("/market-api/v1/agreements/{agreement}/terminate");
        let reason = json!({"message": "Finished"});
        assert_eq!(self.post(&path, reason).await.status, 200);
    }

    /// The next bill of a kind that is received after a time, and that time.
    pub(crate) async fn next_bill(&self, kind: &str, after: &str) -> (Value, String) {
        let path =
            format!("/payment-api/v1/{kind}Events?timeout=20&maxEvents=1&afterTimestamp={after}");
        let event = self.get(&path).await.ok()[0].clone();
        let id = text(&event[format!("{kind}Id")]);
        let bill = self.get(&format!("/payment-api/v1/{kind}s/{id}")).await;
        (bill.ok(), text(&event["eventDate"]))
    }
}

/// Milliseconds: 20 minutes from now.
pub(crate) fn far() -> i64 {
    chrono::Utc::now().timestamp_millis() + 20 * 60_000
}

pub(crate) fn text(json: &Value) -> String {
    json.as_str()
        .unwrap_or_else(|| panic!("no text: {json}"))
        .to_owned()
}
