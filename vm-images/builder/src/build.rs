//! From a Dockerfile to an image in the cache.

use std::{
    collections::BTreeMap,
    fmt, io,
    path::{Path, PathBuf},
    sync::Arc,
};

use exeunit::Program;
use gvmi::Hash;
use tokio::{
    sync::mpsc::{self, UnboundedSender},
    task::spawn_blocking,
};
use tokio_util::sync::CancellationToken;

use crate::{
    cache::{Cache, CacheError},
    construction::Construction,
    copy::CopyError,
    dockerfile::{Dockerfile, DockerfileError, Instruction, Step},
    key::Key,
    progress::{Event, Progress},
    run::RunError,
    source::{Contexts, Source, SourceError},
};

/// The build of an image.
///
/// ```no_run
/// # async fn example() -> Result<(), Box<dyn std::error::Error>> {
/// // In a program whose `main` begins with `exeunit::enter()`:
/// let progress = builder::Terminal::stderr();
/// let programs = builder::static_programs("vm-images/simple_service", &progress).await?;
/// let image = builder::Build::open("vm-images/simple_service/Dockerfile")?
///     .named_context("programs", programs)
///     .run(&progress)
///     .await?;
/// println!("{} {}", image.hash(), image.path().display());
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Debug)]
pub struct Build {
    dockerfile: Dockerfile,
    contexts: Contexts,
    cache: Option<PathBuf>,
    program: Option<Program>,
}

/// An image in the cache.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BuiltImage {
    path: PathBuf,
    hash: Hash,
    is_new: bool,
}

