//! `kiln image build`: from a Dockerfile to an image.

use std::{
    path::{Path, PathBuf},
    process::ExitCode,
};

use builder::{Build, Dockerfile, DockerfileError, Event, Progress, Terminal, Tool, ToolBuild};
use gvmi::Hash;

use crate::print::{errln, outln};

/// Build an image from a Dockerfile, and print its hash and its path.
///
/// What is built in does it, without network and without root; where a Dockerfile asks for more, buildah, podman or
/// docker, whichever is there.
#[derive(clap::Args)]
pub(crate) struct Arguments {
    /// The folder that COPY copies from
    #[arg(default_value = ".")]
    context: PathBuf,
    /// The Dockerfile [default: Dockerfile in the context]
    #[arg(short, long)]
    file: Option<PathBuf>,
    /// Put the image here as well
    #[arg(short, long, value_name = "FILE")]
    output: Option<PathBuf>,
    /// Replace a file that is there
    #[arg(long, requires = "output")]
    force: bool,
    /// Give the variable of an ARG a value
    #[arg(long, value_name = "NAME=VALUE", value_parser = argument)]
    build_arg: Vec<(String, String)>,
    /// The stage that is the image [default: the last]
    #[arg(long, value_name = "STAGE")]
    target: Option<String>,
    /// A folder that COPY --from=NAME copies from, or an image that FROM NAME begins with
    #[arg(long, value_name = "NAME=PATH", value_parser = named_folder)]
    build_context: Vec<(String, PathBuf)>,
    /// A cargo package whose programs, compiled static, COPY --from=NAME copies
    #[arg(long, value_name = "NAME=FOLDER", value_parser = named_folder)]
    programs: Vec<(String, PathBuf)>,
    /// What builds it
    #[arg(long, value_name = "BUILDER", value_enum, default_value_t = With::Auto)]
    with: With,
}

/// What builds an image.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
enum With {
    /// What is built in, or else a tool that is installed
    Auto,
    /// What is built in
    Kiln,
    /// Buildah
    Buildah,
    /// Podman
    Podman,
    /// Docker, through its daemon
    Docker,
}

/// Builds an image.
pub(crate) async fn run(arguments: Arguments) -> anyhow::Result<ExitCode> {
    let progress = Terminal::stderr();
    let file = arguments
        .file
        .clone()
        .unwrap_or_else(|| arguments.context.join("Dockerfile"));
    // Before anything is compiled: what is wrong with the Dockerfile can be known at once.
    let builder = chosen(arguments.with, &file).await?;
    let mut contexts = arguments.build_context.clone();
    for (name, package) in &arguments.programs {
        let programs = builder::static_programs(package, &progress).await?;
        contexts.push((name.clone(), programs));
    }
    let (hash, path) = match builder {
        Builder::Kiln(dockerfile) => built_in(dockerfile, &arguments, contexts, &progress).await?,
        Builder::Other(tool) => with_tool(tool, file, &arguments, contexts, &progress).await?,
    };
    let path = match arguments.output {
        Some(output) => super::place::copy(&path, output, arguments.force)?,
        None => path,
    };
    outln!("{hash} {}", path.display())?;
    Ok(ExitCode::SUCCESS)
}

/// What builds an image after all.
enum Builder {
    Kiln(Dockerfile),
    Other(Tool),
}

/// What is built in, with the Dockerfile as that understands it, or a tool.
async fn chosen(with: With, file: &Path) -> anyhow::Result<Builder> {
    let tool = match with {
        With::Auto | With::Kiln => match Dockerfile::open(file) {
            Ok(dockerfile) => return Ok(Builder::Kiln(dockerfile)),
            Err(beyond @ DockerfileError::Beyond { .. }) if with == With::Auto => {
                let Some(tool) = Tool::installed().await else {
                    let beyond = anyhow::Error::from(beyond);
                    return Err(beyond
                        .context("no buildah, podman or docker is at work here to build this"));
                };
                errln!("{beyond}: {tool} builds it");
                tool
            }
            Err(error) => return Err(error.into()),
        },
        With::Buildah => Tool::Buildah,
        With::Podman => Tool::Podman,
        With::Docker => Tool::Docker,
    };
    Ok(Builder::Other(tool))
}

async fn built_in(
    dockerfile: Dockerfile,
    arguments: &Arguments,
    contexts: Vec<(String, PathBuf)>,
    progress: &dyn Progress,
) -> anyhow::Result<(Hash, PathBuf)> {
    let mut build = Build::new(dockerfile).context(&arguments.context);
    for (name, path) in contexts {
        build = build.named_context(name, path);
    }
    for (name, value) in &arguments.build_arg {
        build = build.argument(name, value);
    }
    if let Some(target) = &arguments.target {
        build = build.target(target);
    }
    let image = build.run(progress).await?;
    Ok((image.hash(), image.path().to_owned()))
}

async fn with_tool(
    tool: Tool,
    file: PathBuf,
    arguments: &Arguments,
    contexts: Vec<(String, PathBuf)>,
    progress: &dyn Progress,
) -> anyhow::Result<(Hash, PathBuf)> {
    let build = ToolBuild {
        tool,
        file,
        context: arguments.context.clone(),
        contexts,
        arguments: arguments.build_arg.clone(),
        target: arguments.target.clone(),
        cache: None,
    };
    let report = |line: String| progress.report(Event::Output(line));
    let image = build.run(report).await?;
    Ok((image.hash(), image.path().to_owned()))
}

fn argument(text: &str) -> Result<(String, String), String> {
    match text.split_once('=') {
        Some((name, value)) if !name.is_empty() => Ok((name.to_owned(), value.to_owned())),
        _ => Err("NAME=VALUE is expected".to_owned()),
    }
}

fn named_folder(text: &str) -> Result<(String, PathBuf), String> {
    match text.split_once('=') {
        Some((name, folder)) if !name.is_empty() && !folder.is_empty() => {
            Ok((name.to_owned(), folder.into()))
        }
        _ => Err("NAME=PATH is expected".to_owned()),
    }
}
