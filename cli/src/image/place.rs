//! Where results go.

use std::{
    fs,
    path::{Path, PathBuf},
};

use anyhow::{Context, bail};

/// A file that is to be written: under another name until it is whole, and not at all unless it is [kept](Self::keep).
pub(crate) struct Target {
    path: PathBuf,
    folder: tempfile::TempDir,
}

impl Target {
    /// The place for a file at `path`; what is there is replaced only if that is allowed.
    pub(crate) fn new(path: PathBuf, may_replace: bool) -> anyhow::Result<Self> {
        if path.is_dir() {
            bail!("{} is a folder; a file is to be written", path.display());
        }
        if path.exists() && !may_replace {
            bail!("{} is there already; --force replaces it", path.display());
        }
        let parent = path
            .parent()
            .filter(|parent| !parent.as_os_str().is_empty());
        let parent = parent.unwrap_or(Path::new("."));
        let folder = tempfile::Builder::new()
            .prefix(".kiln-")
            .tempdir_in(parent)
            .with_context(|| format!("cannot write into the folder {}", parent.display()))?;
        Ok(Self { path, folder })
    }

    /// Where to write it, for now.
    pub(crate) fn meanwhile(&self) -> PathBuf {
        self.folder.path().join("image.gvmi")
    }

    /// Gives it its name.
    pub(crate) fn keep(self) -> anyhow::Result<PathBuf> {
        fs::rename(self.meanwhile(), &self.path)
            .with_context(|| format!("cannot write {}", self.path.display()))?;
        Ok(self.path)
    }
}

/// Copies an image to `path`, and returns that.
pub(crate) fn copy(image: &Path, path: PathBuf, may_replace: bool) -> anyhow::Result<PathBuf> {
    let target = Target::new(path, may_replace)?;
    fs::copy(image, target.meanwhile())
        .with_context(|| format!("cannot write {}", target.path.display()))?;
    target.keep()
}

/// Bytes, as a person reads them.
pub(crate) fn size(bytes: u64) -> String {
    match bytes {
        0..1_000 => format!("{bytes} bytes"),
        1_000..1_000_000 => format!("{:.1} kB", bytes as f64 / 1e3),
        1_000_000..1_000_000_000 => format!("{:.1} MB", bytes as f64 / 1e6),
        _ => format!("{:.2} GB", bytes as f64 / 1e9),
    }
}
