//! Whether a demand and an offer suit each other.

use std::sync::Arc;

use chrono::{DateTime, FixedOffset};
use rust_decimal::Decimal;
use semver::Version;
use serde::{Deserialize, Deserializer, Serialize, Serializer, de::Error as _};
use serde_json::Value;

use super::{
    constraint::{Attribute, Constraint, ConstraintError, Operator},
    property::{Kind, Properties, PropertyError},
};

/// What one side says of itself, and what it asks of the other.
#[derive(Clone, Debug)]
pub(crate) struct Terms {
    /// What it says of itself.
    pub(crate) properties: Arc<Properties>,
    /// What it asks of the other.
    pub(crate) constraint: Arc<Constraint>,
    /// The same, as it was written.
    pub(crate) constraints: Arc<str>,
}

/// Why there are no such terms.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum TermsError {
    /// The properties are none.
    #[error(transparent)]
    Properties(#[from] PropertyError),
    /// The constraints are none.
    #[error(transparent)]
    Constraints(#[from] ConstraintError),
}

impl Terms {
    /// Reads properties and constraints.
    pub(crate) fn new(properties: &Value, constraints: &str) -> Result<Self, TermsError> {
        Ok(Self {
            properties: Arc::new(Properties::from_json(properties)?),
            constraint: Arc::new(Constraint::parse(constraints)?),
            constraints: constraints.into(),
        })
    }

    /// The same constraints with other properties.
    pub(crate) fn with_properties(&self, properties: Properties) -> Self {
        Self {
            properties: Arc::new(properties),
            ..self.clone()
        }
    }

    /// Whether either side gets what it asks for.
    pub(crate) fn suit(&self, other: &Self) -> bool {
        let gets = |one: &Self, other: &Self| one.constraint.verdict(&other.properties);
        gets(self, other) == Verdict::True && gets(other, self) == Verdict::True
    }
}

/// Terms as they are written down.
#[derive(Serialize, Deserialize)]
struct Written<P, C> {
    properties: P,
    constraints: C,
}

impl Serialize for Terms {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let written = Written {
            properties: self.properties.to_json(),
            constraints: &*self.constraints,
        };
        written.serialize(serializer)
    }
}

impl<'de> Deserialize<'de> for Terms {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let written = Written::<Value, String>::deserialize(deserializer)?;
        Self::new(&written.properties, &written.constraints).map_err(D::Error::custom)
    }
}

/// Whether `constraint` can be said to hold for something with certain properties.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Verdict {
    /// It holds.
    True,
    /// It does not.
    False,
    /// It is about a property that is not there.
    Undefined,
}

impl Constraint {
    /// Whether this holds for something with `properties`.
    pub(crate) fn verdict(&self, properties: &Properties) -> Verdict {
        match self {
            Self::All(parts) => Verdict::first_of(Verdict::False, Verdict::True, parts, properties),
            Self::Any(parts) => Verdict::first_of(Verdict::True, Verdict::False, parts, properties),
            Self::Not(part) => match part.verdict(properties) {
                Verdict::True => Verdict::False,
                Verdict::False => Verdict::True,
                Verdict::Undefined => Verdict::Undefined,
            },
            // No property has aspects here.
            Self::Present(attribute) => Verdict::from(
                attribute.aspect.is_none() && properties.typed(&attribute.name).is_some(),
            ),
            Self::Compare {
                attribute,
                operator,
                value,
            } => compare(properties, attribute, *operator, value),
        }
    }
}

impl Verdict {
    /// `deciding` if one of the parts is so, else `Undefined` if one is, else `other`.
    fn first_of(
        deciding: Self,
        other: Self,
        parts: &[Constraint],
        properties: &Properties,
    ) -> Self {
        let mut verdict = other;
        for part in parts {
            match part.verdict(properties) {
                part if part == deciding => return deciding,
                Self::Undefined => verdict = Self::Undefined,
                _ => {}
            }
        }
        verdict
    }
}

impl From<bool> for Verdict {
    fn from(holds: bool) -> Self {
        if holds { Self::True } else { Self::False }
    }
}

fn compare(
    properties: &Properties,
    attribute: &Attribute,
    operator: Operator,
    wanted: &str,
) -> Verdict {
    match properties.typed(&attribute.name) {
        Some((value, kind)) if attribute.aspect.is_none() => {
            holds(value, attribute.kind.or(kind), operator, wanted).into()
        }
        _ => Verdict::Undefined,
    }
}

