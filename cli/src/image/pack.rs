//! `kiln image pack`: container images and folders become images.

use std::{
    fs,
    path::{Path, PathBuf},
    process::ExitCode,
};

use anyhow::{Context, bail};
use gvmi::{Configuration, Hash};
use oci::{ContainerImage, Limits, Selection};

use super::place::{Target, size};
use crate::print::{errln, outln};

/// Pack a container image, or a folder, as a Golem image.
///
/// The same container image gives the same bytes. Nothing need be installed, and nobody need be root.
#[derive(clap::Args)]
pub(crate) struct Arguments {
    /// An archive as `docker save` writes it, an OCI layout (a folder or an archive of one), or a folder of files
    source: PathBuf,
    /// Where the image is to be [default: SOURCE.gvmi in this folder]
    #[arg(short, long, value_name = "FILE")]
    output: Option<PathBuf>,
    /// Which of several images in the source is meant
    #[arg(long, value_name = "NAME:TAG")]
    name: Option<String>,
    /// What a container made from a folder is like: Docker's ContainerConfig as JSON, as `inspect --json` prints it
    #[arg(long, value_name = "FILE")]
    configuration: Option<PathBuf>,
    /// Replace a file that is there
    #[arg(long)]
    force: bool,
}

/// Packs an image.
pub(crate) fn run(arguments: Arguments) -> anyhow::Result<ExitCode> {
    let source = &arguments.source;
    let metadata =
        fs::metadata(source).with_context(|| format!("cannot read {}", source.display()))?;
    let output = match &arguments.output {
        Some(output) => output.clone(),
        None => default_output(source)?,
    };
    let is_container = !metadata.is_dir() || ContainerImage::is_at(source);
    if is_container && arguments.configuration.is_some() {
        bail!(
            "--configuration is for folders of files: {} has its own",
            source.display()
        );
    }
    if !is_container && arguments.name.is_some() {
        bail!(
            "--name is for container images, and {} is a folder of files",
            source.display()
        );
    }
    let target = Target::new(output, arguments.force)?;
    let left_out = if is_container {
        let meanwhile = target.meanwhile();
        let selection = Selection {
            name: arguments.name.as_deref(),
            limits: Limits::default(),
            scratch: meanwhile.parent().unwrap_or(Path::new(".")),
        };
        ContainerImage::open(source, &selection)?
            .pack(&meanwhile)?
            .left_out
    } else {
        let configuration = match &arguments.configuration {
            Some(path) => read_configuration(path)?,
            None => Configuration::default(),
        };
        gvmi::pack(source, &configuration, &target.meanwhile())?;
        0
    };
    let path = target.keep()?;
    let failed = || format!("cannot read {}", path.display());
    let hash = Hash::of_file(&path).with_context(failed)?;
    let bytes = fs::metadata(&path).with_context(failed)?.len();
    if left_out > 0 {
        errln!("left out {left_out} devices, pipes and sockets: every sandbox has its own");
    }
    errln!("packed {} ({})", path.display(), size(bytes));
    outln!("{hash} {}", path.display())?;
    Ok(ExitCode::SUCCESS)
}

/// The source's name, without what says how it is packed.
fn default_output(source: &Path) -> anyhow::Result<PathBuf> {
    let absolute = source
        .canonicalize()
        .with_context(|| format!("cannot read {}", source.display()))?;
    let Some(name) = absolute.file_name() else {
        bail!(
            "{} has no name that the image could have: say --output FILE",
            source.display()
        );
    };
    let mut name = name.to_string_lossy().into_owned();
    if !absolute.is_dir() {
        for end in [".gz", ".xz", ".zst", ".bz2", ".tgz", ".tar"] {
            name.truncate(name.strip_suffix(end).map_or(name.len(), str::len));
        }
    }
    Ok(PathBuf::from(format!("{name}.gvmi")))
}

fn read_configuration(path: &Path) -> anyhow::Result<Configuration> {
    let text = fs::read(path).with_context(|| format!("cannot read {}", path.display()))?;
    serde_json::from_slice(&text)
        .with_context(|| format!("{} is no configuration of a container", path.display()))
}
