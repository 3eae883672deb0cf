//! Whole runs.

mod corrections;
mod dataset;
mod generated;
mod mobility;
mod policies;
mod properties;
mod report;
mod support;
mod vectors;
