//! The images that stages begin with, and copy from.

use std::{
    collections::BTreeMap,
    path::{Path, PathBuf},
    sync::Arc,
};

use gvmi::{Configuration, Hash, Image};
use oci::{ContainerImage, Limits, Selection};

use crate::{
    build::blocking,
    cache::{BuildSite, Cache, CacheError},
    inherited::Inherited,
    rootfs::Rootfs,
    unpack::{self, UnpackError},
};

/// An image that a stage begins with, or copies from.
#[derive(Debug)]
pub(crate) struct Base {
    /// What names all that is in it.
    pub(crate) identity: String,
    pub(crate) configuration: Configuration,
    kind: Kind,
}

#[derive(Debug)]
enum Kind {
    Golem(PathBuf),
    Container(Box<ContainerImage>),
}

/// What the name of an image means.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Reference {
    /// A file or an OCI layout of this machine, and which image in it.
    Local(PathBuf, Option<String>),
    /// An image in a registry.
    Remote(String),
}

/// Why there is no image to begin with.
#[derive(Debug, thiserror::Error)]
pub enum BaseError {
    /// Nothing is there.
    #[error("there is no image {}", .0.display())]
    Missing(PathBuf),
    /// It is a folder of files, and no image.
    #[error("{} is a folder, and no image: COPY --from can copy from it, and `kiln image pack` makes it an image", .0.display())]
    Folder(PathBuf),
    /// It is a damaged image, or none at all.
    #[error(transparent)]
    Golem(#[from] gvmi::OpenError),
    /// It cannot be read.
    #[error("cannot read {}", path.display())]
    Read {
        /// Where it is.
        path: PathBuf,
        /// Why.
        source: std::io::Error,
    },
    /// It is a damaged container image, or none at all.
    #[error(transparent)]
    Container(#[from] oci::ImageError),
    /// It cannot be packed.
    #[error(transparent)]
    Pack(#[from] oci::PackError),
    /// It cannot be unpacked.
    #[error(transparent)]
    Unpack(#[from] UnpackError),
    /// The cache is of no use.
    #[error(transparent)]
    Cache(#[from] CacheError),
    /// It wants instructions to be carried out that nobody sees.
    #[error("the image {0} has ONBUILD instructions, which are not carried out here")]
    OnBuild(String),
    /// The registry does not give it.
    #[cfg(feature = "registry")]
    #[error(transparent)]
    Registry(#[from] oci::registry::PullError),
    /// This program cannot ask registries.
    #[error(
        "the image {0} is in a registry, and this program is built without the feature `registry`"
    )]
    NoRegistry(String),
}

impl Reference {
    /// What `text` means in a Dockerfile whose main context is `folder`: paths begin with `.` or `/`, or end as files of
    /// images do; all else is in a registry.
    pub(crate) fn parse(text: &str, folder: &Path) -> Self {
        for scheme in ["oci-layout:", "docker-archive:"] {
            if let Some(rest) = text.strip_prefix(scheme) {
                let rest = rest.strip_prefix("//").unwrap_or(rest);
                let (path, name) = match rest.split_once(':') {
                    Some((path, name)) => (path, Some(name.to_owned())),
                    None => (rest, None),
                };
                return Self::Local(plain(&folder.join(path)), name);
            }
        }
        let ends = [
            ".gvmi", ".tar", ".tar.gz", ".tgz", ".tar.xz", ".tar.zst", ".tar.bz2",
        ];
        let is_path = text.starts_with(['.', '/']) || ends.iter().any(|end| text.ends_with(end));
        match is_path {
            true => Self::Local(plain(&folder.join(text)), None),
            false => Self::Remote(text.to_owned()),
        }
    }

    /// What the path of a context means that is used as an image.
    pub(crate) fn of_context(path: &Path) -> Self {
        let text = path.to_string_lossy();
        match text.starts_with("oci-layout:") || text.starts_with("docker-archive:") {
            true => Self::parse(&text, Path::new("")),
            false => Self::Local(path.to_owned(), None),
        }
    }
}

impl Base {
    /// Opens the image at `path`, a `.gvmi`, an OCI layout or an archive; `name` says which of several.
    fn open(path: &Path, name: Option<&str>, cache: &Cache) -> Result<Self, BaseError> {
        if !path.exists() {
            return Err(BaseError::Missing(path.into()));
        }
        if path.is_dir() && !ContainerImage::is_at(path) {
            return Err(BaseError::Folder(path.into()));
        }
        if ContainerImage::is_at(path) {
            let scratch = cache.folder()?;
            let selection = Selection {
                name,
                limits: Limits::default(),
                scratch,
            };
            return Self::of(ContainerImage::open(path, &selection)?, path);
        }
        let image = Image::open(path)?;
        let hash = Hash::of_file(path).map_err(|source| BaseError::Read {
            path: path.into(),
            source,
        })?;
        Ok(Self {
            identity: format!("sha3:{hash}"),
            configuration: without_own_name(image.configuration().clone()),
            kind: Kind::Golem(path.into()),
        })
    }

    fn of(image: ContainerImage, name: &Path) -> Result<Self, BaseError> {
        let configuration = image.configuration().clone();
        let on_build = configuration.other.get("OnBuild");
        if on_build
            .and_then(|all| all.as_array())
            .is_some_and(|all| !all.is_empty())
        {
            return Err(BaseError::OnBuild(name.display().to_string()));
        }
        Ok(Self {
            identity: image.id().to_string(),
            configuration: without_own_name(configuration),
            kind: Kind::Container(Box::new(image)),
        })
    }

    /// Unpacks it into the new folder `tree`. A container image is packed first, and stays in the cache.
    pub(crate) fn unpack(
        &self,
        cache: &Cache,
        site: &BuildSite,
        tree: PathBuf,
    ) -> Result<(Rootfs, Inherited), BaseError> {
        let path = match &self.kind {
            Kind::Golem(path) => path.clone(),
            Kind::Container(image) => {
                let digits: String = image.id().hex().chars().take(32).collect();
                let name = format!("base-{digits}.gvmi");
                match cache.find(&name) {
                    Some(path) => path,
                    None => {
                        let packed = site.base(&digits);
                        image.pack(&packed)?;
                        cache.admit(&packed, &name)?
                    }
                }
            }
        };
        Ok(unpack::image(&Image::open(&path)?, tree)?)
    }
}

/// The path without the `.` in it.
fn plain(path: &Path) -> PathBuf {
    path.components().collect()
}

/// What is true of this image alone, and not of one that is made from it.
fn without_own_name(mut configuration: Configuration) -> Configuration {
    for name in ["Image", "OnBuild", "Hostname", "Domainname"] {
        configuration.other.remove(name);
    }
    configuration
}

/// The images of a build, each opened once.
#[derive(Debug)]
pub(crate) struct Bases {
    cache: Cache,
    opened: BTreeMap<String, Arc<Base>>,
}

impl Bases {
    pub(crate) fn new(cache: Cache) -> Self {
        Self {
            cache,
            opened: BTreeMap::new(),
        }
    }

    /// The image that `reference` means; `progress` hears of its layers if they come from far away.
    pub(crate) async fn get(
        &mut self,
        reference: Reference,
        progress: impl Fn(usize, usize) + Send,
    ) -> Result<Arc<Base>, BaseError> {
        let key = format!("{reference:?}");
        if let Some(base) = self.opened.get(&key) {
            return Ok(Arc::clone(base));
        }
        let cache = self.cache.clone();
        let base = match reference {
            Reference::Local(path, name) => {
                blocking(move || Base::open(&path, name.as_deref(), &cache)).await?
            }
            Reference::Remote(name) => pull(&name, &cache, progress).await?,
        };
        let base = Arc::new(base);
        self.opened.insert(key, Arc::clone(&base));
        Ok(base)
    }
}

#[cfg(feature = "registry")]
async fn pull(
    name: &str,
    cache: &Cache,
    progress: impl Fn(usize, usize) + Send,
) -> Result<Base, BaseError> {
    let layers = cache.folder()?.join("layers");
    std::fs::create_dir_all(&layers).map_err(|source| CacheError::Io {
        action: "create the folder",
        path: layers.clone(),
        source,
    })?;
    let image = oci::registry::pull(name, &layers, Limits::default(), progress).await?;
    Base::of(image, Path::new(name))
}

#[cfg(not(feature = "registry"))]
async fn pull(
    name: &str,
    _cache: &Cache,
    _progress: impl Fn(usize, usize) + Send,
) -> Result<Base, BaseError> {
    Err(BaseError::NoRegistry(name.to_owned()))
}
