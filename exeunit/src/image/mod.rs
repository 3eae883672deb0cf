//! The cache of images: each is fetched and unpacked once, and shared from then on.
//!
//! ```text
//! <hash>/tree/                the image's files, never written to again
//! <hash>/configuration.json   its container's configuration
//! <hash>.gvmi                the image as it was fetched, for runtimes that take it so
//! <hash>.lock                 held by who fetches it; others wait
//! <hash>.partial/             what is being fetched; becomes <hash>/ when it is whole. Of who was killed, the next
//!                            exe-unit removes it
//! ```

mod unpacker;

use std::{
    fs::{self, File},
    io,
    path::{Path, PathBuf},
    time::Duration,
};

use tokio::{io::AsyncWriteExt, task::spawn_blocking, time::sleep};

pub(crate) use self::unpacker::main as unpacker_main;
use crate::{
    Program, remove_tree,
    transfer::{Digest, LocationError, Source, TransferError, Transfers},
};

/// An image that lies ready.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Image {
    /// Its files.
    pub(crate) tree: PathBuf,
    pub(crate) configuration: gvmi::Configuration,
}

/// A folder of images that any number of exe-units share.
#[derive(Clone, Debug)]
pub(crate) struct Images {
    /// What becomes the unpacker.
    program: Program,
    folder: PathBuf,
    transfers: Transfers,
    most_bytes: u64,
    bytes_per_second: Option<u64>,
}

/// Why there is no image.
#[derive(Debug, thiserror::Error)]
pub(crate) enum ImageError {
    #[error("the agreement names no image: its demand has no golem.srv.comp.task_package")]
    Unnamed,
    #[error("the agreement's task package is no place of an image")]
    Location(#[from] LocationError),
    #[error(
        "the agreement's task package has no hash: {package}; `hash:sha3:<hex>:<url>` is expected"
    )]
    NoHash { package: String },
    #[error("cannot fetch the image {digest}")]
    Fetch {
        digest: Digest,
        source: TransferError,
    },
    #[error("cannot {step} {}", .path.display())]
    File {
        step: &'static str,
        path: PathBuf,
        source: io::Error,
    },
    #[error("the image {digest} is larger than {limit} bytes, the most that this provider fetches")]
    TooLarge { digest: Digest, limit: u64 },
    #[error(transparent)]
    Open(#[from] gvmi::OpenError),
    #[error("cannot unpack the image: {0}")]
    NotUnpacked(String),
}

impl Images {
    pub(crate) fn new(program: Program, folder: PathBuf, transfers: Transfers) -> Self {
        Self {
            program,
            folder,
            transfers,
            most_bytes: u64::MAX,
            bytes_per_second: None,
        }
    }

    /// Fetches no images that are larger: all of a machine share a folder.
    pub(crate) fn most_bytes(self, most_bytes: u64) -> Self {
        Self { most_bytes, ..self }
    }

    /// Fetches images no faster than this.
    pub(crate) fn bytes_per_second(self, bytes_per_second: Option<u64>) -> Self {
        Self {
            bytes_per_second,
            ..self
        }
    }

    /// The image that a task package names: from the cache, or fetched and put there.
    pub(crate) async fn get(&self, package: Option<&str>) -> Result<Image, ImageError> {
        let (source, digest) = named(package.ok_or(ImageError::Unnamed)?)?;
        let slot = Slot::new(&self.folder, &digest);
        if let Some(image) = slot.image()? {
            return Ok(image);
        }
        let claim = blocking(move || slot.claim()).await?;
        // Somebody else may have fetched it while this one waited.
        if let Some(image) = claim.slot.image()? {
            return Ok(image);
        }
        self.fetch(&claim, source, digest).await?;
        let program = self.program.clone();
        blocking(move || claim.unpack_fetched(&program)).await
    }

    /// The image's file as it is, for a runtime that reads it by itself: from the cache, or fetched and put there.
    pub(crate) async fn file(&self, package: &str) -> Result<PathBuf, ImageError> {
        let (source, digest) = named(package)?;
        let slot = Slot::new(&self.folder, &digest);
        if slot.file.exists() {
            return Ok(slot.file);
        }
        let claim = blocking(move || slot.claim()).await?;
        if !claim.slot.file.exists() {
            self.fetch(&claim, source, digest).await?;
            let (fetched, file) = (claim.slot.partial.join(IMAGE), &claim.slot.file);
            fs::rename(fetched, file).map_err(at("create", file))?;
        }
        Ok(claim.slot.file.clone())
    }

