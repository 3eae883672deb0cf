//! `/_gsb`: calls on the bus, in JSON.
//!
//! Whoever calls reaches what is its own: the services that it has brought itself, and the exe-units of its activities.

use std::time::Duration;

use axum::{Json, Router, extract::State, routing::post};
use serde_json::{Value, json};

use super::{
    ApiError, Shared,
    auth::Caller,
    extract::{Body, Parameters, Segments, Timeout},
};
use crate::gsb::AskError;

/// How long whoever does not say waits for a service.
const ANSWERED: Duration = Duration::from_secs(10);

pub(super) fn routes() -> Router<Shared> {
    Router::new().route("/_gsb/{*address}", post(call))
}

async fn call(
    State(api): State<Shared>,
    Caller(caller): Caller,
    Segments(address): Segments<String>,
    Parameters(timeout): Parameters<Timeout>,
    Body(message): Body<Value>,
) -> Result<Json<Value>, ApiError> {
    let address = api.services.resolve(caller, &format!("/{address}"))?;
    let reply = match api.activities.addressed(caller, &address).await {
        Some((activity, name)) => api.activities.ask(caller, activity, name, message).await?,
        None => {
            let timeout = timeout.or(ANSWERED);
            let answered = api.services.call(caller, address, &message, timeout);
            answered.await.map_err(AskError::from)?
        }
    };
    // As a service's answer is on the bus.
    Ok(Json(json!({"Ok": reply})))
}
