//! Container images, as others keep them.

use std::{
    io,
    path::{Path, PathBuf},
};

use gvmi::Configuration;

use crate::{
    blobs::Blobs,
    digest::Digest,
    error::{ImageError, failed},
    limits::Limits,
    manifest::{
        DOCKER_MANIFEST, Descriptor, DockerImage, ImageConfiguration, Index, Manifest, OCI_INDEX,
        is_here, looks_like_index, parse, this_architecture,
    },
    region::Region,
};

/// How deep lists of manifests lie in each other at most.
const DEEPEST_INDEX: usize = 4;

/// A container image: its configuration is at hand, its layers are read when they are needed.
#[derive(Debug)]
pub struct ContainerImage {
    /// Where it was found, for errors.
    pub(crate) path: PathBuf,
    pub(crate) configuration: Configuration,
    pub(crate) id: Digest,
    /// The lowest first.
    pub(crate) layers: Vec<Layer>,
    pub(crate) limits: Limits,
}

/// A layer as it lies there, maybe compressed.
#[derive(Debug)]
pub(crate) struct Layer {
    pub(crate) packed: Region,
    /// The digest of its archive before it is compressed.
    pub(crate) diff_id: Digest,
}

/// Which image is meant where there are several, and what it may take.
#[derive(Clone, Debug)]
pub struct Selection<'a> {
    /// Its `name:tag`, or just its tag in an OCI layout.
    pub name: Option<&'a str>,
    /// What its layers may hold.
    pub limits: Limits,
    /// A folder with room for unpacked layers. What is put there has no name, and is gone when the image is dropped.
    pub scratch: &'a Path,
}

impl ContainerImage {
    /// Opens a container image: an archive as `docker save` writes it, or an OCI layout, which is a folder or an
    /// archive of one. Archives may be compressed.
    ///
    /// # Errors
    /// If there is none, if there are several and it is not said which, or if it cannot be read or is damaged.
    pub fn open(path: &Path, selection: &Selection<'_>) -> Result<Self, ImageError> {
        let unreadable = |source| ImageError::Read {
            path: path.into(),
            source,
        };
        let is_file = std::fs::metadata(path).map_err(unreadable)?.is_file();
        if is_file && !Self::is_at(path) {
            return Err(ImageError::None(path.into()));
        }
        let blobs = Blobs::open(path, selection.scratch, selection.limits).map_err(unreadable)?;
        let opening = Opening {
            path,
            blobs: &blobs,
            selection,
        };
        let is_there = |name| blobs.find(Path::new(name)).map_err(unreadable);
        if is_there(DOCKER_MANIFEST)?.is_some() {
            opening.docker()
        } else if is_there(OCI_INDEX)?.is_some() {
            opening.oci()
        } else {
            Err(ImageError::None(path.into()))
        }
    }

    /// Whether there is a container image at `path`, by its first look: what is in it may still be damaged.
    pub fn is_at(path: &Path) -> bool {
        if path.is_dir() {
            return path.join(OCI_INDEX).is_file();
        }
        path.is_file() && std::fs::File::open(path).is_ok_and(crate::archive::is_archive)
    }

    /// What a container is like that is made from it.
    pub fn configuration(&self) -> &Configuration {
        &self.configuration
    }

    /// The digest of its configuration, which names its layers by theirs: whoever checks the layers, as all here do,
    /// knows all of the image by it.
    pub fn id(&self) -> Digest {
        self.id
    }

    /// How many layers it has.
    pub fn layers(&self) -> usize {
        self.layers.len()
    }
}

/// An image of which it is found out what it is made of.
struct Opening<'a> {
    path: &'a Path,
    blobs: &'a Blobs,
    selection: &'a Selection<'a>,
}

