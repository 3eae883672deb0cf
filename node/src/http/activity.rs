//! `/activity-api/v1`: activities and what runs in them.

use std::{convert::Infallible, pin::pin, time::Duration};

use async_stream::stream;
use axum::{
    Json, Router,
    extract::State,
    http::HeaderMap,
    response::{IntoResponse, Response, Sse, sse::Event},
    routing::{any, get, post},
};
use exeunit::script;
use futures::{Stream, StreamExt};
use serde::Deserialize;
use ya_client_model::{
    NodeId,
    activity::{
        ActivityState, ActivityUsage, CreateActivityRequest, CreateActivityResult,
        ExeScriptCommandState, ExeScriptRequest, ProviderEvent,
    },
};

use super::{
    ApiError, Shared,
    auth::Caller,
    extract::{Body, EventsAfter, Parameters, Segments, Timeout, wants_stream},
    stream::keep_alive,
};
use crate::{
    activity::ExecError,
    id::{ActivityId, AgreementId, BatchId},
};

/// How long whoever does not say waits for an activity to begin: exe-units may have much to prepare.
const CREATED: Duration = Duration::from_secs(60);

/// How long whoever does not say waits for one to end.
const DESTROYED: Duration = Duration::from_secs(5);

pub(super) fn routes() -> Router<Shared> {
    Router::new()
        .route("/activity", get(list).post(create))
        .route("/events", get(orders))
        .route("/activity/{activity}", axum::routing::delete(destroy))
        .route("/activity/{activity}/state", get(state).put(report_state))
        .route("/activity/{activity}/usage", get(usage))
        .route("/activity/{activity}/agreement", get(agreement))
        .route("/activity/{activity}/command", get(command))
        .route("/activity/{activity}/exec", post(exec))
        .route("/activity/{activity}/encrypted", post(encrypted))
        .route(
            "/activity/{activity}/exec/{batch}",
            get(batch).delete(cancel),
        )
        .route("/activity/{activity}/proxy-http", any(proxy_http))
        .route("/activity/{activity}/proxy-http/", any(proxy_http))
        .route("/activity/{activity}/proxy-http/{*path}", any(proxy_http))
}

/// What there is to create, in either of the two forms that clients use.
#[derive(Deserialize)]
#[serde(untagged)]
enum Create {
    Agreement(AgreementId),
    Request(CreateActivityRequest),
}

