//! What speaks HTTP.

use std::{sync::Arc, time::Duration};

use http_body_util::combinators::UnsyncBoxBody;
use hyper_rustls::{HttpsConnector, HttpsConnectorBuilder};
use hyper_util::{client::legacy::connect::HttpConnector, rt::TokioExecutor};
use prost::bytes::Bytes;
use rustls::{ClientConfig, RootCertStore, crypto::ring, version};

use crate::transfer::TransferError;

/// How long a connection may take to stand.
const CONNECTING: Duration = Duration::from_secs(30);

pub(super) type Body = UnsyncBoxBody<Bytes, TransferError>;
pub(super) type Client = hyper_util::client::legacy::Client<HttpsConnector<HttpConnector>, Body>;

pub(super) fn client() -> Client {
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
    hyper_util::client::legacy::Client::builder(TokioExecutor::new()).build(connector)
}
