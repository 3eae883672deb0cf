//! `kiln image inspect`: what is in an image.

use std::{
    fs,
    io::{self, BufWriter, Write},
    path::PathBuf,
    process::ExitCode,
};

use anyhow::Context;
use gvmi::{Attributes, Configuration, EntryKind, Hash, Image, Tree};
use serde_json::json;

use super::place::size;
use crate::print::{Closed, outln};

/// Show what is in an image, and what a container is like that is made from it.
#[derive(clap::Args)]
pub(crate) struct Arguments {
    /// The image
    image: PathBuf,
    /// Print the container's configuration and all else as JSON
    #[arg(long, conflicts_with = "files")]
    json: bool,
    /// List the files: permissions, owner, size, path
    #[arg(long)]
    files: bool,
}

/// Prints what is in an image.
pub(crate) fn run(arguments: Arguments) -> anyhow::Result<ExitCode> {
    let image = Image::open(&arguments.image)?;
    let tree = image.tree()?;
    if arguments.files {
        return match list(&tree, io::stdout().lock()) {
            Err(error) if error.kind() == io::ErrorKind::BrokenPipe => Err(Closed.into()),
            listed => listed
                .map(|()| ExitCode::SUCCESS)
                .context("cannot write the list"),
        };
    }
    let failed = || format!("cannot read {}", arguments.image.display());
    let bytes = fs::metadata(&arguments.image).with_context(failed)?.len();
    let hash = Hash::of_file(&arguments.image).with_context(failed)?;
    let count =
        |kind: fn(EntryKind<'_>) -> bool| tree.entries().filter(|entry| kind(entry.kind)).count();
    let files = count(|kind| matches!(kind, EntryKind::File(_)));
    let folders = count(|kind| matches!(kind, EntryKind::Folder));
    let links = count(|kind| matches!(kind, EntryKind::Link(_)));
    if arguments.json {
        let all = json!({
            "Hash": hash.to_string(),
            "Size": bytes,
            "UnpackedSize": tree.size(),
            "Compression": image.compression().to_string(),
            "Files": files,
            "Folders": folders,
            "Links": links,
            "Configuration": image.configuration(),
        });
        outln!("{}", serde_json::to_string_pretty(&all)?)?;
        return Ok(ExitCode::SUCCESS);
    }
    row("hash", &format!("sha3:{hash}"))?;
    row(
        "size",
        &format!("{}, as {}", size(bytes), image.compression()),
    )?;
    row(
        "unpacked",
        &format!(
            "{} in {files} files, {folders} folders, {links} links",
            size(tree.size())
        ),
    )?;
    describe(image.configuration())?;
    Ok(ExitCode::SUCCESS)
}

fn describe(configuration: &Configuration) -> anyhow::Result<()> {
    let command =
        |words: &Option<Vec<String>>| words.as_ref().map(|words| json!(words).to_string());
    let lines = [
        ("entrypoint", command(&configuration.entrypoint)),
        ("command", command(&configuration.cmd)),
        (
            "folder",
            Some(configuration.working_dir.clone()).filter(|folder| !folder.is_empty()),
        ),
        (
            "user",
            configuration.user.clone().filter(|user| !user.is_empty()),
        ),
    ];
    for (name, value) in lines {
        if let Some(value) = value {
            row(name, &value)?;
        }
    }
    for variable in &configuration.env {
        row("variable", variable)?;
    }
    for volume in configuration.volumes.keys() {
        row("volume", volume)?;
    }
    for (name, value) in &configuration.labels {
        row("label", &format!("{name}={value}"))?;
    }
    Ok(())
}

/// What images say is shown as text: nothing in it does anything to a terminal.
fn row(name: &str, value: &str) -> anyhow::Result<()> {
    outln!("{name:<12}{}", value.replace(char::is_control, " "))
}

fn list(tree: &Tree, to: impl Write) -> io::Result<()> {
    let mut to = BufWriter::new(to);
    for entry in tree.entries() {
        let Attributes { mode, owner, .. } = entry.attributes;
        let (kind, bytes, target) = match entry.kind {
            EntryKind::Folder => ('d', 0, String::new()),
            EntryKind::File(bytes) => ('-', bytes, String::new()),
            EntryKind::Link(target) => ('l', 0, format!(" -> {}", target.display())),
            EntryKind::Special => ('s', 0, String::new()),
        };
        let owner = format!("{}:{}", owner.user, owner.group);
        let path = format!("/{}{target}", entry.path.display()).replace(char::is_control, "?");
        writeln!(to, "{kind}{mode:04o} {owner:>11} {bytes:>12} {path}")?;
    }
    to.flush()
}
