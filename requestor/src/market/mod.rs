//! The market: one demand, its offers, and the agreements that come of them.

mod agreement;
mod negotiation;
mod negotiator;
mod price;
mod strategy;

pub(crate) use agreement::{NotSigned, sign};
pub use negotiation::Outlook;
pub(crate) use negotiator::{Funds, Market};
pub use price::LinearPrice;
pub use strategy::{LeastExpensive, Strategy};
