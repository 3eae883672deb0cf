//! `/`, a page for people, and `/kiln-api/v1`, what it shows: all that goes on in the node.

use std::{collections::BTreeSet, convert::Infallible, pin::pin, time::Duration};

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
use exeunit::event::{RuntimeEvent, RuntimeEventKind};
use futures::{Stream, StreamExt, stream};
use tokio::time::{MissedTickBehavior, interval};
use ya_client_model::{NodeId, activity::ExeScriptCommandResult};

use super::{ApiError, Shared, auth::Host, extract::Segments};
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

async fn overview(State(api): State<Shared>, _: Host) -> Json<Overview> {
    Json(api.outlook.look().await)
}

/// The overview, and again whenever it has changed.
async fn changes(
    State(api): State<Shared>,
    _: Host,
) -> Sse<impl Stream<Item = Result<Event, Infallible>>> {
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
    _: Host,
    Segments(id): Segments<ActivityId>,
) -> Result<Sse<impl Stream<Item = Result<Event, Infallible>>>, ApiError> {
    let parties = api.activities.parties(id.clone()).await;
    let (requestor, _) = parties.ok_or_else(|| NoActivity(id.clone()))?;
    let stop = api.stop.clone();
    let output = stream! {
        let mut seen = 0;
        while let Some(more) = api.activities.batches_after(&id, seen, SCRIPTS).await {
            seen = more.seen;
            for batch in more.batches {
                let mut events = pin!(batch_events(api.clone(), requestor, id.clone(), batch));
                while let Some(event) = events.next().await {
                    match Event::default().event("runtime").json_data(event) {
                        Ok(event) => yield Ok(event),
                        Err(error) => tracing::error!(%error, "output cannot be shown"),
                    }
                }
            }
        }
        // Browsers drop events without data.
        yield Ok(Event::default().event("end").data("ended"));
    };
    Ok(Sse::new(output.take_until(stop.cancelled_owned())).keep_alive(KeepAlive::default()))
}

/// The events of a batch, as far as its exe-unit tells them; with what commands have said whose output was kept for their
/// results.
fn batch_events(
    api: Shared,
    requestor: NodeId,
    id: ActivityId,
    batch: BatchId,
) -> impl Stream<Item = RuntimeEvent> + Send {
    stream! {
        let events = api.activities.events(requestor, id.clone(), batch.clone()).await;
        let events = events.inspect_err(|error| tracing::debug!(%error, "no output"));
        let mut events = pin!(stream::iter(events.ok()).flatten());
        let mut have_told = BTreeSet::new();
        while let Some(Ok(event)) = events.next().await {
            let index = event.index;
            match event.kind {
                RuntimeEventKind::StdOut(_) | RuntimeEventKind::StdErr(_) => {
                    have_told.insert(index);
                }
                RuntimeEventKind::Finished { .. } if !have_told.contains(&index) => {
                    let (id, batch) = (id.clone(), batch.clone());
                    let results = api.activities.results(requestor, id, batch, Duration::ZERO, None);
                    for kind in output_of(index, results.await.unwrap_or_default()) {
                        yield RuntimeEvent { kind, ..event.clone() };
                    }
                }
                _ => {}
            }
            yield event;
        }
    }
}

/// What a command has said, by its result.
fn output_of(
    index: usize,
    results: Vec<ExeScriptCommandResult>,
) -> impl Iterator<Item = RuntimeEventKind> {
    let result = results.into_iter().nth(index);
    let (stdout, stderr) = result.map_or((None, None), |one| (one.stdout, one.stderr));
    let stdout = stdout.map(RuntimeEventKind::StdOut);
    stdout
        .into_iter()
        .chain(stderr.map(RuntimeEventKind::StdErr))
}
