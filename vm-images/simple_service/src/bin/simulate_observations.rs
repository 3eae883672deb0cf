//! The daemon: adds a simulated observation to the database each second.

use std::process::ExitCode;

use anyhow::{Context, Result};
use clap::Parser;

use observations::{daemon, place};

/// Adds a random value, of mean 14 and standard deviation 3, to the database each second, until it is stopped
#[derive(Parser)]
#[command(version, after_help = ENVIRONMENT)]
struct Arguments {
    /// Say "ready" once at work, then leave the session and the output of whoever started it, as
    /// `simulate_observations_ctl --start` wants it
    #[arg(long)]
    detached: bool,
}

const ENVIRONMENT: &str = "\
Environment:
  SIMPLE_SERVICE_DB  the database [default: service.db beside this program]";

fn main() -> ExitCode {
    match run(&Arguments::parse()) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("simulate_observations: {error:#}");
            ExitCode::FAILURE
        }
    }
}

fn run(arguments: &Arguments) -> Result<()> {
    let database = place::database().context("cannot find the folder of this program")?;
    Ok(daemon::run(&database, arguments.detached, rand::rng())?)
}
