//! The exe-unit as a process, on a bus that the test plays.

mod batches;
mod deploy;
mod ends;
mod external;
mod fixture;
mod machine;
mod node;
#[path = "../processes/mod.rs"]
mod processes;
#[path = "../programs/mod.rs"]
mod programs;
mod scripts;
mod tls;
mod transfers;
mod volumes;
mod web;
