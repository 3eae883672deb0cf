//! An image that lies in a file.

use std::{
    fs::File,
    io::{self, Read, Seek},
    path::{Path, PathBuf},
};

use crate::{
    Compression, Configuration, SuperblockError, TrailerError, Tree, TreeError, superblock,
    trailer::{self, Trailer},
};

/// An image: its configuration is at hand, its files are read when they are needed.
#[derive(Clone, Debug)]
pub struct Image {
    path: PathBuf,
    compression: Compression,
    configuration: Configuration,
}

/// Why a file is no image.
#[derive(Debug, thiserror::Error)]
pub enum OpenError {
    /// It cannot be read.
    #[error("cannot read the image {}", path.display())]
    Read {
        /// Where it is.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// It does not begin as an image does.
    #[error("{} is no image", path.display())]
    Superblock {
        /// Where it is.
        path: PathBuf,
        /// What is wrong with its beginning.
        source: SuperblockError,
    },
    /// It does not end as an image does.
    #[error("{} is no image", path.display())]
    Trailer {
        /// Where it is.
        path: PathBuf,
        /// What is wrong with its end.
        source: TrailerError,
    },
}

impl Image {
    /// Opens the image at `path` and reads its configuration. Whether the file is the one that a hash names is for
    /// [`verify`](crate::verify) to say.
    ///
    /// # Errors
    /// If the file cannot be read, or is no image.
    pub fn open(path: &Path) -> Result<Self, OpenError> {
        let unreadable = |source| OpenError::Read {
            path: path.into(),
            source,
        };
        let mut file = File::open(path).map_err(unreadable)?;
        let mut beginning = Vec::new();
        (&mut file)
            .take(superblock::SIZE as u64)
            .read_to_end(&mut beginning)
            .and_then(|_| file.rewind())
            .map_err(unreadable)?;
        let no_superblock = |source| OpenError::Superblock {
            path: path.into(),
            source,
        };
        let beginning = beginning
            .try_into()
            .map_err(|_| no_superblock(SuperblockError::NoSquashfs))?;
        // Whoever gave a wrong file should hear that first, not that its end is missing.
        let compression = superblock::compression(&beginning).map_err(no_superblock)?;
        let Trailer {
            configuration,
            start,
        } = trailer::read(file).map_err(|source| OpenError::Trailer {
            path: path.into(),
            source,
        })?;
        superblock::check_size(&beginning, start).map_err(no_superblock)?;
        Ok(Self {
            path: path.into(),
            compression,
            configuration,
        })
    }

    /// How its files are compressed.
    pub fn compression(&self) -> Compression {
        self.compression
    }

    /// Where it lies.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// What a container is like that is made from it.
    pub fn configuration(&self) -> &Configuration {
        &self.configuration
    }

    /// Reads the names of its files.
    ///
    /// # Errors
    /// If its file system is damaged, or cannot be read.
    pub fn tree(&self) -> Result<Tree, TreeError> {
        Tree::read(&self.path)
    }
}
