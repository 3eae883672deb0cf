//! Providers: each offers its machine, agrees with requestors, runs their activities, and bills them.

pub(crate) mod agent;
mod contract;
mod desk;
#[cfg(test)]
mod desk_tests;
mod ear;
pub(crate) mod exe_unit;
mod negotiation;
mod offer;
mod price;
mod spec;

pub use self::spec::{Prices, Provider};
