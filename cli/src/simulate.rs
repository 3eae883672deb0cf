//! `kiln simulate`: what a deployment would do on modelled infrastructure.

mod command;
mod compare;
mod generate;
mod output;
mod run;
mod setup;
mod stalled;

use std::path::PathBuf;
use std::process::ExitCode;

use clap::{Subcommand, ValueEnum};
use simulator::model::Class;

/// Simulate services on modelled infrastructure, described by a dataset of EdgeSimPy.
#[derive(clap::Args)]
#[command(args_conflicts_with_subcommands = true, subcommand_negates_reqs = true)]
pub(crate) struct Arguments {
    #[command(subcommand)]
    command: Option<Command>,
    #[command(flatten)]
    run: Run,
}

#[derive(Subcommand)]
enum Command {
    Compare(compare::Arguments),
    Generate(generate::Arguments),
}

#[derive(clap::Args)]
struct Run {
    /// The dataset: a JSON file.
    #[arg(required = true)]
    dataset: Option<PathBuf>,

    /// What decides where services go.
    #[arg(long, value_name = "NAME", default_value = "first-fit", conflicts_with_all = ["script", "policy_command"])]
    policy: PolicyName,

    /// A file of events that decide, in the form of a scenario's JSON; it also says when the run ends.
    #[arg(long, value_name = "FILE", conflicts_with = "policy_command")]
    script: Option<PathBuf>,

    /// A program that decides: it is told the state as a line of JSON, and answers with a line of actions.
    #[arg(long, value_name = "COMMAND")]
    policy_command: Option<String>,

    /// How long the program may take to answer, in seconds.
    #[arg(long, value_name = "SECONDS", default_value_t = 600)]
    policy_timeout: u64,

    /// For worst-fit: the steps that a service stays where it came to.
    #[arg(long, value_name = "STEPS", default_value_t = 10)]
    cooldown: u32,

    /// How many steps are done: 100, or what the script says.
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..))]
    steps: Option<u32>,

    /// End when this has come about. It is an error if it has not after 100000 steps, or when nothing has happened for 100.
    #[arg(long, value_name = "WHAT", conflicts_with = "steps")]
    until: Option<Until>,

    /// `edgesimpy`: the results of EdgeSimPy; `corrected`: without its oversights.
    #[arg(long, value_name = "MODE", default_value = "edgesimpy")]
    mode: Mode,

    /// Take only these oversights away: colocation, disk, bandwidth, fairness, release, outages.
    #[arg(long, value_name = "NAMES", value_delimiter = ',')]
    correct: Vec<String>,

    /// How flows share a link.
    #[arg(long, value_name = "HOW")]
    flow_scheduling: Option<Scheduling>,

    /// The seconds of a step.
    #[arg(long, value_name = "SECONDS")]
    tick: Option<f64>,

    /// What random choices follow from.
    #[arg(long, value_name = "N")]
    seed: Option<u64>,

    /// A folder for metrics, summary and pictures.
    #[arg(long, value_name = "DIR")]
    out: Option<PathBuf>,

    /// The forms in which metrics are written.
    #[arg(long, value_name = "FORMS", value_delimiter = ',', default_values = ["msgpack", "csv", "jsonl"])]
    metrics: Vec<Metrics>,

    /// Classes whose metrics are not written. Those of users grow with the square of the steps.
    #[arg(long, value_name = "CLASSES", value_delimiter = ',')]
    omit: Vec<MetricsClass>,

    /// The most bytes that a dataset may have.
    #[arg(long, value_name = "BYTES", default_value_t = simulator::dataset::Limits::default().bytes)]
    max_bytes: u64,
}

#[derive(Clone, Copy, PartialEq, Eq, ValueEnum)]
enum PolicyName {
    FirstFit,
    BestFit,
    WorstFit,
    FollowUser,
    LeastDelay,
    LeastEnergy,
}

#[derive(Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Until {
    AllHosted,
}

#[derive(Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Mode {
    #[value(name = "edgesimpy")]
    EdgeSimPy,
    Corrected,
}

#[derive(Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Scheduling {
    MaxMinFairness,
    EqualShare,
}

#[derive(Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Metrics {
    Msgpack,
    Csv,
    Jsonl,
    None,
}

/// A class that has metrics, by its name in datasets.
#[derive(Clone, Copy, PartialEq, Eq, ValueEnum)]
enum MetricsClass {
    #[value(name = "NetworkSwitch")]
    NetworkSwitch,
    #[value(name = "User")]
    User,
    #[value(name = "Service")]
    Service,
    #[value(name = "ContainerRegistry")]
    ContainerRegistry,
    #[value(name = "EdgeServer")]
    EdgeServer,
    #[value(name = "NetworkFlow")]
    NetworkFlow,
}

impl From<MetricsClass> for Class {
    fn from(class: MetricsClass) -> Self {
        match class {
            MetricsClass::NetworkSwitch => Self::NetworkSwitch,
            MetricsClass::User => Self::User,
            MetricsClass::Service => Self::Service,
            MetricsClass::ContainerRegistry => Self::ContainerRegistry,
            MetricsClass::EdgeServer => Self::EdgeServer,
            MetricsClass::NetworkFlow => Self::NetworkFlow,
        }
    }
}

/// Simulates, compares or generates.
pub(crate) async fn run(arguments: Arguments) -> anyhow::Result<ExitCode> {
    match arguments.command {
        Some(Command::Compare(arguments)) => compare::run(&arguments),
        Some(Command::Generate(arguments)) => generate::run(&arguments),
        None => run::run(arguments.run).await,
    }
}