async fn create(
    State(api): State<Shared>,
    Caller(caller): Caller,
    Parameters(timeout): Parameters<Timeout>,
    Body(create): Body<Create>,
) -> Result<Response, ApiError> {
    let timeout = timeout.or(CREATED);
    let created = |agreement| api.activities.create(caller, agreement, timeout);
    Ok(match create {
        Create::Agreement(agreement) => Json(created(agreement).await?).into_response(),
        Create::Request(request) => {
            let id = created(request.agreement_id.into()).await?;
            Json(CreateActivityResult::new(id.to_string())).into_response()
        }
    })
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct List {
    agreement_id: Option<AgreementId>,
}

/// The caller's activities, under one agreement or all.
async fn list(
    State(api): State<Shared>,
    Caller(caller): Caller,
    Parameters(list): Parameters<List>,
) -> Json<Vec<ActivityId>> {
    Json(api.activities.list(caller, list.agreement_id).await)
}

/// What the caller, a provider, is asked to do since a time.
async fn orders(
    State(api): State<Shared>,
    Caller(caller): Caller,
    Parameters(wanted): Parameters<EventsAfter>,
) -> Result<Json<Vec<ProviderEvent>>, ApiError> {
    let Some(after) = wanted.after_timestamp else {
        return Err(ApiError::bad_request("afterTimestamp is missing"));
    };
    let (timeout, at_most) = (wanted.timeout(), wanted.at_most());
    let session = wanted.app_session_id;
    let orders = api
        .activities
        .orders(caller, session, after, timeout, at_most);
    match orders.await {
        // An empty list would do; but this is how a daemon says it, and providers know.
        orders if orders.is_empty() => Err(ApiError::timeout()),
        orders => Ok(Json(orders)),
    }
}

async fn destroy(
    State(api): State<Shared>,
    Caller(caller): Caller,
    Segments(id): Segments<ActivityId>,
    Parameters(timeout): Parameters<Timeout>,
) -> Result<Json<()>, ApiError> {
    let destroyed = api.activities.destroy(caller, id, timeout.or(DESTROYED));
    Ok(Json(destroyed.await?))
}

async fn state(
    State(api): State<Shared>,
    Caller(caller): Caller,
    Segments(id): Segments<ActivityId>,
) -> Result<Json<ActivityState>, ApiError> {
    Ok(Json(api.activities.state(caller, id).await?))
}

/// What an activity's provider knows better than its exe-unit.
async fn report_state(
    State(api): State<Shared>,
    Caller(caller): Caller,
    Segments(id): Segments<ActivityId>,
    Body(state): Body<ActivityState>,
) -> Result<Json<()>, ApiError> {
    Ok(Json(api.activities.report_state(caller, id, state).await?))
}

async fn usage(
    State(api): State<Shared>,
    Caller(caller): Caller,
    Segments(id): Segments<ActivityId>,
) -> Result<Json<ActivityUsage>, ApiError> {
    Ok(Json(api.activities.usage(caller, id).await?))
}

async fn agreement(
    State(api): State<Shared>,
    Caller(caller): Caller,
    Segments(id): Segments<ActivityId>,
) -> Result<Json<AgreementId>, ApiError> {
    Ok(Json(api.activities.agreement(caller, id).await?))
}

async fn command(
    State(api): State<Shared>,
    Caller(caller): Caller,
    Segments(id): Segments<ActivityId>,
) -> Result<Json<Vec<ExeScriptCommandState>>, ApiError> {
    Ok(Json(api.activities.running_command(caller, id).await?))
}

async fn exec(
    State(api): State<Shared>,
    Caller(caller): Caller,
    Segments(id): Segments<ActivityId>,
    Body(request): Body<ExeScriptRequest>,
) -> Result<Json<BatchId>, ApiError> {
    let script = script::parse(&request.text).map_err(|error| {
        ApiError::bad_request(format_args!("the script makes no sense: {error}"))
    })?;
    Ok(Json(api.activities.exec(caller, id, script).await?))
}

async fn encrypted(
    State(api): State<Shared>,
    Caller(caller): Caller,
    Segments(id): Segments<ActivityId>,
) -> Result<Json<()>, ApiError> {
    api.activities.state(caller, id).await?;
    let message = "no exe-unit here has an enclave to decrypt scripts in";
    Err(ApiError::not_implemented(message))
}

/// A path of a proxy's, whatever its rest is.
#[derive(Deserialize)]
struct Proxied {
    activity: ActivityId,
}

/// To which service of an activity's a daemon passes this on is not known; in a network there is another way to all of them.
async fn proxy_http(
    State(api): State<Shared>,
    Caller(caller): Caller,
    Segments(Proxied { activity }): Segments<Proxied>,
) -> Result<Json<()>, ApiError> {
    api.activities.state(caller, activity).await?;
    let message = "no exe-unit here is an HTTP proxy: put the activity into a network, and speak HTTP through the \
                   websocket /net-api/v1/net/{id}/tcp/{ip}/{port}";
    Err(ApiError::not_implemented(message))
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Results {
    command_index: Option<usize>,
}

/// A batch's results, or its events for a client that asks for a stream.
async fn batch(
    State(api): State<Shared>,
    Caller(caller): Caller,
    Segments((id, batch)): Segments<(ActivityId, BatchId)>,
    Parameters(timeout): Parameters<Timeout>,
    Parameters(results): Parameters<Results>,
    headers: HeaderMap,
) -> Result<Response, ApiError> {
    if wants_stream(&headers) {
        let events = events(api, caller, id, batch).await?;
        return Ok(keep_alive(Sse::new(events)).into_response());
    }
    let timeout = timeout.or(Duration::ZERO);
    let results = api
        .activities
        .results(caller, id, batch, timeout, results.command_index);
    Ok(Json(results.await?).into_response())
}

/// Breaks a batch off, which the network's own API has no call for.
async fn cancel(
    State(api): State<Shared>,
    Caller(caller): Caller,
    Segments((id, batch)): Segments<(ActivityId, BatchId)>,
) -> Result<Json<()>, ApiError> {
    Ok(Json(api.activities.cancel(caller, id, batch).await?))
}

/// A batch's events. The stream stays open after the last one, as long as the activity lives: there are clients that
/// take its end for a failure.
async fn events(
    api: Shared,
    caller: NodeId,
    id: ActivityId,
    batch: BatchId,
) -> Result<impl Stream<Item = Result<Event, Infallible>> + Send, ExecError> {
    let events = api.activities.events(caller, id.clone(), batch).await?;
    let stop = api.stop.clone();
    let stream = stream! {
        let mut numbers = 0..;
        let mut events = pin!(events);
        while let Some(event) = events.next().await {
            let event = match event {
                Ok(event) => Event::default().event("runtime").json_data(event),
                Err(error) => {
                    tracing::debug!(activity = %id, %error, "a stream of events ends early");
                    return;
                }
            };
            match event {
                Ok(event) => yield Ok(event.id(numbers.next().unwrap_or(0).to_string())),
                Err(error) => tracing::error!(activity = %id, %error, "an event cannot be shown"),
            }
        }
        api.activities.ended(caller, id).await;
    };
    Ok(stream.take_until(stop.cancelled_owned()))
}
