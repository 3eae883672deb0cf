//! The `kiln` command: a thin shell over the libraries, a file for each of its subcommands.

mod image;
mod log;
mod node;

use std::process::ExitCode;

use clap::{Parser, Subcommand};

/// Services on the Golem Network, and on this machine.
#[derive(Parser)]
#[command(version)]
struct Arguments {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    Image(image::Arguments),
    Node(node::Arguments),
}

fn main() -> ExitCode {
    // First of all: an exe-unit of a node is this very program.
    ::node::main(async {
        match Arguments::parse().command {
            Command::Image(arguments) => image::run(arguments).await,
            Command::Node(arguments) => node::run(arguments).await,
        }
        .unwrap_or_else(|error| {
            eprintln!("error: {error:#}");
            ExitCode::FAILURE
        })
    })
}