    /// Puts an image's file where it becomes whole.
    async fn fetch(&self, claim: &Claim, source: Source, digest: Digest) -> Result<(), ImageError> {
        tracing::info!(%digest, "fetching an image");
        let failed = |source| ImageError::Fetch {
            digest: digest.clone(),
            source,
        };
        let mut download = self.transfers.fetch(source).await.map_err(failed)?;
        let path = claim.begin()?.join(IMAGE);
        // Not in another thread, which would go on beside the drop of a claim that is given up, and put a file into
        // the folder that is being removed.
        let file = File::create(&path).map_err(at("create", &path))?;
        let mut file = tokio::fs::File::from_std(file);
        let mut length = 0;
        while let Some(bytes) = download.next().await.map_err(failed)? {
            length += bytes.len() as u64;
            if length > self.most_bytes {
                let limit = self.most_bytes;
                return Err(ImageError::TooLarge { digest, limit });
            }
            if let Some(rate) = self.bytes_per_second {
                sleep(Duration::from_secs_f64(bytes.len() as f64 / rate as f64)).await;
            }
            file.write_all(&bytes).await.map_err(at("write", &path))?;
        }
        file.flush().await.map_err(at("write", &path))
    }
}

/// Where a task package is, and what its hash must be.
fn named(package: &str) -> Result<(Source, Digest), ImageError> {
    let source = Source::parse(package)?;
    let digest = source.digest.clone().ok_or_else(|| ImageError::NoHash {
        package: package.to_owned(),
    })?;
    Ok((source, digest))
}

/// An image's file, unpacked into a folder where it is found the next time. Blocks.
pub(crate) fn unpack_beside(
    program: &Program,
    file: &Path,
    cache: &Path,
) -> Result<Image, ImageError> {
    let hash = gvmi::Hash::of_file(file).map_err(at("read", file))?;
    let slot = Slot::named(cache, &hash.to_string());
    if let Some(image) = slot.image()? {
        return Ok(image);
    }
    let claim = slot.claim()?;
    // Somebody else may have unpacked it while this one waited.
    match claim.slot.image()? {
        Some(image) => Ok(image),
        None => {
            claim.begin()?;
            claim.unpack(program, file)
        }
    }
}

/// Where an image is in the cache.
#[derive(Clone, Debug)]
struct Slot {
    whole: PathBuf,
    file: PathBuf,
    lock: PathBuf,
    partial: PathBuf,
}

impl Slot {
    fn new(cache: &Path, digest: &Digest) -> Self {
        Self::named(cache, &digest.to_string())
    }

    fn named(cache: &Path, name: &str) -> Self {
        Self {
            whole: cache.join(name),
            file: cache.join(format!("{name}.gvmi")),
            lock: cache.join(format!("{name}.lock")),
            partial: cache.join(format!("{name}{PARTIAL}")),
        }
    }

    /// The image, if it is there.
    fn image(&self) -> Result<Option<Image>, ImageError> {
        let path = self.whole.join(CONFIGURATION);
        let text = match fs::read(&path) {
            Ok(text) => text,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
            Err(error) => return Err(at("read", path)(error)),
        };
        let configuration = serde_json::from_slice(&text);
        Ok(Some(Image {
            tree: self.whole.join(TREE),
            configuration: configuration.map_err(|error| at("read", path)(error.into()))?,
        }))
    }

    /// Waits until nobody else fetches the image, and takes that upon itself. Blocks, and makes nothing but the lock:
    /// whoever asked may have gone by the time it returns.
    fn claim(self) -> Result<Claim, ImageError> {
        if let Some(cache) = self.lock.parent() {
            fs::create_dir_all(cache).map_err(at("create", cache))?;
        }
        let lock = File::create(&self.lock).map_err(at("create", &self.lock))?;
        lock.lock().map_err(at("lock", &self.lock))?;
        // What lies there is of somebody who was killed: the lock would not be free otherwise.
        if self.partial.exists() {
            remove_tree(&self.partial).map_err(at("remove", &self.partial))?;
        }
        Ok(Claim {
            slot: self,
            _lock: lock,
        })
    }
}

