//! `kiln image`: images for services, without Docker.

mod build;
mod inspect;
mod pack;
mod place;
mod push;
mod run;
mod unpack;
mod verify;

use std::process::ExitCode;

use tokio::task::spawn_blocking;

/// Build, pack, look into and try images.
#[derive(clap::Args)]
pub(crate) struct Arguments {
    #[command(subcommand)]
    command: Command,
}

#[derive(clap::Subcommand)]
enum Command {
    Build(build::Arguments),
    Pack(pack::Arguments),
    Push(push::Arguments),
    Inspect(inspect::Arguments),
    Verify(verify::Arguments),
    Unpack(unpack::Arguments),
    Run(run::Arguments),
}

/// Does what is asked for with an image.
pub(crate) async fn run(arguments: Arguments) -> anyhow::Result<ExitCode> {
    match arguments.command {
        Command::Build(arguments) => build::run(arguments).await,
        Command::Pack(arguments) => spawn_blocking(|| pack::run(arguments)).await?,
        Command::Push(arguments) => push::run(arguments).await,
        Command::Inspect(arguments) => spawn_blocking(|| inspect::run(arguments)).await?,
        Command::Verify(arguments) => spawn_blocking(|| verify::run(arguments)).await?,
        Command::Unpack(arguments) => spawn_blocking(|| unpack::run(arguments)).await?,
        Command::Run(arguments) => run::run(arguments).await,
    }
}
