//! Starts and stops the daemon that simulates observations.

use std::process::ExitCode;

use anyhow::{Context, Result};
use clap::Parser;

use observations::{
    daemon::{self, Started},
    place,
};

/// Starts and stops the simulation of observations in the background
#[derive(Parser)]
#[command(version, after_help = AFTER)]
#[group(required = true, multiple = false)]
struct Arguments {
    /// Start it, unless it runs
    #[arg(long)]
    start: bool,
    /// Stop it, if it runs, and wait until it has ended
    #[arg(long)]
    stop: bool,
}

const AFTER: &str = "\
Its pid file and its log lie beside the database: simulate_observations.pid and .log.

Environment:
  SIMPLE_SERVICE_DB  the database [default: service.db beside this program]";

fn main() -> ExitCode {
    match run(&Arguments::parse()) {
        Ok(message) => {
            println!("simulate_observations {message}");
            ExitCode::SUCCESS
        }
        Err(error) => {
            eprintln!("simulate_observations_ctl: {error:#}");
            ExitCode::FAILURE
        }
    }
}

/// What was done. That there was nothing to do is no failure: what was asked for is so.
fn run(arguments: &Arguments) -> Result<String> {
    let unknown = "cannot find the folder of this program";
    let database = place::database().context(unknown)?;
    if arguments.stop {
        return Ok(match daemon::stop(&database)? {
            Some(pid) => format!("has stopped (pid {pid})"),
            None => "is not running".to_owned(),
        });
    }
    let program = place::beside_this_program("simulate_observations").context(unknown)?;
    Ok(match daemon::start(&program, &database)? {
        Started::Now { pid } => format!("has started (pid {pid})"),
        Started::Before { pid } => format!("runs already (pid {pid})"),
    })
}
