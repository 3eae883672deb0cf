//! The sandbox, through its real processes.

mod ends;
mod fixture;
mod isolation;
mod network;
mod output;
#[path = "../processes/mod.rs"]
mod processes;
#[path = "../programs/mod.rs"]
mod programs;
mod refusals;
mod roots;
