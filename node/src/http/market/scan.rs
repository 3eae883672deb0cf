//! Scans: a look at the market, as a list or as a stream.

use std::{convert::Infallible, time::Duration};

use async_stream::stream;
use axum::{
    Json, Router,
    extract::State,
    http::{HeaderMap, StatusCode},
    response::{IntoResponse, Response, Sse, sse::Event},
    routing::{delete, get, post},
};
use futures::{Stream, StreamExt};
use serde::Deserialize;
use ya_client_model::{
    NodeId,
    market::scan::{NewScan, ScanType},
};

use super::{
    ApiError, Shared,
    auth::Caller,
    extract::{Body, EVENTS, Parameters, Segments, Timeout, at_most, wants_stream},
};
use crate::{
    http::stream::keep_alive,
    id::SubscriptionId,
    market::{Side, Standing},
};

/// How long a scan is kept that nobody uses, unless it is said; and at most.
const PATIENCE: Duration = Duration::from_secs(30);
const LONGEST: Duration = Duration::from_secs(24 * 3600);

/// How long a stream waits at a time.
const POLL: Duration = Duration::from_secs(60);

pub(super) fn routes() -> Router<Shared> {
    Router::new()
        .route("/scan", post(begin))
        .route("/scan/{scan}", delete(end))
        .route("/scan/{scan}/events", get(events))
}

async fn begin(
    State(api): State<Shared>,
    Caller(caller): Caller,
    Body(new): Body<NewScan>,
) -> Result<(StatusCode, Json<SubscriptionId>), ApiError> {
    let side = match new.scan_type {
        ScanType::Offer => Side::Provider,
        ScanType::Demand => Side::Requestor,
    };
    let patience = new.timeout.map_or(PATIENCE, |seconds| {
        Duration::from_secs(seconds).min(LONGEST)
    });
    let constraints = new.constraints.unwrap_or_default();
    let scan = api.market.scan(caller, side, &constraints, patience);
    Ok((StatusCode::CREATED, Json(scan.await?)))
}

async fn end(
    State(api): State<Shared>,
    Caller(caller): Caller,
    Segments(scan): Segments<SubscriptionId>,
) -> Result<StatusCode, ApiError> {
    api.market.end_scan(caller, scan).await?;
    Ok(StatusCode::NO_CONTENT)
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Collect {
    max_events: Option<usize>,
    peer_id: Option<NodeId>,
}

async fn events(
    State(api): State<Shared>,
    Caller(caller): Caller,
    Segments(scan): Segments<SubscriptionId>,
    Parameters(timeout): Parameters<Timeout>,
    Parameters(collect): Parameters<Collect>,
    headers: HeaderMap,
) -> Result<Response, ApiError> {
    let (of, at_most) = (collect.peer_id, at_most(collect.max_events));
    if wants_stream(&headers) {
        // Fails at once if there is no such scan.
        let first = api
            .market
            .scanned(caller, scan.clone(), of, Duration::ZERO, at_most);
        let stream = follow(api.clone(), caller, scan, of, at_most, first.await?);
        return Ok(keep_alive(Sse::new(stream)).into_response());
    }
    let found = api
        .market
        .scanned(caller, scan, of, timeout.or(EVENTS), at_most);
    Ok(Json(found.await?).into_response())
}

/// What a scan finds, until it ends.
fn follow(
    api: Shared,
    caller: NodeId,
    scan: SubscriptionId,
    of: Option<NodeId>,
    at_most: usize,
    first: Vec<Standing>,
) -> impl Stream<Item = Result<Event, Infallible>> + Send {
    let stop = api.stop.clone();
    let stream = stream! {
        let mut found = first;
        loop {
            for one in found {
                let name = match &one {
                    Standing::Demand(_) => "demand",
                    Standing::Offer(_) => "offer",
                };
                match Event::default().event(name).json_data(one) {
                    Ok(event) => yield Ok(event),
                    Err(error) => tracing::error!(%scan, %error, "an offer cannot be shown"),
                }
            }
            match api.market.scanned(caller, scan.clone(), of, POLL, at_most).await {
                Ok(more) => found = more,
                Err(_) => return,
            }
        }
    };
    stream.take_until(stop.cancelled_owned())
}
