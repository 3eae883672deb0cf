//! Copies sources into an image.

use std::{
    fs::File,
    io::{self, Write},
    path::{Path, PathBuf},
};

use crate::{
    dockerfile::Copy,
    rootfs::{self, Rootfs},
    source::{Entry, Kind, Source, pass_on},
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
}

/// Does what a `COPY` asks for with its sources.
pub(crate) fn copy(rootfs: &Rootfs, copy: &Copy, sources: &[Source]) -> Result<(), CopyError> {
    let destination = Path::new(&copy.destination);
    for source in sources {
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
        }
    }
    Ok(())
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
