//! The example `simple_service`, run as its user runs it.

mod colours;
mod dependencies;
mod failures;
mod interrupts;
mod main_job;
mod run;
