//! What a build is to do: which stages, with which images, and what their instructions mean then.

use std::{
    collections::BTreeMap,
    path::{Path, PathBuf},
    sync::Arc,
};

use gvmi::Configuration;

use crate::{
    base::{Base, BaseError, Bases, Reference},
    configure::{configure, with_path},
    dockerfile::{Dockerfile, DockerfileError, Given, Instruction, Scope, Stage, Step},
};

/// What a build is to do.
#[derive(Debug)]
pub(crate) struct Plan {
    /// The stages that are needed, in the order of the Dockerfile; the last is the image.
    pub(crate) stages: Vec<Planned>,
}

/// A stage that is needed.
#[derive(Debug)]
pub(crate) struct Planned {
    /// The line of its `FROM`, and how it is written.
    pub(crate) line: usize,
    pub(crate) text: String,
    pub(crate) begins: Beginning,
    /// What a container is like that is made from what it begins with.
    pub(crate) configuration: Configuration,
    pub(crate) steps: Vec<Step>,
    /// What each `COPY` and `ADD` copies from, in their order.
    pub(crate) origins: Vec<Origin>,
}

/// What a stage begins with.
#[derive(Clone, Debug)]
pub(crate) enum Beginning {
    Scratch,
    /// Another stage, by its place in the plan.
    Stage(usize),
    Image(Arc<Base>),
}

/// What a `COPY` copies from.
#[derive(Clone, Debug)]
pub(crate) enum Origin {
    /// A folder, and the file that says what of it to leave out.
    Folder(PathBuf, PathBuf),
    /// Another stage, by its place in the plan.
    Stage(usize),
    Image(Arc<Base>),
}

/// What the user says of a build.
#[derive(Clone, Debug)]
pub(crate) struct Wishes {
    /// The main context.
    pub(crate) main: PathBuf,
    /// Others, by their names: folders or images.
    pub(crate) named: BTreeMap<String, PathBuf>,
    pub(crate) arguments: BTreeMap<String, String>,
    /// The stage that is the image; the last if none is named.
    pub(crate) target: Option<String>,
}

/// Why there is no plan.
#[derive(Debug, thiserror::Error)]
pub(crate) enum PlanError {
    #[error(transparent)]
    Dockerfile(#[from] DockerfileError),
    #[error("the Dockerfile has no ARG {0}")]
    Argument(String),
    #[error("the Dockerfile has no stage {0}")]
    Target(String),
    #[error("line {line}")]
    Base {
        line: usize,
        text: String,
        source: BaseError,
    },
}

/// Makes a plan; `progress` hears of the layers of an image that comes from far away, with its name.
pub(crate) async fn plan(
    dockerfile: &Dockerfile,
    wishes: &Wishes,
    bases: &mut Bases,
    progress: impl Fn(&str, usize, usize) + Send + Sync,
) -> Result<Plan, PlanError> {
    let known = dockerfile.arguments();
    if let Some(name) = wishes
        .arguments
        .keys()
        .find(|name| !known.contains(&name.as_str()))
    {
        return Err(PlanError::Argument(name.clone()));
    }
    let given = Given {
        by_user: wishes.arguments.clone(),
        ..Given::default()
    };
    let given = dockerfile.global_arguments(&given)?;
    let needed = needed(dockerfile, wishes, &given)?;
    let mut planner = Planner {
        dockerfile,
        wishes,
        bases,
        given,
        needed,
        stages: Vec::new(),
        ends: Vec::new(),
    };
    for number in planner.needed.clone() {
        planner.add(number, &progress).await?;
    }
    Ok(Plan {
        stages: planner.stages,
    })
}

struct Planner<'a> {
    dockerfile: &'a Dockerfile,
    wishes: &'a Wishes,
    bases: &'a mut Bases,
    given: Given,
    /// The numbers of the stages in the plan.
    needed: Vec<usize>,
    stages: Vec<Planned>,
    /// The configuration that each of them ends with.
    ends: Vec<Configuration>,
}

