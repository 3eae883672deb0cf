//! What a client gets instead of an answer: a status and `{"message": "…"}`.

use std::fmt;

use axum::{
    Json,
    http::StatusCode,
    response::{IntoResponse, Response},
};
use exeunit::gsb::CallError;
use serde_json::json;

use crate::{
    activity::{CreateActivityError, DestroyActivityError, ExecError, NoActivity},
    gsb::{AskError, BindError, ConnectError},
    market::{AgreementError, CreateAgreementError, NoSubscription, ProposalError, TermsError},
    network::NetworkError,
    payment::{
        IssueError,
        allocation::{AllocateError, AllocationError, AmendError},
        bill::BillError,
    },
    registry::RegistryError,
};

/// A refusal.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct ApiError {
    status: StatusCode,
    message: String,
}

impl ApiError {
    fn new(status: StatusCode, message: impl fmt::Display) -> Self {
        Self {
            status,
            message: message.to_string(),
        }
    }

    pub(super) fn bad_request(message: impl fmt::Display) -> Self {
        Self::new(StatusCode::BAD_REQUEST, message)
    }

    pub(super) fn unauthorized() -> Self {
        let message = "an app key is needed: `Authorization: Bearer KEY`, or `?authToken=KEY`";
        Self::new(StatusCode::UNAUTHORIZED, message)
    }

    /// The caller is known, but this is not for it.
    pub(super) fn forbidden(message: impl fmt::Display) -> Self {
        Self::new(StatusCode::FORBIDDEN, message)
    }

    pub(super) fn not_found(message: impl fmt::Display) -> Self {
        Self::new(StatusCode::NOT_FOUND, message)
    }

    pub(super) fn method_not_allowed() -> Self {
        let message = "this cannot be done with that resource";
        Self::new(StatusCode::METHOD_NOT_ALLOWED, message)
    }

    pub(super) fn timeout() -> Self {
        Self::new(StatusCode::REQUEST_TIMEOUT, "Timeout")
    }

    /// Somebody has not answered in time, of whom the caller wants something.
    pub(super) fn silent(message: impl fmt::Display) -> Self {
        Self::new(StatusCode::GATEWAY_TIMEOUT, message)
    }

    pub(super) fn conflict(message: impl fmt::Display) -> Self {
        Self::new(StatusCode::CONFLICT, message)
    }

    pub(super) fn gone(message: impl fmt::Display) -> Self {
        Self::new(StatusCode::GONE, message)
    }

    pub(super) fn not_implemented(message: impl fmt::Display) -> Self {
        Self::new(StatusCode::NOT_IMPLEMENTED, message)
    }

    fn internal(message: impl fmt::Display) -> Self {
        Self::new(StatusCode::INTERNAL_SERVER_ERROR, message)
    }

    /// A service on the bus has not done as it was asked.
    fn of_call(call: &CallError, message: impl fmt::Display) -> Self {
        match call {
            CallError::NotFound(_) => Self::not_found(message),
            CallError::BadRequest(_) => Self::bad_request(message),
            CallError::Timeout(_) => Self::timeout(),
            CallError::Service(_) | CallError::Closed(_) => Self::internal(message),
        }
    }

    pub(super) fn stopping() -> Self {
        Self::new(StatusCode::SERVICE_UNAVAILABLE, "the node is stopping")
    }
}

impl IntoResponse for ApiError {
    fn into_response(self) -> Response {
        if self.status == StatusCode::INTERNAL_SERVER_ERROR {
            tracing::warn!("{}", self.message);
        }
        (self.status, Json(json!({"message": self.message}))).into_response()
    }
}

impl From<TermsError> for ApiError {
    fn from(error: TermsError) -> Self {
        Self::bad_request(error)
    }
}

impl From<NoSubscription> for ApiError {
    fn from(error: NoSubscription) -> Self {
        Self::not_found(error)
    }
}

impl From<ProposalError> for ApiError {
    fn from(error: ProposalError) -> Self {
        match error {
            ProposalError::Subscription(_) | ProposalError::NotFound(_) => Self::not_found(error),
            ProposalError::AlreadyCountered(_) | ProposalError::Accepted(_) => Self::gone(error),
            ProposalError::Own(_) | ProposalError::NotMatching(_) => Self::bad_request(error),
        }
    }
}

