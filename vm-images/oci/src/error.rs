//! Why a container image cannot be used.

use std::{
    io,
    path::{Path, PathBuf},
};

use crate::digest::Digest;

/// Why a container image cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum ImageError {
    /// It cannot be read at all.
    #[error("cannot read {} as a container image", path.display())]
    Read {
        /// Where it is.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// There is none.
    #[error("{} is no container image: it has neither a manifest.json, as `docker save` writes it, nor an index.json, as OCI layouts have it, with an image in it", .0.display())]
    None(PathBuf),
    /// There are several.
    #[error("there are several images in {}, and it is not said which is meant: {}", path.display(), list(found))]
    Several {
        /// Where they are.
        path: PathBuf,
        /// Their names.
        found: Vec<String>,
    },
    /// The one that is meant is not there.
    #[error("there is no image {wanted} in {}: {}", path.display(), list(found))]
    NoSuch {
        /// Where it was looked for.
        path: PathBuf,
        /// Its name.
        wanted: String,
        /// The names of those that are there.
        found: Vec<String>,
    },
    /// It is for other machines.
    #[error("the image in {} is for {found}, and not for {}", path.display(), crate::image::this_platform())]
    Platform {
        /// Where it is.
        path: PathBuf,
        /// What it is for.
        found: String,
    },
    /// A manifest or a configuration of it is damaged, or missing.
    #[error("cannot use {part} of the image {}", path.display())]
    Part {
        /// Where the image is.
        path: PathBuf,
        /// The path of the part in it.
        part: String,
        /// Why.
        source: io::Error,
    },
    /// A layer cannot be used.
    #[error("cannot use layer {number} of {count} ({digest}) of the image {}", path.display())]
    Layer {
        /// Where the image is.
        path: PathBuf,
        /// The layer's place, from 1.
        number: usize,
        /// How many there are.
        count: usize,
        /// The digest of its archive before it is compressed.
        digest: Digest,
        /// What is wrong with it.
        source: io::Error,
    },
}

pub(crate) fn failed(path: &Path, part: &Path) -> impl Fn(io::Error) -> ImageError + use<> {
    let (path, part) = (path.to_owned(), part.display().to_string());
    move |source| ImageError::Part {
        path: path.clone(),
        part: part.clone(),
        source,
    }
}

fn list(names: &[String]) -> String {
    match names {
        [] => "none has a name".to_owned(),
        names => names.join(", "),
    }
}
