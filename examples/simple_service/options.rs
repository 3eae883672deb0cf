//! The command line.

use std::{num::ParseIntError, path::PathBuf, time::Duration};

use clap::Parser;
use requestor::Amount;

/// Runs Golem's simple service.
#[derive(Parser)]
pub(crate) struct Options {
    /// How many instances to run.
    #[arg(long, value_name = "N", default_value_t = 1)]
    pub(crate) instances: usize,
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
    #[arg(long, value_name = "DIR", default_value = ".")]
    pub(crate) output_dir: PathBuf,
}

fn seconds(text: &str) -> Result<Duration, ParseIntError> {
    text.parse().map(Duration::from_secs)
}
