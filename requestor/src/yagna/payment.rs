//! Money as the engine sees it.

use chrono::{DateTime, Utc};

use crate::id::{ActivityId, AgreementId, AllocationId, NodeId};

use super::Properties;

/// An amount of GLM, exact to its 18 decimals.
pub type Amount = rust_decimal::Decimal;

/// Money to set aside.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NewAllocation {
    /// How much.
    pub amount: Amount,
    /// The payment driver, such as `erc20`; yagna's default if there is none.
    pub driver: Option<String>,
    /// The payment network, such as `holesky` or `polygon`; yagna's default if there is none.
    pub network: Option<String>,
    /// When it is given back by itself.
    pub timeout: DateTime<Utc>,
}

/// Money set aside.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Allocation {
    /// Its id.
    pub id: AllocationId,
    /// Where it can be spent, such as `erc20-holesky-tglm`.
    pub platform: String,
    /// How much it is in all.
    pub amount: Amount,
}

/// What a demand must say so that providers know how they are paid.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Decoration {
    /// Properties for the demand.
    pub properties: Properties,
    /// Constraints for the demand, each in parentheses.
    pub constraints: Vec<String>,
}

/// A debit note or an invoice has come.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PaymentEvent<Id> {
    /// Which one.
    pub id: Id,
    /// When.
    pub date: DateTime<Utc>,
    /// Whether it is new; other events tell what became of one.
    pub received: bool,
}

/// What a provider says an activity has cost so far.
#[derive(Clone, Debug, PartialEq)]
pub struct DebitNote {
    /// The provider.
    pub issuer: NodeId,
    /// The agreement.
    pub agreement: AgreementId,
    /// The activity.
    pub activity: ActivityId,
    /// All that the activity has cost since it began.
    pub total: Amount,
    /// The usage that this is the price of, in the order of the agreement's usage vector.
    pub usage: Vec<f64>,
}

/// What a provider wants for an agreement.
#[derive(Clone, Debug, PartialEq)]
pub struct Invoice {
    /// The provider.
    pub issuer: NodeId,
    /// The agreement.
    pub agreement: AgreementId,
    /// All that it has cost.
    pub amount: Amount,
}

/// Agrees to pay.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Acceptance {
    /// How much in all: what the debit note or invoice says.
    pub amount: Amount,
    /// From which allocation.
    pub allocation: AllocationId,
}
