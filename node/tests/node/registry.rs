//! The registry of images, and who is let in.

use reqwest::{Method, StatusCode};
use serde_json::{Value, json};

use crate::{requestor::Requestor, scene::Scene};

/// SHA3-224 of `an image`.
const HASH: &str = "d60185ac153b16089bc60799c55da1b67c58d245ccf5d2465922f5b2";

#[tokio::test(flavor = "multi_thread")]
async fn an_image_is_found_by_hash_and_by_tag() {
    let scene = Scene::start().await;
    let requestor = &scene.requestor;
    let put = requestor
        .request(Method::PUT, "/v1/image?tag=golem/one")
        .body("an image");
    let put = Requestor::send(put).await;
    assert_eq!(put.status, 201);
    // Nobody sends a registry an app key.
    let open = reqwest::Client::new();
    let info = async |query: &str| {
        let url = format!("{}/v1/image/info?count=true&{query}", scene.node.url());
        open.get(url).send().await.unwrap()
    };
    let by_hash: Value = info(&format!("hash={HASH}")).await.json().await.unwrap();
    assert_eq!(by_hash, put.json());
    assert_eq!(
        (&by_hash["sha3"], &by_hash["size"]),
        (&json!(HASH), &json!(8))
    );
    let by_tag: Value = info("tag=golem/one:latest").await.json().await.unwrap();
    assert_eq!(by_tag, by_hash);
    let file = by_hash["http"].as_str().unwrap();
    let head = open.head(file).send().await.unwrap();
    assert_eq!(head.headers()["content-length"], "8");
    assert_eq!(
        open.get(file).send().await.unwrap().text().await.unwrap(),
        "an image"
    );
    for (query, status, message) in [
        ("hash=00", 404, "no image of hash 00 here"),
        (
            "tag=golem/two",
            404,
            "kiln image push FILE --tag golem/two:latest",
        ),
        ("tag=a/b/c", 400, "`a/b/c` is no tag"),
        ("", 400, "either a hash or a tag is needed"),
    ] {
        let refused = info(query).await;
        assert_eq!(refused.status().as_u16(), status, "{query}");
        let refused: Value = refused.json().await.unwrap();
        assert!(
            refused["message"].as_str().unwrap().contains(message),
            "{refused}"
        );
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn only_who_has_an_app_key_puts_images_in() {
    let scene = Scene::start().await;
    let url = format!("{}/v1/image", scene.node.url());
    let put = reqwest::Client::new().put(url).body("an image").send();
    assert_eq!(put.await.unwrap().status(), StatusCode::UNAUTHORIZED);
    for (query, body, message) in [
        ("?hash=00", "an image", "the image's SHA3-224 is"),
        ("", "", "the image is empty"),
        ("?tag=:", "an image", "`:` is no tag"),
    ] {
        let path = format!("/v1/image{query}");
        let put = scene.requestor.request(Method::PUT, &path).body(body);
        let refused = Requestor::send(put).await.error(400);
        assert!(refused.contains(message), "{refused}");
    }
    let images = scene.folder.path().join("images");
    assert_eq!(std::fs::read_dir(images).unwrap().count(), 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn images_and_tags_are_there_again() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("image.gvmi");
    std::fs::write(&file, "an image").unwrap();
    let first = Scene::start_with(|builder| {
        builder
            .image(&file, "mine".to_owned())
            .data_folder(folder.path())
    });
    first.await.node.stop().await.unwrap();
    let again = Scene::start_with(|builder| builder.data_folder(folder.path())).await;
    let info = again.requestor.get("/v1/image/info?tag=mine").await.ok();
    assert_eq!(info["sha3"], HASH);
}

#[tokio::test(flavor = "multi_thread")]
async fn each_app_key_is_somebody() {
    let scene = Scene::start_with(|builder| {
        builder
            .app_key("one", "key-of-one".to_owned())
            .app_key("two", None)
    });
    let scene = scene.await;
    let keys: Vec<_> = scene.node.app_keys().collect();
    assert_eq!(keys[0], ("one", "key-of-one"));
    let me = async |key: &str| Requestor::at(scene.node.url(), key).get("/me").await.ok();
    let (one, two) = (me("key-of-one").await, me(keys[1].1).await);
    assert_eq!((&one["name"], &two["name"]), (&json!("one"), &json!("two")));
    assert_ne!(one["identity"], two["identity"]);
    let allocation = scene.requestor.allocate().await;
    let path = format!("/payment-api/v1/allocations/{allocation}");
    let others = Requestor::at(scene.node.url(), keys[1].1).get(&path).await;
    assert!(others.error(404).contains("not found"));
    let amended = json!({"totalAmount": "7", "timeout": "2100-01-01T00:00:00Z"});
    let amended = scene.requestor.put(&path, amended).await.ok();
    assert_eq!(amended["remainingAmount"], "7.000000000000000000");
}

#[tokio::test(flavor = "multi_thread")]
async fn tags_are_written_anew_and_never_in_parts() {
    let scene = Scene::start().await;
    let put = async |tag: &str| {
        let path = format!("/v1/image?tag={tag}");
        let put = scene.requestor.request(Method::PUT, &path).body("an image");
        assert_eq!(Requestor::send(put).await.status, 201);
    };
    put("golem/one").await;
    let tags = scene.folder.path().join("images/tags.json");
    let before = std::fs::read_to_string(&tags).unwrap();
    // Whoever has the file open reads on in what was there.
    let old = scene.folder.path().join("old");
    std::fs::hard_link(&tags, &old).unwrap();
    let many: Vec<_> = (0..10).map(|number| format!("golem/{number}")).collect();
    futures::future::join_all(many.iter().map(|tag| put(tag))).await;
    assert_eq!(std::fs::read_to_string(&old).unwrap(), before);
    let after: Value = serde_json::from_str(&std::fs::read_to_string(&tags).unwrap()).unwrap();
    assert_eq!(after.as_object().unwrap().len(), 11, "{after}");
}
