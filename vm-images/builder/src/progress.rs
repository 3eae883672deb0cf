//! What is told of a build while it is under way.

use std::path::PathBuf;

/// Hears what a build does. It is called often, and holds the build up while it runs.
pub trait Progress: Send + Sync {
    /// Something has happened.
    fn report(&self, event: Event);
}

/// Something that happened.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Event {
    /// Cargo compiles the programs of a package.
    Compiling {
        /// The package.
        package: String,
        /// How many crates are compiled, if it is known.
        done: u32,
        /// How many crates there are, if it is known; else 0.
        total: u32,
        /// What cargo is at.
        current: String,
    },
    /// All programs of a package are compiled.
    Compiled {
        /// The package.
        package: String,
    },
    /// An image comes from a registry.
    Pulling {
        /// Its name.
        image: String,
        /// How many layers are there.
        done: usize,
        /// How many it has.
        total: usize,
    },
    /// A stage begins: the image that it begins with is unpacked.
    Stage {
        /// Its `FROM` as it is written, in one line.
        text: String,
    },
    /// An instruction of a Dockerfile begins.
    Step {
        /// Its place among them, from 1.
        number: usize,
        /// How many there are.
        total: usize,
        /// The instruction as it is written, in one line.
        text: String,
    },
    /// The program of the `RUN` at hand has written a line.
    Output(String),
    /// The image is complete, and is being packed.
    Packing,
    /// There is an image.
    Ready {
        /// Where it is.
        path: PathBuf,
        /// Whether it was built now, not found in the cache.
        is_new: bool,
    },
    /// There will be none; the error says why.
    Failed,
}

/// Nobody listens.
impl Progress for () {
    fn report(&self, _event: Event) {}
}
