//! The folder that an image is unpacked into.

use std::{ffi::OsStr, fs::File, io, os::fd::OwnedFd, path::Path};

use rustix::fs::{CWD, Mode, OFlags, ResolveFlags};

/// A folder that nothing is written outside of: no symbolic link is followed below it, and nothing that is there is
/// opened again.
pub(crate) struct Root(OwnedFd);

impl Root {
    pub(crate) fn open(folder: &Path) -> io::Result<Self> {
        let flags = OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC;
        Ok(Self(rustix::fs::openat(CWD, folder, flags, Mode::empty())?))
    }

    pub(crate) fn create_folder(&self, path: &Path) -> io::Result<()> {
        Ok(rustix::fs::mkdirat(
            self.parent(path)?,
            name(path)?,
            Mode::RWXU,
        )?)
    }

    pub(crate) fn create_link(&self, path: &Path, target: &Path) -> io::Result<()> {
        Ok(rustix::fs::symlinkat(
            target,
            self.parent(path)?,
            name(path)?,
        )?)
    }

    pub(crate) fn create_file(&self, path: &Path) -> io::Result<File> {
        let flags =
            OFlags::WRONLY | OFlags::CREATE | OFlags::EXCL | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        let file = rustix::fs::openat(
            self.parent(path)?,
            name(path)?,
            flags,
            Mode::RUSR | Mode::WUSR,
        )?;
        Ok(file.into())
    }

    pub(crate) fn set_mode(&self, path: &Path, mode: u16) -> io::Result<()> {
        let folder = self.open_folder(path, OFlags::RDONLY)?;
        Ok(rustix::fs::fchmod(
            folder,
            Mode::from_raw_mode(mode.into()),
        )?)
    }

    fn parent(&self, path: &Path) -> io::Result<OwnedFd> {
        self.open_folder(path.parent().unwrap_or(Path::new("")), OFlags::PATH)
    }

    fn open_folder(&self, path: &Path, access: OFlags) -> io::Result<OwnedFd> {
        let path = if path.as_os_str().is_empty() {
            Path::new(".")
        } else {
            path
        };
        let flags = access | OFlags::DIRECTORY | OFlags::CLOEXEC;
        let within = ResolveFlags::BENEATH | ResolveFlags::NO_SYMLINKS;
        Ok(rustix::fs::openat2(
            &self.0,
            path,
            flags,
            Mode::empty(),
            within,
        )?)
    }
}

fn name(path: &Path) -> io::Result<&OsStr> {
    path.file_name()
        .ok_or_else(|| io::ErrorKind::InvalidFilename.into())
}
