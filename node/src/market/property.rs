//! The properties of demands and offers.

use std::collections::BTreeMap;

use serde_json::Value;

/// Properties by their full names.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct Properties(BTreeMap<String, Value>);

/// Why a JSON value holds no properties.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
#[error("properties must be a JSON object")]
pub(crate) struct PropertyError;

/// How a property or a constraint says that a text is to be read, by a suffix of the name: `golem.runtime.version@v`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    /// `d`: a decimal number.
    Decimal,
    /// `v`: a version, as in semantic versioning.
    Version,
    /// `t`: a time, as in RFC 3339.
    Time,
}

impl Kind {
    /// Splits a name from its suffix, if it has one.
    pub(super) fn split(name: &str, mark: char) -> (&str, Option<Self>) {
        let suffixed = name.rsplit_once(mark).and_then(|(base, suffix)| {
            let kind = match suffix {
                "d" => Self::Decimal,
                "v" => Self::Version,
                "t" => Self::Time,
                _ => return None,
            };
            Some((base, Some(kind)))
        });
        suffixed.unwrap_or((name, None))
    }
}

impl Properties {
    /// Reads a JSON object: flat (`{"golem.inf.mem.gib": 4.0}`), nested (`{"golem": {"inf": …}}`), or mixed.
    pub(crate) fn from_json(json: &Value) -> Result<Self, PropertyError> {
        let object = json.as_object().ok_or(PropertyError)?;
        let mut properties = Self::default();
        for (name, value) in object {
            properties.flatten(name, value);
        }
        Ok(properties)
    }

    fn flatten(&mut self, name: &str, value: &Value) {
        match value {
            Value::Object(object) if !object.is_empty() => {
                for (part, value) in object {
                    self.flatten(&format!("{name}.{part}"), value);
                }
            }
            leaf => {
                self.0.insert(name.to_owned(), leaf.clone());
            }
        }
    }

    /// The flat JSON object.
    pub(crate) fn to_json(&self) -> Value {
        self.0
            .iter()
            .map(|(name, value)| (name.clone(), value.clone()))
            .collect()
    }

    /// Adds other properties, in place of those of the same names.
    pub(crate) fn extend(&mut self, others: &Self) {
        let others = others.0.iter();
        self.0
            .extend(others.map(|(name, value)| (name.clone(), value.clone())));
    }

    pub(crate) fn get(&self, name: &str) -> Option<&Value> {
        self.0.get(name)
    }

    /// All of them, by their names as they are written, in their order.
    pub(super) fn iter(&self) -> impl Iterator<Item = (&str, &Value)> {
        self.0.iter().map(|(name, value)| (name.as_str(), value))
    }

    /// The property of that name, and how its name says that it is to be read.
    pub(super) fn typed(&self, name: &str) -> Option<(&Value, Option<Kind>)> {
        if let Some(value) = self.0.get(name) {
            return Some((value, None));
        }
        let suffixed = format!("{name}@");
        let (found, value) = self.0.range(suffixed.clone()..).next()?;
        let kind = Kind::split(found, '@').1?;
        (found.len() == suffixed.len() + 1 && found.starts_with(&suffixed))
            .then_some((value, Some(kind)))
    }

    /// The property as a text.
    pub(crate) fn text(&self, name: &str) -> Option<&str> {
        self.get(name)?.as_str()
    }

    /// The property as a number; a text that shows one counts.
    pub(crate) fn number(&self, name: &str) -> Option<f64> {
        match self.get(name)? {
            Value::Number(number) => number.as_f64(),
            Value::String(text) => text.parse().ok(),
            _ => None,
        }
    }

    pub(crate) fn set(&mut self, name: impl Into<String>, value: impl Into<Value>) {
        self.0.insert(name.into(), value.into());
    }

    pub(crate) fn remove(&mut self, name: &str) {
        self.0.remove(name);
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn flat_nested_and_mixed_objects_mean_the_same() {
        let flat = json!({"golem.com.scheme": "payu", "golem.com.scheme.payu": {}, "golem.inf.mem.gib": 4.0});
        for same in [
            json!({"golem": {"com.scheme": "payu", "com": {"scheme.payu": {}}, "inf": {"mem": {"gib": 4.0}}}}),
            json!({"golem.com": {"scheme": "payu", "scheme.payu": {}}, "golem.inf": {"mem.gib": 4.0}}),
            flat.clone(),
        ] {
            assert_eq!(Properties::from_json(&same).unwrap().to_json(), flat);
        }
    }

    #[test]
    fn only_an_object_has_properties() {
        for json in [json!(null), json!([]), json!("x")] {
            assert_eq!(Properties::from_json(&json), Err(PropertyError));
        }
    }

    #[test]
    fn a_suffix_types_a_property() {
        let json = json!({"a@v": "1.2", "b": "1", "c@x": 1, "d@vv": 1, "e.f@t": "…"});
        let properties = Properties::from_json(&json).unwrap();
        for (name, kind) in [
            ("a", Some(Some(Kind::Version))),
            ("b", Some(None)),
            ("c", None),
            ("d", None),
            ("e.f", Some(Some(Kind::Time))),
            ("e", None),
        ] {
            assert_eq!(properties.typed(name).map(|(_, kind)| kind), kind, "{name}");
        }
    }
}
