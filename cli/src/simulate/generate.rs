//! `kiln simulate generate`: datasets of any size.

use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::Context;
use simulator::generate::Mesh;

use crate::print::outln;

/// Generate a dataset of any size, and a scenario that drives it.
#[derive(clap::Args)]
pub(crate) struct Arguments {
    /// How many servers there are; there are as many users, and about as many switches.
    #[arg(value_parser = clap::value_parser!(u32).range(1..=1_000_000))]
    servers: u32,

    /// Where dataset.json and scenario.json are written.
    folder: PathBuf,

    /// How many steps the scenario has.
    #[arg(long, value_name = "N", default_value_t = 100, value_parser = clap::value_parser!(u32).range(1..=1_000_000))]
    steps: u32,

    /// How many services there are for each server.
    #[arg(long, value_name = "N", default_value_t = 2, value_parser = clap::value_parser!(u32).range(1..=1000))]
    services_per_server: u32,
}

/// Generates a dataset.
pub(crate) fn run(arguments: &Arguments) -> anyhow::Result<ExitCode> {
    let folder = &arguments.folder;
    let generated = Mesh {
        servers: arguments.servers,
        steps: arguments.steps,
        services_per_server: arguments.services_per_server,
    }
    .generate();
    std::fs::create_dir_all(folder).with_context(|| folder.display().to_string())?;
    for (name, json) in [
        ("dataset.json", generated.dataset),
        ("scenario.json", generated.scenario),
    ] {
        let path = folder.join(name);
        std::fs::write(&path, json).with_context(|| path.display().to_string())?;
        outln!("{}", path.display())?;
    }
    Ok(ExitCode::SUCCESS)
}
