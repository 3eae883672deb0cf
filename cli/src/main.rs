//! The `kiln` command: a thin shell over the libraries, a file for each of its subcommands.

mod gftp;
mod image;
mod log;
mod node;
mod print;
mod simulate;
mod vm;

use std::{env, ffi::OsString, path::Path, process::ExitCode};

use clap::{Parser, Subcommand};
use print::{Closed, errln};

/// Services on the Golem Network, and on this machine.
#[derive(Parser)]
#[command(version)]
struct Arguments {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    Gftp(gftp::Arguments),
    Image(image::Arguments),
    Node(node::Arguments),
    Simulate(simulate::Arguments),
    Vm(vm::Arguments),
}

fn main() -> ExitCode {
    // First of all: an exe-unit of a node is this very program.
    ::node::main(async {
        match Arguments::parse_from(words()).command {
            Command::Gftp(arguments) => gftp::run(arguments).await,
            Command::Image(arguments) => image::run(arguments).await,
            Command::Node(arguments) => node::run(arguments).await,
            Command::Simulate(arguments) => simulate::run(arguments).await,
            Command::Vm(arguments) => vm::run(arguments).await,
        }
        .unwrap_or_else(|error| {
            if error.is::<Closed>() {
                return ExitCode::from(Closed::EXIT_CODE);
            }
            errln!("error: {error:#}");
            ExitCode::FAILURE
        })
    })
}

/// The command line. Called by the name of a program that it stands in for, the command is that program.
fn words() -> Vec<OsString> {
    let mut words: Vec<_> = env::args_os().collect();
    let name = words.first().and_then(|word| Path::new(word).file_name());
    if name.is_some_and(|name| name == gftp::NAME) {
        words.insert(1, gftp::NAME.into());
    }
    words
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory;

    use super::*;

    #[test]
    fn the_command_line_contradicts_itself_nowhere() {
        Arguments::command().debug_assert();
    }
}
