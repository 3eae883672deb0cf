//! Carries out the instructions of a Dockerfile.

use std::{path::Path, sync::Arc};

use exeunit::Program;
use gvmi::Configuration;
use tokio::sync::mpsc::UnboundedSender;
use tokio_util::sync::CancellationToken;

use crate::{
    build::{BuildError, StepError, blocking},
    cache::{BuildSite, CacheError},
    copy,
    dockerfile::{Copy, Dockerfile, Instruction},
    progress::Event,
    rootfs::Rootfs,
    run::{self, RunError},
    source::Source,
};

/// Where programs are looked for if the Dockerfile does not say; as Docker has it.
const DEFAULT_PATH: &str = "PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";

/// An image that is being built.
pub(crate) struct Construction {
    pub(crate) dockerfile: Dockerfile,
    /// The program that becomes the sandbox; the one that runs if none is named.
    pub(crate) launcher: Option<Program>,
    /// Whoever writes to it from another thread holds it too: it must not be removed under them.
    pub(crate) site: Arc<BuildSite>,
    pub(crate) abandoned: CancellationToken,
    pub(crate) events: UnboundedSender<Event>,
}

impl Construction {
    /// Carries out all instructions, and packs the image.
    pub(crate) async fn carry_out(self, sources: Vec<Vec<Source>>) -> Result<(), BuildError> {
        let tree = self.site.tree();
        let rootfs = Rootfs::create(tree.clone()).map_err(|source| CacheError::Io {
            action: "create",
            path: tree.clone(),
            source,
        })?;
        let rootfs = Arc::new(rootfs);
        let mut configuration = Configuration {
            env: vec![DEFAULT_PATH.to_owned()],
            ..Configuration::default()
        };
        let mut sources = sources.into_iter();
        let steps = self.dockerfile.steps();
        for (number, step) in (1..).zip(steps) {
            if self.abandoned.is_cancelled() {
                return Err(BuildError::at(&self.dockerfile, step, RunError::Abandoned));
            }
            self.tell(Event::Step {
                number,
                total: steps.len(),
                text: step.text.clone(),
            });
            let done = match &step.instruction {
                Instruction::Copy(copy) => {
                    let sources = sources.next().unwrap_or_default();
                    self.copy(&rootfs, copy.clone(), sources).await
                }
                Instruction::Run(command) => self.run(&rootfs, command, &configuration).await,
                other => describe(other, &rootfs, &mut configuration),
            };
            done.map_err(|error| BuildError::at(&self.dockerfile, step, error))?;
        }
        self.tell(Event::Packing);
        let site = self.site;
        blocking(move || Ok(gvmi::pack(&site.tree(), &configuration, &site.image())?)).await
    }

    async fn copy(
        &self,
        rootfs: &Arc<Rootfs>,
        copy: Copy,
        sources: Vec<Source>,
    ) -> Result<(), StepError> {
        let (rootfs, site) = (Arc::clone(rootfs), Arc::clone(&self.site));
        blocking(move || {
            let copied = copy::copy(&rootfs, &copy, &sources);
            drop(site);
            Ok(copied?)
        })
        .await
    }

    async fn run(
        &self,
        rootfs: &Rootfs,
        command: &[String],
        configuration: &Configuration,
    ) -> Result<(), StepError> {
        let variables = configuration
            .env
            .iter()
            .filter_map(|variable| variable.split_once('='));
        let working_dir = match configuration.working_dir.as_str() {
            "" => "/",
            folder => folder,
        };
        let task = run::Task {
            launcher: self.launcher.clone(),
            tree: rootfs.path().to_owned(),
            command: command.to_vec(),
            env: variables
                .map(|(name, value)| (name.to_owned(), value.to_owned()))
                .collect(),
            working_dir: working_dir.to_owned(),
        };
        let on_line = |line: &str| self.tell(Event::Output(line.to_owned()));
        Ok(run::run(task, &self.abandoned, on_line).await?)
    }

    fn tell(&self, event: Event) {
        // Whoever has given up the build hears nothing more of it.
        let _ = self.events.send(event);
    }
}

/// Carries out an instruction that changes what is said about the image, and may need folders in it.
fn describe(
    instruction: &Instruction,
    rootfs: &Rootfs,
    configuration: &mut Configuration,
) -> Result<(), StepError> {
    let create = |path: &String| match rootfs.create_folders(Path::new(path)) {
        Ok(_) => Ok(()),
        Err(source) => Err(StepError::Folder {
            path: path.clone(),
            source,
        }),
    };
    match instruction {
        Instruction::Copy(_) | Instruction::Run(_) => {}
        Instruction::Env(pairs) => pairs.iter().for_each(|(name, value)| {
            let prefix = format!("{name}=");
            configuration
                .env
                .retain(|variable| !variable.starts_with(&prefix));
            configuration.env.push(prefix + value);
        }),
        Instruction::WorkingDir(path) => {
            create(path)?;
            configuration.working_dir.clone_from(path);
        }
        Instruction::Volume(paths) => {
            paths.iter().try_for_each(create)?;
            paths.iter().for_each(|path| configuration.add_volume(path));
        }
        Instruction::Entrypoint(command) => configuration.entrypoint = Some(command.clone()),
        Instruction::Cmd(command) => configuration.cmd = Some(command.clone()),
        Instruction::Label(pairs) => configuration.labels.extend(pairs.iter().cloned()),
    }
    Ok(())
}
