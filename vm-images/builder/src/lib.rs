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
//! It builds `FROM scratch`, in one stage. What is known is understood as Docker does, so that Docker can build the
//! same Dockerfile; what is not is an error with its line.
//!
//! | instruction | |
//! |---|---|
//! | `FROM scratch` | first, and once |
//! | `COPY [--from=NAME] [--chmod=OCTAL] SOURCE… DESTINATION` | words or a JSON array; patterns with `*`, `?` and `[a-z]`; folders with all that is in them; symbolic links in them stay links. `NAME` is a [named context](Build::named_context) |
//! | `RUN ["PROGRAM", "ARGUMENT"…]` | in the sandbox of the exe-unit: without network, without privileges |
//! | `ENV`, `LABEL` | `NAME=VALUE…`; `$NAME` and `${NAME}` are understood as Docker does where it does |
//! | `WORKDIR`, `VOLUME` | create their folders |
//! | `ENTRYPOINT`, `CMD` | JSON arrays, or the shell form, which needs a `/bin/sh` in the image when it is used |
//!
//! In the image everything is root's.
//!
//! # Built once
//!
//! An image is named by what decides its contents: the Dockerfile, the files that it copies with their permissions,
//! and the version of this crate. While none of that changes, [`Build::run`] finds it in the cache and runs nothing.
//! So a `RUN` whose outcome depends on anything else, the time say, is not run again because that has changed.

mod build;
mod cache;
mod cargo;
mod construction;
mod copy;
mod dockerfile;
mod key;
mod progress;
mod rootfs;
mod run;
mod source;
mod terminal;

pub use build::{Build, BuildError, BuiltImage, Place, StepError};
pub use cache::CacheError;
pub use cargo::{CargoError, Complaint, static_programs};
pub use copy::CopyError;
pub use dockerfile::{Dockerfile, DockerfileError};
pub use progress::{Event, Progress};
pub use run::{LastLines, RunError};
pub use source::{BadPattern, SourceError};
pub use terminal::Terminal;
