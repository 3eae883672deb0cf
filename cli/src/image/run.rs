//! `kiln image run`: a command of an image, in the sandbox that a provider has.

use std::{
    collections::BTreeMap,
    io::{self, Write},
    path::PathBuf,
    process::ExitCode,
};

use anyhow::{Context, bail};
use exeunit::{
    Program,
    sandbox::{self, Command, Output, Root, Sandbox, SandboxConfig, Volume},
};
use futures::StreamExt;
use gvmi::{Configuration, Image};
use tokio::task::spawn_blocking;

/// Where commands are looked for if the image does not say; as Docker has it.
const DEFAULT_PATH: &str = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";

/// The exit code of a command that was interrupted, as shells give it.
const INTERRUPTED: u8 = 130;

/// Run a command of an image, in the sandbox that a provider runs it in.
///
/// There is no network, no standard input, and what is written is gone at the end, but in volumes. The exit code is
/// the command's.
#[derive(clap::Args)]
pub(crate) struct Arguments {
    /// The image
    image: PathBuf,
    /// The command and its arguments [default: the image's own]
    #[arg(trailing_var_arg = true, allow_hyphen_values = true)]
    command: Vec<String>,
    /// Set a variable, over those of the image
    #[arg(short, long, value_name = "NAME=VALUE", value_parser = variable)]
    env: Vec<(String, String)>,
    /// The folder that the command begins in [default: the image's]
    #[arg(short, long, value_name = "FOLDER")]
    workdir: Option<String>,
    /// A folder of this machine at a path in the image; the image's own volumes are empty folders otherwise
    #[arg(short, long, value_name = "FOLDER:PATH", value_parser = volume)]
    volume: Vec<(PathBuf, String)>,
    /// How much the command may write, in MiB
    #[arg(long, value_name = "MIB", default_value_t = 512)]
    scratch: u64,
}

/// Runs a command.
pub(crate) async fn run(arguments: Arguments) -> anyhow::Result<ExitCode> {
    let image = Image::open(&arguments.image)?;
    let configuration = image.configuration().clone();
    let command = command(&arguments, &configuration)?;
    let Some(scratch_bytes) = arguments.scratch.checked_mul(1 << 20) else {
        bail!("--scratch {}: no machine has so much", arguments.scratch);
    };
    let place = tempfile::tempdir().context("cannot create a folder for the image's files")?;
    let tree = place.path().join("tree");
    let mut volumes = volumes(&arguments)?;
    for (number, path) in configuration.volumes.keys().enumerate() {
        if !volumes.iter().any(|volume| volume.path == *path) {
            let folder = place.path().join(format!("volume-{number}"));
            std::fs::create_dir(&folder).context("cannot create a folder for a volume")?;
            sandbox::adopt(&folder).context("cannot give a volume to the sandbox")?;
            volumes.push(Volume {
                folder,
                path: path.clone(),
            });
        }
    }
    let root = Root::Overlay {
        image: tree.clone(),
        scratch_bytes,
    };
    let unpacked = spawn_blocking(move || {
        image.tree()?.unpack(&tree)?;
        sandbox::adopt(&tree).context("cannot give the image's files to the sandbox")
    });
    unpacked.await??;
    let interrupted = requestor::interrupted();
    let sandbox = Sandbox::start(SandboxConfig {
        program: Program::this()?,
        root,
        volumes,
        hostname: "kiln".to_owned(),
    })
    .await?;
    let outcome = tokio::select! {
        outcome = pass_on(&sandbox, command) => outcome,
        () = interrupted => Ok(INTERRUPTED),
    };
    sandbox.stop().await;
    Ok(outcome?.into())
}

/// Lets a command write where this program does, and returns its exit code.
async fn pass_on(sandbox: &Sandbox, command: Command) -> anyhow::Result<u8> {
    let mut process = sandbox.run(command).await?;
    while let Some(output) = process.next().await {
        let written = match output {
            Output::Stdout(bytes) => write(io::stdout(), &bytes),
            Output::Stderr(bytes) => write(io::stderr(), &bytes),
        };
        match written {
            // Nobody reads on: the command shall not write on.
            Err(error) if error.kind() == io::ErrorKind::BrokenPipe => return Ok(0),
            written => written.context("cannot pass on what the command writes")?,
        }
    }
    let code = process.wait().await?.shell_code();
    Ok(u8::try_from(code).unwrap_or(u8::MAX))
}

fn write(mut to: impl Write, bytes: &[u8]) -> io::Result<()> {
    to.write_all(bytes)?;
    to.flush()
}

fn command(arguments: &Arguments, configuration: &Configuration) -> anyhow::Result<Command> {
    let own = || {
        let words = [&configuration.entrypoint, &configuration.cmd];
        words.into_iter().flatten().flatten().cloned().collect()
    };
    let words: Vec<String> = match arguments.command.as_slice() {
        [] => own(),
        words => words.to_vec(),
    };
    let mut words = words.into_iter();
    let Some(program) = words.next() else {
        bail!(
            "{} names no command of its own: say which",
            arguments.image.display()
        );
    };
    let mut command = Command::new(program);
    command.args = words.collect();
    command.env = BTreeMap::from([("PATH".to_owned(), DEFAULT_PATH.to_owned())]);
    let own = configuration
        .env
        .iter()
        .filter_map(|variable| variable.split_once('='));
    command
        .env
        .extend(own.map(|(name, value)| (name.to_owned(), value.to_owned())));
    command.env.extend(arguments.env.iter().cloned());
    let folder = arguments
        .workdir
        .as_ref()
        .unwrap_or(&configuration.working_dir);
    if !folder.is_empty() {
        command.working_dir.clone_from(folder);
    }
    Ok(command)
}

fn volumes(arguments: &Arguments) -> anyhow::Result<Vec<Volume>> {
    let volumes = arguments.volume.iter().map(|(folder, path)| {
        let found = folder.canonicalize();
        let folder =
            found.with_context(|| format!("cannot use the folder {}", folder.display()))?;
        if !folder.is_dir() {
            bail!("{} is no folder", folder.display());
        }
        Ok(Volume {
            folder,
            path: path.clone(),
        })
    });
    volumes.collect()
}

fn variable(text: &str) -> Result<(String, String), String> {
    match text.split_once('=') {
        Some((name, value)) if !name.is_empty() => Ok((name.to_owned(), value.to_owned())),
        _ => Err("NAME=VALUE is expected".to_owned()),
    }
}

fn volume(text: &str) -> Result<(PathBuf, String), String> {
    match text.rsplit_once(':') {
        Some((folder, path)) if !folder.is_empty() && path.starts_with('/') => {
            Ok((folder.into(), path.to_owned()))
        }
        _ => Err("FOLDER:PATH is expected, and PATH begins with /".to_owned()),
    }
}
