//! Writes an image, file by file.

use std::{
    collections::BTreeSet,
    fs::{self, File},
    io::{self, BufWriter, Read, Seek, SeekFrom},
    os::unix::ffi::OsStrExt,
    path::{Component, Path, PathBuf},
};

use backhand::{
    BackhandError, FilesystemCompressor, FilesystemWriter,
    compression::{CompressionOptions, Compressor, Zstd},
};

use crate::{Attributes, Configuration, TrailerError, trailer, tree};

/// Beyond it, packing takes twice as long and more, and saves two parts in a hundred.
const ZSTD_LEVEL: u32 = 3;

/// The longest target of a symbolic link, in bytes, that readers of squashfs agree on.
const LONGEST_LINK: usize = 255;

/// The longest name, in bytes, that squashfs and Linux have room for.
const LONGEST_NAME: usize = 255;

/// How many different users and groups squashfs has room for.
const MOST_OWNERS: usize = u16::MAX as usize;

/// An image that is being put together, in memory but for the contents of its files.
///
/// The same calls in the same order give the same bytes. A folder comes before what is in it.
pub struct Writer<'a> {
    file_system: FilesystemWriter<'static, 'static, 'a>,
    owners: BTreeSet<u32>,
}

/// Why something cannot be put into an image.
#[derive(Debug, thiserror::Error)]
pub enum AddError {
    /// It is no path of names alone, or a name in it is too long.
    #[error("{} is no path that an image can have", .0.display())]
    Path(PathBuf),
    /// Something else is there, or there is no folder for it.
    #[error("there is no place for {} in the image: its folder is missing, or it is there already", .0.display())]
    Place(PathBuf),
    /// A symbolic link cannot be kept in an image.
    #[error("the target of the symbolic link {} is empty or longer than {LONGEST_LINK} bytes", .0.display())]
    LongLink(PathBuf),
    /// The files belong to too many.
    #[error("{} is one file too many of another user or group: {MOST_OWNERS} have room", .0.display())]
    Owners(PathBuf),
}

/// Why an image cannot be written.
#[derive(Debug, thiserror::Error)]
pub enum WriteError {
    /// The image cannot be written, or what goes into it cannot be read to its end.
    #[error("cannot write the image {}", path.display())]
    Io {
        /// Where it was to be.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// The configuration cannot be written.
    #[error("cannot write the configuration of the image {}", path.display())]
    Trailer {
        /// Where it was to be.
        path: PathBuf,
        /// Why.
        source: TrailerError,
    },
}

impl<'a> Writer<'a> {
    /// An image without files, whose root folder has the permissions `mode`.
    pub fn new(mode: u16) -> Self {
        let zstd = CompressionOptions::Zstd(Zstd {
            compression_level: ZSTD_LEVEL,
        });
        let mut file_system = FilesystemWriter::default();
        let zstd = FilesystemCompressor::new(Compressor::Zstd, Some(zstd));
        file_system.set_compressor(zstd.expect("zstd has this level"));
        file_system.set_root_mode(mode & tree::PERMISSIONS);
        Self {
            file_system,
            owners: BTreeSet::from([0]),
        }
    }

    /// Adds the folder `path`, without what is in it.
    ///
    /// # Errors
    /// If it has no place in the image, or too many own files already; as with all that is added.
    pub fn add_folder(&mut self, path: &Path, attributes: Attributes) -> Result<(), AddError> {
        self.check(path, attributes)?;
        let added = self.file_system.push_dir(path, attributes.into());
        placed(path, added)
    }

    /// Adds a file. Its contents are read when the image is written, each file's before the next one's.
    ///
    /// # Errors
    /// As with [`add_folder`](Self::add_folder).
    pub fn add_file(
        &mut self,
        path: &Path,
        attributes: Attributes,
        contents: impl Read + 'a,
    ) -> Result<(), AddError> {
        self.check(path, attributes)?;
        let added = self
            .file_system
            .push_file(contents, path, attributes.into());
        placed(path, added)
    }

    /// Adds a symbolic link.
    ///
    /// # Errors
    /// As with [`add_folder`](Self::add_folder), or if its target is empty or longer than 255 bytes.
    pub fn add_link(
        &mut self,
        path: &Path,
        attributes: Attributes,
        target: &Path,
    ) -> Result<(), AddError> {
        self.check(path, attributes)?;
        if !(1..=LONGEST_LINK).contains(&target.as_os_str().as_bytes().len()) {
            return Err(AddError::LongLink(path.into()));
        }
        let added = self
            .file_system
            .push_symlink(target, path, attributes.into());
        placed(path, added)
    }

    /// Writes the image with its `configuration` into the new file `target`.
    ///
    /// # Errors
    /// If it cannot be written, or the contents of a file not be read: it is then not there.
    pub fn write(self, configuration: &Configuration, target: &Path) -> Result<(), WriteError> {
        let failed = |source| WriteError::Io {
            path: target.into(),
            source,
        };
        let file = File::create_new(target).map_err(failed)?;
        let written = self
            .write_files(&file)
            .map_err(failed)
            .and_then(|()| write_trailer(&file, configuration, target));
        if written.is_err() {
            let _ = fs::remove_file(target);
        }
        written
    }

    /// Writes the file system, and leaves `file` at its end.
    fn write_files(mut self, mut file: &File) -> io::Result<()> {
        let (_, size) = self
            .file_system
            .write(BufWriter::new(file))
            .map_err(tree::io_error)?;
        // Duplicates are written over: where the last file is one, its bytes may be left beyond the end.
        file.set_len(size)?;
        file.seek(SeekFrom::Start(size)).map(drop)
    }

    fn check(&mut self, path: &Path, attributes: Attributes) -> Result<(), AddError> {
        let is_name = |component| match component {
            Component::Normal(name) => name.as_bytes().len() <= LONGEST_NAME,
            _ => false,
        };
        if path.as_os_str().is_empty() || !path.components().all(is_name) {
            return Err(AddError::Path(path.into()));
        }
        let owner = attributes.owner;
        self.owners.extend([owner.user, owner.group]);
        match self.owners.len() {
            0..=MOST_OWNERS => Ok(()),
            _ => Err(AddError::Owners(path.into())),
        }
    }
}

fn placed(path: &Path, added: Result<(), BackhandError>) -> Result<(), AddError> {
    // Of the reasons that there are, only one is left.
    added.map_err(|_| AddError::Place(path.into()))
}

fn write_trailer(
    file: &File,
    configuration: &Configuration,
    target: &Path,
) -> Result<(), WriteError> {
    trailer::write(BufWriter::new(file), configuration).map_err(|source| WriteError::Trailer {
        path: target.into(),
        source,
    })
}
