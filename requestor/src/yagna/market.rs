//! The market as the engine sees it.

use std::collections::BTreeMap;

use serde_json::Value;

use crate::id::{AgreementId, NodeId, ProposalId};

/// What somebody says of himself on the market: values by their full names.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Properties(BTreeMap<String, Value>);

impl Properties {
    /// Properties from JSON, whether flat (`{"golem.inf.mem.gib": 1}`) or nested (`{"golem": {"inf": …}}`).
    pub fn from_json(json: Value) -> Self {
        let mut properties = Self::default();
        properties.flatten(String::new(), json);
        properties
    }

    fn flatten(&mut self, name: String, value: Value) {
        match value {
            Value::Object(fields) => {
                for (field, value) in fields {
                    let name = if name.is_empty() {
                        field
                    } else {
                        format!("{name}.{field}")
                    };
                    self.flatten(name, value);
                }
            }
            value => {
                self.0.insert(name, value);
            }
        }
    }

    /// Sets a property.
    pub fn set(&mut self, name: impl Into<String>, value: impl Into<Value>) {
        self.0.insert(name.into(), value.into());
    }

    /// Sets all of `others`.
    pub fn extend(&mut self, others: Properties) {
        self.0.extend(others.0);
    }

    /// A property, whatever its type.
    pub fn get(&self, name: &str) -> Option<&Value> {
        self.0.get(name)
    }

    /// A property that is a text.
    pub fn text(&self, name: &str) -> Option<&str> {
        self.0.get(name)?.as_str()
    }

    /// A property that is a number.
    pub fn number(&self, name: &str) -> Option<f64> {
        self.0.get(name)?.as_f64()
    }

    /// A property that is a list of texts.
    pub fn texts(&self, name: &str) -> Option<Vec<&str>> {
        self.0
            .get(name)?
            .as_array()?
            .iter()
            .map(Value::as_str)
            .collect()
    }

    /// A property that is a list of numbers.
    pub fn numbers(&self, name: &str) -> Option<Vec<f64>> {
        self.0
            .get(name)?
            .as_array()?
            .iter()
            .map(Value::as_f64)
            .collect()
    }

    /// All of them, flat.
    pub fn to_json(&self) -> Value {
        Value::Object(self.0.clone().into_iter().collect())
    }
}

/// What a requestor wants.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Demand {
    /// What it says of itself.
    pub properties: Properties,
    /// What an offer must fulfil, in the market's constraint language.
    pub constraints: String,
}

/// What a provider proposes.
#[derive(Clone, Debug, PartialEq)]
pub struct Proposal {
    /// Its id.
    pub id: ProposalId,
    /// The provider.
    pub issuer: NodeId,
    /// Whether it is an offer from the market, or meant for us.
    pub stage: ProposalStage,
    /// The proposal of ours that it answers.
    pub answers: Option<ProposalId>,
    /// What the provider says of itself.
    pub properties: Properties,
}

impl Proposal {
    /// The provider's name, as it calls itself.
    pub fn provider_name(&self) -> &str {
        self.properties
            .text("golem.node.id.name")
            .unwrap_or(self.issuer.as_str())
    }
}

/// How far a negotiation has come.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ProposalStage {
    /// An offer that matches; nobody has said anything yet.
    Initial,
    /// An answer to a proposal of ours.
    Draft,
}

/// What the market says of a demand.
#[derive(Clone, Debug, PartialEq)]
pub enum MarketEvent {
    /// A provider proposes something.
    Proposal(Proposal),
    /// A provider does not want a proposal of ours.
    Rejected {
        /// Ours.
        proposal: ProposalId,
        /// Why.
        reason: Option<String>,
    },
}

/// What both sides agreed on.
#[derive(Clone, Debug, PartialEq)]
pub struct Agreement {
    /// Its id.
    pub id: AgreementId,
    /// The provider.
    pub provider: NodeId,
    /// What the provider promised.
    pub offer: Properties,
}

impl Agreement {
    /// The provider's name, as it calls itself.
    pub fn provider_name(&self) -> &str {
        self.offer
            .text("golem.node.id.name")
            .unwrap_or(self.provider.as_str())
    }

    /// The names of the usage counters, in the order in which usage is reported.
    pub fn usage_vector(&self) -> Vec<&str> {
        self.offer
            .texts("golem.com.usage.vector")
            .unwrap_or_default()
    }
}

/// A provider's word on an agreement.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Approval {
    /// It stands.
    Approved,
    /// It does not, for this reason.
    Refused(String),
    /// No word yet.
    Pending,
}

/// Why something is turned down or ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Reason {
    /// For people.
    pub message: String,
    /// For programs, such as `Success` or `Cancelled`.
    pub code: Option<String>,
}

impl Reason {
    /// A reason for people.
    pub fn new(message: impl Into<String>) -> Self {
        Self {
            message: message.into(),
            code: None,
        }
    }

    /// With a code for programs.
    pub fn code(mut self, code: impl Into<String>) -> Self {
        self.code = Some(code.into());
        self
    }
}
