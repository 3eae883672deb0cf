//! Service provisioning and migration on modelled infrastructure.

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
pub mod policy;
pub mod position;
pub mod power;
pub mod random;
pub mod registry;
pub mod scenario;
pub mod server;
pub mod service;
pub mod settings;
pub mod simulation;
pub mod symbol;
pub mod topology;
pub mod user;
