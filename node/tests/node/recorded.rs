//! Whether an answer is like a recorded one.

use serde::Deserialize;
use serde_json::Value;

use crate::{requestor::Answer, shape::differences};

/// An answer that a yagna daemon gave to an unmodified client.
#[derive(Clone, Debug, Deserialize)]
pub(crate) struct Recorded {
    name: String,
    client: String,
    method: String,
    path: String,
    status: u16,
    content_type: String,
    response: String,
}

/// The recording of that name.
pub(crate) fn recorded(name: &str) -> Recorded {
    include_str!("recorded.jsonl")
        .lines()
        .map(|line| serde_json::from_str::<Recorded>(line).unwrap())
        .find(|recorded| recorded.name == name)
        .unwrap_or_else(|| panic!("nothing is recorded as {name}"))
}

/// Panics unless an answer has the status, the content type and the shape of the recording of that name.
pub(crate) fn check(name: &str, answer: &Answer) {
    let recorded = recorded(name);
    let context = format!(
        "{name} ({} {}, to {}): {answer:?}",
        recorded.method, recorded.path, recorded.client
    );
    assert_eq!(answer.status, recorded.status, "{context}");
    assert_eq!(answer.content_type, recorded.content_type, "{context}");
    if recorded.content_type != "application/json" {
        return;
    }
    let expected: Value = serde_json::from_str(&recorded.response).unwrap();
    let differences = differences(&expected, &answer.json());
    assert!(differences.is_empty(), "{differences:?}; {context}");
}
