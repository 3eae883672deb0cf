//! Images that others begin with.

use std::{fs, io::Write, path::Path};

use gvmi::{Attributes, Configuration, Owner, Writer};
use serde_json::json;
use sha2::{Digest, Sha256};

use crate::place::Place;

/// Writes an image with a file of another user's.
fn image(path: &Path) {
    let mut image = Writer::new(0o755);
    let attributes = |mode, user| Attributes {
        mode,
        owner: Owner { user, group: 5 },
        changed: 1_000_000_000,
    };
    image
        .add_folder(Path::new("bin"), attributes(0o755, 0))
        .unwrap();
    image
        .add_file(Path::new("bin/su"), attributes(0o4755, 0), &b"su"[..])
        .unwrap();
    image
        .add_file(Path::new("mine"), attributes(0, 1000), &b"mine"[..])
        .unwrap();
    image
        .add_file(
            Path::new("changed"),
            attributes(0o644, 1000),
            &b"before"[..],
        )
        .unwrap();
    let mut configuration = Configuration::default();
    configuration.env.push("PATH=/base".into());
    configuration.cmd = Some(vec!["base".into()]);
    configuration.working_dir = "/work".into();
    configuration
        .other
        .insert("Image".into(), json!("sha256:00"));
    image.write(&configuration, path).unwrap();
}

/// Writes a container image of one file as `docker save` does.
fn container(path: &Path, contents: &str, configuration: serde_json::Value) {
    let archive = |files: &[(&str, &[u8])]| {
        let mut archive = tar::Builder::new(Vec::new());
        for (path, bytes) in files {
            let mut header = tar::Header::new_gnu();
            header.set_size(bytes.len() as u64);
            header.set_mode(0o644);
            header.set_uid(0);
            header.set_gid(0);
            header.set_mtime(5);
            archive.append_data(&mut header, path, *bytes).unwrap();
        }
        archive.into_inner().unwrap()
    };
    let layer = archive(&[("etc/said", contents.as_bytes())]);
    let digest: String = Sha256::digest(&layer)
        .iter()
        .map(|byte| format!("{byte:02x}"))
        .collect();
    let configuration = json!({
        "os": "linux", "config": configuration,
        "rootfs": {"diff_ids": [format!("sha256:{digest}")]},
    });
    let manifest = json!([{"Config": "c", "RepoTags": ["it:1"], "Layers": ["l"]}]);
    let parts = archive(&[
        ("manifest.json", manifest.to_string().as_bytes()),
        ("c", configuration.to_string().as_bytes()),
        ("l", &layer),
    ]);
    fs::File::create(path).unwrap().write_all(&parts).unwrap();
}

#[tokio::test]
async fn an_image_of_ours_is_begun_with_and_keeps_what_it_says() {
    let place = Place::new();
    place.write("a.txt", "after");
    image(&place.context().join("base.gvmi"));
    let text = "FROM ./base.gvmi\nENV x=$PATH\nCOPY a.txt /changed\nCOPY a.txt .";
    let built = place.build_all(text).run(&()).await.unwrap();
    let contents = place.contents_of(&built);
    assert_eq!(
        contents.files(),
        ["bin/su", "changed", "mine", "work/a.txt"]
    );
    assert_eq!(contents.text("changed"), "after");
    assert_eq!(contents.configuration.env, ["PATH=/base", "x=/base"]);
    assert_eq!(contents.configuration.cmd.unwrap(), ["base"]);
    assert!(!contents.configuration.other.contains_key("Image"));
    let attributes = |path| place.attributes(&built, path);
    assert_eq!(attributes("bin/su").mode, 0o4755);
    assert_eq!(attributes("bin/su").changed, 1_000_000_000);
    assert_eq!(attributes("mine").mode, 0);
    assert_eq!(attributes("mine").owner.user, 1000);
    // It is another file now.
    assert_eq!(attributes("changed").owner.user, 0);
    assert_eq!(attributes("changed").changed, 0);

    // By another name, and with another program.
    let text = "FROM base\nENTRYPOINT [\"/x\"]";
    let named = place.context().join("base.gvmi");
    let built = place
        .build_all(text)
        .named_context("base", named)
        .run(&())
        .await
        .unwrap();
    let configuration = place.contents_of(&built).configuration;
    assert_eq!(configuration.entrypoint.unwrap(), ["/x"]);
    assert_eq!(configuration.cmd, None);
}

#[tokio::test]
async fn programs_of_the_base_run_and_change_it() {
    let place = Place::new();
    place.programs(&["sh", "cat"]);
    let base = place
        .build("COPY rootfs /\nENV greeting=hello")
        .run(&())
        .await
        .unwrap();
    fs::copy(base.path(), place.context().join("base.gvmi")).unwrap();
    let contents = place
        .contents_of_all("FROM ./base.gvmi\nRUN echo $greeting >/said && cat /said\nRUN [\"sh\", \"-c\", \"echo >/bin/cat\"]")
        .await;
    assert_eq!(contents.text("said"), "hello\n");
    assert_eq!(contents.text("bin/cat"), "\n");
}

#[tokio::test]
async fn container_images_are_begun_with_and_copied_from() {
    let place = Place::new();
    let tar = place.context().join("it.tar");
    container(&tar, "hello", json!({"Env": ["a=1"]}));
    for from in ["./it.tar", "it.tar", "docker-archive:it.tar:it:1", "name"] {
        let text = format!("FROM {from}\nENV b=$a");
        let built = place
            .build_all(&text)
            .named_context("name", &tar)
            .run(&())
            .await;
        let contents = place.contents_of(&built.unwrap());
        assert_eq!(contents.text("etc/said"), "hello", "{from}");
        assert_eq!(contents.configuration.env[1..], ["a=1", "b=1"], "{from}");
    }
    let bases = || {
        place
            .cached()
            .into_iter()
            .filter(|name| name.starts_with("base-"))
            .count()
    };
    assert_eq!(bases(), 1, "packed once");
    let text = "FROM scratch\nCOPY --from=./it.tar /etc /all\nCOPY --from=./it.tar etc/s* /one";
    assert_eq!(
        place.contents_of_all(text).await.files(),
        ["all/said", "one"]
    );

    // Another image is another build.
    container(&tar, "bye", json!({"Env": ["a=1"]}));
    assert_eq!(
        place.contents_of_all("FROM it.tar").await.text("etc/said"),
        "bye"
    );
    assert_eq!(bases(), 2);
}

#[tokio::test]
async fn what_is_no_image_to_begin_with_is_named() {
    let place = Place::new();
    place.write("folder/x", "");
    place.write("text.tar", "no image");
    place.write("broken.gvmi", "no image");
    container(
        &place.context().join("it.tar"),
        "",
        json!({"OnBuild": ["RUN x"]}),
    );
    for (from, why) in [
        ("./none.gvmi", "there is no image context/none.gvmi"),
        ("./folder", "context/folder is a folder, and no image"),
        (
            "text.tar",
            "context/text.tar is no image: it is not a squashfs",
        ),
        (
            "broken.gvmi",
            "context/broken.gvmi is no image: it is not a squashfs",
        ),
        (
            "docker-archive:it.tar:other",
            "there is no image other in context/it.tar: it:1",
        ),
        ("it.tar", "has ONBUILD instructions"),
    ] {
        let failure = place.failure_of_all(&format!("FROM {from}\nENV a=b")).await;
        assert!(
            failure.starts_with(&format!("context/Dockerfile:1: FROM {from}: ")),
            "{failure}"
        );
        assert!(failure.contains(why), "{failure:?} does not say {why:?}");
    }
}
