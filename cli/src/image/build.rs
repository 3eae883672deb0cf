//! `kiln image build`: from a Dockerfile to an image.

use std::{path::PathBuf, process::ExitCode};

use builder::{Build, Terminal};

/// Build an image from a Dockerfile, and print its hash and its path.
#[derive(clap::Args)]
pub(crate) struct Arguments {
    /// The folder that COPY copies from
    #[arg(default_value = ".")]
    context: PathBuf,
    /// The Dockerfile [default: Dockerfile in the context]
    #[arg(short, long)]
    file: Option<PathBuf>,
    /// A folder that COPY --from=NAME copies from
    #[arg(long, value_name = "NAME=FOLDER", value_parser = named_folder)]
    build_context: Vec<(String, PathBuf)>,
    /// A cargo package whose programs, compiled static, COPY --from=NAME copies
    #[arg(long, value_name = "NAME=FOLDER", value_parser = named_folder)]
    programs: Vec<(String, PathBuf)>,
}

/// Builds an image.
pub(crate) async fn run(arguments: Arguments) -> anyhow::Result<ExitCode> {
    let progress = Terminal::stderr();
    let file = arguments
        .file
        .unwrap_or_else(|| arguments.context.join("Dockerfile"));
    let mut build = Build::open(file)?.context(arguments.context);
    for (name, folder) in arguments.build_context {
        build = build.named_context(name, folder);
    }
    for (name, package) in arguments.programs {
        build = build.named_context(name, builder::static_programs(package, &progress).await?);
    }
    let image = build.run(&progress).await?;
    println!("{} {}", image.hash(), image.path().display());
    Ok(ExitCode::SUCCESS)
}

fn named_folder(text: &str) -> Result<(String, PathBuf), String> {
    match text.split_once('=') {
        Some((name, folder)) if !name.is_empty() && !folder.is_empty() => {
            Ok((name.to_owned(), folder.into()))
        }
        _ => Err("NAME=FOLDER is expected".to_owned()),
    }
}
