//! What a request says: in its path, in its query, in its body. What makes no sense is refused in the API's own shape.

use std::{collections::BTreeSet, time::Duration};

use axum::{
    body::Bytes,
    extract::{FromRequest, FromRequestParts, Path, Query, Request},
    http::{HeaderMap, header::ACCEPT, request::Parts},
};
use chrono::{DateTime, Utc};
use serde::{Deserialize, de::DeserializeOwned};

use super::ApiError;

/// The ids in a path.
pub(super) struct Segments<T>(pub(super) T);

impl<T: DeserializeOwned + Send, S: Send + Sync> FromRequestParts<S> for Segments<T> {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, ApiError> {
        let path = Path::from_request_parts(parts, state).await;
        path.map(|Path(ids)| Self(ids))
            .map_err(ApiError::bad_request)
    }
}

/// A query's parameters.
pub(super) struct Parameters<T>(pub(super) T);

impl<T: DeserializeOwned, S: Send + Sync> FromRequestParts<S> for Parameters<T> {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, ApiError> {
        let query = Query::from_request_parts(parts, state).await;
        query
            .map(|Query(parameters)| Self(parameters))
            .map_err(|error| ApiError::bad_request(error.body_text()))
    }
}

/// A JSON body, whatever it is declared as. An empty one is `null`.
pub(super) struct Body<T>(pub(super) T);

impl<T: DeserializeOwned, S: Send + Sync> FromRequest<S> for Body<T> {
    type Rejection = ApiError;

    async fn from_request(request: Request, state: &S) -> Result<Self, ApiError> {
        let bytes = Bytes::from_request(request, state).await;
        let bytes = bytes.map_err(|error| ApiError::bad_request(error.body_text()))?;
        let json = match bytes.as_ref() {
            b"" => b"null",
            json => json,
        };
        let read = serde_json::from_slice(json);
        read.map(Self).map_err(|error| {
            ApiError::bad_request(format_args!("the body makes no sense: {error}"))
        })
    }
}

/// Whether a client asks for a stream of events rather than for a list.
pub(super) fn wants_stream(headers: &HeaderMap) -> bool {
    let accept = headers.get(ACCEPT).and_then(|value| value.to_str().ok());
    accept.is_some_and(|accept| accept.contains("text/event-stream"))
}

/// What a header names, with commas between; nothing if it is not there.
pub(super) fn listed(headers: &HeaderMap, header: &str) -> Option<BTreeSet<String>> {
    headers.contains_key(header).then(|| {
        let lists = headers.get_all(header).iter();
        let names = lists.flat_map(|list| list.as_bytes().split(|byte| *byte == b','));
        let name = |name: &[u8]| String::from_utf8_lossy(name.trim_ascii()).into_owned();
        names.map(name).collect()
    })
}

/// How long to wait, in seconds.
#[derive(Debug, Deserialize)]
pub(super) struct Timeout {
    timeout: Option<f64>,
}

/// How long anybody waits at most.
const LONGEST: f64 = 3600.0;

/// How long whoever does not say waits for events.
pub(super) const EVENTS: Duration = Duration::from_secs(5);

impl Timeout {
    /// The time, or another if there is none.
    pub(super) fn or(&self, default: Duration) -> Duration {
        self.timeout.map_or(default, seconds)
    }
}

/// Which events to wait for, and how long.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct EventsAfter {
    timeout: Option<f64>,
    pub(super) after_timestamp: Option<DateTime<Utc>>,
    max_events: Option<usize>,
    pub(super) app_session_id: Option<String>,
}

impl EventsAfter {
    /// How long to wait.
    pub(super) fn timeout(&self) -> Duration {
        self.timeout.map_or(EVENTS, seconds)
    }

    /// After when.
    pub(super) fn after(&self) -> DateTime<Utc> {
        self.after_timestamp.unwrap_or(DateTime::UNIX_EPOCH)
    }

    /// How many.
    pub(super) fn at_most(&self) -> usize {
        at_most(self.max_events)
    }
}

/// How many events one answer has, if it is not said.
const MANY: usize = 100;

/// How many events to answer with.
pub(super) fn at_most(wanted: Option<usize>) -> usize {
    wanted.unwrap_or(MANY).clamp(1, MANY)
}

fn seconds(seconds: f64) -> Duration {
    // A comparison with what is no number is false.
    match seconds > 0.0 {
        true => Duration::from_secs_f64(seconds.min(LONGEST)),
        false => Duration::ZERO,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nobody_waits_for_nonsense() {
        let waits = |timeout| Timeout { timeout }.or(EVENTS);
        for (timeout, waited) in [
            (None, EVENTS),
            (Some(0.0), Duration::ZERO),
            (Some(1.5), Duration::from_millis(1500)),
            (Some(-1.0), Duration::ZERO),
            (Some(f64::NAN), Duration::ZERO),
            (Some(f64::INFINITY), Duration::from_secs(3600)),
        ] {
            assert_eq!(waits(timeout), waited, "{timeout:?}");
        }
    }
}
