//! Why there is no image.

use std::{fmt, io, path::PathBuf};

use crate::{
    base::BaseError,
    cache::CacheError,
    copy::CopyError,
    dockerfile::{Dockerfile, DockerfileError, Step},
    plan::PlanError,
    run::RunError,
    source::SourceError,
};

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
        source: Box<StepError>,
    },
    /// A line of it is wrong, now that its variables are known.
    #[error(transparent)]
    Dockerfile(DockerfileError),
    /// A value is given for a variable that no `ARG` names.
    #[error("{} has no ARG {name}", path.display())]
    NoArgument {
        /// The Dockerfile.
        path: PathBuf,
        /// The variable.
        name: String,
    },
    /// The stage that is to be the image is not there.
    #[error("{} has no stage {name}", path.display())]
    NoStage {
        /// The Dockerfile.
        path: PathBuf,
        /// The stage.
        name: String,
    },
    /// The cache is of no use.
    #[error(transparent)]
    Cache(#[from] CacheError),
    /// The image cannot be packed.
    #[error(transparent)]
    Pack(#[from] gvmi::PackError),
    /// Nobody waits for it any more.
    #[error("the build was given up")]
    Abandoned,
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
    /// There is no such image.
    #[error(transparent)]
    Base(#[from] BaseError),
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
            source: Box::new(source.into()),
        }
    }

    pub(crate) fn unplanned(dockerfile: &Dockerfile, error: PlanError) -> Self {
        let path = dockerfile.path().to_owned();
        match error {
            PlanError::Dockerfile(error) => Self::Dockerfile(error),
            PlanError::Argument(name) => Self::NoArgument { path, name },
            PlanError::Target(name) => Self::NoStage { path, name },
            PlanError::Base { line, text, source } => Self::Step {
                place: Place { path, line },
                instruction: text,
                source: Box::new(source.into()),
            },
        }
    }
}
