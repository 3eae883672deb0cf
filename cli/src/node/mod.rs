//! `kiln node`: a local Golem network, and a look at one.

mod look;
mod serve;
mod table;

use std::process::ExitCode;

/// Run a Golem network on this machine, until Ctrl-C; or look at one that runs.
///
/// Any program that uses a yagna daemon can use it: yapapi's, golem-js's, ours. What it prints are the lines for the
/// shells in which they are to run.
#[derive(clap::Args)]
#[command(args_conflicts_with_subcommands = true)]
pub(crate) struct Arguments {
    #[command(flatten)]
    serve: serve::Settings,

    #[command(subcommand)]
    look: Option<look::Command>,
}

/// Runs a node until it is interrupted, or shows what is asked for of one.
pub(crate) async fn run(arguments: Arguments) -> anyhow::Result<ExitCode> {
    match arguments.look {
        None => serve::run(arguments.serve).await,
        Some(look) => look::run(look).await,
    }
}
