//! Files of web servers.

use std::{
    sync::{Arc, OnceLock},
    time::Duration,
};

use futures::{Stream, StreamExt, TryStreamExt, stream};
use http_body_util::{BodyExt, Empty, StreamBody, combinators::UnsyncBoxBody};
use hyper::{
    Method, Request, Response, StatusCode,
    body::{Frame, Incoming},
    header::LOCATION,
};
use hyper_rustls::{HttpsConnector, HttpsConnectorBuilder};
use hyper_util::{
    client::legacy::{Client, connect::HttpConnector},
    rt::TokioExecutor,
};
use prost::bytes::Bytes;
use rustls::{ClientConfig, RootCertStore, crypto::ring, version};
use tokio::time::timeout;
use url::Url;

use super::{Download, TransferError};

/// How long a connection may take to stand.
const CONNECTING: Duration = Duration::from_secs(30);
/// How long a server may be silent.
const SILENCE: Duration = Duration::from_secs(60);
/// How often a server may send on to another place.
const REDIRECTS: usize = 10;

type Body = UnsyncBoxBody<Bytes, TransferError>;

/// A client of web servers. It trusts whom this machine trusts.
#[derive(Clone, Debug, Default)]
pub(super) struct Web {
    /// Made when it is needed: to read all certificates of a machine takes a while.
    client: OnceLock<Client<HttpsConnector<HttpConnector>, Body>>,
}

/// What a web server did wrong.
#[derive(Debug, thiserror::Error)]
pub(crate) enum HttpError {
    #[error("it answers {0}")]
    Status(StatusCode),
    #[error("it sends on to no place that is a URL of http or https")]
    Location,
    #[error("it sends on more than {REDIRECTS} times")]
    Redirects,
    #[error("it cannot be asked")]
    Request(#[source] hyper_util::client::legacy::Error),
    #[error("its answer breaks off")]
    Body(#[source] hyper::Error),
    #[error("it has been silent for {} s", SILENCE.as_secs())]
    Silent,
    #[error("its URL is none for hyper")]
    Url(#[from] hyper::http::Error),
}

impl Web {
    /// The file that a server gives; only of an answer that says so.
    pub(super) async fn download(
        &self,
        url: Url,
    ) -> Result<impl Stream<Item = Result<Bytes, TransferError>> + Send + use<>, TransferError>
    {
        let response = self.get(&url).await;
        let body = response.map_err(|error| failed(&url, error))?.into_body();
        Ok(pieces(body).map_err(move |error| failed(&url, error)))
    }

    /// Gives a file to a server.
    pub(super) async fn upload(&self, url: Url, file: Download) -> Result<(), TransferError> {
        let frames = file.into_stream().map_ok(Frame::data);
        let body = StreamBody::new(frames).boxed_unsync();
        let answered = self.ask(Method::PUT, &url, body).await.and_then(successful);
        answered.map(drop).map_err(|error| failed(&url, error))
    }

    async fn get(&self, url: &Url) -> Result<Response<Incoming>, HttpError> {
        let mut url = url.clone();
        for _ in 0..=REDIRECTS {
            let nothing = Empty::new().map_err(|never| match never {});
            let response = self.ask(Method::GET, &url, nothing.boxed_unsync()).await?;
            if !response.status().is_redirection() {
                return successful(response);
            }
            url = next_place(&url, &response).ok_or(HttpError::Location)?;
        }
        Err(HttpError::Redirects)
    }

    async fn ask(
        &self,
        method: Method,
        url: &Url,
        body: Body,
    ) -> Result<Response<Incoming>, HttpError> {
        let request = Request::builder().method(method).uri(url.as_str());
        let request = request.body(body)?;
        let client = self.client.get_or_init(client);
        client.request(request).await.map_err(HttpError::Request)
    }
}

fn client() -> Client<HttpsConnector<HttpConnector>, Body> {
    let mut roots = RootCertStore::empty();
    let found = rustls_native_certs::load_native_certs();
    let (added, _) = roots.add_parsable_certificates(found.certs);
    if added == 0 {
        tracing::warn!("this machine has no certificates of authorities: https will not work");
    }
    let provider = Arc::new(ring::default_provider());
    let config = ClientConfig::builder_with_provider(provider)
        .with_protocol_versions(&[&version::TLS13, &version::TLS12])
        .expect("ring knows both versions")
        .with_root_certificates(roots)
        .with_no_client_auth();
    let mut connector = HttpConnector::new();
    connector.set_connect_timeout(Some(CONNECTING));
    connector.enforce_http(false);
    let connector = HttpsConnectorBuilder::new()
        .with_tls_config(config)
        .https_or_http()
        .enable_http1()
        .wrap_connector(connector);
    Client::builder(TokioExecutor::new()).build(connector)
}

fn successful(response: Response<Incoming>) -> Result<Response<Incoming>, HttpError> {
    match response.status() {
        status if status.is_success() => Ok(response),
        status => Err(HttpError::Status(status)),
    }
}

/// Where a server sends on to.
fn next_place(url: &Url, response: &Response<Incoming>) -> Option<Url> {
    let location = response.headers().get(LOCATION)?.to_str().ok()?;
    let next = url.join(location).ok()?;
    matches!(next.scheme(), "http" | "https").then_some(next)
}

fn pieces(body: Incoming) -> impl Stream<Item = Result<Bytes, HttpError>> + Send {
    stream::try_unfold(body.into_data_stream(), |mut body| async move {
        match timeout(SILENCE, body.next()).await {
            Ok(Some(Ok(bytes))) => Ok(Some((bytes, body))),
            Ok(Some(Err(error))) => Err(HttpError::Body(error)),
            Ok(None) => Ok(None),
            Err(_) => Err(HttpError::Silent),
        }
    })
}

fn failed(url: &Url, source: HttpError) -> TransferError {
    TransferError::Http {
        url: url.to_string(),
        source,
    }
}
