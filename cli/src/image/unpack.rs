//! `kiln image unpack`: an image becomes a folder.

use std::{path::PathBuf, process::ExitCode};

use gvmi::Image;

use super::place::size;
use crate::print::errln;

/// Unpack the files of an image into a new folder.
///
/// All belong to whoever does it; setuid bits, devices and the like are left out.
#[derive(clap::Args)]
pub(crate) struct Arguments {
    /// The image
    image: PathBuf,
    /// The folder, which is not there yet
    folder: PathBuf,
}

/// Unpacks an image.
pub(crate) fn run(arguments: Arguments) -> anyhow::Result<ExitCode> {
    let tree = Image::open(&arguments.image)?.tree()?;
    tree.unpack(&arguments.folder)?;
    errln!(
        "unpacked {} into {}",
        size(tree.size()),
        arguments.folder.display()
    );
    Ok(ExitCode::SUCCESS)
}
