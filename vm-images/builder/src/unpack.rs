//! Puts the files of base images and archives into an image that is built.

use std::{
    fs::{self, File, FileTimes, Permissions},
    io::{self, BufReader, Read},
    os::unix::fs::PermissionsExt,
    path::{Path, PathBuf},
    time::{Duration, SystemTime},
};

use gvmi::{Attributes, EntryKind, Image};
use oci::{Limits, archive};
use walkdir::WalkDir;

use crate::{
    inherited::Inherited,
    rootfs::{self, Rootfs},
};

/// Why the files of an image or an archive cannot be put into the one that is built.
#[derive(Debug, thiserror::Error)]
pub enum UnpackError {
    /// The image is none.
    #[error(transparent)]
    Open(#[from] gvmi::OpenError),
    /// The names of its files cannot be read.
    #[error(transparent)]
    Tree(#[from] gvmi::TreeError),
    /// Its files cannot be unpacked.
    #[error(transparent)]
    Unpack(#[from] gvmi::UnpackError),
    /// An archive is of no use.
    #[error("cannot unpack the archive {}", path.display())]
    Archive {
        /// Where it is.
        path: PathBuf,
        /// What is wrong with it.
        source: io::Error,
    },
    /// A file cannot be written or read.
    #[error("cannot use {}", path.display())]
    Io {
        /// Which.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
}

/// Unpacks an image into the new folder `path`.
pub(crate) fn image(image: &Image, path: PathBuf) -> Result<(Rootfs, Inherited), UnpackError> {
    let tree = image.tree()?;
    tree.unpack(&path)?;
    let mut inherited = Inherited::default();
    for entry in tree.entries() {
        let place = path.join(entry.path);
        let failed = |source| UnpackError::Io {
            path: place.clone(),
            source,
        };
        if matches!(entry.kind, EntryKind::Special) || entry.path.as_os_str().is_empty() {
            continue;
        }
        if matches!(entry.kind, EntryKind::File(_)) && entry.attributes.mode & 0o6000 != 0 {
            let mode = Permissions::from_mode(u32::from(entry.attributes.mode) | 0o400);
            fs::set_permissions(&place, mode).map_err(failed)?;
        }
        inherited
            .record(&path, entry.path, entry.attributes)
            .map_err(failed)?;
    }
    let failed = |source| UnpackError::Io {
        path: path.clone(),
        source,
    };
    Ok((Rootfs::open(path.clone()).map_err(failed)?, inherited))
}

/// Unpacks the archive at `host` into the folder `destination` of an image.
pub(crate) fn archive(
    rootfs: &Rootfs,
    inherited: &mut Inherited,
    host: &Path,
    destination: &Path,
) -> Result<(), UnpackError> {
    let failed = |source| UnpackError::Archive {
        path: host.into(),
        source,
    };
    let file = File::open(host).map_err(failed)?;
    let mut unpacking = Unpacking {
        rootfs,
        inherited,
        destination,
        folders: Vec::new(),
    };
    archive::for_each(
        BufReader::new(file),
        Limits::default(),
        |entry, contents| {
            let path = entry.path.clone();
            let put = unpacking.put(entry, contents);
            put.map_err(|error| {
                io::Error::new(error.kind(), format!("{}: {error}", path.display()))
            })
        },
    )
    .and_then(|()| unpacking.finish())
    .map_err(failed)
}

struct Unpacking<'a> {
    rootfs: &'a Rootfs,
    inherited: &'a mut Inherited,
    destination: &'a Path,
    /// With their permissions, which may forbid to put something into them.
    folders: Vec<(PathBuf, Attributes)>,
}

impl Unpacking<'_> {
    fn put(&mut self, entry: archive::Entry, contents: &mut dyn Read) -> io::Result<()> {
        let to = match entry.path.as_os_str().is_empty() {
            true => self.destination.to_owned(),
            false => self.destination.join(&entry.path),
        };
        let mode = u32::from(entry.attributes.mode);
        match entry.kind {
            archive::EntryKind::Folder => {
                self.rootfs.put_folder(&to, mode | 0o700)?;
                self.folders.push((to, entry.attributes));
                return Ok(());
            }
            archive::EntryKind::File { .. } => {
                let mut file = self.rootfs.put_file(&to)?;
                io::copy(contents, &mut file)?;
                rootfs::finish(&file, mode | 0o400)?;
                let changed = Duration::from_secs(entry.attributes.changed.into());
                let changed = SystemTime::UNIX_EPOCH + changed;
                file.set_times(FileTimes::new().set_modified(changed))?;
            }
            archive::EntryKind::Link(target) => self.rootfs.put_link(&to, &target)?,
            archive::EntryKind::HardLink(target) => {
                let target = self.destination.join(target);
                return self.rootfs.put_hard_link(&to, &target);
            }
            archive::EntryKind::Special => return Ok(()),
        }
        self.record(&to, entry.attributes)
    }

    fn finish(mut self) -> io::Result<()> {
        for (path, attributes) in std::mem::take(&mut self.folders).into_iter().rev() {
            // Something else may have taken its place.
            if self.rootfs.is_folder(&path) {
                self.rootfs
                    .put_folder(&path, u32::from(attributes.mode) | 0o700)?;
                self.record(&path, attributes)?;
            }
        }
        Ok(())
    }

    /// What is kept is kept by where a file really is.
    fn record(&mut self, path: &Path, attributes: Attributes) -> io::Result<()> {
        let (Some(parent), Some(name)) = (path.parent(), path.file_name()) else {
            return Ok(());
        };
        let place = self.rootfs.resolve(parent)?.join(name);
        self.inherited
            .record(self.rootfs.path(), &place, attributes)
    }
}

/// Copies the tree of a stage into the new folder `path`, for another stage to begin with.
pub(crate) fn copy(
    from: &Rootfs,
    inherited: &Inherited,
    path: PathBuf,
) -> Result<(Rootfs, Inherited), UnpackError> {
    let mut folders = Vec::new();
    for entry in WalkDir::new(from.path()) {
        let entry = entry.map_err(|error| UnpackError::Io {
            path: error.path().unwrap_or(from.path()).into(),
            source: error.into(),
        })?;
        let within = entry.path().strip_prefix(from.path());
        let to = match within {
            Ok(within) if !within.as_os_str().is_empty() => path.join(within),
            _ => path.clone(),
        };
        let copied = copy_one(entry.path(), &to, &mut folders);
        copied.map_err(|source| UnpackError::Io {
            path: entry.path().into(),
            source,
        })?;
    }
    let failed = |source| UnpackError::Io {
        path: path.clone(),
        source,
    };
    for (folder, permissions) in folders.into_iter().rev() {
        fs::set_permissions(folder, permissions).map_err(failed)?;
    }
    let inherited = inherited.of_copy(from.path(), &path).map_err(failed)?;
    Ok((Rootfs::open(path.clone()).map_err(failed)?, inherited))
}

fn copy_one(from: &Path, to: &Path, folders: &mut Vec<(PathBuf, Permissions)>) -> io::Result<()> {
    let metadata = fs::symlink_metadata(from)?;
    if metadata.is_dir() {
        fs::create_dir(to)?;
        folders.push((to.to_owned(), metadata.permissions()));
    } else if metadata.is_symlink() {
        std::os::unix::fs::symlink(fs::read_link(from)?, to)?;
    } else if metadata.is_file() {
        fs::copy(from, to)?;
        let times = FileTimes::new().set_modified(metadata.modified()?);
        // Before the permissions, which may forbid it.
        File::open(to)?.set_times(times)?;
        fs::set_permissions(to, metadata.permissions())?;
    }
    Ok(())
}
