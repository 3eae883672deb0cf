//! Images from a registry: Debian's `docker-registry`, on loopback. Where there is none, these tests say so and show nothing,
//! or fail if `KILN_TESTS_SKIP_NOTHING` is set.

use std::{
    io::{self, BufRead, BufReader},
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    sync::Mutex,
    time::Duration,
};

use oci::{Digest, Limits, registry::pull};
use oci_client::{
    Client, Reference,
    client::{ClientConfig, ClientProtocol, Config, ImageLayer},
    manifest::IMAGE_DOCKER_CONFIG_MEDIA_TYPE,
    secrets::RegistryAuth,
};
use serde_json::json;
use tempfile::TempDir;
use tokio::{
    io::{AsyncBufReadExt, AsyncWriteExt},
    net::{TcpListener, TcpStream},
};

/// A registry at work.
struct Registry {
    process: Child,
    address: String,
    place: TempDir,
}

impl Registry {
    /// Starts one, if there is one to start.
    fn start() -> Option<Self> {
        let place = tempfile::tempdir().unwrap();
        let storage = place.path().join("storage");
        let configuration = json!({
            "version": 0.1,
            "log": {"level": "info", "formatter": "json"},
            "storage": {"filesystem": {"rootdirectory": storage}},
            "http": {"addr": "127.0.0.1:0"},
        });
        // JSON is YAML.
        let path = place.path().join("config.yml");
        std::fs::write(&path, configuration.to_string()).unwrap();
        let started = Command::new("docker-registry")
            .arg("serve")
            .arg(&path)
            .stdout(Stdio::null())
            .stderr(Stdio::piped())
            .spawn();
        let mut process = match started {
            Ok(process) => process,
            Err(error) => {
                let may_skip = std::env::var_os("KILN_TESTS_SKIP_NOTHING").is_none();
                assert!(may_skip, "there is no docker-registry: {error}");
                eprintln!(
                    "NOT TESTED: registries, for there is no docker-registry to test with ({error})"
                );
                return None;
            }
        };
        let mut lines = BufReader::new(process.stderr.take().unwrap()).lines();
        let address = lines.find_map(|line| {
            let line = line.unwrap();
            let address = line.split("listening on ").nth(1)?;
            Some(
                address
                    .trim_end_matches(|c: char| !c.is_ascii_digit())
                    .split('"')
                    .next()?
                    .to_owned(),
            )
        });
        // What it says later is of no interest, but it must be able to say it.
        std::thread::spawn(move || lines.for_each(drop));
        Some(Self {
            process,
            address: address.expect("it says where it listens"),
            place,
        })
    }

    fn layers(&self) -> PathBuf {
        let layers = self.place.path().join("layers");
        std::fs::create_dir_all(&layers).unwrap();
        layers
    }

    /// Puts an image of two layers into it, and says how many bytes they have.
    async fn push(&self, name: &str) {
        let layers = [layer("etc/one", "one"), layer("etc/two", "two")];
        let digests = layers.each_ref().map(|layer| Digest::of(layer).to_string());
        let configuration = json!({
            "architecture": oci::this_architecture(), "os": "linux",
            "config": {"Env": ["FROM=registry"]},
            "rootfs": {"type": "layers", "diff_ids": digests},
        });
        let layers = layers.map(|layer| ImageLayer::oci_v1(layer, None));
        let config = Config::new(
            configuration.to_string().into_bytes(),
            IMAGE_DOCKER_CONFIG_MEDIA_TYPE.to_owned(),
            None,
        );
        let reference: Reference = format!("{}/{name}", self.address).parse().unwrap();
        let client = Client::new(ClientConfig {
            protocol: ClientProtocol::Http,
            ..ClientConfig::default()
        });
        client
            .push(&reference, &layers, config, &RegistryAuth::Anonymous, None)
            .await
            .unwrap();
    }
}

