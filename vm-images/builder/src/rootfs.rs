//! The file system of an image while it is built.

use std::{
    ffi::OsStr,
    fs::{File, FileTimes},
    io,
    os::fd::OwnedFd,
    path::{Component, Path, PathBuf},
    time::SystemTime,
};

use rustix::{
    fs::{AtFlags, CWD, Mode, OFlags, ResolveFlags},
    io::Errno,
};

/// Permissions of folders that are created because something is to be in them.
const FOLDER_MODE: u32 = 0o755;

/// A folder that is the root for all paths in it: no `..` and no symbolic link leads out of it, whatever programs
/// of the image have put there.
#[derive(Debug)]
pub(crate) struct Rootfs {
    path: PathBuf,
    root: OwnedFd,
}

impl Rootfs {
    /// Creates an empty one, in a folder that must not exist.
    pub(crate) fn create(path: PathBuf) -> io::Result<Self> {
        rustix::fs::mkdir(&path, Mode::RWXU)?;
        let created = Self::open(path)?;
        rustix::fs::fchmod(&created.root, Mode::from_raw_mode(FOLDER_MODE))?;
        Ok(created)
    }

    /// The one that is there already.
    pub(crate) fn open(path: PathBuf) -> io::Result<Self> {
        let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC;
        let root = rustix::fs::openat(CWD, &path, flags, Mode::empty())?;
        Ok(Self { path, root })
    }

    /// Where it is.
    pub(crate) fn path(&self) -> &Path {
        &self.path
    }

    /// Whether there is a folder at `path`, or a link to one.
    pub(crate) fn is_folder(&self, path: &Path) -> bool {
        self.open_folder(path).is_ok()
    }

    /// Creates the folder at `path` and those above it, unless they are there.
    pub(crate) fn create_folders(&self, path: &Path) -> io::Result<OwnedFd> {
        let mut folder = self.open_folder(Path::new("/"))?;
        let mut so_far = PathBuf::from("/");
        for component in path.components() {
            let Component::Normal(name) = component else {
                continue;
            };
            so_far.push(name);
            folder = match self.open_folder(&so_far) {
                Err(Errno::NOENT) => {
                    rustix::fs::mkdirat(&folder, name, Mode::RWXU)?;
                    let created = self.open_folder(&so_far)?;
                    rustix::fs::chmodat(
                        &folder,
                        name,
                        Mode::from_raw_mode(FOLDER_MODE),
                        AtFlags::empty(),
                    )?;
                    created
                }
                opened => opened?,
            };
        }
        Ok(folder)
    }

    /// Creates the folder at `path`, or gives the one that is there other permissions.
    pub(crate) fn put_folder(&self, path: &Path, mode: u32) -> io::Result<()> {
        let folder = self.create_folders(path)?;
        let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC;
        let folder = rustix::fs::openat(&folder, ".", flags, Mode::empty())?;
        Ok(rustix::fs::fchmod(folder, Mode::from_raw_mode(mode))?)
    }

    /// Puts an empty file at `path`, in the place of a file or link; [`finish`] gives it its permissions.
    pub(crate) fn put_file(&self, path: &Path) -> io::Result<File> {
        let (folder, name) = self.place(path)?;
        let flags = OFlags::WRONLY | OFlags::CREATE | OFlags::EXCL | OFlags::CLOEXEC;
        Ok(rustix::fs::openat(folder, name, flags, Mode::RUSR | Mode::WUSR)?.into())
    }

    /// Puts a symbolic link at `path`, in the place of a file or link.
    pub(crate) fn put_link(&self, path: &Path, target: &Path) -> io::Result<()> {
        let (folder, name) = self.place(path)?;
        Ok(rustix::fs::symlinkat(target, folder, name)?)
    }

    /// Gives the file at `target` another name, in the place of a file or link at `path`.
    pub(crate) fn put_hard_link(&self, path: &Path, target: &Path) -> io::Result<()> {
        let name = target.file_name().ok_or(io::ErrorKind::NotFound)?;
        let from = self.open_folder(target.parent().unwrap_or(Path::new("/")))?;
        let (folder, new_name) = self.place(path)?;
        Ok(rustix::fs::linkat(
            from,
            name,
            folder,
            new_name,
            AtFlags::empty(),
        )?)
    }

    /// The file at `path`, to be read.
    pub(crate) fn open_file(&self, path: &Path) -> io::Result<File> {
        // Not a pipe that nobody writes to.
        let flags = OFlags::RDONLY | OFlags::NONBLOCK | OFlags::CLOEXEC;
        let within = ResolveFlags::IN_ROOT | ResolveFlags::NO_MAGICLINKS;
        Ok(rustix::fs::openat2(&self.root, path, flags, Mode::empty(), within)?.into())
    }

    /// Where `path` leads, from the root; links are followed, and there is something.
    pub(crate) fn resolve(&self, path: &Path) -> io::Result<PathBuf> {
        let flags = OFlags::PATH | OFlags::CLOEXEC;
        let within = ResolveFlags::IN_ROOT | ResolveFlags::NO_MAGICLINKS;
        let opened = rustix::fs::openat2(&self.root, path, flags, Mode::empty(), within)?;
        let place = |file: &OwnedFd| {
            let number = std::os::fd::AsRawFd::as_raw_fd(file);
            std::fs::read_link(format!("/proc/self/fd/{number}"))
        };
        let (found, root) = (place(&opened)?, place(&self.root)?);
        let within = found.strip_prefix(&root).map_err(io::Error::other)?;
        Ok(Path::new("/").join(within))
    }

    /// The folder of `path`, in which nothing has its name any more.
    fn place<'a>(&self, path: &'a Path) -> io::Result<(OwnedFd, &'a OsStr)> {
        let name = path.file_name().ok_or(io::ErrorKind::IsADirectory)?;
        let folder = self.create_folders(path.parent().unwrap_or(Path::new("/")))?;
        match rustix::fs::unlinkat(&folder, name, AtFlags::empty()) {
            Ok(()) | Err(Errno::NOENT) => Ok((folder, name)),
            Err(error) => Err(error.into()),
        }
    }

    fn open_folder(&self, path: &Path) -> rustix::io::Result<OwnedFd> {
        let flags = OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC;
        let within = ResolveFlags::IN_ROOT | ResolveFlags::NO_MAGICLINKS;
        rustix::fs::openat2(&self.root, path, flags, Mode::empty(), within)
    }
}

/// Gives a file that is written its permissions.
pub(crate) fn finish(file: &File, mode: u32) -> io::Result<()> {
    rustix::fs::fchmod(file, Mode::from_raw_mode(mode))?;
    // What compiles it while the image is built shall find the time that the image will say.
    file.set_times(FileTimes::new().set_modified(SystemTime::UNIX_EPOCH))
}