impl Planner<'_> {
    async fn add(
        &mut self,
        number: usize,
        progress: &(impl Fn(&str, usize, usize) + Sync),
    ) -> Result<(), PlanError> {
        let stage = &self.dockerfile.stages()[number];
        let name = self.dockerfile.base(stage, &self.given)?;
        let (begins, configuration) = if name == "scratch" {
            (Beginning::Scratch, Configuration::default())
        } else if let Some(place) = self.earlier(number, &name) {
            (Beginning::Stage(place), self.ends[place].clone())
        } else {
            let reference = match self.wishes.named.get(&name) {
                Some(path) => Reference::of_context(path),
                None => Reference::parse(&name, &self.wishes.main),
            };
            let base = self
                .bases
                .get(reference, |layer, of| progress(&name, layer, of))
                .await;
            let base = base.map_err(at(stage.line, &stage.text))?;
            let configuration = base.configuration.clone();
            (Beginning::Image(base), configuration)
        };
        let configuration = with_path(configuration);
        let scope = Scope::of(&configuration);
        let (steps, _) = self.dockerfile.steps(stage, scope, &self.given)?;
        let mut origins = Vec::new();
        for step in &steps {
            if let Instruction::Copy(copy) = &step.instruction {
                let origin = self.origin(number, copy.from.as_deref(), progress).await;
                origins.push(origin.map_err(at(step.line, &step.text))?);
            }
        }
        let mut end = configuration.clone();
        let mut has_command = false;
        for step in &steps {
            configure(&step.instruction, &mut end, &mut has_command);
        }
        self.ends.push(end);
        self.stages.push(Planned {
            line: stage.line,
            text: stage.text.clone(),
            begins,
            configuration,
            steps,
            origins,
        });
        Ok(())
    }

    async fn origin(
        &mut self,
        number: usize,
        from: Option<&str>,
        progress: &(impl Fn(&str, usize, usize) + Sync),
    ) -> Result<Origin, BaseError> {
        let Some(name) = from else {
            let own = with_end(self.dockerfile.path(), ".dockerignore");
            let ignore = match own.is_file() {
                true => own,
                false => self.wishes.main.join(".dockerignore"),
            };
            return Ok(Origin::Folder(self.wishes.main.clone(), ignore));
        };
        if let Some(place) = self.earlier(number, name) {
            return Ok(Origin::Stage(place));
        }
        let reference = match self.wishes.named.get(name) {
            Some(path) => Reference::of_context(path),
            None => Reference::parse(name, &self.wishes.main),
        };
        if let Reference::Local(path, None) = &reference
            && path.is_dir()
            && !oci::ContainerImage::is_at(path)
        {
            return Ok(Origin::Folder(path.clone(), path.join(".dockerignore")));
        }
        let base = self
            .bases
            .get(reference, |layer, of| progress(name, layer, of))
            .await?;
        Ok(Origin::Image(base))
    }

    /// The place in the plan of the stage before `number` that is called so.
    fn earlier(&self, number: usize, name: &str) -> Option<usize> {
        let found = find(&self.dockerfile.stages()[..number], name)?;
        self.needed.iter().position(|needed| *needed == found)
    }
}

/// The numbers of the stages that are needed, in their order.
fn needed(
    dockerfile: &Dockerfile,
    wishes: &Wishes,
    given: &Given,
) -> Result<Vec<usize>, PlanError> {
    let stages = dockerfile.stages();
    let last = match &wishes.target {
        Some(name) => find(stages, name).ok_or_else(|| PlanError::Target(name.clone()))?,
        None => stages.len() - 1,
    };
    let mut is_needed = vec![false; last + 1];
    is_needed[last] = true;
    for number in (0..=last).rev().filter(|number| *number <= last) {
        if !is_needed[number] {
            continue;
        }
        let before = &stages[..number];
        let base = dockerfile.base(&stages[number], given)?;
        let names = stages[number].copies_from().chain([base.as_str()]);
        for found in names.filter_map(|name| find(before, name)) {
            is_needed[found] = true;
        }
    }
    Ok((0..=last).filter(|number| is_needed[*number]).collect())
}

/// The number of the stage that is called so, by its name or by its number.
fn find(stages: &[Stage], name: &str) -> Option<usize> {
    let lower = name.to_ascii_lowercase();
    let named = stages
        .iter()
        .position(|stage| stage.name.as_deref() == Some(&lower));
    named.or_else(|| name.parse().ok().filter(|number| *number < stages.len()))
}

fn with_end(path: &Path, end: &str) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(end);
    name.into()
}

fn at(line: usize, text: &str) -> impl FnOnce(BaseError) -> PlanError {
    let text = text.to_owned();
    move |source| PlanError::Base { line, text, source }
}
