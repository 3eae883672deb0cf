//! `/net-api`: networks between instances; version 1 and version 2 have the same of it.

use axum::{
    Json, Router,
    extract::State,
    routing::{delete, get},
};
use serde_json::{Value, json};
use ya_client_model::net::{Address, Network, NewNetwork, Node};

use super::{
    ApiError, Shared,
    auth::Caller,
    extract::{Body, Segments},
};
use crate::id::NetworkId;

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
        .route("/net/{net}/tcp", get(connections))
        .route("/net/{net}/tcp/{ip}/{port}", get(connect))
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

/// Nobody is connected, as nobody can be yet.
async fn connections(
    State(api): State<Shared>,
    Caller(caller): Caller,
    Segments(id): Segments<NetworkId>,
) -> Result<Json<Vec<()>>, ApiError> {
    api.networks.network(caller, id).await?;
    Ok(Json(vec![]))
}

async fn connect(
    State(api): State<Shared>,
    Caller(caller): Caller,
    Segments((id, ip, port)): Segments<(NetworkId, String, u16)>,
) -> Result<Json<()>, ApiError> {
    api.networks.network(caller, id).await?;
    Err(ApiError::not_implemented(format_args!(
        "nothing reaches {ip}:{port}: instances have no network here yet"
    )))
}
