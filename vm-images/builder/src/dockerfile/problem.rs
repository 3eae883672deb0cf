//! What is wrong with a Dockerfile.

/// What is wrong with an instruction.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Wrong {
    /// No builder would understand it.
    Mistake(String),
    /// Docker does it, and nothing here.
    Beyond(String),
}

/// What is wrong with a line.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Problem {
    pub(super) line: usize,
    pub(super) wrong: Wrong,
}

impl Wrong {
    pub(super) fn at(self, line: usize) -> Problem {
        Problem { line, wrong: self }
    }

    #[cfg(test)]
    pub(super) fn text(&self) -> &str {
        match self {
            Self::Mistake(text) | Self::Beyond(text) => text,
        }
    }
}

impl From<String> for Wrong {
    fn from(text: String) -> Self {
        Self::Mistake(text)
    }
}

impl From<&str> for Wrong {
    fn from(text: &str) -> Self {
        Self::Mistake(text.to_owned())
    }
}
