//! Server-sent events.

use futures::StreamExt;
use serde_json::Value;
use tokio::time::{Instant, timeout_at};

/// An event: what its lines begin with, and what it says.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Event {
    pub(super) fields: Vec<String>,
    pub(super) data: Value,
}

/// The events in a text that ends with a whole one. Comments are none.
pub(super) fn events(text: &str) -> Vec<Event> {
    text.split("\n\n").filter_map(event).collect()
}

fn event(text: &str) -> Option<Event> {
    let lines = text.lines().filter_map(|line| line.split_once(':'));
    let lines: Vec<_> = lines.filter(|(field, _)| !field.is_empty()).collect();
    let (_, data) = lines.iter().find(|(field, _)| *field == "data")?;
    Some(Event {
        fields: lines.iter().map(|(field, _)| (*field).to_owned()).collect(),
        data: serde_json::from_str(data).ok()?,
    })
}

/// Reads until `is_enough` says so of all events, or until a time.
pub(super) async fn read(
    response: reqwest::Response,
    deadline: Instant,
    is_enough: impl Fn(&[Event]) -> bool,
) -> Vec<Event> {
    let mut body = response.bytes_stream();
    let mut text = String::new();
    loop {
        let whole = text.rfind("\n\n").map_or(0, |end| end + 2);
        let events = events(&text[..whole]);
        if is_enough(&events) {
            return events;
        }
        match timeout_at(deadline, body.next()).await {
            Ok(Some(Ok(bytes))) => text += &String::from_utf8_lossy(&bytes),
            _ => return events,
        }
    }
}
