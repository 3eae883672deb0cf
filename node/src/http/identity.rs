//! `/me` and `/version/get`: who asks, and who answers.

use axum::{Json, Router, routing::get};
use serde_json::{Value, json};

use super::{Shared, auth::CallerIdentity};

/// Where a client finds out, without an app key, whether this is a daemon that it can talk to.
pub(super) const VERSION: &str = "/version/get";

/// The version of yagna whose API this is.
const API_VERSION: &str = "0.17.6";

pub(super) fn routes() -> Router<Shared> {
    Router::new()
        .route("/me", get(me))
        .route(VERSION, get(version))
}

async fn me(CallerIdentity(identity): CallerIdentity) -> Json<Value> {
    Json(json!({"identity": identity.id, "name": identity.name, "role": "manager"}))
}

async fn version() -> Json<Value> {
    let released = "2026-01-01T00:00:00";
    Json(json!({
        "current": {
            "version": API_VERSION,
            "name": concat!("kiln ", env!("CARGO_PKG_VERSION")),
            "seen": true,
            "releaseTs": released,
            "insertionTs": released,
            "updateTs": released,
        },
        "pending": null,
    }))
}
