//! The Golem image format: a file system and a container's configuration in one file, `.gvmi`.
//!
//! ```text
//! ┌──────────────────┬──────────────────────┬──────────────────┬──────────────────────────────┐
//! │ squashfs 4.0     │ CRC-32 of the JSON,  │ JSON: the        │ length of the JSON, in bytes:│
//! │ with its padding │ little-endian u32    │ configuration    │ 8 decimal digits             │
//! └──────────────────┴──────────────────────┴──────────────────┴──────────────────────────────┘
//! ```
//!
//! The configuration is Docker's `ContainerConfig`: environment, command, volumes and the like. What names an image
//! on the network is the SHA3-224 of the whole file, its [`struct@Hash`].
//!
//! [`pack`] writes an image from a folder, byte for byte the same each time, and a [`Writer`] one from anything else;
//! [`Image::open`] reads one that others have written, and trusts nothing in it.
//!
//! ```
//! # fn main() -> Result<(), Box<dyn std::error::Error>> {
//! # let place = tempfile::tempdir()?;
//! let tree = place.path().join("tree");
//! std::fs::create_dir(&tree)?;
//! std::fs::write(tree.join("greeting"), "hello")?;
//!
//! let mut configuration = gvmi::Configuration::default();
//! configuration.env.push("LANG=C".into());
//! let file = place.path().join("greeting.gvmi");
//! gvmi::pack(&tree, &configuration, &file)?;
//!
//! let hash = gvmi::Hash::of_file(&file)?;
//! gvmi::verify(&file, hash)?;
//! let image = gvmi::Image::open(&file)?;
//! assert_eq!(image.configuration().env, ["LANG=C"]);
//! image.tree()?.unpack(&place.path().join("unpacked"))?;
//! # assert_eq!(std::fs::read_to_string(place.path().join("unpacked/greeting"))?, "hello");
//! # Ok(())
//! # }
//! ```
//!
//! Everything here blocks: call it from a thread that may. Reading the files of an image takes memory as their number
//! and depth demand: do it in a process of its own where the image is a stranger's.

mod attributes;
mod configuration;
mod hash;
mod image;
mod pack;
mod root;
mod superblock;
mod trailer;
mod tree;
mod writer;

pub use attributes::{Attributes, Owner};
pub use configuration::Configuration;
pub use hash::{Hash, ParseHashError, VerifyError, verify};
pub use image::{Image, OpenError};
pub use pack::{PackError, pack, pack_as};
pub use superblock::{Compression, SuperblockError};
pub use trailer::TrailerError;
pub use tree::{Entry, EntryKind, ReadError, Tree, TreeError, UnpackError};
pub use writer::{AddError, WriteError, Writer};