/// Whether `value operator wanted` holds; it does not where they are of different types.
fn holds(value: &Value, kind: Option<Kind>, operator: Operator, wanted: &str) -> bool {
    match (kind, value) {
        (Some(Kind::Decimal), Value::Number(number)) => {
            ordered::<Decimal>(&number.to_string(), operator, wanted)
        }
        (Some(kind), Value::String(text)) => match kind {
            Kind::Decimal => ordered::<Decimal>(text, operator, wanted),
            Kind::Version => ordered_by(version, text, operator, wanted),
            Kind::Time => ordered_by(time, text, operator, wanted),
        },
        (Some(_), _) => false,
        (None, Value::String(text)) if operator == Operator::Equal => suits(text, wanted),
        (None, Value::String(text)) => operator.holds(text.as_str(), wanted),
        (None, Value::Number(number)) => {
            let pair = number.as_f64().zip(wanted.parse().ok());
            pair.is_some_and(|(value, wanted)| operator.holds(value, wanted))
        }
        (None, Value::Bool(flag)) => {
            operator == Operator::Equal && wanted.parse().is_ok_and(|wanted: bool| *flag == wanted)
        }
        (None, Value::Array(list)) => operator == Operator::Equal && list_holds(list, wanted),
        (None, Value::Null | Value::Object(_)) => false,
    }
}

/// Whether a list has a member, or, where `wanted` is a list too (`[a,b]`), just those members.
fn list_holds(list: &[Value], wanted: &str) -> bool {
    let has = |wanted: &str| {
        list.iter()
            .any(|value| holds(value, None, Operator::Equal, wanted))
    };
    match wanted
        .strip_prefix('[')
        .and_then(|list| list.strip_suffix(']'))
    {
        None => has(wanted),
        Some("") => list.is_empty(),
        Some(members) => {
            let members: Vec<_> = members.split(',').map(str::trim).collect();
            let is_one = |value: &Value| {
                let is = |member: &&str| holds(value, None, Operator::Equal, member);
                members.iter().any(is)
            };
            members.len() == list.len()
                && members.iter().all(|member| has(member))
                && list.iter().all(is_one)
        }
    }
}

/// Whether `text` is as `pattern` says, where `*` stands for any text.
fn suits(text: &str, pattern: &str) -> bool {
    let Some((first, rest)) = pattern.split_once('*') else {
        return text == pattern;
    };
    let Some(mut text) = text.strip_prefix(first) else {
        return false;
    };
    let mut pieces: Vec<_> = rest.split('*').collect();
    let last = pieces.pop().unwrap_or_default();
    for piece in pieces {
        let Some(found) = text.find(piece) else {
            return false;
        };
        text = &text[found + piece.len()..];
    }
    text.ends_with(last)
}

impl Operator {
    fn holds<T: PartialOrd>(self, left: T, right: T) -> bool {
        match self {
            Self::Equal => left == right,
            Self::Less => left < right,
            Self::LessOrEqual => left <= right,
            Self::Greater => left > right,
            Self::GreaterOrEqual => left >= right,
        }
    }
}

fn ordered<T: PartialOrd + std::str::FromStr>(left: &str, operator: Operator, right: &str) -> bool {
    ordered_by(|text| text.parse::<T>().ok(), left, operator, right)
}

fn ordered_by<T: PartialOrd>(
    read: impl Fn(&str) -> Option<T>,
    left: &str,
    operator: Operator,
    right: &str,
) -> bool {
    read(left)
        .zip(read(right))
        .is_some_and(|(left, right)| operator.holds(left, right))
}

/// A version, where `1` and `1.2` mean `1.0.0` and `1.2.0`.
fn version(text: &str) -> Option<Version> {
    let missing = 2usize.saturating_sub(text.matches('.').count());
    Version::parse(text)
        .or_else(|_| Version::parse(&format!("{text}{}", ".0".repeat(missing))))
        .ok()
}

