//! `/net-api`: networks between instances; version 1 and version 2 have the same of it.
//!
//! Of our own is `PUT net/{net}/links`: what links do to frames.

use std::{
    future, io,
    net::{Ipv4Addr, SocketAddrV4},
};

use axum::{
    Json, Router,
    body::Bytes,
    extract::{
        State, WebSocketUpgrade,
        ws::{WebSocket, rejection::WebSocketUpgradeRejection},
    },
    response::Response,
    routing::{delete, get, put},
};
use futures::{StreamExt, sink, stream};
use serde::Deserialize;
use serde_json::{Value, json};
use tokio::io::{AsyncWriteExt, DuplexStream};
use tokio_util::io::ReaderStream;
use ya_client_model::net::{Address, Connection, Network, NewNetwork, Node};

use super::{
    Api, ApiError, Shared,
    auth::Caller,
    extract::{Body, Segments},
    websocket,
};
use crate::{
    id::NetworkId,
    network::{ConnectError, LinkChange, LinkError, NetworkError, Quality, RawSocket, SubnetError},
};

/// How much is sent in one message of a websocket, in bytes.
const PIECE: usize = 128 << 10;
/// The largest IP packet there is, in bytes.
const LARGEST_PACKET: usize = 64 << 10;

pub(super) fn routes() -> Router<Shared> {
    Router::new()
        .nest("/v1", networks())
        .nest("/v2/vpn", networks())
        .route("/v2/net/status", get(status))
}

fn networks() -> Router<Shared> {
    Router::new()
        .route("/net", get(list).post(create))
        .route("/net/{net}", get(network).delete(remove))
        .route("/net/{net}/addresses", get(addresses).post(add_address))
        .route("/net/{net}/nodes", get(nodes).post(add_node))
        .route("/net/{net}/nodes/{node}", delete(remove_node))
        .route("/net/{net}/links", put(set_link))
        .route("/net/{net}/tcp", get(connections))
        .route("/net/{net}/tcp/{ip}/{port}", get(connect))
        .route("/net/{net}/raw/from/{own}/to/{other}", get(open_raw))
}

/// A node has no other machine to be reached by, or to reach.
async fn status(Caller(caller): Caller) -> Json<Value> {
    Json(json!({"nodeId": caller, "listenIp": null, "publicIp": null, "sessions": 0}))
}

async fn list(State(api): State<Shared>, Caller(caller): Caller) -> Json<Vec<Network>> {
    Json(api.networks.list(caller).await)
}

async fn create(
    State(api): State<Shared>,
    Caller(caller): Caller,
    Body(new): Body<NewNetwork>,
) -> Result<Json<Network>, ApiError> {
    let created = api.networks.create(caller, new).await;
    Ok(Json(created.map_err(ApiError::bad_request)?))
}

async fn network(
    State(api): State<Shared>,
    Caller(caller): Caller,
    Segments(id): Segments<NetworkId>,
) -> Result<Json<Network>, ApiError> {
    Ok(Json(api.networks.network(caller, id).await?))
}

async fn remove(
    State(api): State<Shared>,
    Caller(caller): Caller,
    Segments(id): Segments<NetworkId>,
) -> Result<Json<()>, ApiError> {
    Ok(Json(api.networks.remove(caller, id).await?))
}

async fn addresses(
    State(api): State<Shared>,
    Caller(caller): Caller,
    Segments(id): Segments<NetworkId>,
) -> Result<Json<Vec<Address>>, ApiError> {
    Ok(Json(api.networks.addresses(caller, id).await?))
}

async fn add_address(
    State(api): State<Shared>,
    Caller(caller): Caller,
    Segments(id): Segments<NetworkId>,
    Body(address): Body<Address>,
) -> Result<Json<()>, ApiError> {
    Ok(Json(api.networks.add_address(caller, id, address).await?))
}

async fn nodes(
    State(api): State<Shared>,
    Caller(caller): Caller,
    Segments(id): Segments<NetworkId>,
) -> Result<Json<Vec<Node>>, ApiError> {
    Ok(Json(api.networks.nodes(caller, id).await?))
}

async fn add_node(
    State(api): State<Shared>,
    Caller(caller): Caller,
    Segments(id): Segments<NetworkId>,
    Body(node): Body<Node>,
) -> Result<Json<()>, ApiError> {
    Ok(Json(api.networks.add_node(caller, id, node).await?))
}

async fn remove_node(
    State(api): State<Shared>,
    Caller(caller): Caller,
    Segments((id, node)): Segments<(NetworkId, String)>,
) -> Result<Json<()>, ApiError> {
    Ok(Json(api.networks.remove_node(caller, id, node).await?))
}