impl Drop for Registry {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

fn layer(path: &str, contents: &str) -> Vec<u8> {
    let mut archive = tar::Builder::new(Vec::new());
    let mut header = tar::Header::new_gnu();
    header.set_size(contents.len() as u64);
    header.set_mode(0o644);
    header.set_uid(0);
    header.set_gid(0);
    header.set_mtime(0);
    archive
        .append_data(&mut header, path, contents.as_bytes())
        .unwrap();
    archive.into_inner().unwrap()
}

fn chain(error: &dyn std::error::Error) -> String {
    match error.source() {
        Some(source) => format!("{error}: {}", chain(source)),
        None => error.to_string(),
    }
}

async fn refusal(name: &str, layers: &Path) -> String {
    chain(
        &pull(name, layers, Limits::default(), |_, _| {})
            .await
            .unwrap_err(),
    )
}

#[tokio::test]
async fn an_image_is_pulled_once_and_packed() {
    let _ = rustls::crypto::ring::default_provider().install_default();
    let Some(registry) = Registry::start() else {
        return;
    };
    registry.push("team/image:1").await;
    let name = format!("{}/team/image:1", registry.address);
    let layers = registry.layers();
    let heard = Mutex::new(Vec::new());
    let hear = |done, total| heard.lock().unwrap().push((done, total));
    let image = pull(&name, &layers, Limits::default(), hear).await.unwrap();
    assert_eq!(*heard.lock().unwrap(), [(0, 2), (1, 2), (2, 2)]);
    assert_eq!(image.configuration().env, ["FROM=registry"]);
    let target = registry.place.path().join("image.gvmi");
    image.pack(&target).unwrap();
    let packed = gvmi::Image::open(&target).unwrap();
    let tree = packed.tree().unwrap();
    let paths: Vec<_> = tree
        .entries()
        .map(|entry| entry.path.to_str().unwrap().to_owned())
        .collect();
    assert_eq!(paths, ["", "etc", "etc/one", "etc/two"]);

    // By its digests: nothing is pulled again, though the registry has nothing but its manifest any more.
    let kept = || {
        let names = std::fs::read_dir(&layers)
            .unwrap()
            .map(|entry| entry.unwrap().file_name());
        names.collect::<std::collections::BTreeSet<_>>()
    };
    let before = kept();
    assert_eq!(before.len(), 3);
    let again = pull(&name, &layers, Limits::default(), |_, _| {})
        .await
        .unwrap();
    assert_eq!(again.id(), image.id());
    assert_eq!(kept(), before);

    let small = Limits {
        bytes: 100,
        ..Limits::default()
    };
    let elsewhere = registry.place.path().join("elsewhere");
    std::fs::create_dir(&elsewhere).unwrap();
    let refused = pull(&name, &elsewhere, small, |_, _| {}).await.unwrap_err();
    assert!(
        chain(&refused).contains("more than 100 bytes"),
        "{}",
        chain(&refused)
    );
    assert_eq!(
        std::fs::read_dir(&elsewhere).unwrap().count(),
        0,
        "half a part is left"
    );
    // Either layer would fit, but not both.
    let layer = layer("etc/one", "one").len() as u64;
    let small = Limits {
        bytes: layer + 1000,
        ..Limits::default()
    };
    let refused = pull(&name, &elsewhere, small, |_, _| {}).await.unwrap_err();
    assert!(
        chain(&refused).contains("more than 1000 bytes"),
        "{}",
        chain(&refused)
    );
}

#[tokio::test]
async fn what_is_not_there_is_named() {
    let Some(registry) = Registry::start() else {
        return;
    };
    let layers = registry.layers();
    let missing = format!("{}/no/image:1", registry.address);
    let refused = refusal(&missing, &layers).await;
    assert!(
        refused.contains(&format!("cannot pull {missing}")),
        "{refused}"
    );
    let refused = refusal("Not A Name", &layers).await;
    assert!(
        refused.contains("\"Not A Name\" is no name of an image"),
        "{refused}"
    );
}

#[tokio::test]
async fn a_registry_that_is_not_there_is_named() {
    let place = tempfile::tempdir().unwrap();
    // Nothing listens where a listener has just been closed.
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    drop(listener);
    let refused = refusal(&format!("{address}/image:1"), place.path()).await;
    assert!(
        refused.contains(&format!("cannot pull {address}/image:1")),
        "{refused}"
    );
}

/// Says that there is a manifest, and never comes to its end.
async fn say_on(mut client: TcpStream) -> io::Result<()> {
    let mut head = String::new();
    let mut lines = tokio::io::BufReader::new(&mut client);
    while !head.ends_with("\r\n\r\n") {
        if lines.read_line(&mut head).await? == 0 {
            return Ok(());
        }
    }
    client
        .write_all(b"HTTP/1.1 200 OK\r\nconnection: close\r\n\r\n")
        .await?;
    if !head.contains("/manifests/") {
        return Ok(());
    }
    loop {
        client.write_all(b"{").await?;
        tokio::time::sleep(Duration::from_secs(1)).await;
    }
}

// Time is not real here.
#[tokio::test(start_paused = true)]
async fn a_manifest_without_end_is_not_waited_for() {
    let _ = rustls::crypto::ring::default_provider().install_default();
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let name = format!("{}/image:1", listener.local_addr().unwrap());
    tokio::spawn(async move {
        while let Ok((client, _)) = listener.accept().await {
            tokio::spawn(say_on(client));
        }
    });
    let place = tempfile::tempdir().unwrap();
    let refusal = refusal(&name, place.path());
    let refused = tokio::time::timeout(Duration::from_secs(3600), refusal).await;
    let refused = refused.expect("it ends");
    assert!(
        refused.starts_with(&format!("cannot pull {name}")),
        "{refused}"
    );
}

#[tokio::test]
async fn a_layer_that_was_tampered_with_is_refused() {
    let _ = rustls::crypto::ring::default_provider().install_default();
    let Some(registry) = Registry::start() else {
        return;
    };
    registry.push("image:1").await;
    let blobs = registry
        .place
        .path()
        .join("storage/docker/registry/v2/blobs/sha256");
    let digest = Digest::of(&layer("etc/two", "two")).hex();
    let blob = blobs.join(&digest[..2]).join(&digest).join("data");
    std::fs::write(&blob, layer("etc/two", "bad")).unwrap();
    let layers = registry.layers();
    let refused = refusal(&format!("{}/image:1", registry.address), &layers).await;
    assert!(refused.contains(&digest), "{refused}");
    assert!(!layers.join(&digest).exists());
}
