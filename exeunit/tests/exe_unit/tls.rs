//! Web servers that are reached by https: whose certificates are trusted, and whose are not.

use std::sync::Arc;

use rcgen::{BasicConstraints, CertificateParams, DnType, IsCa, Issuer, KeyPair};
use rustls::{
    ServerConfig,
    pki_types::{PrivateKeyDer, PrivatePkcs8KeyDer},
};
use serde_json::json;
use tempfile::NamedTempFile;
use tokio_rustls::TlsAcceptor;

use crate::fixture::{Files, Image, Setup, Unit, Web, messages};

/// Somebody who certifies web servers.
struct Authority {
    issuer: Issuer<'static, KeyPair>,
    /// Its certificate, for who trusts it.
    file: NamedTempFile,
}

impl Authority {
    fn new(name: &str) -> Self {
        let key = KeyPair::generate().expect("a key");
        let mut params = CertificateParams::new(Vec::new()).expect("no names");
        params.distinguished_name.push(DnType::CommonName, name);
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let certificate = params.self_signed(&key).expect("a certificate");
        let file = NamedTempFile::new().expect("a file");
        std::fs::write(file.path(), certificate.pem()).expect("it is written");
        let issuer = Issuer::new(params, key);
        Self { issuer, file }
    }

    /// A web server on loopback with a certificate for a name or address.
    async fn web(&self, name: &str) -> Web {
        let key = KeyPair::generate().expect("a key");
        let params = CertificateParams::new(vec![name.to_owned()]).expect("a name");
        let certificate = params.signed_by(&key, &self.issuer).expect("a certificate");
        let key = PrivateKeyDer::Pkcs8(PrivatePkcs8KeyDer::from(key.serialize_der()));
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let config = ServerConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .expect("ring knows them")
            .with_no_client_auth()
            .with_single_cert(vec![certificate.der().clone()], key)
            .expect("they belong together");
        let acceptor = TlsAcceptor::from(Arc::new(config));
        // A client that does not trust it hangs up.
        Web::listen("https", move |stream| {
            let accepting = acceptor.accept(stream);
            async move { accepting.await.ok() }
        })
        .await
    }
}

fn setup(files: &Files, cache: &tempfile::TempDir, package: String) -> Setup {
    Setup {
        task_package: Some(package),
        cache: cache.path().to_owned(),
        files: files.clone(),
        deaf: false,
    }
}

#[tokio::test]
async fn images_and_files_come_from_servers_that_are_trusted_alone() {
    let (files, cache) = (Files::default(), tempfile::tempdir().expect("a folder"));
    let (ours, theirs) = (Authority::new("ours"), Authority::new("theirs"));
    let good = ours.web("127.0.0.1").await;
    let elsewhere = ours.web("example.org").await;
    let unknown = theirs.web("127.0.0.1").await;
    let image = Image::build();
    let package = image.package(&good.publish("/image.gvmi", &image.content));
    let unit = Unit::start_in(
        &[("SSL_CERT_FILE", ours.file.path())],
        setup(&files, &cache, package),
    );
    let results = unit.run(json!([{"deploy": {}}, {"start": {}}])).await;
    assert_eq!(messages(&results), ["Ok", "Ok"]);

    let from = good.publish("/text", b"over a wire that nobody reads");
    let back = good.url("/back");
    let results = unit
        .run(json!([
            {"transfer": {"from": from, "to": "/golem/in/text"}},
            {"transfer": {"from": "/golem/in/text", "to": back}},
        ]))
        .await;
    assert_eq!(messages(&results), ["Ok", "Ok"]);
    assert_eq!(
        good.file("/back").as_deref(),
        Some(&b"over a wire that nobody reads"[..])
    );

    for (web, reason) in [
        (&unknown, "UnknownIssuer"),
        (&elsewhere, "not valid for name"),
    ] {
        let from = web.publish("/text", b"text");
        let script = json!([{"transfer": {"from": from, "to": "/golem/in/untrusted"}}]);
        let message = &messages(&unit.run(script).await)[0];
        let refused = "has failed: its certificate is not to be trusted: ";
        assert!(
            message.contains(refused) && message.contains(reason),
            "{message}"
        );
        assert!(web.requests("/text").is_empty(), "nobody was asked");
    }
    assert_eq!(unit.sh("ls").await, "text\n");

    // Nor does an image come from there.
    let cache = tempfile::tempdir().expect("a folder");
    let package = image.package(&unknown.publish("/image.gvmi", &image.content));
    let unit = Unit::start_in(
        &[("SSL_CERT_FILE", ours.file.path())],
        setup(&files, &cache, package),
    );
    let results = unit.run(json!([{"deploy": {}}])).await;
    let message = &messages(&results)[0];
    assert!(message.contains("UnknownIssuer"), "{message}");
}
