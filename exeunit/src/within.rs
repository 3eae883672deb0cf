//! Paths that cannot lead out of a folder, whatever `..` and symbolic links they are made of.

use std::{
    os::fd::{AsFd, OwnedFd},
    path::{Component, Path},
};

use rustix::{
    fs::{Mode, OFlags, ResolveFlags, mkdirat, openat2},
    io::{Errno, Result},
};

/// What a path that would leave its folder leads to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Bounds {
    /// The folder is a root: absolute links begin at it, and its parent is itself.
    Root,
    /// An error, `EXDEV`.
    Fence,
}

impl Bounds {
    fn flags(self) -> ResolveFlags {
        ResolveFlags::NO_MAGICLINKS
            | match self {
                Self::Root => ResolveFlags::IN_ROOT,
                Self::Fence => ResolveFlags::BENEATH,
            }
    }
}

/// Opens what is at `path` in a folder.
pub(crate) fn open(
    folder: impl AsFd,
    bounds: Bounds,
    path: &Path,
    flags: OFlags,
    mode: Mode,
) -> Result<OwnedFd> {
    let path = if path.as_os_str().is_empty() {
        Path::new(".")
    } else {
        path
    };
    openat2(folder, path, flags | OFlags::CLOEXEC, mode, bounds.flags())
}

/// Opens the folder at `path` in a folder, as a place only, and creates it and those above it where they are missing.
///
/// `adopt` is called with every folder that was created. A path with `..` is refused with `EINVAL`.
pub(crate) fn create_folder(
    folder: impl AsFd,
    bounds: Bounds,
    path: &Path,
    adopt: impl Fn(&OwnedFd) -> Result<()>,
) -> Result<OwnedFd> {
    let open_place = |path: &Path| {
        let flags = OFlags::PATH | OFlags::DIRECTORY;
        open(&folder, bounds, path, flags, Mode::empty())
    };
    let mut place = open_place(Path::new("."))?;
    let mut so_far = std::path::PathBuf::new();
    for component in path.components() {
        let name = match component {
            Component::Normal(name) => name,
            Component::ParentDir => return Err(Errno::INVAL),
            Component::CurDir | Component::RootDir | Component::Prefix(_) => continue,
        };
        so_far.push(name);
        place = match open_place(&so_far) {
            Err(Errno::NOENT) => {
                mkdirat(&place, name, Mode::from_raw_mode(0o755))?;
                let created = open_place(&so_far)?;
                adopt(&created)?;
                created
            }
            opened => opened?,
        };
    }
    Ok(place)
}
