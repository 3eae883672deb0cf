//! What is called otherwise here: ids, and times.

use std::collections::BTreeMap;

use chrono::{DateTime, SecondsFormat, TimeDelta, Utc};
use serde_json::Value;

/// From a recording to its replay.
#[derive(Debug)]
pub(super) struct Translation {
    texts: BTreeMap<String, String>,
    times: BTreeMap<DateTime<Utc>, String>,
    /// What bills are of: what is accepted is that. By their bits, as amounts can be written in more than one way.
    amounts: BTreeMap<u64, String>,
    /// How much later the replay is.
    later: TimeDelta,
    /// Of each kind of events, the time of the last that was seen; before there are any, when the replay began.
    seen: BTreeMap<String, String>,
    began: String,
    /// What all demands ask for here.
    package: String,
}

/// What a demand says of its image.
const PACKAGE: &str = "golem.srv.comp.task_package";

impl Translation {
    /// `recorded` is any time at the recording's beginning.
    pub(super) fn new(recorded: DateTime<Utc>, package: String) -> Self {
        let began = Utc::now() - TimeDelta::seconds(1);
        // In milliseconds, so that times have as many places as they had.
        let later = TimeDelta::milliseconds((began - recorded).num_milliseconds());
        Self {
            texts: BTreeMap::new(),
            times: BTreeMap::new(),
            amounts: BTreeMap::new(),
            later,
            seen: BTreeMap::new(),
            began: written(began),
            package,
        }
    }

    /// Learns what corresponds to what from an answer.
    pub(super) fn learn(&mut self, recorded: &Value, found: &Value) {
        match (recorded, found) {
            (Value::Object(recorded), Value::Object(found)) => {
                let own = |name: &str| name == "properties" || name == "stdout";
                for (name, value) in recorded.iter().filter(|(name, _)| !own(name)) {
                    if let Some(found) = found.get(name) {
                        self.learn(value, found);
                        self.learn_amount(name, value, found);
                    }
                }
            }
            (Value::Array(recorded), Value::Array(found)) => {
                for (recorded, found) in recorded.iter().zip(found) {
                    self.learn(recorded, found);
                }
            }
            (Value::String(recorded), Value::String(found)) => {
                if let Some(time) = time(recorded) {
                    self.times.entry(time).or_insert_with(|| found.clone());
                } else if recorded.len() >= 20 && !recorded.contains([' ', '=']) {
                    let texts = self.texts.entry(recorded.clone());
                    texts.or_insert_with(|| found.clone());
                }
            }
            _ => {}
        }
    }

    fn learn_amount(&mut self, name: &str, recorded: &Value, found: &Value) {
        let is_amount = name == "amount" || name == "totalAmountDue";
        let recorded = recorded.as_str().and_then(bits).filter(|_| is_amount);
        if let (Some(recorded), Some(found)) = (recorded, found.as_str()) {
            self.amounts.insert(recorded, found.to_owned());
        }
    }

    /// Notes the time of an event, for whoever asks for those after it.
    pub(super) fn saw(&mut self, path: &str, event: &Value) {
        if let Some(time) = event["eventDate"].as_str() {
            let path = path.split('?').next().unwrap_or_default();
            self.seen.insert(path.to_owned(), time.to_owned());
        }
    }

    /// A path with its query.
    pub(super) fn path(&self, path: &str) -> String {
        let Some((before, after)) = path.split_once("afterTimestamp=") else {
            return self.text(path);
        };
        let (recorded, rest) = after.split_at(after.find('&').unwrap_or(after.len()));
        let recorded = recorded.replace("%3A", ":").replace("%2B", "+");
        let kind = before.split('?').next().unwrap_or_default();
        let known = time(&recorded).and_then(|time| self.times.get(&time));
        let time = known.or_else(|| self.seen.get(kind)).unwrap_or(&self.began);
        format!("{}afterTimestamp={time}{rest}", self.text(before))
    }

    /// A body.
    pub(super) fn body(&self, body: &str) -> Value {
        let mut body: Value = serde_json::from_str(&self.text(body)).unwrap();
        self.shift(&mut body);
        let accepted = body["totalAmountAccepted"].as_str().and_then(bits);
        if let Some(amount) = accepted.and_then(|amount| self.amounts.get(&amount)) {
            body["totalAmountAccepted"] = Value::from(amount.clone());
        }
        if let Some(properties) = body.get_mut("properties") {
            // An offer says nothing of images.
            if properties.get("golem.srv.comp.expiration").is_some() {
                properties[PACKAGE] = Value::from(self.package.clone());
            }
        }
        body
    }

    /// A text with ids in it.
    pub(super) fn text(&self, text: &str) -> String {
        let mut translated = text.to_owned();
        for (recorded, found) in &self.texts {
            translated = translated.replace(recorded, found);
        }
        translated
    }

    /// Times in it become as much later as the replay is.
    fn shift(&self, value: &mut Value) {
        /// Milliseconds: a time of this century.
        const TIMES: i64 = 1_000_000_000_000;
        match value {
            Value::Object(object) => object.values_mut().for_each(|value| self.shift(value)),
            Value::Array(array) => array.iter_mut().for_each(|value| self.shift(value)),
            Value::String(text) => {
                if let Some(time) = time(text) {
                    *text = written(time + self.later);
                }
            }
            Value::Number(number) => {
                if let Some(time) = number.as_i64().filter(|number| *number > TIMES) {
                    *value = Value::from(time + self.later.num_milliseconds());
                }
            }
            Value::Null | Value::Bool(_) => {}
        }
    }
}

fn bits(amount: &str) -> Option<u64> {
    Some(amount.parse::<f64>().ok()?.to_bits())
}

fn time(text: &str) -> Option<DateTime<Utc>> {
    let time = DateTime::parse_from_rfc3339(text).ok()?;
    Some(time.with_timezone(&Utc))
}

fn written(time: DateTime<Utc>) -> String {
    time.to_rfc3339_opts(SecondsFormat::AutoSi, true)
}
