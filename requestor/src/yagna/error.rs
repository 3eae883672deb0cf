//! What a call to yagna gives instead of a result.

/// A call to yagna failed.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("cannot {call}: {problem}")]
pub struct YagnaError {
    /// What was asked for, with ids: `get invoice 56e0b369`.
    pub call: String,
    /// Why it was not done.
    pub problem: Problem,
}

/// Why a call to yagna failed.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Problem {
    /// Nobody answers, for this reason.
    #[error("yagna does not answer: {0}")]
    Unreachable(String),
    /// The app key is not one of this daemon's.
    #[error("yagna does not accept the app key")]
    Unauthorized,
    /// There is no such thing, or not any more.
    #[error("not found: {0}")]
    NotFound(String),
    /// The answer did not come in time.
    #[error("no answer in time: {0}")]
    Timeout(String),
    /// Yagna said no, in these words.
    #[error("refused with HTTP status {status}: {message}")]
    #[expect(missing_docs, reason = "the message of the error says it")]
    Refused { status: u16, message: String },
    /// The answer makes no sense, for this reason.
    #[error("unexpected answer: {0}")]
    Malformed(String),
}

impl YagnaError {
    /// Whether the same call may succeed if it is made again.
    pub fn is_transient(&self) -> bool {
        match &self.problem {
            Problem::Unreachable(_) | Problem::Timeout(_) => true,
            Problem::Refused { status, .. } => *status >= 500,
            Problem::Unauthorized | Problem::NotFound(_) | Problem::Malformed(_) => false,
        }
    }
}
