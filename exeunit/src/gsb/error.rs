//! What a service on the bus answers instead of a result.

use serde::{Deserialize, Serialize};

/// Why a call failed.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error, Serialize, Deserialize)]
pub enum CallError {
    /// The service could not do what was asked.
    #[error("{0}")]
    Service(String),
    /// The request makes no sense, now or at all.
    #[error("{0}")]
    BadRequest(String),
    /// There is no such thing, or no such service.
    #[error("{0}")]
    NotFound(String),
    /// The answer did not come in time.
    #[error("{0}")]
    Timeout(String),
    /// The service, or the way to it, is gone.
    #[error("{0}")]
    Closed(String),
}
