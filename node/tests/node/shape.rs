//! Whether JSON has the shape of other JSON.

use std::collections::BTreeSet;

use chrono::DateTime;
use serde_json::{Map, Value};

/// In what two JSON values differ that does not differ from run to run.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Difference {
    /// Such as `[0].proposal.state`.
    pub(crate) place: String,
    /// What is there, and what was expected.
    pub(crate) what: String,
}

/// The differences between two JSON values.
pub(crate) fn differences(expected: &Value, found: &Value) -> Vec<Difference> {
    let mut differences = Vec::new();
    compare(expected, found, "", &mut differences);
    differences
}

fn compare(expected: &Value, found: &Value, place: &str, differences: &mut Vec<Difference>) {
    let is_same = match (expected, found) {
        (Value::Object(expected), Value::Object(found)) => {
            return compare_objects(expected, found, place, differences);
        }
        (Value::Array(expected), Value::Array(found)) if expected.len() == found.len() => {
            for (index, (expected, found)) in expected.iter().zip(found).enumerate() {
                compare(expected, found, &format!("{place}[{index}]"), differences);
            }
            return;
        }
        (Value::String(expected), Value::String(found)) => {
            let word = place.rsplit('.').next().unwrap_or_default();
            match WORDS.contains(&word) {
                true => expected == found,
                false => kind(expected) == kind(found),
            }
        }
        (Value::Number(expected), Value::Number(found)) => expected.is_f64() == found.is_f64(),
        (Value::Bool(_), Value::Bool(_)) | (Value::Null, Value::Null) => true,
        _ => false,
    };
    if !is_same {
        differences.push(Difference {
            place: place.to_owned(),
            what: format!("{found}, recorded was {expected}"),
        });
    }
}

/// Where a text is one of a few words, which must be the same.
const WORDS: [&str; 6] = [
    "eventType",
    "result",
    "role",
    "status",
    "stderr",
    "terminator",
];

fn compare_objects(
    expected: &Map<String, Value>,
    found: &Map<String, Value>,
    place: &str,
    differences: &mut Vec<Difference>,
) {
    // What a demand or an offer says is its own.
    if place.ends_with(".properties") && !expected.is_empty() {
        return;
    }
    let names: BTreeSet<_> = expected.keys().chain(found.keys()).collect();
    for name in names {
        let place = format!("{place}.{name}");
        match (expected.get(name), found.get(name)) {
            (Some(expected), Some(found)) => compare(expected, found, &place, differences),
            (expected, found) => differences.push(Difference {
                place,
                what: match (expected, found) {
                    (Some(expected), None) => format!("missing, recorded was {expected}"),
                    _ => format!("{}, recorded was nothing", found.unwrap_or(&Value::Null)),
                },
            }),
        }
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
        return match prefix.len() {
            // A proposal's says who looks at it.
            ..=2 => format!("an id `{prefix}` of {} digits", id.len()),
            digits => format!("an id of {digits} and {} digits", id.len()),
        };
    }
    "a text".to_owned()
}

#[test]
fn a_proposal_differs_by_who_looks_at_it() {
    let differ = |expected: &str, found: &str| {
        let id = "0a".repeat(32);
        let [expected, found] =
            [expected, found].map(|prefix| Value::from(format!("{prefix}{id}")));
        !differences(&expected, &found).is_empty()
    };
    assert!(differ("R-", "P-"));
    assert!(differ("R-", ""));
    assert!(!differ("R-", "R-"));
    // Before a subscription's stands another number.
    let other = |sign: &str| format!("{}-", sign.repeat(32));
    assert!(!differ(&other("1"), &other("2")));
}