const PARTIAL: &str = ".partial";
const TREE: &str = "tree";
const CONFIGURATION: &str = "configuration.json";
const IMAGE: &str = "image.gvmi";

/// The right to put an image into the cache, and what of it is there so far. Dropping it gives both up.
#[derive(Debug)]
struct Claim {
    slot: Slot,
    _lock: File,
}

impl Claim {
    /// The folder for what is not whole yet.
    fn begin(&self) -> Result<&Path, ImageError> {
        let partial = &self.slot.partial;
        fs::create_dir(partial).map_err(at("create", partial))?;
        Ok(partial)
    }

    /// Unpacks the file that was fetched, which is not kept. Blocks.
    fn unpack_fetched(self, program: &Program) -> Result<Image, ImageError> {
        let fetched = self.slot.partial.join(IMAGE);
        self.unpack(program, &fetched)
    }

    /// Unpacks an image's file and lets everybody see it. Blocks.
    fn unpack(self, program: &Program, file: &Path) -> Result<Image, ImageError> {
        let Slot { partial, whole, .. } = &self.slot;
        let image = gvmi::Image::open(file)?;
        unpacker::unpack(program, file, &partial.join(TREE))?;
        let path = partial.join(CONFIGURATION);
        let configuration = serde_json::to_vec(image.configuration());
        configuration
            .map_err(io::Error::from)
            .and_then(|text| fs::write(&path, text))
            .map_err(at("write", &path))?;
        let fetched = partial.join(IMAGE);
        if fetched.exists() {
            fs::remove_file(&fetched).map_err(at("remove", fetched))?;
        }
        fs::rename(partial, whole).map_err(at("create", whole))?;
        Ok(Image {
            tree: whole.join(TREE),
            configuration: image.configuration().clone(),
        })
    }
}

impl Drop for Claim {
    fn drop(&mut self) {
        remove_partial(&self.slot.partial);
    }
}

fn remove_partial(path: &Path) {
    if let Err(error) = remove_tree(path)
        && error.kind() != io::ErrorKind::NotFound
    {
        let path = path.display();
        tracing::warn!(%path, %error, "cannot remove half an image");
    }
}

/// Removes what exe-units have left in a cache that were killed while they fetched an image. Blocks.
pub(crate) fn remove_abandoned(cache: &Path) {
    for entry in fs::read_dir(cache).into_iter().flatten().flatten() {
        let name = entry.file_name();
        let name = name.to_str().and_then(|name| name.strip_suffix(PARTIAL));
        let Some(slot) = name.map(|name| Slot::named(cache, name)) else {
            continue;
        };
        // Whoever still fetches it holds the lock; and whoever wants to waits until this is done.
        if let Ok(lock) = File::create(&slot.lock)
            && lock.try_lock().is_ok()
        {
            remove_partial(&slot.partial);
        }
    }
}

fn at(step: &'static str, path: impl Into<PathBuf>) -> impl FnOnce(io::Error) -> ImageError {
    let path = path.into();
    move |source| ImageError::File { step, path, source }
}

/// Lets a thread do what would hold up all others.
async fn blocking<T: Send + 'static>(
    work: impl FnOnce() -> Result<T, ImageError> + Send + 'static,
) -> Result<T, ImageError> {
    match spawn_blocking(work).await {
        Ok(result) => result,
        Err(error) => std::panic::resume_unwind(error.into_panic()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_nobody_fetches_any_more_is_abandoned() {
        let cache = tempfile::tempdir().expect("a folder");
        let claim = |name: &str| {
            let claim = Slot::named(cache.path(), name).claim().expect("a claim");
            fs::write(claim.begin().expect("a folder").join(IMAGE), "").expect("a file");
            claim
        };
        let (held, abandoned) = (claim("held"), claim("abandoned"));
        let left = abandoned.slot.partial.clone();
        // As of a process that was killed.
        abandoned._lock.unlock().expect("it is held");
        fs::create_dir(cache.path().join("whole")).expect("a folder");
        remove_abandoned(cache.path());
        assert!(!left.exists());
        assert!(held.slot.partial.join(IMAGE).exists());
        assert!(cache.path().join("whole").exists());
        remove_abandoned(&cache.path().join("none"));
    }
}
