//! What a node keeps in its folder, so that it outlives the process: agreements, activities, allocations, bills, what
//! happened to them, and who is who. Demands and offers are not among it: who wants something says so again.
//!
//! A machine marks what it changes ([`Kept`], [`Logs`]); its owner writes that down before it answers, so that whatever
//! was acknowledged is still true after the process was killed.

mod kept;
mod logs;
mod store;
#[cfg(test)]
mod tests;

pub(crate) use self::{
    kept::{Entity, Kept, entity},
    logs::{Happening, Logs},
    store::{Record, Store},
};
#[cfg(test)]
pub(crate) use kept::REMEMBERED;
pub use store::StateError;
