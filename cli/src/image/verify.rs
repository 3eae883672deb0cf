//! `kiln image verify`: whether an image is whole, and the one that it should be.

use std::{path::PathBuf, process::ExitCode};

use anyhow::Context;
use gvmi::{Hash, Image};

use super::place::size;
use crate::print::{errln, outln};

/// Check that an image is whole, down to the last byte of its files, and print its hash.
#[derive(clap::Args)]
pub(crate) struct Arguments {
    /// The image
    image: PathBuf,
    /// The hash that it should have: 56 hexadecimal digits, `sha3:` before them or not
    #[arg(value_parser = hash)]
    hash: Option<Hash>,
}

/// Checks an image.
pub(crate) fn run(arguments: Arguments) -> anyhow::Result<ExitCode> {
    let path = &arguments.image;
    let image = Image::open(path)?;
    let found = match arguments.hash {
        Some(expected) => gvmi::verify(path, expected).map(|()| expected)?,
        None => Hash::of_file(path).with_context(|| format!("cannot read {}", path.display()))?,
    };
    let tree = image.tree()?;
    tree.check()?;
    let entries = tree.entries().count();
    errln!(
        "{} is whole: {entries} entries, {} unpacked",
        path.display(),
        size(tree.size())
    );
    outln!("{found} {}", path.display())?;
    Ok(ExitCode::SUCCESS)
}

fn hash(text: &str) -> Result<Hash, gvmi::ParseHashError> {
    text.strip_prefix("sha3:").unwrap_or(text).parse()
}
