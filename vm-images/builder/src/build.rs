//! From a Dockerfile to an image in the cache.

use std::{
    collections::BTreeMap,
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
    base::Bases,
    cache::Cache,
    construction::Construction,
    dockerfile::{Dockerfile, DockerfileError, Instruction},
    error::BuildError,
    key::{Decisive, Key},
    plan::{self, Origin, Plan, Wishes},
    progress::{Event, Progress},
    source::{Context, Source},
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
    wishes: Wishes,
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
            wishes: Wishes {
                main,
                named: BTreeMap::new(),
                arguments: BTreeMap::new(),
                target: None,
            },
            cache: None,
            program: None,
        }
    }

    /// Takes another folder for the main context.
    #[must_use]
    pub fn context(mut self, folder: impl Into<PathBuf>) -> Self {
        self.wishes.main = folder.into();
        self
    }

    /// Adds a folder from which `COPY --from=NAME` copies, or an image with which `FROM NAME` begins, as Docker's
    /// `--build-context NAME=FOLDER` does: a `.gvmi`, an OCI layout, or an archive of `docker save`.
    #[must_use]
    pub fn named_context(mut self, name: impl Into<String>, folder: impl Into<PathBuf>) -> Self {
        self.wishes.named.insert(name.into(), folder.into());
        self
    }

    /// Gives the variable that `ARG NAME` names a value.
    #[must_use]
    pub fn argument(mut self, name: impl Into<String>, value: impl Into<String>) -> Self {
        self.wishes.arguments.insert(name.into(), value.into());
        self
    }

    /// Takes another stage for the image than the last one, by its name or by its number from 0.
    #[must_use]
    pub fn target(mut self, stage: impl Into<String>) -> Self {
        self.wishes.target = Some(stage.into());
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
        let mut bases = Bases::new(cache.clone());
        let pulling = |image: &str, done, total| {
            // Whoever has given up the build hears nothing more of it.
            let _ = events.send(Event::Pulling {
                image: image.to_owned(),
                done,
                total,
            });
        };
        let planned = plan::plan(&self.dockerfile, &self.wishes, &mut bases, pulling);
        let planned = tokio::select! {
            planned = planned => planned,
            () = abandoned.cancelled() => return Err(BuildError::Abandoned),
        };
        let plan = planned.map_err(|error| BuildError::unplanned(&self.dockerfile, error))?;
        let (build, plan, sources) = blocking(move || {
            let sources = self.sources(&plan)?;
            Ok::<_, BuildError>((self, plan, sources))
        })
        .await?;
        let decisive = Decisive {
            dockerfile: &build.dockerfile,
            wishes: &build.wishes,
            plan: &plan,
        };
        let name = build.image_name(&Key::of(&decisive, &sources));
        if let Some(path) = cache.find(&name) {
            return BuiltImage::read(path, false).await;
        }
        let site = {
            let cache = cache.clone();
            Arc::new(blocking(move || cache.build_site()).await?)
        };
        let construction = Construction {
            dockerfile: build.dockerfile,
            cache: cache.clone(),
            launcher: build.program,
            site: Arc::clone(&site),
            abandoned,
            events,
        };
        construction.carry_out(plan, sources).await?;
        let path = blocking(move || cache.admit(&site.image(), &name)).await?;
        BuiltImage::read(path, true).await
    }

    /// What each `COPY` and `ADD` copies from folders, in their order.
    fn sources(&self, plan: &Plan) -> Result<Vec<Vec<Source>>, BuildError> {
        let mut sources = Vec::new();
        for stage in &plan.stages {
            let copies = stage
                .steps
                .iter()
                .filter_map(|step| match &step.instruction {
                    Instruction::Copy(copy) => Some((step, copy)),
                    _ => None,
                });
            for ((step, copy), origin) in copies.zip(&stage.origins) {
                if let Origin::Folder(folder, ignore_file) = origin {
                    let found = Context::folder(folder, ignore_file)
                        .and_then(|context| context.sources(copy))
                        .map_err(|error| BuildError::at(&self.dockerfile, step, error))?;
                    sources.push(found);
                }
            }
        }
        Ok(sources)
    }

    /// The key, and before it a name that tells a person what it is.
    fn image_name(&self, key: &Key) -> String {
        let folder = self.dockerfile.path().parent().unwrap_or(Path::new(""));
        format!("{}-{key}.gvmi", plain_name(folder))
    }
}

/// The name of a folder, as far as it is plain letters.
pub(crate) fn plain_name(folder: &Path) -> String {
    let folder = std::path::absolute(Path::new(".").join(folder)).ok();
    let folder = folder.as_deref().and_then(Path::file_name);
    let is_plain = |letter: &char| letter.is_ascii_alphanumeric() || "-_.".contains(*letter);
    let name: String = folder
        .unwrap_or_default()
        .to_string_lossy()
        .chars()
        .filter(is_plain)
        .collect();
    match name.as_str() {
        "" => "image".to_owned(),
        _ => name,
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
        blocking(move || Self::read_now(path, is_new)).await
    }

    pub(crate) fn read_now(path: PathBuf, is_new: bool) -> Result<Self, BuildError> {
        match Hash::of_file(&path) {
            Ok(hash) => Ok(Self { path, hash, is_new }),
            Err(source) => Err(BuildError::Read { path, source }),
        }
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
