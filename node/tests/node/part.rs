//! What only the tests do that play an exe-unit, or whoever wants one.

use exeunit::gsb::{
    CallError, CallReply, CallReplyCode, CallReplyType, PacketKind, decode, encode,
    message::{Message, SetState, SetUsage},
};
use reqwest::Method;
use serde::Serialize;
use serde_json::{Value, json};

use crate::{
    peer::Peer,
    requestor::{Answer, Requestor},
};

impl Requestor {
    pub(crate) async fn put(&self, path: &str, body: Value) -> Answer {
        Self::send(self.request(Method::PUT, path).json(&body)).await
    }

    /// A demand, what comes of it, and the agreement.
    pub(crate) async fn agree(&self) -> String {
        self.agree_on(&self.demand().await).await
    }
}

impl Peer {
    /// Reports a state, such as `Ready`, or `["Ready","Ready"]` as JSON.
    pub(crate) async fn report_state(&mut self, activity: &str, state: &str) {
        let pair = serde_json::from_str(state).unwrap_or_else(|_| json!([state, null]));
        let report: SetState =
            serde_json::from_value(json!({"activityId": activity, "state": {"state": pair}}))
                .unwrap();
        self.call("/local/activity", &report).await.unwrap();
    }

    pub(crate) async fn report_usage(&mut self, activity: &str, usage: [f64; 2]) {
        let usage = json!({"currentUsage": usage, "timestamp": 1});
        let report: SetUsage =
            serde_json::from_value(json!({"activityId": activity, "usage": usage})).unwrap();
        self.call("/local/activity", &report).await.unwrap();
    }

    /// The next call to this peer, which must be of a kind.
    pub(crate) async fn called<M: Message>(&mut self) -> (M, String) {
        let PacketKind::CallRequest(call) = self.receive().await else {
            panic!("no call");
        };
        assert!(call.address.ends_with(M::NAME), "{}", call.address);
        (decode(&call.data).unwrap(), call.request_id)
    }

    /// Answers a call, for good or with one more part of the answer.
    pub(crate) async fn answer<T: Serialize>(
        &mut self,
        request_id: &str,
        reply_type: CallReplyType,
        answer: Result<T, CallError>,
    ) {
        self.send(PacketKind::CallReply(CallReply {
            request_id: request_id.to_owned(),
            code: CallReplyCode::Ok.into(),
            reply_type: reply_type.into(),
            data: encode(&answer).unwrap(),
        }))
        .await;
    }
}
