//! The error of a handler: anything that `?` can raise, and whether another provider may cure it.

use std::{error::Error as StdError, fmt, ops::Deref};

/// Why a handler ended before its time.
///
/// Any error becomes one by `?`. An instance whose start fails is started again on another provider, unless the
/// error is [terminal](HandlerError::terminal).
///
/// Since any error becomes one, it is none itself, but derefs to the one that was raised. Shown with `{}` it is that
/// error alone; with `{:#}`, all that caused it as well, in one line.
pub struct HandlerError {
    source: Box<dyn StdError + Send + Sync>,
    terminal: bool,
}

impl HandlerError {
    /// An error that no other provider would cure.
    pub fn terminal(source: impl Into<Box<dyn StdError + Send + Sync>>) -> Self {
        Self {
            source: source.into(),
            terminal: true,
        }
    }

    /// Whether starting again elsewhere is pointless.
    pub fn is_terminal(&self) -> bool {
        self.terminal
    }

    /// What was raised.
    pub fn source(&self) -> &(dyn StdError + Send + Sync + 'static) {
        &*self.source
    }

    /// What was raised, and all that caused it, in one line.
    pub(crate) fn chain(&self) -> String {
        format!("{self:#}")
    }
}

impl Deref for HandlerError {
    type Target = dyn StdError + Send + Sync;

    fn deref(&self) -> &Self::Target {
        &*self.source
    }
}

impl<E: Into<Box<dyn StdError + Send + Sync>>> From<E> for HandlerError {
    fn from(source: E) -> Self {
        Self {
            source: source.into(),
            terminal: false,
        }
    }
}

impl fmt::Display for HandlerError {
    fn fmt(&self, formatter: &mut fmt::Formatter) -> fmt::Result {
        write!(formatter, "{}", self.source)?;
        if formatter.alternate() {
            let causes = std::iter::successors(self.source.source(), |cause| (*cause).source());
            for cause in causes {
                write!(formatter, ": {cause}")?;
            }
        }
        Ok(())
    }
}

impl fmt::Debug for HandlerError {
    fn fmt(&self, formatter: &mut fmt::Formatter) -> fmt::Result {
        formatter.write_str(&self.chain())
    }
}

/// What a handler gives.
pub type Result<T = (), E = HandlerError> = std::result::Result<T, E>;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::golem::StartError;

    #[derive(Debug, thiserror::Error)]
    #[error("{0}")]
    struct Step(&'static str, #[source] std::io::Error);

    fn raised() -> HandlerError {
        Step("Dockerfile:3: RUN", std::io::Error::other("forbidden")).into()
    }

    #[test]
    fn an_error_is_shown_alone_or_with_its_causes() {
        assert_eq!(raised().to_string(), "Dockerfile:3: RUN");
        assert_eq!(format!("{:#}", raised()), "Dockerfile:3: RUN: forbidden");
        assert_eq!(format!("{:?}", raised()), "Dockerfile:3: RUN: forbidden");
    }

    #[test]
    fn why_there_is_no_payload_is_among_the_causes() {
        let error = StartError::Payload(raised());
        let causes = std::iter::successors(StdError::source(&error), |cause| (*cause).source());
        let causes: Vec<_> = causes.map(ToString::to_string).collect();
        assert_eq!(error.to_string(), "the service has no payload");
        assert_eq!(causes, ["Dockerfile:3: RUN", "forbidden"]);
    }
}
