//! Dockerfiles: read, understood, and refused where they ask for what cannot be done here.
//!
//! What is known is understood as Docker does: comments, continuation lines, the `escape` directive, exec and shell
//! forms, quotes, variables. What is not known is an error with its line, never passed over.

mod forms;
mod instruction;
mod lines;
mod parser;
#[cfg(test)]
mod parser_tests;
mod problem;
mod scope;
mod stages;
mod words;

use std::{
    fs, io,
    path::{Path, PathBuf},
};

pub(crate) use instruction::{Copy, Instruction, Run};
pub(crate) use scope::{Given, Scope};
pub(crate) use stages::Stage;

use problem::{Problem, Wrong};
use stages::Stages;

/// A Dockerfile that can be built.
#[derive(Clone, Debug, PartialEq)]
pub struct Dockerfile {
    path: PathBuf,
    text: String,
    stages: Stages,
}

/// One instruction after `FROM`, in its place.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Step {
    /// The line that it begins in, from 1.
    pub(crate) line: usize,
    /// As it is written, in one line.
    pub(crate) text: String,
    pub(crate) instruction: Instruction,
}

/// Why a Dockerfile cannot be built.
#[derive(Debug, thiserror::Error)]
pub enum DockerfileError {
    /// It cannot be read.
    #[error("cannot read the Dockerfile {}", path.display())]
    Read {
        /// Where it is.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// A line of it is wrong.
    #[error("{}:{line}: {problem}", path.display())]
    Line {
        /// Where it is.
        path: PathBuf,
        /// The line, from 1.
        line: usize,
        /// What is wrong.
        problem: String,
    },
    /// A line of it asks for what is not done here, but by [another builder](crate::Tool).
    #[error("{}:{line}: {problem}", path.display())]
    Beyond {
        /// Where it is.
        path: PathBuf,
        /// The line, from 1.
        line: usize,
        /// What it asks for.
        problem: String,
    },
}

impl Dockerfile {
    /// Reads the Dockerfile at `path`.
    ///
    /// # Errors
    /// If it cannot be read, or understood.
    pub fn open(path: impl Into<PathBuf>) -> Result<Self, DockerfileError> {
        let path = path.into();
        match fs::read_to_string(&path) {
            Ok(text) => Self::parse(path, text),
            Err(source) => Err(DockerfileError::Read { path, source }),
        }
    }

    /// Understands the text of a Dockerfile; `path` is where errors say that it is.
    ///
    /// # Errors
    /// If it cannot be understood.
    pub fn parse(
        path: impl Into<PathBuf>,
        text: impl Into<String>,
    ) -> Result<Self, DockerfileError> {
        let (path, text) = (path.into(), text.into());
        match Stages::parse(&text) {
            Ok(stages) => Ok(Self { path, text, stages }),
            Err(problem) => Err(located(&path, problem)),
        }
    }

    /// Where it is.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// As it is written.
    pub(crate) fn text(&self) -> &str {
        &self.text
    }

    /// Its stages, one for each `FROM`.
    pub(crate) fn stages(&self) -> &[Stage] {
        &self.stages.all
    }

    /// The names of the arguments that somebody may give.
    pub(crate) fn arguments(&self) -> Vec<&str> {
        self.stages.arguments()
    }

    /// What `ARG` before the first `FROM` sets, and what is known of the platform.
    pub(crate) fn global_arguments(&self, given: &Given) -> Result<Given, DockerfileError> {
        let found = self.stages.global_arguments(given);
        found.map_err(|problem| located(&self.path, problem))
    }

    /// The image that a stage begins with, its variables expanded.
    pub(crate) fn base(&self, stage: &Stage, given: &Given) -> Result<String, DockerfileError> {
        let found = self.stages.base(stage, given);
        found.map_err(|problem| located(&self.path, problem))
    }

    /// What the instructions of a stage ask for that begins with `scope`.
    pub(crate) fn steps(
        &self,
        stage: &Stage,
        scope: Scope,
        given: &Given,
    ) -> Result<(Vec<Step>, Scope), DockerfileError> {
        let found = self.stages.steps(stage, scope, given);
        found.map_err(|problem| located(&self.path, problem))
    }
}

fn located(path: &Path, problem: Problem) -> DockerfileError {
    let (path, line) = (path.to_owned(), problem.line);
    match problem.wrong {
        Wrong::Mistake(problem) => DockerfileError::Line {
            path,
            line,
            problem,
        },
        Wrong::Beyond(problem) => DockerfileError::Beyond {
            path,
            line,
            problem,
        },
    }
}
