//! Observations: stored, described, drawn and simulated.
//!
//! What the programs of the image share. `simple_service` keeps a [`Database`] of observations, and prints its
//! [`Statistics`] or draws a [`Plot`] of it; `simulate_observations` is a [`daemon`] that adds an observation each
//! second; `simulate_observations_ctl` starts and stops that daemon.
//!
//! An image FROM scratch has nothing but these programs: no `/tmp`, no shell, no users. They need `/proc` and `/dev`.

pub mod daemon;
pub mod database;
pub mod json;
mod pid_file;
pub mod place;
pub mod plot;
pub mod statistics;

pub use database::{Database, Observation};
pub use plot::Plot;
pub use statistics::Statistics;
