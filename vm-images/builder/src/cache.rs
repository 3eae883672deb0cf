//! The folder of images that are built, and those that are being built.
//!
//! ```text
//! simple_service-<key>.gvmi   an image, whole
//! base-<digest>.gvmi          a container image that others begin with, packed
//! layers/                     what was pulled from registries, by digest
//! .building-<random>/         one that is being built: its file system, then its file
//! .lock                       shared by all who build; who has it alone may remove what others have left
//! ```

use std::{
    env,
    fs::{self, File, OpenOptions},
    io,
    path::{Path, PathBuf},
};

use gvmi::Image;
use rustix::fs::{CWD, RenameFlags, renameat_with};

/// What the names of folders begin with in which an image is built.
const UNDER_CONSTRUCTION: &str = ".building-";

/// A folder of images.
#[derive(Clone, Debug)]
pub(crate) struct Cache {
    folder: PathBuf,
}

/// Why the cache is of no use.
#[derive(Debug, thiserror::Error)]
pub enum CacheError {
    /// Nobody says where it is.
    #[error(
        "there is no place for images: neither XDG_CACHE_HOME nor HOME is the path of a folder"
    )]
    Nowhere,
    /// A file or folder of it cannot be used.
    #[error("cannot {action} {}", path.display())]
    Io {
        /// What was to be done.
        action: &'static str,
        /// With what.
        path: PathBuf,
        /// Why it was not.
        source: io::Error,
    },
}

impl Cache {
    pub(crate) fn at(folder: PathBuf) -> Self {
        Self { folder }
    }

    /// This user's: `kiln/images` in `$XDG_CACHE_HOME`, or in `~/.cache`.
    pub(crate) fn of_user() -> Result<Self, CacheError> {
        let absolute = |name| {
            env::var_os(name)
                .map(PathBuf::from)
                .filter(|path| path.is_absolute())
        };
        let caches = absolute("XDG_CACHE_HOME").or_else(|| Some(absolute("HOME")?.join(".cache")));
        Ok(Self::at(
            caches.ok_or(CacheError::Nowhere)?.join("kiln/images"),
        ))
    }

    /// Where the image of this name is, if it is there and whole.
    pub(crate) fn find(&self, name: &str) -> Option<PathBuf> {
        let path = self.folder.join(name);
        Image::open(&path).is_ok().then_some(path)
    }

    /// A new folder to build an image in. Blocks, for a moment, while another process cleans up.
    pub(crate) fn build_site(&self) -> Result<BuildSite, CacheError> {
        let failed = |action| {
            move |source| CacheError::Io {
                action,
                path: self.folder.clone(),
                source,
            }
        };
        fs::create_dir_all(&self.folder).map_err(failed("create the folder"))?;
        let mut options = OpenOptions::new();
        let options = options.create(true).truncate(false).write(true);
        let lock = options
            .open(self.folder.join(".lock"))
            .map_err(failed("lock the folder"))?;
        if lock.try_lock().is_ok() {
            // Nobody builds, so whatever was being built will never be finished.
            self.remove_remains().map_err(failed("clean up"))?;
            lock.unlock().map_err(failed("unlock the folder"))?;
        }
        lock.lock_shared().map_err(failed("lock the folder"))?;
        let folder = tempfile::Builder::new()
            .prefix(UNDER_CONSTRUCTION)
            .tempdir_in(&self.folder)
            .map_err(failed("create a folder in"))?;
        Ok(BuildSite {
            folder: folder.keep(),
            _lock: lock,
        })
    }

    /// The folder, which is there now.
    pub(crate) fn folder(&self) -> Result<&Path, CacheError> {
        match fs::create_dir_all(&self.folder) {
            Ok(()) => Ok(&self.folder),
            Err(source) => Err(CacheError::Io {
                action: "create the folder",
                path: self.folder.clone(),
                source,
            }),
        }
    }

    /// Gives the image `built`, which is at a site in this cache, its name, and returns its path. If another build was
    /// faster, its image stays: somebody may be reading it already.
    pub(crate) fn admit(&self, built: &Path, name: &str) -> Result<PathBuf, CacheError> {
        let path = self.folder.join(name);
        let outcome = match renameat_with(CWD, built, CWD, &path, RenameFlags::NOREPLACE) {
            Err(rustix::io::Errno::EXIST) if self.find(name).is_some() => Ok(()),
            Err(_) => fs::rename(built, &path),
            Ok(()) => Ok(()),
        };
        match outcome {
            Ok(()) => Ok(path),
            Err(source) => Err(CacheError::Io {
                action: "create",
                path,
                source,
            }),
        }
    }

    fn remove_remains(&self) -> io::Result<()> {
        for entry in fs::read_dir(&self.folder)? {
            let entry = entry?;
            if entry
                .file_name()
                .to_string_lossy()
                .starts_with(UNDER_CONSTRUCTION)
            {
                remove(&entry.path())?;
            }
        }
        Ok(())
    }
}

/// A folder in which an image is built. It is removed when it is dropped, with everything in it.
#[derive(Debug)]
pub(crate) struct BuildSite {
    folder: PathBuf,
    _lock: File,
}

impl BuildSite {
    /// Where the files of something are to be: of a stage, or of an image that is copied from.
    pub(crate) fn tree(&self, name: &str) -> PathBuf {
        self.folder.join(format!("tree-{name}"))
    }

    /// Where an image that others begin with is to be packed.
    pub(crate) fn base(&self, name: &str) -> PathBuf {
        self.folder.join(format!("base-{name}.gvmi"))
    }

    /// Where the image is to be.
    pub(crate) fn image(&self) -> PathBuf {
        self.folder.join("image.gvmi")
    }
}

impl Drop for BuildSite {
    fn drop(&mut self) {
        // What cannot be removed now, the next build tries again.
        let _ = remove(&self.folder);
    }
}

/// Removes a folder, even if programs of the image have forbidden that, and if it is still there.
fn remove(folder: &Path) -> io::Result<()> {
    match exeunit::remove_tree(folder) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
        _ => Ok(()),
    }
}
