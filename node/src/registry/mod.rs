//! The registry of images: each by its hash, and by the tags that it was given.
//!
//! Images lie in a folder, `HASH.gvmi`, and so are there again when a node starts with the same folder.

mod catalogue;
mod tag;

use std::{
    fmt,
    io::{self, Write},
    path::{Path, PathBuf},
    sync::Arc,
};

use futures::{Stream, StreamExt};
use sha3::{Digest, Sha3_224};
use tempfile::NamedTempFile;
use tokio::{fs::File, io::AsyncWriteExt, sync::Mutex};
use tokio_util::task::TaskTracker;

use self::catalogue::Catalogue;
pub(crate) use self::{
    catalogue::{Entry, Which},
    tag::{Tag, TagError},
};
use crate::{clock::Clock, owned::Owned};

/// The images of a node.
#[derive(Clone, Debug)]
pub(crate) struct Registry {
    catalogue: Owned<Catalogue>,
    folder: PathBuf,
    /// Held by who writes the tags down.
    writing: Arc<Mutex<()>>,
}

/// Why an image cannot be put in or taken out.
#[derive(Debug, thiserror::Error)]
pub(crate) enum RegistryError {
    /// The folder fails.
    #[error("cannot {action} {path}: {source}")]
    Io {
        /// What was tried.
        action: &'static str,
        /// With what.
        path: PathBuf,
        /// What the system says.
        source: io::Error,
    },
    /// It did not arrive.
    #[error("the image did not arrive whole: {0}")]
    Interrupted(String),
    /// It is another one than it was said to be.
    #[error("the image's SHA3-224 is {actual}, not {expected}")]
    Hash {
        /// What it was said to be.
        expected: String,
        /// What it is.
        actual: String,
    },
    /// There is nothing in it.
    #[error("the image is empty")]
    Empty,
}

/// How files are called that hold images.
const SUFFIX: &str = "gvmi";

impl Registry {
    /// Opens the registry in a folder, with what is in it.
    pub(crate) fn open(
        folder: &Path,
        clock: Clock,
        tasks: &TaskTracker,
    ) -> Result<Self, RegistryError> {
        let catalogue = Catalogue::read(folder).map_err(failed("read", folder))?;
        Ok(Self {
            catalogue: Owned::start(catalogue, clock, tasks),
            folder: folder.to_owned(),
            writing: Arc::default(),
        })
    }

    /// An image, if there is that one.
    pub(crate) async fn find(&self, which: Which) -> Option<Entry> {
        self.catalogue
            .ask(move |catalogue, _| catalogue.find(&which))
            .await
    }

    /// The file of an image that there is.
    pub(crate) async fn open_file(&self, entry: &Entry) -> Result<File, RegistryError> {
        let path = self.file_of(&entry.hash);
        File::open(&path).await.map_err(failed("open", &path))
    }

    /// Puts in an image as it arrives. It must have a certain hash, if one is given, and gets a tag, if one is given,
    /// which it takes from any other image.
    pub(crate) async fn push<B: AsRef<[u8]>, E: fmt::Display>(
        &self,
        mut parts: impl Stream<Item = Result<B, E>> + Unpin,
        expected: Option<&str>,
        tag: Option<Tag>,
    ) -> Result<Entry, RegistryError> {
        let folder = &self.folder;
        let arriving = NamedTempFile::new_in(folder).map_err(failed("write in", folder))?;
        let (file, path) = arriving.into_parts();
        let mut file = File::from_std(file);
        let (mut hasher, mut size) = (Sha3_224::new(), 0);
        while let Some(part) = parts.next().await {
            let part = part.map_err(|error| RegistryError::Interrupted(error.to_string()))?;
            let part = part.as_ref();
            hasher.update(part);
            size += part.len() as u64;
            file.write_all(part).await.map_err(failed("write", &path))?;
        }
        file.sync_all().await.map_err(failed("write", &path))?;
        let hash = hex::encode(hasher.finalize());
        match expected {
            _ if size == 0 => return Err(RegistryError::Empty),
            Some(expected) if !expected.eq_ignore_ascii_case(&hash) => {
                return Err(RegistryError::Hash {
                    expected: expected.to_owned(),
                    actual: hash,
                });
            }
            _ => {}
        }
        let place = self.file_of(&hash);
        path.persist(&place)
            .map_err(|error| failed("write", &place)(error.error))?;
        self.enter(Entry { hash, size }, tag).await
    }

    /// Puts in the image in a file.
    pub(crate) async fn push_file(
        &self,
        path: &Path,
        tag: Option<Tag>,
    ) -> Result<Entry, RegistryError> {
        let file = File::open(path).await.map_err(failed("open", path))?;
        self.push(tokio_util::io::ReaderStream::new(file), None, tag)
            .await
    }

    async fn enter(&self, entry: Entry, tag: Option<Tag>) -> Result<Entry, RegistryError> {
        // One at a time, so that the last to be entered is the last to be written.
        let _writing = self.writing.lock().await;
        let new = entry.clone();
        let entered = self.catalogue.ask(move |catalogue, _| {
            catalogue.enter(new, tag);
            catalogue.tags_as_json()
        });
        let (tags, path) = (entered.await, self.folder.join(catalogue::TAGS));
        self.replace(&path, tags.as_ref())
            .map_err(failed("write", &path))?;
        Ok(entry)
    }

    /// Writes a file of the folder anew: whoever reads it finds all of the old one or all of the new one.
    fn replace(&self, path: &Path, text: &[u8]) -> io::Result<()> {
        let mut file = NamedTempFile::new_in(&self.folder)?;
        file.write_all(text)?;
        file.as_file().sync_all()?;
        file.persist(path)?;
        Ok(())
    }

    fn file_of(&self, hash: &str) -> PathBuf {
        self.folder.join(format!("{hash}.{SUFFIX}"))
    }
}

fn failed(action: &'static str, path: &Path) -> impl FnOnce(io::Error) -> RegistryError {
    let path = path.to_owned();
    move |source| RegistryError::Io {
        action,
        path,
        source,
    }
}