impl Opening<'_> {
    fn docker(&self) -> Result<ContainerImage, ImageError> {
        let bytes = self.json(DOCKER_MANIFEST)?;
        let images: Vec<DockerImage> = self.understood(DOCKER_MANIFEST, parse(&bytes))?;
        let tags = |image: &DockerImage| image.repo_tags.clone().unwrap_or_default();
        let image = self.only(images, tags)?;
        let configuration = self.json(&image.config)?;
        let layers = image.layers.iter().map(PathBuf::from).collect();
        self.image(&image.config, &configuration, layers)
    }

    fn oci(&self) -> Result<ContainerImage, ImageError> {
        let bytes = self.json(OCI_INDEX)?;
        let mut index: Index = self.understood(OCI_INDEX, parse(&bytes))?;
        let mut is_outermost = true;
        for _ in 0..DEEPEST_INDEX {
            let descriptor = self.descriptor(index, is_outermost)?;
            let (path, bytes) = self.blob(&descriptor)?;
            let path = path.to_string_lossy();
            if descriptor.is_index() || looks_like_index(&bytes) {
                index = self.understood(&path, parse(&bytes))?;
                is_outermost = false;
                continue;
            }
            let manifest: Manifest = self.understood(&path, parse(&bytes))?;
            let (path, configuration) = self.blob(&manifest.config)?;
            let layers = manifest.layers.iter().map(|layer| self.place(layer));
            let layers = layers.collect::<Result<_, _>>()?;
            return self.image(&path.to_string_lossy(), &configuration, layers);
        }
        Err(self.malformed(
            OCI_INDEX,
            "its lists of manifests lie too deep in each other",
        ))
    }

    /// The one that is meant of those in an index.
    fn descriptor(&self, index: Index, is_outermost: bool) -> Result<Descriptor, ImageError> {
        let images = index.manifests.into_iter().filter(Descriptor::is_image);
        let (here, elsewhere): (Vec<_>, Vec<_>) = images.partition(Descriptor::is_for_this_machine);
        if here.is_empty()
            && let Some(other) = elsewhere.first().and_then(|other| other.platform.as_ref())
        {
            return Err(ImageError::Platform {
                path: self.path.into(),
                found: format!("{}/{}", other.os, other.architecture),
            });
        }
        match is_outermost {
            true => self.only(here, |image| {
                image.name().map(str::to_owned).into_iter().collect()
            }),
            // All are one image, for several variants of a platform: the first is the plainest.
            false => here
                .into_iter()
                .next()
                .ok_or_else(|| ImageError::None(self.path.into())),
        }
    }

    /// The image that is selected, or the only one.
    fn only<T>(&self, images: Vec<T>, names: impl Fn(&T) -> Vec<String>) -> Result<T, ImageError> {
        let found: Vec<String> = images.iter().flat_map(&names).collect();
        let path = self.path.to_owned();
        let mut meant = images
            .into_iter()
            .filter(|image| match self.selection.name {
                Some(name) => names(image).iter().any(|found| is_same(found, name)),
                None => true,
            });
        match (meant.next(), meant.next()) {
            (Some(image), None) => Ok(image),
            (Some(_), Some(_)) => Err(ImageError::Several { path, found }),
            (None, _) => match self.selection.name {
                Some(name) => Err(ImageError::NoSuch {
                    path,
                    wanted: name.into(),
                    found,
                }),
                None => Err(ImageError::None(path)),
            },
        }
    }

    fn image(
        &self,
        name: &str,
        bytes: &[u8],
        layers: Vec<PathBuf>,
    ) -> Result<ContainerImage, ImageError> {
        let found: ImageConfiguration = self.understood(name, parse(bytes))?;
        if !is_here(&found.os, &found.architecture) {
            return Err(ImageError::Platform {
                path: self.path.into(),
                found: format!("{}/{}", found.os, found.architecture),
            });
        }
        let digests = found.rootfs.diff_ids;
        if digests.len() != layers.len() {
            let (said, there) = (digests.len(), layers.len());
            let problem = format!("it speaks of {said} layers, and the image has {there}");
            return Err(self.malformed(name, &problem));
        }
        let layers = digests.iter().zip(&layers).map(|(digest, path)| {
            let diff_id = self.digest(name, digest)?;
            let packed = self.blobs.get(path).map_err(self.damaged(path))?;
            Ok(Layer { packed, diff_id })
        });
        Ok(ContainerImage {
            path: self.path.into(),
            configuration: found.config.unwrap_or_default(),
            id: Digest::of(bytes),
            layers: layers.collect::<Result<_, ImageError>>()?,
            limits: self.selection.limits,
        })
    }

    fn json(&self, path: &str) -> Result<Vec<u8>, ImageError> {
        let path = Path::new(path);
        self.blobs.json(path).map_err(self.damaged(path))
    }

    /// The bytes of a blob, which are those that its digest names.
    fn blob(&self, descriptor: &Descriptor) -> Result<(PathBuf, Vec<u8>), ImageError> {
        let path = self.place(descriptor)?;
        let digest = self.digest(OCI_INDEX, &descriptor.digest)?;
        let bytes = self.blobs.json(&path).map_err(self.damaged(&path))?;
        let checked = digest.check(&bytes).map_err(io::Error::other);
        checked.map_err(self.damaged(&path))?;
        Ok((path, bytes))
    }

    fn place(&self, descriptor: &Descriptor) -> Result<PathBuf, ImageError> {
        let digest = self.digest(OCI_INDEX, &descriptor.digest)?;
        Ok(digest.place())
    }

    fn digest(&self, part: &str, text: &str) -> Result<Digest, ImageError> {
        text.parse::<Digest>()
            .map_err(|error| self.malformed(part, &error.to_string()))
    }

    fn understood<T>(&self, part: &str, parsed: serde_json::Result<T>) -> Result<T, ImageError> {
        parsed.map_err(|error| self.malformed(part, &error.to_string()))
    }

    fn malformed(&self, part: &str, problem: &str) -> ImageError {
        let problem = io::Error::new(io::ErrorKind::InvalidData, problem.to_owned());
        self.damaged(Path::new(part))(problem)
    }

    fn damaged(&self, part: &Path) -> impl Fn(io::Error) -> ImageError {
        failed(self.path, part)
    }
}

