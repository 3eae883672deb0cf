//! An image of this machine's programs.

use std::path::{Path, PathBuf};

use crate::programs::pack;

/// An image with some programs of this machine.
pub(crate) fn image(folder: &Path) -> PathBuf {
    let programs = ["/bin/echo", "/bin/sh", "/bin/sleep", "/bin/true"];
    pack(&programs.map(|path| (Path::new(path), path)), folder)
}
