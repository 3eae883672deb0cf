//! How an image comes to an activity, and what is said if it does not.

use std::{fs, path::Path};

use serde_json::{Value, json};
use sha3::{Digest, Sha3_256};
use ya_client_model::activity::CommandOutput;

use crate::{
    fixture::{Files, Image, Setup, Unit, Web, messages},
    node::SILENT,
};

fn setup(files: &Files, cache: &tempfile::TempDir, package: Option<String>) -> Setup {
    Setup {
        files: files.clone(),
        cache: cache.path().to_owned(),
        task_package: package,
        deaf: false,
    }
}

fn names(folder: &Path) -> Vec<String> {
    let entries = fs::read_dir(folder).expect("a folder").flatten();
    let mut names: Vec<_> = entries
        .map(|entry| entry.file_name().to_string_lossy().into_owned())
        .collect();
    names.sort();
    names
}

#[tokio::test]
async fn an_image_is_fetched_once_for_all() {
    let (files, cache) = (Files::default(), tempfile::tempdir().expect("a folder"));
    let image = Image::build();
    let package = image.package(&files.publish("image", image.content.clone()));
    let deploy = || async {
        let mut unit = Unit::start(setup(&files, &cache, Some(package.clone())));
        let results = unit.run(json!([{"deploy": {}}, {"start": {}}])).await;
        assert_eq!(messages(&results), ["Ok", "Ok"]);
        let Some(CommandOutput::Str(answer)) = &results[0].stdout else {
            panic!("{results:?}");
        };
        let answer: Value = serde_json::from_str(answer).expect("JSON");
        let volumes = json!([{"name": "vol-0", "path": "/golem/in"}, {"name": "vol-1", "path": "/golem/out"}]);
        assert_eq!(
            answer,
            json!({"valid": {"Ok": ""}, "vols": volumes, "startMode": "blocking"})
        );
        let states = unit.states_until("Ready").await;
        assert_eq!(
            states,
            [
                "Initialized",
                "Initialized>Deployed",
                "Deployed",
                "Deployed>Ready",
                "Ready"
            ]
        );
        assert_eq!(unit.sh("ls /golem; echo $COLOUR").await, "in\nout\ngreen\n");
    };
    // Two at the same time, and one after them.
    tokio::join!(deploy(), deploy());
    deploy().await;
    assert_eq!(files.chunks_given(), image.content.len().div_ceil(40 << 10));
    assert_eq!(
        names(cache.path()),
        [image.hash.clone(), format!("{}.lock", image.hash)]
    );
}

#[tokio::test]
async fn an_image_comes_from_a_web_server_as_well() {
    let (files, cache) = (Files::default(), tempfile::tempdir().expect("a folder"));
    let (image, web) = (Image::build(), Web::open().await);
    web.publish("/image.gvmi", &image.content);
    let package = image.package(&web.url("/moved/moved/image.gvmi"));
    let unit = Unit::start(setup(&files, &cache, Some(package)));
    let results = unit.run(json!([{"deploy": {}}, {"start": {}}])).await;
    assert_eq!(messages(&results), ["Ok", "Ok"]);
}

/// Task packages that cannot be deployed, and what is said of each.
fn bad_packages(image: &Image, files: &Files, web: &Web) -> Vec<(Option<String>, String)> {
    let mut tampered = image.content.clone();
    tampered[1000] ^= 1;
    let garbage = b"no image at all";
    let hash_of_garbage = hex::encode(Sha3_256::digest(garbage));
    let garbage = files.publish("garbage", garbage);
    let garbage = format!("hash:sha3:{hash_of_garbage}:{garbage}");
    let at = |url: &str| Some(image.package(url));
    let right_hash = format!("and should be {}", image.hash);
    let elsewhere = "gftp://0xdf627924bd43b69256380b8f333244450ab14ec4/x";
    let cases = [
        (None, "the agreement names no image"),
        (Some(Files::url("image")), "has no hash"),
        (
            Some("hash:sha3:00:/x".to_owned()),
            "not `hash:sha3:<hex>:<url>`",
        ),
        (at("file:///etc/passwd"), "the scheme file is not known"),
        (
            at("/etc/passwd"),
            "/etc/passwd: not in a volume of the image",
        ),
        (at(&Files::url("gone")), "there is no file gone"),
        (at(elsewhere), "there is no /net/"),
        (at(&web.url("/gone")), "404 Not Found"),
        (
            at(&web.url(&"/moved".repeat(12))),
            "it sends on more than 10 times",
        ),
        (
            at("http://127.0.0.1:1/"),
            "the web server of http://127.0.0.1:1/ has failed",
        ),
        (at(&files.publish("tampered", tampered)), &right_hash),
        (
            at(&files.publish("cut", &image.content[..5000])),
            &right_hash,
        ),
        (Some(garbage), "is no image"),
    ];
    let owned = |(package, reason): (_, &str)| (package, reason.to_owned());
    cases.into_iter().map(owned).collect()
}

