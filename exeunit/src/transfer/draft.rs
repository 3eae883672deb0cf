//! Files that get their names when they are whole.

use std::{
    fs::File,
    os::fd::OwnedFd,
    path::{Path, PathBuf},
};

use rustix::{
    fs::{AtFlags, Mode, OFlags, openat, renameat, unlinkat},
    io::Errno,
};

use crate::sandbox::adopt_open;

/// What a file is called in its folder until it is whole. One is written at a time.
pub(super) const PARTIAL: &str = ".transfer.partial";

/// A file without its final name yet, which is gone if it is dropped.
#[derive(Debug)]
pub(super) struct Draft {
    folder: OwnedFd,
    name: PathBuf,
    is_finished: bool,
}

impl Draft {
    /// Creates a file in a folder, which is to be called `name` there.
    pub(super) fn create(folder: OwnedFd, name: &Path) -> rustix::io::Result<(Self, File)> {
        let flags =
            OFlags::WRONLY | OFlags::CREATE | OFlags::EXCL | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        let create = || openat(&folder, PARTIAL, flags, Mode::from_raw_mode(0o644));
        let file = match create() {
            Err(Errno::EXIST) => {
                unlinkat(&folder, PARTIAL, AtFlags::empty())?;
                create()?
            }
            created => created?,
        };
        let draft = Self {
            folder,
            name: name.to_owned(),
            is_finished: false,
        };
        adopt_open(&file)?;
        Ok((draft, File::from(file)))
    }

    /// Gives it its name.
    pub(super) fn finish(mut self) -> rustix::io::Result<()> {
        renameat(&self.folder, PARTIAL, &self.folder, &self.name)?;
        self.is_finished = true;
        Ok(())
    }
}

impl Drop for Draft {
    fn drop(&mut self) {
        if !self.is_finished {
            // It can only be gone already, with its folder.
            let _ = unlinkat(&self.folder, PARTIAL, AtFlags::empty());
        }
    }
}
