//! `/gsb-api/v1`: services that a requestor brings to the bus.

use std::future;

use axum::{
    Json, Router,
    body::Bytes,
    extract::{
        State, WebSocketUpgrade,
        ws::{Message, WebSocket, rejection::WebSocketUpgradeRejection},
    },
    http::StatusCode,
    response::Response,
    routing::{get, post},
};
use futures::{SinkExt, StreamExt};
use serde::{Deserialize, Serialize};
use ya_client_model::NodeId;

use super::{
    ApiError, Shared,
    auth::Caller,
    extract::{Body, Segments},
};
use crate::gsb::{Connection, Place, ServicesId, place};

/// How calls and answers are written on a websocket.
const PROTOCOL: &str = "gsb+flexbuffers";

pub(super) fn routes() -> Router<Shared> {
    Router::new()
        .route("/services", post(bring))
        .route("/services/{services}", get(connect).delete(take_away))
}

/// A service to bring: where it is, and which messages it understands.
#[derive(Clone, Deserialize, Serialize)]
struct Listen {
    on: String,
    components: Vec<String>,
}

#[derive(Deserialize)]
struct Bring {
    listen: Listen,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Brought {
    listen: Listen,
    services_id: ServicesId,
}

async fn bring(
    State(api): State<Shared>,
    Caller(caller): Caller,
    Body(Bring { listen }): Body<Bring>,
) -> Result<(StatusCode, Json<Brought>), ApiError> {
    check_place(&api, caller, &listen.on).await?;
    let components = listen.components.iter().cloned().collect();
    let services_id = api.services.bring(caller, &listen.on, components).await?;
    let brought = Brought {
        listen,
        services_id,
    };
    Ok((StatusCode::CREATED, Json(brought)))
}

/// Fails if an address is for others than the caller: who is there hears all that is asked of it.
async fn check_place(api: &Shared, caller: NodeId, address: &str) -> Result<(), ApiError> {
    let is_theirs = match place(address) {
        Place::Open => true,
        Place::Node => false,
        Place::ExeUnit(activity) => {
            let parties = api.activities.parties(activity).await;
            parties.is_some_and(|(_, provider)| provider == caller)
        }
    };
    match is_theirs {
        true => Ok(()),
        false => Err(ApiError::forbidden(format_args!(
            "the address {address} is for others"
        ))),
    }
}

async fn take_away(
    State(api): State<Shared>,
    Caller(caller): Caller,
    Segments(id): Segments<ServicesId>,
) -> Result<Json<()>, ApiError> {
    Ok(Json(api.services.take_away(caller, id).await?))
}

async fn connect(
    State(api): State<Shared>,
    Caller(caller): Caller,
    Segments(id): Segments<ServicesId>,
    upgrade: Result<WebSocketUpgrade, WebSocketUpgradeRejection>,
) -> Result<Response, ApiError> {
    let upgrade = upgrade.map_err(|error| ApiError::bad_request(error.body_text()))?;
    let connection = api.services.connect(caller, id).await?;
    let tasks = api.tasks.clone();
    let upgrade = upgrade.protocols([PROTOCOL]);
    Ok(upgrade.on_upgrade(move |socket| tasks.track_future(serve(socket, connection))))
}

/// Passes the binary messages of a websocket on, both ways.
async fn serve(socket: WebSocket, connection: Connection) {
    let (sink, stream) = socket.split();
    let binary = |message| match message {
        Ok(Message::Binary(frame)) => Some(Some(Vec::from(frame))),
        // Pings are answered by the websocket itself.
        Ok(Message::Ping(_) | Message::Pong(_) | Message::Text(_)) => Some(None),
        Ok(Message::Close(_)) | Err(_) => None,
    };
    let incoming = stream
        .map(binary)
        .take_while(|frame| future::ready(frame.is_some()))
        .filter_map(|frame| future::ready(frame.flatten()));
    let outgoing = sink.with(|frame: Vec<u8>| {
        future::ready(Ok::<_, axum::Error>(Message::Binary(Bytes::from(frame))))
    });
    connection.serve(incoming, outgoing).await;
}
