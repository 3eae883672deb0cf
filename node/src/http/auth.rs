//! Who is let in.

use axum::{
    extract::{FromRequestParts, Query, Request, State},
    http::{Method, header::AUTHORIZATION, request::Parts},
    middleware::Next,
    response::{IntoResponse, Response},
};
use serde::Deserialize;
use ya_client_model::NodeId;

use super::{ApiError, Shared, identity, overview, registry};
use crate::identity::Identity;

/// Lets a request through whose app key is known, and ends it when the node stops.
pub(super) async fn admit(State(api): State<Shared>, mut request: Request, next: Next) -> Response {
    if !is_open(&request) {
        let key = app_key(&request);
        let Some(identity) = key.and_then(|key| api.identities.bearer(&key).cloned()) else {
            return ApiError::unauthorized().into_response();
        };
        request.extensions_mut().insert(identity);
    }
    let (method, path) = (request.method().clone(), request.uri().path().to_owned());
    let response = match api.stop.run_until_cancelled(next.run(request)).await {
        // What was done may not have been written down: that is why the node stops.
        Some(response) if !api.stop.is_cancelled() => response,
        _ => ApiError::stopping().into_response(),
    };
    tracing::debug!(%method, path, status = response.status().as_u16());
    response
}

/// Whether anybody may ask this, as clients do so without an app key.
fn is_open(request: &Request) -> bool {
    let (method, path) = (request.method(), request.uri().path());
    let reads = matches!(*method, Method::GET | Method::HEAD);
    let is_open = [identity::VERSION, overview::PAGE].contains(&path);
    reads && (is_open || path.starts_with(registry::OPEN))
}

/// The app key of a request: a bearer's token, or, where a client cannot send one, in the query.
fn app_key(request: &Request) -> Option<String> {
    #[derive(Deserialize)]
    struct AuthToken {
        #[serde(rename = "authToken")]
        auth_token: String,
    }
    let bearer = request.headers().get(AUTHORIZATION);
    if let Some(bearer) = bearer.and_then(|value| value.to_str().ok()) {
        let (scheme, token) = bearer.split_once(' ')?;
        return scheme
            .eq_ignore_ascii_case("bearer")
            .then(|| token.trim().to_owned());
    }
    let query = Query::<AuthToken>::try_from_uri(request.uri()).ok()?;
    Some(query.0.auth_token)
}

/// Who asks.
pub(super) struct Caller(pub(super) NodeId);

impl<S: Send + Sync> FromRequestParts<S> for Caller {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, ApiError> {
        let identity = CallerIdentity::from_request_parts(parts, state).await?;
        Ok(Self(identity.0.id))
    }
}

/// Somebody who asks with the node's first app key, and so may see all that goes on.
pub(super) struct Host;

impl FromRequestParts<Shared> for Host {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, api: &Shared) -> Result<Self, ApiError> {
        let Caller(caller) = Caller::from_request_parts(parts, api).await?;
        match caller == api.outlook.requestor {
            true => Ok(Self),
            false => Err(ApiError::forbidden(
                "the node's first app key alone sees all that goes on",
            )),
        }
    }
}

/// Who asks, with its app key's name.
pub(super) struct CallerIdentity(pub(super) Identity);

impl<S: Send + Sync> FromRequestParts<S> for CallerIdentity {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, _state: &S) -> Result<Self, ApiError> {
        let identity = parts.extensions.get::<Identity>();
        identity
            .cloned()
            .map(Self)
            .ok_or_else(ApiError::unauthorized)
    }
}
