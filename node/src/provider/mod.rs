//! Providers: each offers its machine, agrees with requestors, runs their activities, and bills them.

pub(crate) mod agent;
mod contract;
mod desk;
#[cfg(test)]
mod desk_tests;
mod ear;
mod event;
pub(crate) mod exe_unit;
mod file;
mod negotiation;
mod offer;
mod price;
mod process;
mod recovery;
mod spec;
pub(crate) mod template;

pub use self::{
    file::ProvidersError,
    negotiation::Rules,
    spec::{Faults, Prices, Provider, Runtime, Stage},
};
pub(crate) use self::{
    price::{cost, counters},
    recovery::History,
    spec::ProviderOverview,
};