/// What a link is to do: from one address to another, or all links if neither is given.
#[derive(Deserialize)]
struct Link {
    from: Option<String>,
    to: Option<String>,
    quality: Quality,
}

async fn set_link(
    State(api): State<Shared>,
    Caller(caller): Caller,
    Segments(id): Segments<NetworkId>,
    Body(Link { from, to, quality }): Body<Link>,
) -> Result<Json<()>, ApiError> {
    let change = LinkChange { from, to, quality };
    Ok(Json(api.networks.set_link(caller, id, change).await?))
}

async fn connections(
    State(api): State<Shared>,
    Caller(caller): Caller,
    Segments(id): Segments<NetworkId>,
) -> Result<Json<Vec<Connection>>, ApiError> {
    Ok(Json(api.networks.connections(caller, id).await?))
}

type Upgrade = Result<WebSocketUpgrade, WebSocketUpgradeRejection>;

async fn connect(
    State(api): State<Shared>,
    Caller(caller): Caller,
    Segments((id, ip, port)): Segments<(NetworkId, String, u16)>,
    upgrade: Upgrade,
) -> Result<Response, ApiError> {
    let upgrade = upgrade.map_err(|error| ApiError::bad_request(error.body_text()))?;
    let ip: Ipv4Addr = ip
        .parse()
        .map_err(|_| NetworkError::from(SubnetError::Address(ip)))?;
    let remote = SocketAddrV4::new(ip, port);
    let stream = api.networks.connect(caller, id, remote).await??;
    let upgrade = upgrade.max_message_size(64 << 20);
    Ok(open(&api, upgrade, |socket| pass_stream_on(socket, stream)))
}

async fn open_raw(
    State(api): State<Shared>,
    Caller(caller): Caller,
    Segments((id, own, other)): Segments<(NetworkId, String, String)>,
    upgrade: Upgrade,
) -> Result<Response, ApiError> {
    let upgrade = upgrade.map_err(|error| ApiError::bad_request(error.body_text()))?;
    let raw = api.networks.open_raw(caller, id, own, other).await?;
    let upgrade = upgrade.max_message_size(LARGEST_PACKET);
    Ok(open(&api, upgrade, |socket| pass_packets_on(socket, raw)))
}

/// Opens a websocket, and does something with it until that is done, or the node stops.
fn open<F: Future<Output = ()> + Send + 'static>(
    api: &Api,
    upgrade: WebSocketUpgrade,
    serve: impl FnOnce(WebSocket) -> F + Send + 'static,
) -> Response {
    let (tasks, stop) = (api.tasks.clone(), api.stop.clone());
    upgrade.on_upgrade(move |socket| {
        tasks.track_future(async move {
            stop.run_until_cancelled(serve(socket)).await;
        })
    })
}

/// Passes the bytes of a connection on. A websocket cannot be closed by half: what one side has said all to is over.
async fn pass_stream_on(socket: WebSocket, stream: DuplexStream) {
    let (read, write) = tokio::io::split(stream);
    let outgoing = ReaderStream::with_capacity(read, PIECE);
    let outgoing = outgoing
        .take_while(|piece| future::ready(piece.is_ok()))
        .filter_map(|piece| future::ready(piece.ok()));
    let incoming = sink::unfold(write, |mut write, bytes: Bytes| async move {
        write.write_all(&bytes).await?;
        io::Result::Ok(write)
    });
    websocket::pass_on(socket, outgoing, incoming).await;
}

/// Passes packets on, each in a message.
async fn pass_packets_on(socket: WebSocket, raw: RawSocket) {
    let outgoing = stream::unfold(raw.incoming, async |mut incoming| {
        let packet = incoming.recv().await?;
        Some((Bytes::from(packet), incoming))
    });
    let incoming = sink::unfold(raw.outgoing, |outgoing, bytes: Bytes| async move {
        outgoing.send(bytes.into()).await.map(|()| outgoing)
    });
    websocket::pass_on(socket, outgoing, incoming).await;
}

impl From<LinkError> for ApiError {
    fn from(error: LinkError) -> Self {
        match error {
            LinkError::Net(error) => error.into(),
            LinkError::Quality(_) | LinkError::OneEnd => Self::bad_request(error),
        }
    }
}

impl From<ConnectError> for ApiError {
    fn from(error: ConnectError) -> Self {
        match error {
            ConnectError::Refused(_) | ConnectError::NoAddress(_) => Self::conflict(error),
            ConnectError::Silent(_) => Self::silent(error),
            ConnectError::Gone => Self::gone(error),
        }
    }
}
