//! The files of an image.

use std::{
    fs::{self, File, FileTimes},
    io::{self, BufReader, Write},
    panic::{self, AssertUnwindSafe},
    path::{Path, PathBuf},
    time::{Duration, SystemTime},
};

use backhand::{BackhandError, FilesystemReader, InnerNode, Node, SquashfsFileReader};
use rustix::fs::Mode;

use crate::{Attributes, root::Root};

/// The permissions in a file's mode: read, write and run, and the special three.
pub(crate) const PERMISSIONS: u16 = 0o7777;

/// Setuid and setgid.
const SET_ID: u16 = 0o6000;

/// The folders, files and symbolic links of an image, by name; their contents are read as they are unpacked.
pub struct Tree {
    image: PathBuf,
    file_system: FilesystemReader<'static>,
}

/// Something in an image.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Entry<'a> {
    /// Where it is, from the root folder, whose own path is empty.
    pub path: &'a Path,
    /// What the image says about it.
    pub attributes: Attributes,
    /// What it is.
    pub kind: EntryKind<'a>,
}

/// What an [`Entry`] is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum EntryKind<'a> {
    /// A folder.
    Folder,
    /// A file of so many bytes.
    File(u64),
    /// A symbolic link to a path.
    Link(&'a Path),
    /// A device, a pipe or a socket, which is not unpacked.
    Special,
}

/// Why the files of an image cannot be listed.
#[derive(Debug, thiserror::Error)]
#[error("the file system of the image {} is damaged, or cannot be read", image.display())]
pub struct TreeError {
    /// Where the image is.
    pub image: PathBuf,
    /// What is wrong with it.
    pub source: io::Error,
}

/// A file of the image is damaged, or cannot be read.
#[derive(Debug, thiserror::Error)]
#[error("cannot read {} in the image {}", path.display(), image.display())]
pub struct ReadError {
    /// Where the image is.
    pub image: PathBuf,
    /// The file's path in it.
    pub path: PathBuf,
    /// Why.
    pub source: io::Error,
}

