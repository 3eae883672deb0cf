//! Container images that are damaged, or none at all.

use std::fs;

use oci::Limits;
use serde_json::json;

use crate::made::{Layer, Packing, Parts, Place, chain, configuration};

fn layer() -> Layer {
    Layer::new().file("a", "a")
}

/// Why what `spoil` makes of an image cannot be packed.
fn refusal(mut parts: Parts, spoil: impl FnOnce(&mut Parts)) -> String {
    spoil(&mut parts);
    let place = Place::new();
    let path = place.folder("image", &parts);
    let refused = match place.open(&path, None, Limits::default()) {
        Ok(image) => chain(&image.pack(&place.path("image.gvmi")).unwrap_err()),
        Err(error) => chain(&error),
    };
    assert!(!place.path("image.gvmi").exists());
    refused
}

#[test]
fn every_damage_is_named_with_its_place() {
    let docker = || Parts::docker(&[layer()], Packing::Gzip);
    let cases = [
        (
            refusal(docker(), |p| p.add("manifest.json", "{")),
            "cannot use manifest.json of the image",
        ),
        (
            refusal(docker(), |p| p.add("manifest.json", "[]")),
            "is no container image",
        ),
        (
            refusal(docker(), |p| drop(p.0.remove("c.json"))),
            "cannot use c.json of the image",
        ),
        (
            refusal(docker(), |p| p.add("c.json", "[]")),
            "cannot use c.json",
        ),
        (
            refusal(docker(), |p| p.add("c.json", vec![b' '; 5 << 20])),
            "too long (5242880 bytes)",
        ),
        (
            refusal(docker(), |p| drop(p.0.remove("0/layer.tar"))),
            "cannot use 0/layer.tar of the image",
        ),
        (
            refusal(docker(), |p| p.add("0/layer.tar", Layer::new().bytes())),
            "tampered with or damaged",
        ),
        (
            refusal(docker(), |p| p.add("0/layer.tar", "no archive")),
            "cannot use layer 1 of 1 (sha256:",
        ),
        (
            refusal(docker(), |p| {
                let layer = p.0.get_mut("0/layer.tar").unwrap();
                layer.truncate(layer.len() - 9);
            }),
            "cannot use layer 1 of 1 (sha256:",
        ),
        (
            refusal(docker(), |p| {
                let mut said = configuration(&[layer().bytes()]);
                said["rootfs"]["diff_ids"] = json!([]);
                p.add("c.json", said.to_string());
            }),
            "it speaks of 0 layers, and the image has 1",
        ),
        (
            refusal(docker(), |p| {
                let mut said = configuration(&[layer().bytes()]);
                said["rootfs"]["diff_ids"] = json!(["sha256:../../x"]);
                p.add("c.json", said.to_string());
            }),
            "is no digest",
        ),
        (
            refusal(docker(), |p| {
                let mut said = configuration(&[layer().bytes()]);
                said["architecture"] = json!("s390x");
                p.add("c.json", said.to_string());
            }),
            "is for linux/s390x",
        ),
    ];
    for (refused, why) in cases {
        assert!(refused.contains(why), "{refused:?} does not say {why:?}");
    }
}

#[test]
fn a_blob_is_the_one_that_its_digest_names() {
    let oci = || Parts::oci(&[layer()], Packing::None);
    for number in 0..3 {
        let refused = refusal(oci(), |parts| {
            let blobs = parts
                .0
                .iter_mut()
                .filter(|(path, _)| path.starts_with("blobs/"));
            let (_, blob) = blobs.into_iter().nth(number).unwrap();
            // Still JSON, if it was.
            let end = blob.len() - 1;
            blob.insert(end, if blob[end] == b'}' { b' ' } else { 0 });
        });
        assert!(
            refused.contains("tampered with or damaged"),
            "{number}: {refused}"
        );
    }
    let endless = refusal(oci(), |parts| {
        let index = json!({"manifests": [{
            "mediaType": "application/vnd.oci.image.index.v1+json", "digest": "sha256:../../../etc/passwd",
        }]});
        parts.add("index.json", index.to_string());
    });
    assert!(endless.contains("is no digest"), "{endless}");
}

#[test]
fn what_is_no_image_is_said_to_be_none() {
    let place = Place::new();
    let nothing = place.folder("folder", &Parts::default());
    fs::create_dir(&nothing).unwrap();
    fs::write(place.path("text"), "some text").unwrap();
    fs::write(place.path("plain.tar"), layer().bytes()).unwrap();
    fs::write(
        place.path("cut.tar.gz"),
        &Packing::Gzip.pack(&layer().bytes())[..40],
    )
    .unwrap();
    for (name, why) in [
        ("folder", "is no container image"),
        ("plain.tar", "is no container image"),
        ("text", "is no container image"),
        ("cut.tar.gz", "is no container image"),
        ("missing", "No such file"),
    ] {
        let error = chain(
            &place
                .open(&place.path(name), None, Limits::default())
                .unwrap_err(),
        );
        assert!(
            error.contains(why) && error.contains(name),
            "{name}: {error}"
        );
    }
}
