//! Whether an answer is as it was recorded.

use serde_json::Value;

use super::recording::Request;
use crate::{
    requestor::Answer,
    shape::{Difference, differences},
};

/// How an answer is not as it was recorded.
pub(super) type Problems = Vec<Difference>;

/// The differences in status and content type.
pub(super) fn head(request: &Request, answer: &Answer) -> Problems {
    head_of(request, answer.status, &answer.content_type)
}

pub(super) fn head_of(request: &Request, status: u16, content_type: &str) -> Problems {
    let pairs = [
        ("status", request.status.to_string(), status.to_string()),
        (
            "content type",
            request.content_type.clone(),
            content_type.to_owned(),
        ),
    ];
    let differing = pairs
        .into_iter()
        .filter(|(_, recorded, found)| recorded != found);
    let difference = |(place, recorded, found): (&str, String, String)| Difference {
        place: place.to_owned(),
        what: format!("{found}, recorded was {recorded}"),
    };
    differing.map(difference).collect()
}

pub(super) fn compare(request: &Request, answer: &Answer, recorded: &Value) -> Problems {
    let problems = head(request, answer);
    if !problems.is_empty() || request.content_type.is_empty() {
        return problems;
    }
    let mut recorded = recorded.clone();
    let found = answer.json();
    go_on(&mut recorded, &found);
    differences(&recorded, &found)
}

/// What has gone on further than it had when it was recorded is as good.
fn go_on(recorded: &mut Value, found: &Value) {
    const STATES: [&str; 6] = [
        "New",
        "Initialized",
        "Deployed",
        "Ready",
        "Terminated",
        "Unresponsive",
    ];
    let stage = |value: &Value| STATES.iter().position(|state| value["state"][0] == *state);
    if stage(found) >= stage(recorded) && stage(recorded) < Some(4) && stage(recorded).is_some() {
        recorded["state"] = found["state"].clone();
    }
    if found["currentUsage"].is_array() && recorded.get("timestamp").is_some() {
        recorded["currentUsage"] = found["currentUsage"].clone();
    }
    if recorded["status"] == "ACCEPTED" && found["status"] == "SETTLED" {
        recorded["status"] = found["status"].clone();
    }
}
