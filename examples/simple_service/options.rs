//! The command line. What cannot be is found here, before anything is bought.

use std::{
    fs::{self, File},
    io,
    path::{Path, PathBuf},
    time::Duration,
};

use clap::{Parser, value_parser};
use requestor::Amount;
use uuid::Uuid;

const MOST_INSTANCES: i64 = 1000;
/// Two weeks: the time to start and the time to run lie within the month for which a budget is set aside.
const MOST_SECONDS: u64 = 14 * 24 * 3600;

/// Runs Golem's simple service.
#[derive(Parser)]
pub(crate) struct Options {
    /// How many instances to run.
    #[arg(long, value_name = "N", default_value_t = 1, value_parser = value_parser!(u32).range(1..=MOST_INSTANCES))]
    pub(crate) instances: u32,
    /// How long to let them run.
    #[arg(long, value_name = "SECS", default_value = "120", value_parser = seconds)]
    pub(crate) running_time: Duration,
    /// How long to wait between two looks at an instance.
    #[arg(long, value_name = "SECS", default_value = "10", value_parser = seconds)]
    pub(crate) interval: Duration,
    /// How long all instances may take to start.
    #[arg(long, value_name = "SECS", default_value = "240", value_parser = seconds)]
    pub(crate) starting_timeout: Duration,
    /// How much may be spent, in GLM.
    #[arg(long, value_name = "AMOUNT", default_value = "1.0")]
    pub(crate) budget: Amount,
    /// The part of the network to look for providers in.
    #[arg(long, value_name = "NAME")]
    pub(crate) subnet_tag: Option<String>,
    /// The payment driver, such as erc20.
    #[arg(long, value_name = "NAME")]
    pub(crate) payment_driver: Option<String>,
    /// The payment network, such as holesky or polygon.
    #[arg(long, value_name = "NAME")]
    pub(crate) payment_network: Option<String>,
    /// Show what each instance uses, and what that costs.
    #[arg(long)]
    pub(crate) show_usage: bool,
    /// Where plots go.
    #[arg(long, value_name = "DIR", default_value = ".", value_parser = folder)]
    pub(crate) output_dir: PathBuf,
}

fn seconds(text: &str) -> Result<Duration, String> {
    match text.parse() {
        Ok(seconds) if seconds <= MOST_SECONDS => Ok(Duration::from_secs(seconds)),
        Ok(_) => Err(format!("at most {MOST_SECONDS} s, two weeks, are possible")),
        Err(error) => Err(error.to_string()),
    }
}

/// A folder in which files can be made.
fn folder(text: &str) -> io::Result<PathBuf> {
    let attempt = Path::new(text).join(format!(".{}", Uuid::new_v4()));
    File::create_new(&attempt)?;
    fs::remove_file(attempt)?;
    Ok(text.into())
}