/// Whether a name that is found is the one that is wanted: a tag alone, or without the registry that is meant when
/// none is named.
fn is_same(found: &str, wanted: &str) -> bool {
    let short = |name: &str| {
        let name = name.strip_prefix("docker.io/").unwrap_or(name);
        let name = name.strip_prefix("library/").unwrap_or(name);
        let has_tag = name
            .rsplit('/')
            .next()
            .is_some_and(|last| last.contains(':'));
        match has_tag {
            true => name.to_owned(),
            false => format!("{name}:latest"),
        }
    };
    found == wanted
        || short(found) == short(wanted)
        || found.rsplit_once(':').is_some_and(|(_, tag)| tag == wanted)
}

/// The image whose configuration and layers lie at these paths in `blobs`; `name` is what errors call it.
#[cfg(feature = "registry")]
pub(crate) fn from_parts(
    name: &Path,
    blobs: &Blobs,
    limits: Limits,
    configuration: &Path,
    layers: Vec<PathBuf>,
) -> Result<ContainerImage, ImageError> {
    let opening = Opening {
        path: name,
        blobs,
        selection: &Selection {
            name: None,
            limits,
            scratch: Path::new(""),
        },
    };
    let part = configuration.to_string_lossy();
    let bytes = opening.json(&part)?;
    opening.image(&part, &bytes, layers)
}

/// The platform whose images run here, as others write it.
pub fn this_platform() -> String {
    format!("linux/{}", this_architecture())
}

#[cfg(test)]
mod tests {
    use super::is_same;

    #[test]
    fn names_are_compared_as_docker_does() {
        for (found, wanted, expected) in [
            ("debian:12", "debian:12", true),
            ("debian:latest", "debian", true),
            ("docker.io/library/debian:12", "debian:12", true),
            ("localhost:5000/x:1", "localhost:5000/x:1", true),
            ("localhost:5000/x:latest", "localhost:5000/x", true),
            ("debian:12", "12", true),
            ("12", "12", true),
            ("debian:12", "debian:13", false),
            ("debian:12", "debian", false),
        ] {
            assert_eq!(is_same(found, wanted), expected, "{found} {wanted}");
        }
    }
}
