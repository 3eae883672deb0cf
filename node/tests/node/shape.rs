//! Whether an answer has the shape of a recorded one.

use chrono::DateTime;
use serde::Deserialize;
use serde_json::Value;

use crate::requestor::Answer;

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
    if let Err(difference) = same(&expected, &answer.json(), "") {
        panic!("{difference}; {context}");
    }
}

/// Whether two JSON values differ in no more than what differs from run to run.
fn same(expected: &Value, found: &Value, place: &str) -> Result<(), String> {
    let differs = || Err(format!("{place} is {found}, recorded was {expected}"));
    match (expected, found) {
        (Value::Object(expected), Value::Object(found)) => {
            // What a demand or an offer says is its own.
            if place.ends_with(".properties") && !expected.is_empty() {
                return Ok(());
            }
            let names = |object: &serde_json::Map<String, Value>| {
                object.keys().cloned().collect::<Vec<_>>().join(" ")
            };
            if names(expected) != names(found) {
                return Err(format!(
                    "{place} has {}, recorded were {}",
                    names(found),
                    names(expected)
                ));
            }
            expected.iter().try_for_each(|(name, expected)| {
                same(expected, &found[name], &format!("{place}.{name}"))
            })
        }
        (Value::Array(expected), Value::Array(found)) => match (expected.first(), found.first()) {
            (Some(expected), Some(found)) => same(expected, found, &format!("{place}[0]")),
            (None, None) => Ok(()),
            _ => differs(),
        },
        (Value::String(expected), Value::String(found)) if kind(expected) == kind(found) => Ok(()),
        (Value::Number(expected), Value::Number(found)) if expected.is_f64() == found.is_f64() => {
            Ok(())
        }
        (Value::Bool(_), Value::Bool(_)) | (Value::Null, Value::Null) => Ok(()),
        _ => differs(),
    }
}

/// What a text is: a time with so many digits, an amount with so many, an id of some form, or just a text.
fn kind(text: &str) -> String {
    let digits = |text: &str| {
        text.split_once('.')
            .map_or(0, |(_, fraction)| fraction.trim_end_matches('Z').len())
    };
    let hex = |text: &str| text.chars().all(|sign| sign.is_ascii_hexdigit());
    if text.ends_with('Z') && DateTime::parse_from_rfc3339(text).is_ok() {
        // Nanoseconds, or microseconds, that end in zeros are written shorter.
        return match digits(text) {
            0..=3 => "a time in milliseconds".to_owned(),
            _ => "a finer time".to_owned(),
        };
    }
    if text
        .chars()
        .all(|sign| sign.is_ascii_digit() || sign == '.')
        && !text.is_empty()
    {
        return format!("an amount with {} places", digits(text));
    }
    if let Some(id) = text.strip_prefix("0x").filter(|id| hex(id)) {
        return format!("a node's id of {} digits", id.len());
    }
    let (prefix, id) = text.split_at(text.find('-').map_or(0, |dash| dash + 1));
    if id.len() >= 32 && hex(id) {
        return format!("an id of {} and {} digits", prefix.len(), id.len());
    }
    "a text".to_owned()
}
