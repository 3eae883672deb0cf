//! Container images, as others keep them, to be made Golem images.
//!
//! An image lies in an archive as `docker save` writes it, in an OCI layout, or, with the feature `registry`, in a
//! registry. [`ContainerImage::pack`] puts its layers over each other and writes a `.gvmi`, without Docker and without
//! root:
//!
//! ```no_run
//! # fn main() -> Result<(), Box<dyn std::error::Error>> {
//! use std::path::Path;
//! use oci::{ContainerImage, Limits, Selection};
//!
//! let selection = Selection { name: None, limits: Limits::default(), scratch: Path::new(".") };
//! let image = ContainerImage::open(Path::new("debian.tar"), &selection)?;
//! image.pack(Path::new("debian.gvmi"))?;
//! # Ok(()) }
//! ```
//!
//! Nothing in an image is trusted: every part is the one that its digest names or is refused, no path leads out of an
//! archive, and what is unpacked stays within [`Limits`].
//!
//! Everything here blocks, but for the registry: call it from a thread that may.

pub mod archive;
mod blobs;
mod compression;
mod digest;
mod error;
mod image;
mod limits;
mod manifest;
mod pack;
mod region;
#[cfg(feature = "registry")]
pub mod registry;
mod tree;

pub use digest::{Digest, ParseDigestError, WrongDigest};
pub use error::ImageError;
pub use image::{ContainerImage, Selection, this_platform};
pub use limits::Limits;
pub use manifest::this_architecture;
pub use pack::{PackError, Packed};