#[tokio::test]
async fn what_cannot_be_deployed_says_why_and_leaves_nothing() {
    let (files, web, image) = (Files::default(), Web::open().await, Image::build());
    for (package, reason) in bad_packages(&image, &files, &web) {
        let cache = tempfile::tempdir().expect("a folder");
        let mut unit = Unit::start(setup(&files, &cache, package));
        let results = unit.run(json!([{"deploy": {}}, {"start": {}}])).await;
        let message = results[0].message.clone().expect("it fails");
        assert!(
            results.len() == 1 && message.contains(&reason),
            "{message:?} lacks {reason:?}"
        );
        unit.states_until("Initialized>Deployed").await;
        assert_eq!(
            unit.state().await,
            ("Initialized".to_owned(), Some(message))
        );
        let left = names(cache.path());
        assert!(left.iter().all(|name| name.ends_with(".lock")), "{left:?}");
        assert_eq!(names(&unit.work()), ["logs"]);
    }
}

#[tokio::test]
async fn an_image_that_is_too_large_is_refused() {
    let (files, cache) = (Files::default(), tempfile::tempdir().expect("a folder"));
    let image = Image::build();
    let package = image.package(&files.publish("image", image.content.clone()));
    let deploy = async |limit: usize| {
        let limit = limit.to_string();
        let environment = [("KILN_MAX_IMAGE_BYTES", Path::new(&limit))];
        let unit = Unit::start_in(&environment, setup(&files, &cache, Some(package.clone())));
        messages(&unit.run(json!([{"deploy": {}}])).await).join(" ")
    };
    let message = deploy(5000).await;
    assert!(message.contains("larger than 5000 bytes"), "{message}");
    let left = names(cache.path());
    assert!(left.iter().all(|name| name.ends_with(".lock")), "{left:?}");
    assert_eq!(deploy(image.content.len()).await, "Ok");
}

#[tokio::test]
async fn what_a_killed_exe_unit_has_left_does_not_matter() {
    let (files, cache) = (Files::default(), tempfile::tempdir().expect("a folder"));
    let image = Image::build();
    let partial = cache.path().join(format!("{}.partial", image.hash));
    fs::create_dir(&partial).expect("a folder");
    fs::write(partial.join("image.gvmi"), "half of it").expect("a file");
    let package = image.package(&files.publish("image", image.content.clone()));
    let unit = Unit::start(setup(&files, &cache, Some(package)));
    fs::create_dir_all(unit.work().join("vol-0/old")).expect("a folder");
    let results = unit.run(json!([{"deploy": {}}, {"start": {}}])).await;
    assert_eq!(messages(&results), ["Ok", "Ok"]);
    assert_eq!(unit.sh("ls /golem/in").await, "");
    assert!(!partial.exists());
}

#[tokio::test]
async fn a_deploy_that_hangs_can_be_terminated() {
    let (files, cache) = (Files::default(), tempfile::tempdir().expect("a folder"));
    let image = Image::build();
    let package = image.package(&Files::url(SILENT));
    let mut unit = Unit::start(setup(&files, &cache, Some(package)));
    let batch_id = unit.exec(json!([{"deploy": {}}, {"start": {}}])).await;
    assert_eq!(
        messages(&unit.run(json!([{"terminate": {}}])).await),
        ["Ok"]
    );
    let results = unit.results(&batch_id, 60.0, None).await.expect("results");
    assert_eq!(messages(&results), ["the command was interrupted"]);
    let states = unit.states_until("Initialized>Initialized").await;
    assert_eq!(
        states,
        [
            "Initialized",
            "Initialized>Deployed",
            "Initialized>Initialized"
        ]
    );
    let left = names(cache.path());
    assert!(left.iter().all(|name| name.ends_with(".lock")), "{left:?}");
    // Nobody holds the lock: another exe-unit with another source gets the image.
    let package = image.package(&files.publish("image", image.content.clone()));
    let other = Unit::start(setup(&files, &cache, Some(package)));
    assert_eq!(messages(&other.run(json!([{"deploy": {}}])).await), ["Ok"]);
}