impl From<CreateAgreementError> for ApiError {
    fn from(error: CreateAgreementError) -> Self {
        match error {
            CreateAgreementError::NotFound(_) => Self::not_found(error),
            CreateAgreementError::State { .. } => Self::conflict(error),
            _ => Self::bad_request(error),
        }
    }
}

impl From<AgreementError> for ApiError {
    fn from(error: AgreementError) -> Self {
        match error {
            AgreementError::NotFound(_) => Self::not_found(error),
            AgreementError::State { .. } => Self::gone(error),
        }
    }
}

impl From<NoActivity> for ApiError {
    fn from(error: NoActivity) -> Self {
        Self::not_found(error)
    }
}

impl From<CreateActivityError> for ApiError {
    fn from(error: CreateActivityError) -> Self {
        match error {
            CreateActivityError::Agreement(error) => error.into(),
            CreateActivityError::NotApproved { .. } => Self::bad_request(error),
            CreateActivityError::Ended { .. } => Self::internal(error),
            CreateActivityError::Timeout(_) => Self::timeout(),
        }
    }
}

impl From<DestroyActivityError> for ApiError {
    fn from(error: DestroyActivityError) -> Self {
        match error {
            DestroyActivityError::NotFound(error) => error.into(),
            DestroyActivityError::Timeout(_) => Self::timeout(),
        }
    }
}

impl From<ExecError> for ApiError {
    fn from(error: ExecError) -> Self {
        match &error {
            ExecError::NotFound(_) => Self::not_found(error),
            ExecError::Ended { .. } => Self::internal(error),
            ExecError::Call { error: call, .. } => Self::of_call(call, &error),
        }
    }
}

impl From<AskError> for ApiError {
    fn from(error: AskError) -> Self {
        match &error {
            AskError::Stranger(_) => Self::forbidden(error),
            AskError::Call(call) => Self::of_call(call, call),
        }
    }
}

impl From<AllocateError> for ApiError {
    fn from(error: AllocateError) -> Self {
        Self::bad_request(error)
    }
}

impl From<AllocationError> for ApiError {
    fn from(error: AllocationError) -> Self {
        match error {
            AllocationError::NotFound(_) => Self::not_found(error),
            AllocationError::Released(_) => Self::gone(error),
        }
    }
}

impl From<AmendError> for ApiError {
    fn from(error: AmendError) -> Self {
        match error {
            AmendError::Allocation(error) => error.into(),
            AmendError::Timeout(_) | AmendError::Spent { .. } => Self::bad_request(error),
        }
    }
}

impl From<IssueError> for ApiError {
    fn from(error: IssueError) -> Self {
        match error {
            IssueError::Activity(error) => error.into(),
            IssueError::Agreement(error) => error.into(),
            IssueError::NoPlatform(_) => Self::bad_request(error),
        }
    }
}

impl From<BillError> for ApiError {
    fn from(error: BillError) -> Self {
        match error {
            BillError::NotFound { .. } => Self::not_found(error),
            _ => Self::bad_request(error),
        }
    }
}

impl From<NetworkError> for ApiError {
    fn from(error: NetworkError) -> Self {
        match error {
            NetworkError::NotFound(_)
            | NetworkError::NoNode { .. }
            | NetworkError::Nobody { .. } => Self::not_found(error),
            NetworkError::Address(_) => Self::bad_request(error),
            NetworkError::Taken { .. } | NetworkError::NotOwn { .. } => Self::conflict(error),
        }
    }
}

impl From<RegistryError> for ApiError {
    fn from(error: RegistryError) -> Self {
        match error {
            RegistryError::Io { .. } => Self::internal(error),
            _ => Self::bad_request(error),
        }
    }
}

impl From<BindError> for ApiError {
    fn from(error: BindError) -> Self {
        match error {
            BindError::Malformed(_) => Self::bad_request(error),
            BindError::Taken(_) => Self::conflict(error),
        }
    }
}

impl From<ConnectError> for ApiError {
    fn from(error: ConnectError) -> Self {
        match error {
            ConnectError::NotFound(_) => Self::not_found(error),
            ConnectError::Connected(_) => Self::conflict(error),
        }
    }
}