/// Why there is no image.
#[derive(Debug, thiserror::Error)]
pub enum BuildError {
    /// An instruction cannot be carried out.
    #[error("{place}: {instruction}")]
    Step {
        /// The Dockerfile and the line.
        place: Place,
        /// The instruction as it is written, in one line.
        instruction: String,
        /// Why.
        source: StepError,
    },
    /// The cache is of no use.
    #[error(transparent)]
    Cache(#[from] CacheError),
    /// The image cannot be packed.
    #[error(transparent)]
    Pack(#[from] gvmi::PackError),
    /// The image that is there cannot be read.
    #[error("cannot read the image {}", path.display())]
    Read {
        /// Where it is.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
}

/// Why an instruction cannot be carried out.
#[derive(Debug, thiserror::Error)]
pub enum StepError {
    /// There is nothing to copy.
    #[error(transparent)]
    Source(#[from] SourceError),
    /// A file cannot be copied.
    #[error(transparent)]
    Copy(#[from] CopyError),
    /// A folder cannot be created.
    #[error("cannot create the folder {path} in the image")]
    Folder {
        /// Which.
        path: String,
        /// Why.
        source: io::Error,
    },
    /// A program failed, or did not start.
    #[error(transparent)]
    Run(#[from] RunError),
}

/// A line of a Dockerfile.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Place {
    /// Where the Dockerfile is.
    pub path: PathBuf,
    /// The line, from 1.
    pub line: usize,
}

impl fmt::Display for Place {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{}:{}", self.path.display(), self.line)
    }
}

impl BuildError {
    pub(crate) fn at(dockerfile: &Dockerfile, step: &Step, source: impl Into<StepError>) -> Self {
        Self::Step {
            place: Place {
                path: dockerfile.path().into(),
                line: step.line,
            },
            instruction: step.text.clone(),
            source: source.into(),
        }
    }
}

impl Build {
    /// The build of the Dockerfile at `path`. Its main context is the folder that the Dockerfile is in.
    ///
    /// # Errors
    /// If the Dockerfile cannot be read, or asks for what cannot be done.
    pub fn open(path: impl Into<PathBuf>) -> Result<Self, DockerfileError> {
        Dockerfile::open(path).map(Self::new)
    }

    /// The build of `dockerfile`. Its main context is the folder that the Dockerfile is in.
    pub fn new(dockerfile: Dockerfile) -> Self {
        let folder = dockerfile
            .path()
            .parent()
            .filter(|folder| !folder.as_os_str().is_empty());
        let main = folder.unwrap_or(Path::new(".")).to_owned();
        Self {
            dockerfile,
            contexts: Contexts {
                main,
                named: BTreeMap::new(),
            },
            cache: None,
            program: None,
        }
    }

    /// Takes another folder for the main context.
    #[must_use]
    pub fn context(mut self, folder: impl Into<PathBuf>) -> Self {
        self.contexts.main = folder.into();
        self
    }

    /// Adds a folder from which `COPY --from=NAME` copies, as Docker's `--build-context NAME=FOLDER` does.
    #[must_use]
    pub fn named_context(mut self, name: impl Into<String>, folder: impl Into<PathBuf>) -> Self {
        self.contexts.named.insert(name.into(), folder.into());
        self
    }

    /// Takes another folder for images than this user's, which is `kiln/images` in `$XDG_CACHE_HOME` or `~/.cache`.
    #[must_use]
    pub fn cache(mut self, folder: impl Into<PathBuf>) -> Self {
        self.cache = Some(folder.into());
        self
    }

    /// Takes another program to become the sandbox in which `RUN` runs than the one that calls this, whose `main`
    /// must otherwise begin with [`exeunit::enter`].
    #[must_use]
    pub fn program(mut self, program: Program) -> Self {
        self.program = Some(program);
        self
    }

    /// Builds the image, or finds it in the cache: it is there if nothing has changed that decides what is in it,
    /// and nothing is run then.
    ///
    /// Builds of one image may run at the same time. Until it is whole, an image is not in the cache; whatever
    /// there is of it is removed when the build fails, or when this future is dropped.
    ///
    /// # Errors
    /// If an instruction cannot be carried out, or the cache be written.
    pub async fn run(self, progress: &dyn Progress) -> Result<BuiltImage, BuildError> {
        let abandoned = CancellationToken::new();
        let _given_up_with_this_future = abandoned.clone().drop_guard();
        let (events, mut reported) = mpsc::unbounded_channel();
        // A task of its own outlives this future for as long as it takes to end what runs and to clean up.
        let mut work = tokio::spawn(self.work(abandoned, events));
        let outcome = loop {
            tokio::select! {
                biased;
                Some(event) = reported.recv() => progress.report(event),
                outcome = &mut work => break outcome,
            }
        };
        let outcome = outcome.unwrap_or_else(|error| std::panic::resume_unwind(error.into_panic()));
        progress.report(match &outcome {
            Ok(BuiltImage { path, is_new, .. }) => Event::Ready {
                path: path.clone(),
                is_new: *is_new,
            },
            Err(_) => Event::Failed,
        });
        outcome
    }

    async fn work(
        self,
        abandoned: CancellationToken,
        events: UnboundedSender<Event>,
    ) -> Result<BuiltImage, BuildError> {
        let cache = self
            .cache
            .clone()
            .map_or_else(Cache::of_user, |folder| Ok(Cache::at(folder)))?;
        let (build, sources) =
            blocking(move || self.sources().map(|sources| (self, sources))).await?;
        let name = build.image_name(&Key::of(&build.dockerfile, &sources));
        if let Some(path) = cache.find(&name) {
            return BuiltImage::read(path, false).await;
        }
        let site = {
            let cache = cache.clone();
            Arc::new(blocking(move || cache.build_site()).await?)
        };
        let construction = Construction {
            dockerfile: build.dockerfile,
            launcher: build.program,
            site: Arc::clone(&site),
            abandoned,
            events,
        };
        construction.carry_out(sources).await?;
        let path = blocking(move || cache.admit(&site, &name)).await?;
        BuiltImage::read(path, true).await
    }

    /// What each `COPY` copies, in their order.
    fn sources(&self) -> Result<Vec<Vec<Source>>, BuildError> {
        let copies = self
            .dockerfile
            .steps()
            .iter()
            .filter_map(|step| match &step.instruction {
                Instruction::Copy(copy) => Some((step, copy)),
                _ => None,
            });
        copies
            .map(|(step, copy)| {
                let sources = self.contexts.sources(copy);
                sources.map_err(|error| BuildError::at(&self.dockerfile, step, error))
            })
            .collect()
    }

    /// The key, and before it a name that tells a person what it is.
    fn image_name(&self, key: &Key) -> String {
        let folder = std::path::absolute(self.dockerfile.path()).ok();
        let folder = folder
            .as_deref()
            .and_then(Path::parent)
            .and_then(Path::file_name);
        let is_plain = |letter: &char| letter.is_ascii_alphanumeric() || "-_.".contains(*letter);
        let folder: String = folder
            .unwrap_or_default()
            .to_string_lossy()
            .chars()
            .filter(is_plain)
            .collect();
        format!(
            "{}-{key}.gvmi",
            if folder.is_empty() { "image" } else { &folder }
        )
    }
}

impl BuiltImage {
    /// Where it is.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// What names it on the network.
    pub fn hash(&self) -> Hash {
        self.hash
    }

    /// Whether it was built now, not found in the cache.
    pub fn is_new(&self) -> bool {
        self.is_new
    }

    async fn read(path: PathBuf, is_new: bool) -> Result<Self, BuildError> {
        blocking(move || match Hash::of_file(&path) {
            Ok(hash) => Ok(Self { path, hash, is_new }),
            Err(source) => Err(BuildError::Read { path, source }),
        })
        .await
    }
}

/// Lets a thread do what would hold up all others.
pub(crate) async fn blocking<T, E>(
    work: impl FnOnce() -> Result<T, E> + Send + 'static,
) -> Result<T, E>
where
    T: Send + 'static,
    E: Send + 'static,
{
    match spawn_blocking(work).await {
        Ok(result) => result,
        Err(error) => std::panic::resume_unwind(error.into_panic()),
    }
}
