//! Builds Golem images from Dockerfiles, without Docker: no daemon, no root, nothing to install.
//!
//! ```no_run
//! fn main() -> Result<(), Box<dyn std::error::Error>> {
//!     // The sandbox in which `RUN` runs is this very program, started again.
//!     exeunit::enter();
//!     tokio::runtime::Runtime::new()?.block_on(build())
//! }
//!
//! async fn build() -> Result<(), Box<dyn std::error::Error>> {
//!     let progress = builder::Terminal::stderr();
//!     let programs = builder::static_programs("vm-images/simple_service", &progress).await?;
//!     let image = builder::Build::open("vm-images/simple_service/Dockerfile")?
//!         .named_context("programs", programs)
//!         .run(&progress)
//!         .await?;
//!     println!("{} {}", image.hash(), image.path().display());
//!     Ok(())
//! }
//! ```
//!
//! # What a Dockerfile may say
//!
//! What is known is understood as Docker does, so that Docker can build the same Dockerfile; what is not is an error
//! with its line.
//!
//! | instruction | |
//! |---|---|
//! | `FROM IMAGE [AS NAME]` | any number of stages; those that the last one does not need are not built. `IMAGE` is `scratch`, a stage, a [named context](Build::named_context), a path (`./base.gvmi`, an archive of `docker save`, an OCI layout), or `NAME:TAG` in a registry, with the feature `registry` |
//! | `COPY [--from=NAME] [--chmod=OCTAL] [--chown=USER:GROUP] SOURCE… DESTINATION` | words or a JSON array; patterns with `*`, `?` and `[a-z]`; folders with all that is in them; symbolic links in them stay links. `NAME` is a stage, a named context or an image. What `.dockerignore` names is not there |
//! | `ADD` | the same from the context, and archives are unpacked: tar, as it is or with gzip, bzip2, xz or zstd |
//! | `RUN PROGRAM…` | exec or shell form, in the sandbox of the exe-unit: without network, without privileges |
//! | `ARG`, `ENV`, `LABEL` | `$NAME`, `${NAME}`, `${NAME:-DEFAULT}` and the like are understood where Docker does |
//! | `USER` | is written into the image; files that `RUN` creates from there on are that user's in it. While it builds, as on a provider, programs run as the one user that a sandbox has |
//! | `WORKDIR`, `VOLUME` | create their folders |
//! | `SHELL`, `ENTRYPOINT`, `CMD`, `EXPOSE`, `STOPSIGNAL` | as in Docker |
//!
//! What is copied is root's in the image unless it is said otherwise; what a base image or an archive brings keeps its
//! owners, permissions and times, as long as nothing changes it.
//!
//! # Built once
//!
//! An image is named by what decides its contents: the Dockerfile, the images that it begins with, the files that it
//! copies with their permissions, and the version of this crate. While none of that changes, [`Build::run`] finds it in the cache and runs nothing.
//! So a `RUN` whose outcome depends on anything else, the time say, is not run again because that has changed.

mod base;
mod build;
mod cache;
mod cargo;
mod configure;
mod construction;
mod copy;
mod dockerfile;
mod error;
mod inherited;
mod key;
mod owner;
mod plan;
mod progress;
mod rootfs;
mod run;
mod source;
mod terminal;
mod tool;
mod unpack;

pub use base::BaseError;
pub use build::{Build, BuiltImage};
pub use cache::CacheError;
pub use cargo::{CargoError, Complaint, static_programs};
pub use copy::CopyError;
pub use dockerfile::{Dockerfile, DockerfileError};
pub use error::{BuildError, Place, StepError};
pub use owner::NoSuchOwner;
pub use progress::{Event, Progress};
pub use run::{LastLines, RunError};
pub use source::{BadPattern, SourceError};
pub use terminal::Terminal;
pub use tool::{Tool, ToolBuild, ToolError};
pub use unpack::UnpackError;
