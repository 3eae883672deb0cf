//! From a folder to an image.

use std::{
    fs::{self, File, Metadata},
    io::{self, Read},
    path::{Path, PathBuf},
};

use walkdir::WalkDir;

use crate::{AddError, Attributes, Configuration, WriteError, Writer};

/// Why a folder cannot be packed.
#[derive(Debug, thiserror::Error)]
pub enum PackError {
    /// Something in the folder cannot be read.
    #[error("cannot read {}", path.display())]
    Read {
        /// What.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// Something in the folder cannot be in an image.
    #[error("cannot pack {}", folder.display())]
    Add {
        /// The folder.
        folder: PathBuf,
        /// What, and why.
        source: AddError,
    },
    /// The image cannot be written, or a file of the folder not be read to its end.
    #[error(transparent)]
    Write(#[from] WriteError),
}

/// Packs the folders, files and symbolic links of `folder`, and `configuration`, into the new file `target`.
///
/// In the image all belongs to root and was last changed at the epoch, and hard links are files of their own; so the
/// same folder gives the same bytes. Permissions are kept, setuid and setgid with them. Devices, pipes and sockets
/// are left out.
///
/// # Errors
/// If the folder cannot be read, or the file not be written: it is then not there.
pub fn pack(folder: &Path, configuration: &Configuration, target: &Path) -> Result<(), PackError> {
    let roots = |_: &Path, metadata: &Metadata| Attributes::roots(metadata);
    pack_as(folder, roots, configuration, target)
}

/// Packs a folder as [`pack`] does, but for what `describe` has the image say of its files: it is called with the path
/// of each in `folder`, and with what this machine says of it. Of the folder itself, only the permissions are used.
///
/// # Errors
/// As with [`pack`].
pub fn pack_as(
    folder: &Path,
    describe: impl Fn(&Path, &Metadata) -> Attributes,
    configuration: &Configuration,
    target: &Path,
) -> Result<(), PackError> {
    let metadata = fs::metadata(folder).map_err(|source| PackError::Read {
        path: folder.into(),
        source,
    })?;
    let mut image = Writer::new(describe(Path::new(""), &metadata).mode);
    for entry in WalkDir::new(folder).min_depth(1).sort_by_file_name() {
        let entry = entry.map_err(|error| PackError::Read {
            path: error.path().unwrap_or(folder).into(),
            source: error.into(),
        })?;
        add(&mut image, folder, entry.path(), &describe)?;
    }
    Ok(image.write(configuration, target)?)
}

fn add(
    image: &mut Writer<'_>,
    folder: &Path,
    path: &Path,
    describe: impl Fn(&Path, &Metadata) -> Attributes,
) -> Result<(), PackError> {
    let unreadable = |source| PackError::Read {
        path: path.into(),
        source,
    };
    let metadata = fs::symlink_metadata(path).map_err(unreadable)?;
    let within = path.strip_prefix(folder).unwrap_or(path);
    let attributes = describe(within, &metadata);
    let added = if metadata.is_dir() {
        image.add_folder(within, attributes)
    } else if metadata.is_file() {
        image.add_file(within, attributes, OpenedLater::Unopened(path.into()))
    } else if metadata.is_symlink() {
        let target = fs::read_link(path).map_err(unreadable)?;
        image.add_link(within, attributes, &target)
    } else {
        Ok(())
    };
    added.map_err(|source| PackError::Add {
        folder: folder.into(),
        source,
    })
}

/// A file that is opened when it is first read and closed at its end, so that there are never too many open, and that
/// names itself when it cannot be read.
enum OpenedLater {
    Unopened(PathBuf),
    Open(PathBuf, File),
    Ended,
}

impl OpenedLater {
    fn read_some(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        match self {
            Self::Unopened(path) => {
                let file = File::open(&*path)?;
                *self = Self::Open(std::mem::take(path), file);
                self.read_some(buffer)
            }
            Self::Open(_, file) => {
                let count = file.read(buffer)?;
                if count == 0 {
                    *self = Self::Ended;
                }
                Ok(count)
            }
            Self::Ended => Ok(0),
        }
    }
}

impl Read for OpenedLater {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        self.read_some(buffer).map_err(|error| match self {
            Self::Unopened(path) | Self::Open(path, _) => {
                let message = format!("cannot read {}: {error}", path.display());
                io::Error::new(error.kind(), message)
            }
            Self::Ended => error,
        })
    }
}
