//! Service provisioning and migration on modelled infrastructure.
//!
//! A [`dataset`] in EdgeSimPy's format is loaded into a [`model::Model`], plain data. A [`simulation::Simulation`] moves it
//! on step by step, and in each a [`policy::Policy`] decides where services go. What every object is like after every step
//! are its [`metrics`]; what came of a run is in a [`report`], and [`plot`] draws it.
//!
//! The results are EdgeSimPy's, bit for bit, oversights included. Where one is reproduced, the code says *quirk* and its
//! name; [`settings::Corrections`] take them away.
//!
//! Nothing here reads files or clocks, and random choices follow from a seed: the same run gives the same bytes, on however
//! many threads it looks for ways.

mod abort;
pub mod access;
pub mod arena;
pub mod bandwidth;
pub mod dataset;
pub mod flow;
pub mod generate;
pub mod image;
pub mod json;
pub mod metrics;
pub mod mobility;
pub mod model;
pub mod number;
pub mod paths;
pub mod plot;
pub mod policy;
pub mod position;
pub mod power;
pub mod random;
pub mod registry;
pub mod report;
pub mod scenario;
pub mod server;
pub mod service;
pub mod settings;
pub mod simulation;
pub mod symbol;
pub mod topology;
pub mod trace;
pub mod user;
