//! Carries out the instructions of a Dockerfile.

use std::{
    collections::BTreeMap,
    io,
    path::{Path, PathBuf},
    sync::Arc,
};

use exeunit::Program;
use gvmi::Configuration;
use tokio::sync::mpsc::UnboundedSender;
use tokio_util::sync::CancellationToken;

use crate::{
    base::{Base, BaseError},
    build::blocking,
    cache::{BuildSite, Cache, CacheError},
    configure::configure,
    copy,
    dockerfile::{Copy, Dockerfile, Instruction, Run, Step},
    error::{BuildError, StepError},
    inherited::{Inherited, Snapshot},
    owner,
    plan::{Beginning, Origin, Plan, Planned},
    progress::Event,
    rootfs::Rootfs,
    run::{self, RunError},
    source::{Context, Source},
    unpack,
};

/// Tells tools that the files of the image are from the epoch, which the image says of them: what Python compiles, for
/// one, then looks at contents and not at times.
const EPOCH: (&str, &str) = ("SOURCE_DATE_EPOCH", "0");

/// An image that is being built.
pub(crate) struct Construction {
    pub(crate) dockerfile: Dockerfile,
    pub(crate) cache: Cache,
    /// The program that becomes the sandbox; the one that runs if none is named.
    pub(crate) launcher: Option<Program>,
    /// Whoever writes to it from another thread holds it too: it must not be removed under them.
    pub(crate) site: Arc<BuildSite>,
    pub(crate) abandoned: CancellationToken,
    pub(crate) events: UnboundedSender<Event>,
}

/// The files of a stage, or of an image.
#[derive(Debug)]
struct Files {
    rootfs: Rootfs,
    inherited: Inherited,
}

/// What there is of a build so far.
#[derive(Default)]
struct Progress {
    /// The stages of the plan that are complete.
    stages: Vec<Arc<Files>>,
    /// Images that are copied from, by what names them.
    images: BTreeMap<String, Arc<Files>>,
    /// Steps that have begun.
    steps: usize,
    /// Steps that there are.
    total: usize,
}

impl Construction {
    /// Carries out all instructions, and packs the image. `sources` are those from folders.
    pub(crate) async fn carry_out(
        self,
        plan: Plan,
        sources: Vec<Vec<Source>>,
    ) -> Result<(), BuildError> {
        let mut sources = sources.into_iter();
        let mut progress = Progress {
            total: plan.stages.iter().map(|stage| stage.steps.len()).sum(),
            ..Progress::default()
        };
        let mut configuration = Configuration::default();
        for (place, stage) in plan.stages.iter().enumerate() {
            let begun = self.begin(place, stage, &progress).await;
            let from = Step {
                line: stage.line,
                text: stage.text.clone(),
                instruction: Instruction::Arg,
            };
            let mut files =
                begun.map_err(|error| BuildError::at(&self.dockerfile, &from, error))?;
            configuration = stage.configuration.clone();
            let mut has_command = false;
            let mut origins = stage.origins.iter();
            for step in &stage.steps {
                self.begin_step(step, &mut progress)?;
                let done = match &step.instruction {
                    Instruction::Copy(copy) => {
                        let origin = origins.next();
                        self.copy(files, copy, origin, &mut sources, &mut progress)
                            .await
                    }
                    Instruction::Run(run) => self.run(files, run, &configuration).await,
                    other => create_folders(other, &files.rootfs).map(|()| files),
                };
                files = done.map_err(|error| BuildError::at(&self.dockerfile, step, error))?;
                configure(&step.instruction, &mut configuration, &mut has_command);
            }
            progress.stages.push(Arc::new(files));
        }
        self.tell(Event::Packing);
        let Some(files) = progress.stages.pop() else {
            return Ok(());
        };
        let site = self.site;
        blocking(move || {
            let describe = |path: &Path, metadata: &_| files.inherited.describe(path, metadata);
            let tree = files.rootfs.path();
            Ok(gvmi::pack_as(
                tree,
                describe,
                &configuration,
                &site.image(),
            )?)
        })
        .await
    }

    fn begin_step(&self, step: &Step, progress: &mut Progress) -> Result<(), BuildError> {
        if self.abandoned.is_cancelled() {
            return Err(BuildError::at(&self.dockerfile, step, RunError::Abandoned));
        }
        progress.steps += 1;
        self.tell(Event::Step {
            number: progress.steps,
            total: progress.total,
            text: step.text.clone(),
        });
        Ok(())
    }

    /// The files that a stage begins with.
    async fn begin(
        &self,
        place: usize,
        stage: &Planned,
        progress: &Progress,
    ) -> Result<Files, StepError> {
        let tree = self.site.tree(&place.to_string());
        match &stage.begins {
            Beginning::Scratch => match Rootfs::create(tree.clone()) {
                Ok(rootfs) => Ok(Files {
                    rootfs,
                    inherited: Inherited::default(),
                }),
                Err(source) => Err(BaseError::from(CacheError::Io {
                    action: "create",
                    path: tree,
                    source,
                })
                .into()),
            },
            Beginning::Stage(earlier) => {
                let files = Arc::clone(&progress.stages[*earlier]);
                let site = Arc::clone(&self.site);
                blocking(move || {
                    let copied = unpack::copy(&files.rootfs, &files.inherited, tree);
                    drop(site);
                    let (rootfs, inherited) = copied.map_err(BaseError::from)?;
                    Ok(Files { rootfs, inherited })
                })
                .await
            }
            Beginning::Image(base) => {
                self.tell(Event::Stage {
                    text: stage.text.clone(),
                });
                self.unpack(base, tree).await
            }
        }
    }

