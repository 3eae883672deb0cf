//! What an image says of files that are still as a base image, an archive or a `USER` has left them.
//!
//! While an image is built, all its files belong to whoever builds it. Whose they are to be, when they were changed,
//! and permissions that the builder could not work with are kept here, and hold as long as a file is the same one.

use std::{
    collections::{BTreeMap, BTreeSet},
    fs::{self, Metadata},
    io,
    os::unix::fs::MetadataExt,
    path::{Path, PathBuf},
    time::SystemTime,
};

use gvmi::{Attributes, Owner};
use walkdir::WalkDir;

/// The permissions in a file's mode, and the special three.
const PERMISSIONS: u32 = 0o7777;

/// What is to be said of files, by their paths in the image.
#[derive(Clone, Debug, Default)]
pub(crate) struct Inherited(BTreeMap<PathBuf, Record>);

/// What is to be said of a file, and by what it is known.
#[derive(Clone, Copy, Debug)]
struct Record {
    attributes: Attributes,
    identity: Identity,
    mode: u32,
    changed: i64,
}

/// What no two files have in common: the number of one that was removed may be given to another.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Identity {
    inode: u64,
    /// When it came to be, where the file system knows that.
    born: Option<SystemTime>,
}

/// The files that are there at a time.
#[derive(Debug)]
pub(crate) struct Snapshot(BTreeSet<Identity>);

impl Identity {
    fn of(metadata: &Metadata) -> Self {
        Self {
            inode: metadata.ino(),
            born: metadata.created().ok(),
        }
    }
}

impl Inherited {
    /// Keeps `attributes` for the file at `path` in the tree `root`, which is there.
    pub(crate) fn record(
        &mut self,
        root: &Path,
        path: &Path,
        attributes: Attributes,
    ) -> io::Result<()> {
        let path = path.strip_prefix("/").unwrap_or(path);
        let metadata = fs::symlink_metadata(root.join(path))?;
        let record = Record {
            attributes,
            identity: Identity::of(&metadata),
            mode: metadata.mode() & PERMISSIONS,
            changed: metadata.mtime(),
        };
        self.0.insert(path.to_owned(), record);
        Ok(())
    }

    /// Keeps `owner` for the file at `path`, beside what is kept of it already.
    pub(crate) fn give(&mut self, root: &Path, path: &Path, owner: Owner) -> io::Result<()> {
        let within = path.strip_prefix("/").unwrap_or(path);
        let metadata = fs::symlink_metadata(root.join(within))?;
        let attributes = Attributes {
            owner,
            ..self.describe(within, &metadata)
        };
        self.record(root, within, attributes)
    }

    /// Gives all files to `owner` that were not there at the time of `before`.
    pub(crate) fn give_new(
        &mut self,
        root: &Path,
        before: &Snapshot,
        owner: Owner,
    ) -> io::Result<()> {
        for entry in WalkDir::new(root).min_depth(1) {
            let entry = entry?;
            if !before.0.contains(&Identity::of(&entry.metadata()?)) {
                let path = entry.path().strip_prefix(root).unwrap_or(entry.path());
                self.give(root, path, owner)?;
            }
        }
        Ok(())
    }

    /// What the image is to say of the file at `path` in it, which is like this here.
    pub(crate) fn describe(&self, path: &Path, metadata: &Metadata) -> Attributes {
        let plain = Attributes::roots(metadata);
        match self.0.get(path) {
            Some(record) if record.identity == Identity::of(metadata) => Attributes {
                mode: match record.mode == metadata.mode() & PERMISSIONS {
                    true => record.attributes.mode,
                    false => plain.mode,
                },
                owner: record.attributes.owner,
                // Of a folder it says only when something was put into it.
                changed: match record.changed == metadata.mtime() && !metadata.is_dir() {
                    true => record.attributes.changed,
                    false => plain.changed,
                },
            },
            _ => plain,
        }
    }

    /// The same for a copy of the tree: `from` is the one that it is about.
    pub(crate) fn of_copy(&self, from: &Path, to: &Path) -> io::Result<Self> {
        let mut copied = Self::default();
        for (path, record) in &self.0 {
            match fs::symlink_metadata(from.join(path)) {
                Ok(metadata) if Identity::of(&metadata) == record.identity => {
                    copied.record(to, path, self.describe(path, &metadata))?;
                }
                Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
                _ => {}
            }
        }
        Ok(copied)
    }
}

impl Snapshot {
    /// The files in `tree` now.
    pub(crate) fn take(tree: &Path) -> io::Result<Self> {
        let files = WalkDir::new(tree)
            .into_iter()
            .map(|entry| Ok(Identity::of(&entry?.metadata()?)));
        Ok(Self(files.collect::<io::Result<_>>()?))
    }
}