fn time(text: &str) -> Option<DateTime<FixedOffset>> {
    DateTime::parse_from_rfc3339(text).ok()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::json;

    use super::*;

    fn verdict(properties: &Value, constraint: &str) -> Verdict {
        let properties = Properties::from_json(properties).unwrap();
        Constraint::parse(constraint).unwrap().verdict(&properties)
    }

    #[test]
    fn constraints_hold_or_not() {
        use Verdict::{False, True, Undefined};
        let properties = json!({
            "text": "Golem network", "number": 4.0, "whole": 3, "flag": true, "list": ["vpn", "inet"],
            "numbers": [1, 2.5], "none": [], "nothing": null, "empty": {}, "amount": "0.10",
            "version": "1.10.0", "short@v": "2.1", "time": "2026-11-20T10:00:00+01:00", "looks": "12",
        });
        for (constraint, expected) in [
            ("()", True),
            ("(text=Golem network)", True),
            ("(text=golem network)", False),
            ("(text=Gol*)", True),
            ("(text=*net*)", True),
            ("(text=*work)", True),
            ("(text=G*l*work)", True),
            ("(text=*x*)", False),
            ("(text=Golem*network*x)", False),
            ("(text>Golem)", True),
            ("(text<Golem)", False),
            ("(looks>5)", False),
            ("(number=4)", True),
            ("(number>=4.0)", True),
            ("(number>4)", False),
            ("(number<1e1)", True),
            ("(number=four)", False),
            ("(whole<=3)", True),
            ("(flag=true)", True),
            ("(flag=false)", False),
            ("(flag>false)", False),
            ("(list=vpn)", True),
            ("(list=v*)", True),
            ("(list=gpu)", False),
            ("(list=[inet,vpn])", True),
            ("(list=[inet, vpn])", True),
            ("(list=[vpn])", False),
            ("(list=[vpn,vpn])", False),
            ("(list>vpn)", False),
            ("(numbers=2.5)", True),
            ("(numbers=[2.5,1])", True),
            ("(none=[])", True),
            ("(list=[])", False),
            ("(nothing=*)", True),
            ("(nothing=x)", False),
            ("(empty=*)", True),
            ("(amount$d=0.1)", True),
            ("(number$d<=4)", True),
            ("(text$d=1)", False),
            ("(version$v>1.9)", True),
            ("(version>1.9)", False),
            ("(version$v=1.10)", True),
            ("(short>2.0.9)", True),
            ("(time$t=2026-11-20T09:00:00Z)", True),
            ("(time$t<2026-11-20T09:30:00Z)", True),
            ("(flag$v=1)", False),
            ("(absent=*)", False),
            ("(absent=1)", Undefined),
            ("(text[aspect]=*)", False),
            ("(text[aspect]=1)", Undefined),
            ("(!(absent=*))", True),
            ("(!(absent=1))", Undefined),
            ("(&(flag=true)(absent=1))", Undefined),
            ("(&(flag=false)(absent=1))", False),
            ("(&(absent=1)(flag=false))", False),
            ("(|(absent=1)(flag=true))", True),
            ("(|(absent=1)(flag=false))", Undefined),
            ("(|)", False),
        ] {
            assert_eq!(verdict(&properties, constraint), expected, "{constraint}");
        }
    }

    #[test]
    fn a_recorded_demand_asks_for_what_a_recorded_offer_has() {
        let offer = json!({
            "golem.com.pricing.model": "linear", "golem.node.debug.subnet": "h2", "golem.runtime.name": "pyrt",
            "golem.inf.mem.gib": 4.0, "golem.inf.storage.gib": 10.0, "golem.inf.cpu.cores": 2, "golem.inf.cpu.threads": 1,
            "golem.com.payment.platform.erc20-holesky-tglm.address": "0x83f6", "golem.com.payment.protocol.version": 3,
        });
        let demand = "(&(golem.com.pricing.model=linear)\n\t(golem.node.debug.subnet=h2)\n\t(golem.runtime.name=pyrt)\n\t\
            (golem.inf.mem.gib>=0.5)\n\t(golem.inf.storage.gib>=2)\n\t(golem.inf.cpu.cores>=1)\n\t(golem.inf.cpu.threads>=1)\n\t\
            (golem.com.payment.platform.erc20-holesky-tglm.address=*)\n\t(golem.com.payment.protocol.version>1))";
        assert_eq!(verdict(&offer, demand), Verdict::True);
        assert_eq!(
            verdict(&offer, &demand.replace("=h2", "=h3")),
            Verdict::False
        );
    }

    proptest! {
        /// A text suits any pattern that comes from it by putting stars for parts of it.
        #[test]
        fn stars_stand_for_any_text(parts in prop::collection::vec("[ab]{0,3}", 1..6), stars in any::<u8>()) {
            let text = parts.concat();
            let starred = parts.iter().enumerate().map(|(place, part)| match stars >> place & 1 {
                0 => part,
                _ => "*",
            });
            prop_assert!(suits(&text, &starred.collect::<String>()));
        }
    }
}
