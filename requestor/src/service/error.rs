//! The error of a handler: anything that `?` can raise, and whether another provider may cure it.

use std::{error::Error as StdError, fmt};

/// Why a handler ended before its time.
///
/// Any error becomes one by `?`. An instance whose start fails is started again on another provider, unless the
/// error is [terminal](HandlerError::terminal).
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
        let mut chain = self.source.to_string();
        let mut error: &dyn StdError = &*self.source;
        while let Some(cause) = error.source() {
            chain = format!("{chain}: {cause}");
            error = cause;
        }
        chain
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
        self.source.fmt(formatter)
    }
}

impl fmt::Debug for HandlerError {
    fn fmt(&self, formatter: &mut fmt::Formatter) -> fmt::Result {
        formatter.write_str(&self.chain())
    }
}

/// What a handler gives.
pub type Result<T = (), E = HandlerError> = std::result::Result<T, E>;