    async fn unpack(&self, base: &Arc<Base>, tree: PathBuf) -> Result<Files, StepError> {
        let (base, cache, site) = (Arc::clone(base), self.cache.clone(), Arc::clone(&self.site));
        blocking(move || {
            let (rootfs, inherited) = base.unpack(&cache, &site, tree)?;
            Ok(Files { rootfs, inherited })
        })
        .await
    }

    async fn copy(
        &self,
        mut files: Files,
        copy: &Copy,
        origin: Option<&Origin>,
        sources: &mut impl Iterator<Item = Vec<Source>>,
        progress: &mut Progress,
    ) -> Result<Files, StepError> {
        let from = match origin {
            Some(Origin::Stage(place)) => Some(Arc::clone(&progress.stages[*place])),
            Some(Origin::Image(base)) => Some(self.image(base, progress).await?),
            Some(Origin::Folder(..)) | None => None,
        };
        let in_folder = match from {
            None => sources.next().unwrap_or_default(),
            Some(_) => Vec::new(),
        };
        let (copy, site) = (copy.clone(), Arc::clone(&self.site));
        blocking(move || {
            let sources = match &from {
                Some(from) => Context::image(&from.rootfs).sources(&copy)?,
                None => in_folder,
            };
            let Files { rootfs, inherited } = &mut files;
            let copied = copy::copy(rootfs, inherited, &copy, &sources);
            drop(site);
            copied?;
            Ok(files)
        })
        .await
    }

    /// The files of an image that is copied from.
    async fn image(
        &self,
        base: &Arc<Base>,
        progress: &mut Progress,
    ) -> Result<Arc<Files>, StepError> {
        if let Some(files) = progress.images.get(&base.identity) {
            return Ok(Arc::clone(files));
        }
        let name = format!("image-{}", progress.images.len());
        let files = Arc::new(self.unpack(base, self.site.tree(&name)).await?);
        let known = Arc::clone(&files);
        progress.images.insert(base.identity.clone(), known);
        Ok(files)
    }

    async fn run(
        &self,
        mut files: Files,
        run: &Run,
        configuration: &Configuration,
    ) -> Result<Files, StepError> {
        let user = configuration
            .user
            .as_deref()
            .filter(|user| !user.is_empty());
        let user = user.unwrap_or("0");
        let user = match owner::find(&files.rootfs, user) {
            Ok(user) => user,
            Err(error) => return Err(copy::CopyError::from(error).into()),
        };
        let tree = files.rootfs.path().to_owned();
        let is_root = user.owner == gvmi::Owner::default();
        let before = match is_root {
            true => None,
            false => Some(Snapshot::take(&tree).map_err(unreadable(&tree))?),
        };
        let own = configuration
            .env
            .iter()
            .filter_map(|variable| variable.split_once('='))
            .map(|(name, value)| (name.to_owned(), value.to_owned()));
        let home = user.home.unwrap_or_else(|| "/".to_owned());
        let mut env = BTreeMap::from([
            (EPOCH.0.to_owned(), EPOCH.1.to_owned()),
            ("HOME".to_owned(), home),
        ]);
        env.extend(run.arguments.iter().cloned());
        env.extend(own);
        let working_dir = match configuration.working_dir.as_str() {
            "" => "/",
            folder => folder,
        };
        let task = run::Task {
            launcher: self.launcher.clone(),
            tree: tree.clone(),
            command: run.command.clone(),
            env,
            working_dir: working_dir.to_owned(),
        };
        let on_line = |line: &str| self.tell(Event::Output(line.to_owned()));
        run::run(task, &self.abandoned, on_line).await?;
        if let Some(before) = before {
            let given = files.inherited.give_new(&tree, &before, user.owner);
            given.map_err(unreadable(&tree))?;
        }
        Ok(files)
    }

    fn tell(&self, event: Event) {
        // Whoever has given up the build hears nothing more of it.
        let _ = self.events.send(event);
    }
}

fn unreadable(tree: &Path) -> impl FnOnce(io::Error) -> StepError {
    let path = tree.to_owned();
    move |source| BaseError::Read { path, source }.into()
}

/// Creates the folders that an instruction speaks of.
fn create_folders(instruction: &Instruction, rootfs: &Rootfs) -> Result<(), StepError> {
    let create = |path: &String| match rootfs.create_folders(Path::new(path)) {
        Ok(_) => Ok(()),
        Err(source) => Err(StepError::Folder {
            path: path.clone(),
            source,
        }),
    };
    match instruction {
        Instruction::WorkingDir(path) => create(path),
        Instruction::Volume(paths) => paths.iter().try_for_each(create),
        _ => Ok(()),
    }
}
