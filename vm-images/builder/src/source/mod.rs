//! What `COPY` copies: found in a context, and known by its contents.

mod context;
mod ignore;
mod pattern;

use std::{
    ffi::OsString,
    fs::{self, File, Metadata},
    io::{self, Read},
    os::unix::fs::PermissionsExt,
    path::{Path, PathBuf},
};

use sha2::{Digest as _, Sha256};
use walkdir::WalkDir;

pub(crate) use context::Context;
pub use pattern::BadPattern;

/// SHA-256 of a file's contents.
pub(crate) type Digest = [u8; 32];

/// Bytes that are read at a time.
const BUFFER: usize = 64 << 10;

/// A file, or a folder and all that is in it.
#[derive(Debug, PartialEq)]
pub(crate) struct Source {
    /// What a file is called in the folder that it is copied to.
    pub(crate) name: OsString,
    /// Itself, and then what is in it: each folder before its contents, by name.
    pub(crate) entries: Vec<Entry>,
}

/// A file, a folder without its contents, or a symbolic link.
#[derive(Debug, PartialEq)]
pub(crate) struct Entry {
    /// Where it is.
    pub(crate) host: PathBuf,
    /// Where it is in its source; empty for the source itself.
    pub(crate) path: PathBuf,
    /// Its permissions.
    pub(crate) mode: u32,
    pub(crate) kind: Kind,
}

/// What an [`Entry`] is.
#[derive(Debug, PartialEq)]
pub(crate) enum Kind {
    Folder,
    File(Digest),
    Link(PathBuf),
}

/// Why there is nothing to copy.
#[derive(Debug, thiserror::Error)]
pub enum SourceError {
    /// The context is no folder.
    #[error("the context {} cannot be used", path.display())]
    Context {
        /// Where it was to be.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// There is no such file.
    #[error("there is no {pattern} in the context {}, or .dockerignore leaves it out", context.display())]
    Missing {
        /// What was to be copied.
        pattern: String,
        /// Where.
        context: PathBuf,
    },
    /// The path or a link leads elsewhere.
    #[error("{pattern} leads out of the context {}", context.display())]
    Outside {
        /// What was to be copied.
        pattern: String,
        /// Where.
        context: PathBuf,
    },
    /// The pattern makes no sense.
    #[error(transparent)]
    Pattern(#[from] BadPattern),
    /// It is a device, a pipe or a socket.
    #[error("{} is neither a file nor a folder nor a symbolic link", .0.display())]
    Special(PathBuf),
    /// It cannot be read.
    #[error("cannot read {}", path.display())]
    Read {
        /// What.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
}

impl Source {
    /// Reads what is at `path`, which is no symbolic link, without what `is_there` denies by its path in it; something
    /// in a folder that is not there may be there only if it `has_exceptions`.
    fn read(
        path: &Path,
        name: OsString,
        is_there: impl Fn(&Path) -> bool,
        has_exceptions: bool,
    ) -> Result<Self, SourceError> {
        let is_visible = |found: &walkdir::DirEntry| {
            let within = found.path().strip_prefix(path);
            within.is_ok_and(|within| within.as_os_str().is_empty() || is_there(within))
        };
        let entries = WalkDir::new(path)
            .sort_by_file_name()
            .into_iter()
            .filter_entry(|found| has_exceptions && found.file_type().is_dir() || is_visible(found))
            .filter(|found| found.as_ref().map_or(true, is_visible))
            .map(|found| match found {
                Ok(found) => {
                    let within = found
                        .path()
                        .strip_prefix(path)
                        .unwrap_or(Path::new(""))
                        .to_owned();
                    Entry::read(found.path(), within)
                }
                Err(error) => Err(SourceError::Read {
                    path: error.path().unwrap_or(path).into(),
                    source: error.into(),
                }),
            });
        Ok(Self {
            name,
            entries: entries.collect::<Result<_, _>>()?,
        })
    }

    /// Itself, if it is an archive, compressed or not.
    pub(crate) fn archive(&self) -> Option<&Entry> {
        let entry = self.entries.first()?;
        let is_archive = || File::open(&entry.host).is_ok_and(oci::archive::is_archive);
        (matches!(entry.kind, Kind::File(_)) && is_archive()).then_some(entry)
    }

    /// Whether it is a folder, of which only the contents are copied.
    pub(crate) fn is_folder(&self) -> bool {
        matches!(
            self.entries.first(),
            Some(Entry {
                kind: Kind::Folder,
                ..
            })
        )
    }
}

impl Entry {
    fn read(host: &Path, path: PathBuf) -> Result<Self, SourceError> {
        let failed = |source| SourceError::Read {
            path: host.into(),
            source,
        };
        let metadata = fs::symlink_metadata(host).map_err(failed)?;
        Ok(Self {
            host: host.into(),
            path,
            mode: metadata.permissions().mode() & 0o7777,
            kind: Kind::read(host, &metadata)?,
        })
    }
}

impl Kind {
    fn read(host: &Path, metadata: &Metadata) -> Result<Self, SourceError> {
        let failed = |source| SourceError::Read {
            path: host.into(),
            source,
        };
        if metadata.is_dir() {
            Ok(Self::Folder)
        } else if metadata.is_symlink() {
            fs::read_link(host).map(Self::Link).map_err(failed)
        } else if metadata.is_file() {
            let file = File::open(host).map_err(failed)?;
            pass_on(file, |_| Ok(())).map(Self::File).map_err(failed)
        } else {
            Err(SourceError::Special(host.into()))
        }
    }
}

/// Hands all bytes of `file` to `taker`, and returns their digest.
pub(crate) fn pass_on(
    mut file: impl Read,
    mut taker: impl FnMut(&[u8]) -> io::Result<()>,
) -> io::Result<Digest> {
    let mut digest = Sha256::new();
    let mut buffer = vec![0; BUFFER];
    loop {
        let count = match file.read(&mut buffer) {
            Ok(0) => return Ok(digest.finalize().into()),
            Ok(count) => count,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
            Err(error) => return Err(error),
        };
        digest.update(&buffer[..count]);
        taker(&buffer[..count])?;
    }
}
