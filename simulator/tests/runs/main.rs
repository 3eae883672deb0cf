//! Whole runs.

mod dataset;
mod generated;
mod support;
mod vectors;
