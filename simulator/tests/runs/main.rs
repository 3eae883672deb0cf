//! Whole runs.

mod corrections;
mod dataset;
mod generated;
mod properties;
mod support;
mod vectors;
