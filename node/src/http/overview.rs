//! `/`, a page for people, and `/kiln-api/v1`, what it shows: all that goes on in the node.

use std::{convert::Infallible, pin::pin, time::Duration};

use async_stream::stream;
use axum::{
    Json, Router,
    extract::State,
    http::header::{CONTENT_SECURITY_POLICY, REFERRER_POLICY},
    response::{
        Html, IntoResponse, Sse,
        sse::{Event, KeepAlive},
    },
    routing::get,
};
use futures::{Stream, StreamExt};
use tokio::time::{MissedTickBehavior, interval};

use super::{ApiError, Shared, extract::Segments};
use crate::{
    activity::NoActivity,
    id::{ActivityId, BatchId},
    overview::Overview,
};

/// The page. It holds nothing that is secret, and asks for the app key.
pub(super) const PAGE: &str = "/";
const HTML: &str = include_str!("page.html");

/// What the page may do: talk to this node, and to nobody else.
const POLICY: &str = "default-src 'none'; script-src 'unsafe-inline'; style-src 'unsafe-inline'; \
    connect-src 'self'; img-src data:; base-uri 'none'; form-action 'none'; frame-ancestors 'none'";

/// How often it is looked whether something has changed.
const LOOK: Duration = Duration::from_millis(500);

/// How long to wait for a new script of an activity at a time.
const SCRIPTS: Duration = Duration::from_secs(3600);

pub(super) fn routes() -> Router<Shared> {
    Router::new()
        .route(PAGE, get(page))
        .route("/kiln-api/v1/overview", get(overview))
        .route("/kiln-api/v1/overview/events", get(changes))
        .route("/kiln-api/v1/activity/{activity}/output", get(output))
}

async fn page() -> impl IntoResponse {
    let headers = [
        (CONTENT_SECURITY_POLICY, POLICY),
        (REFERRER_POLICY, "no-referrer"),
    ];
    (headers, Html(HTML))
}

async fn overview(State(api): State<Shared>) -> Json<Overview> {
    Json(api.outlook.look().await)
}

/// The overview, and again whenever it has changed.
async fn changes(State(api): State<Shared>) -> Sse<impl Stream<Item = Result<Event, Infallible>>> {
    let stop = api.stop.clone();
    let changes = stream! {
        let mut last = String::new();
        let mut looks = interval(LOOK);
        looks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            looks.tick().await;
            match serde_json::to_string(&api.outlook.look().await) {
                Ok(now) if now == last => {}
                Ok(now) => {
                    yield Ok(Event::default().event("overview").data(&now));
                    last = now;
                }
                Err(error) => tracing::error!(%error, "the overview cannot be shown"),
            }
        }
    };
    Sse::new(changes.take_until(stop.cancelled_owned())).keep_alive(KeepAlive::default())
}

/// What an activity's commands say, from its first script on, and what becomes of them.
async fn output(
    State(api): State<Shared>,
    Segments(id): Segments<ActivityId>,
) -> Result<Sse<impl Stream<Item = Result<Event, Infallible>>>, ApiError> {
    let all = api.activities.all().await;
    let activity = all.into_iter().find(|one| one.id == id);
    let requestor = activity.ok_or_else(|| NoActivity(id.clone()))?.requestor;
    let stop = api.stop.clone();
    let output = stream! {
        let mut seen = 0;
        while let Some(batches) = api.activities.batches_after(&id, seen, SCRIPTS).await {
            seen += batches.len();
            for batch in batches {
                let events = batch_events(&api, requestor, &id, batch).await;
                let mut events = pin!(events);
                while let Some(event) = events.next().await {
                    yield Ok(event);
                }
            }
        }
        yield Ok(Event::default().event("end").data(""));
    };
    Ok(Sse::new(output.take_until(stop.cancelled_owned())).keep_alive(KeepAlive::default()))
}

/// The events of a batch, as far as its exe-unit tells them.
async fn batch_events(
    api: &Shared,
    requestor: ya_client_model::NodeId,
    id: &ActivityId,
    batch: BatchId,
) -> impl Stream<Item = Event> + Send + use<> {
    let events = api.activities.events(requestor, id.clone(), batch).await;
    let events = events.inspect_err(|error| tracing::debug!(%error, "no output"));
    futures::stream::iter(events.ok())
        .flatten()
        .filter_map(async |event| {
            let event = Event::default().event("runtime").json_data(event.ok()?);
            event.ok()
        })
}
