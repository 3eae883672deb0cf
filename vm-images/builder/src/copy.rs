//! Copies sources into an image.

use std::{
    fs::File,
    io::{self, Write},
    path::{Path, PathBuf},
};

use gvmi::Owner;

use crate::{
    dockerfile::Copy,
    inherited::Inherited,
    owner::{self, NoSuchOwner},
    rootfs::{self, Rootfs},
    source::{Entry, Kind, Source, pass_on},
    unpack::{self, UnpackError},
};

/// Why a file was not copied.
#[derive(Debug, thiserror::Error)]
pub enum CopyError {
    /// It cannot be read, or not be written.
    #[error("cannot copy {} to {} in the image", from.display(), to.display())]
    Io {
        /// Where it is.
        from: PathBuf,
        /// Where it was to be in the image.
        to: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// It is not any more what it was when the build began, so the image would not be what it is known as.
    #[error("{} changed while the image was built; build it again", .0.display())]
    Changed(PathBuf),
    /// Nobody has the name that its owner is to have.
    #[error(transparent)]
    Owner(#[from] NoSuchOwner),
    /// An archive cannot be unpacked.
    #[error(transparent)]
    Unpack(#[from] UnpackError),
}

/// Does what a `COPY` or an `ADD` asks for with its sources.
pub(crate) fn copy(
    rootfs: &Rootfs,
    inherited: &mut Inherited,
    copy: &Copy,
    sources: &[Source],
) -> Result<(), CopyError> {
    let owner = match &copy.owner {
        Some(owner) => Some(owner::find(rootfs, owner)?.owner),
        None => None,
    };
    let destination = Path::new(&copy.destination);
    for source in sources {
        if let Some(archive) = source.archive().filter(|_| copy.unpacks) {
            rootfs
                .create_folders(destination)
                .map_err(|source| CopyError::Io {
                    from: archive.host.clone(),
                    to: destination.into(),
                    source,
                })?;
            unpack_archive(rootfs, inherited, archive, destination)?;
            continue;
        }
        let into = if source.is_folder() {
            destination.to_path_buf()
        } else if copy.destination.ends_with('/')
            || sources.len() > 1
            || rootfs.is_folder(destination)
        {
            destination.join(&source.name)
        } else {
            destination.to_path_buf()
        };
        for entry in &source.entries {
            // Joined with nothing, a path would end with a slash.
            let to = if entry.path.as_os_str().is_empty() {
                into.clone()
            } else {
                into.join(&entry.path)
            };
            put(rootfs, entry, &to, copy.mode)?;
            let is_contents_only = entry.kind == Kind::Folder && entry.path.as_os_str().is_empty();
            if let Some(owner) = owner.filter(|_| !is_contents_only) {
                give(rootfs, inherited, &to, owner).map_err(|source| CopyError::Io {
                    from: entry.host.clone(),
                    to,
                    source,
                })?;
            }
        }
    }
    Ok(())
}

/// Unpacks what is still the archive that it was when the build began.
fn unpack_archive(
    rootfs: &Rootfs,
    inherited: &mut Inherited,
    entry: &Entry,
    destination: &Path,
) -> Result<(), CopyError> {
    let Kind::File(digest) = &entry.kind else {
        return Ok(());
    };
    let found = File::open(&entry.host).and_then(|file| pass_on(file, |_| Ok(())));
    let found = found.map_err(|source| CopyError::Io {
        from: entry.host.clone(),
        to: destination.into(),
        source,
    })?;
    if found != *digest {
        return Err(CopyError::Changed(entry.host.clone()));
    }
    Ok(unpack::archive(
        rootfs,
        inherited,
        &entry.host,
        destination,
    )?)
}

fn give(rootfs: &Rootfs, inherited: &mut Inherited, path: &Path, owner: Owner) -> io::Result<()> {
    let (Some(parent), Some(name)) = (path.parent(), path.file_name()) else {
        return Ok(());
    };
    let place = rootfs.resolve(parent)?.join(name);
    inherited.give(rootfs.path(), &place, owner)
}

fn put(rootfs: &Rootfs, entry: &Entry, to: &Path, mode: Option<u32>) -> Result<(), CopyError> {
    let failed = |source| CopyError::Io {
        from: entry.host.clone(),
        to: to.into(),
        source,
    };
    let mode = mode.unwrap_or(entry.mode);
    match &entry.kind {
        // Of the source itself, only the contents are copied.
        Kind::Folder if entry.path.as_os_str().is_empty() => {
            rootfs.create_folders(to).map(drop).map_err(failed)
        }
        Kind::Folder => rootfs.put_folder(to, mode).map_err(failed),
        Kind::Link(target) => rootfs.put_link(to, target).map_err(failed),
        Kind::File(digest) => {
            let from = File::open(&entry.host).map_err(failed)?;
            let mut file = rootfs.put_file(to).map_err(failed)?;
            let found = pass_on(from, |bytes| file.write_all(bytes)).map_err(failed)?;
            if found != *digest {
                return Err(CopyError::Changed(entry.host.clone()));
            }
            rootfs::finish(&file, mode).map_err(failed)
        }
    }
}
