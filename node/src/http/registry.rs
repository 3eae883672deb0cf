//! `/v1/image`: images by hash and by tag, as requestors ask a registry for them.
//!
//! What is asked here needs no app key, as clients send none to a registry; what is put in does.

use axum::{
    Json, Router,
    body::Body as Stream,
    extract::{DefaultBodyLimit, State},
    http::{
        StatusCode,
        header::{CONTENT_LENGTH, CONTENT_TYPE},
    },
    response::{IntoResponse, Response},
    routing::{get, put},
};
use serde::Deserialize;
use serde_json::{Value, json};
use tokio_util::io::ReaderStream;

use super::{
    ApiError, Shared,
    auth::Caller,
    extract::{Parameters, Segments},
};
use crate::registry::{Entry, Which};

/// Below this path anybody may read.
pub(super) const OPEN: &str = "/v1/image/";

pub(super) fn routes() -> Router<Shared> {
    Router::new()
        .route("/v1/image", put(push))
        .route("/v1/image/info", get(info))
        .route("/v1/image/file/{file}", get(file))
        // Images are large, and written as they arrive.
        .layer(DefaultBodyLimit::disable())
}

#[derive(Deserialize)]
struct Asked {
    hash: Option<String>,
    tag: Option<String>,
}

impl Asked {
    fn which(self) -> Result<Which, ApiError> {
        match (self.hash, self.tag) {
            (Some(hash), None) => Ok(Which::Hash(hash)),
            (None, Some(tag)) => Ok(Which::Tag(tag.parse().map_err(ApiError::bad_request)?)),
            _ => Err(ApiError::bad_request("either a hash or a tag is needed")),
        }
    }
}

async fn info(
    State(api): State<Shared>,
    Parameters(asked): Parameters<Asked>,
) -> Result<Json<Value>, ApiError> {
    let which = asked.which()?;
    let entry = api.registry.find(which.clone()).await;
    Ok(Json(shown(
        &api.url,
        &entry.ok_or_else(|| missing(&which))?,
    )))
}

/// What a client is told of an image: where it is, and what it is.
fn shown(url: &str, entry: &Entry) -> Value {
    let url = format!("{url}{OPEN}file/{}.gvmi", entry.hash);
    json!({"http": url, "https": url, "sha3": entry.hash, "size": entry.size})
}

fn missing(which: &Which) -> ApiError {
    ApiError::not_found(match which {
        Which::Hash(hash) => {
            format!("there is no image of hash {hash} here; `kiln image push FILE` puts one in")
        }
        Which::Tag(tag) => {
            format!("there is no image {tag} here; `kiln image push FILE --tag {tag}` puts one in")
        }
    })
}

async fn file(
    State(api): State<Shared>,
    Segments(name): Segments<String>,
) -> Result<Response, ApiError> {
    let hash = name.strip_suffix(".gvmi").unwrap_or(&name);
    let which = Which::Hash(hash.to_owned());
    let entry = api.registry.find(which.clone()).await;
    let entry = entry.ok_or_else(|| missing(&which))?;
    let file = api.registry.open_file(&entry).await?;
    let headers = [
        (CONTENT_TYPE, "application/octet-stream".to_owned()),
        (CONTENT_LENGTH, entry.size.to_string()),
    ];
    Ok((headers, Stream::from_stream(ReaderStream::new(file))).into_response())
}

async fn push(
    State(api): State<Shared>,
    Caller(caller): Caller,
    Parameters(asked): Parameters<Asked>,
    body: Stream,
) -> Result<(StatusCode, Json<Value>), ApiError> {
    let tag = asked.tag.map(|tag| tag.parse()).transpose();
    let tag = tag.map_err(ApiError::bad_request)?;
    let pushed = api
        .registry
        .push(body.into_data_stream(), asked.hash.as_deref(), tag)
        .await?;
    tracing::info!(%caller, hash = pushed.hash, size = pushed.size, "an image was put in");
    Ok((StatusCode::CREATED, Json(shown(&api.url, &pushed))))
}