/// Why an image cannot be unpacked.
#[derive(Debug, thiserror::Error)]
pub enum UnpackError {
    /// A file of the image is damaged, or cannot be read.
    #[error(transparent)]
    Read(#[from] ReadError),
    /// A file cannot be written.
    #[error("cannot unpack {}", path.display())]
    Write {
        /// Where it was to be.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
}

impl Tree {
    pub(crate) fn read(image: &Path) -> Result<Self, TreeError> {
        let failed = |source| TreeError {
            image: image.into(),
            source,
        };
        let file = BufReader::new(File::open(image).map_err(failed)?);
        // backhand computes with what the image says, and panics where that leads beyond a number or a slice.
        let file_system =
            panic::catch_unwind(AssertUnwindSafe(|| FilesystemReader::from_reader(file)))
                .unwrap_or(Err(BackhandError::CorruptedOrInvalidSquashfs))
                .map_err(|error| failed(io_error(error)))?;
        Ok(Self {
            image: image.into(),
            file_system,
        })
    }

    /// Bytes of all its files together, which is what they take when they are unpacked.
    pub fn size(&self) -> u64 {
        let sizes = self.entries().map(|entry| match entry.kind {
            EntryKind::File(size) => size,
            _ => 0,
        });
        sizes.fold(0, u64::saturating_add)
    }

    /// What is in the image, in the order of paths: first the root folder, and each folder before what is in it.
    pub fn entries(&self) -> impl Iterator<Item = Entry<'_>> {
        self.file_system.files().map(|node| Entry {
            path: within(node),
            attributes: node.header.into(),
            kind: EntryKind::of(&node.inner),
        })
    }

    /// Reads the contents of all files to their ends, and so finds out whether they can be.
    ///
    /// # Errors
    /// If one cannot.
    pub fn check(&self) -> Result<(), ReadError> {
        self.file_system
            .files()
            .try_for_each(|node| match &node.inner {
                InnerNode::File(contents) => self.copy(contents, &node.fullpath, &mut io::sink()),
                _ => Ok(()),
            })
    }

    /// Unpacks it into `folder`, which must not exist.
    ///
    /// All belongs to whoever calls this, and may be read by them whatever the image says. Permissions are kept
    /// but for setuid and setgid: they would lend the caller's rights to others. Devices, pipes and sockets are left
    /// out. Nothing is written outside of `folder`.
    ///
    /// # Errors
    /// If the image is damaged, or a file cannot be written: nothing of `folder` is then left.
    pub fn unpack(&self, folder: &Path) -> Result<(), UnpackError> {
        let failed = |source| UnpackError::Write {
            path: folder.into(),
            source,
        };
        fs::create_dir(folder).map_err(failed)?;
        let unpacked = self.unpack_into(folder);
        if unpacked.is_err() {
            let _ = fs::remove_dir_all(folder);
        }
        unpacked
    }

    fn unpack_into(&self, folder: &Path) -> Result<(), UnpackError> {
        let failed = |source| UnpackError::Write {
            path: folder.into(),
            source,
        };
        let root = Root::open(folder).map_err(failed)?;
        let mut folders = Vec::new();
        // In the order of their paths, so each comes after the folder that it is in.
        for node in self.file_system.files() {
            let path = within(node);
            if matches!(node.inner, InnerNode::Dir(_)) {
                folders.push((path, folder_mode(node)));
            }
            if path.as_os_str().is_empty() {
                continue;
            }
            let failed = |source| UnpackError::Write {
                path: folder.join(path),
                source,
            };
            match &node.inner {
                InnerNode::Dir(_) => root.create_folder(path).map_err(failed)?,
                InnerNode::Symlink(link) => root.create_link(path, &link.link).map_err(failed)?,
                InnerNode::File(contents) => {
                    let mut file = root.create_file(path).map_err(failed)?;
                    self.copy(contents, &node.fullpath, &mut file)?;
                    finish_file(&file, node).map_err(failed)?;
                }
                InnerNode::CharacterDevice(_)
                | InnerNode::BlockDevice(_)
                | InnerNode::NamedPipe
                | InnerNode::Socket => {}
            }
        }
        // Last, and the inner ones first: the image may forbid to write what has just been written.
        for (path, mode) in folders.into_iter().rev() {
            let failed = |source| UnpackError::Write {
                path: folder.join(path),
                source,
            };
            root.set_mode(path, mode).map_err(failed)?;
        }
        Ok(())
    }

    fn copy(
        &self,
        contents: &SquashfsFileReader,
        path: &Path,
        to: &mut impl Write,
    ) -> Result<(), ReadError> {
        let unreadable = |source| ReadError {
            image: self.image.clone(),
            path: path.into(),
            source,
        };
        let mut reader = self
            .file_system
            .file(contents)
            .reader_checked()
            .map_err(|error| unreadable(io_error(error)))?;
        let copied = io::copy(&mut reader, to).map_err(unreadable)?;
        if copied == contents.file_len() as u64 {
            Ok(())
        } else {
            Err(unreadable(io::ErrorKind::UnexpectedEof.into()))
        }
    }
}

impl<'a> EntryKind<'a> {
    fn of(node: &'a InnerNode<SquashfsFileReader>) -> Self {
        match node {
            InnerNode::Dir(_) => Self::Folder,
            InnerNode::File(file) => Self::File(file.file_len() as u64),
            InnerNode::Symlink(link) => Self::Link(&link.link),
            InnerNode::CharacterDevice(_)
            | InnerNode::BlockDevice(_)
            | InnerNode::NamedPipe
            | InnerNode::Socket => Self::Special,
        }
    }
}

/// A node's path from the root folder.
fn within<T>(node: &Node<T>) -> &Path {
    node.fullpath.strip_prefix("/").unwrap_or(&node.fullpath)
}

fn finish_file(file: &File, node: &Node<SquashfsFileReader>) -> io::Result<()> {
    let changed = SystemTime::UNIX_EPOCH + Duration::from_secs(node.header.mtime.into());
    file.set_times(FileTimes::new().set_modified(changed))?;
    let mode = node.header.permissions & PERMISSIONS & !SET_ID | 0o400;
    Ok(rustix::fs::fchmod(file, Mode::from_raw_mode(mode.into()))?)
}

fn folder_mode(node: &Node<SquashfsFileReader>) -> u16 {
    node.header.permissions & PERMISSIONS & !SET_ID | 0o700
}

/// What backhand complains about, without its saying things twice.
pub(crate) fn io_error(error: BackhandError) -> io::Error {
    match error {
        BackhandError::StdIo(error) => error,
        other => io::Error::new(io::ErrorKind::InvalidData, other.to_string()),
    }
}
