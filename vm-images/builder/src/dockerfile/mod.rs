//! Dockerfiles: read, understood, and refused where they ask for what cannot be done here.
//!
//! What is known is understood as Docker does: comments, continuation lines, the `escape` directive, exec forms,
//! quotes, and variables that `ENV` has set. What is not known is an error with its line, never passed over.

mod instruction;
mod lines;
mod parser;
mod words;

use std::{
    fs, io,
    path::{Path, PathBuf},
};

pub(crate) use instruction::{Copy, Instruction};

use parser::Parser;

/// A Dockerfile that can be built.
#[derive(Clone, Debug, PartialEq)]
pub struct Dockerfile {
    path: PathBuf,
    text: String,
    steps: Vec<Step>,
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
    /// A line of it is wrong, or asks for what cannot be done here.
    #[error("{}:{line}: {problem}", path.display())]
    Line {
        /// Where it is.
        path: PathBuf,
        /// The line, from 1.
        line: usize,
        /// What is wrong.
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
        match Parser::parse(&text) {
            Ok(steps) => Ok(Self { path, text, steps }),
            Err(Problem {
                line,
                text: problem,
            }) => Err(DockerfileError::Line {
                path,
                line,
                problem,
            }),
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

    pub(crate) fn steps(&self) -> &[Step] {
        &self.steps
    }
}

/// What is wrong with a line.
#[derive(Debug, PartialEq)]
struct Problem {
    line: usize,
    text: String,
}
