//! Where container images lie, and how they are packed.

use std::fs;

use gvmi::Image;
use oci::Limits;
use serde_json::json;

use crate::made::{Layer, Packing, Parts, Place, chain};

fn layers() -> [Layer; 2] {
    let lower = Layer::new()
        .folder("bin", 0o755)
        .entry("bin/su", tar::EntryType::Regular, 0o4755, "", b"su")
        .file("gone", "");
    [
        lower,
        Layer::new().file(".wh.gone", "").link("sh", "bin/su"),
    ]
}

#[test]
fn wherever_it_lies_the_same_image_becomes_the_same_bytes() {
    let place = Place::new();
    let mut places = Vec::new();
    for packing in Packing::ALL {
        let name = format!("{packing:?}");
        let oci = Parts::oci(&layers(), packing);
        let docker = Parts::docker(&layers(), packing);
        places.push(place.folder(&format!("oci-{name}"), &oci));
        places.push(place.archive(&format!("oci-{name}.tar"), &oci, Packing::None));
        places.push(place.archive(&format!("docker-{name}.tar"), &docker, packing));
        places.push(place.folder(&format!("docker-{name}"), &docker));
    }
    let mut first: Option<Vec<u8>> = None;
    for path in &places {
        let target = place.path("image.gvmi");
        let image = place
            .open(path, None, Limits::default())
            .unwrap_or_else(|error| panic!("{}: {}", path.display(), chain(&error)));
        image.pack(&target).unwrap();
        let bytes = fs::read(&target).unwrap();
        let first = first.get_or_insert_with(|| bytes.clone());
        assert!(
            *first == bytes,
            "{} differs from {}",
            path.display(),
            places[0].display()
        );
        fs::remove_file(&target).unwrap();
    }
}

#[test]
fn what_the_image_says_is_kept() {
    let place = Place::new();
    let path = place.archive(
        "i.tar",
        &Parts::docker(&layers(), Packing::None),
        Packing::None,
    );
    let container = place
        .open(&path, Some("image:1"), Limits::default())
        .unwrap();
    assert_eq!(container.layers(), 2);
    let target = place.path("image.gvmi");
    container.pack(&target).unwrap();
    let image = Image::open(&target).unwrap();
    let configuration = image.configuration();
    assert_eq!(configuration.env, ["A=1"]);
    assert_eq!(configuration.cmd, Some(vec!["sh".to_owned()]));
    assert_eq!(configuration.working_dir, "/work");
    assert_eq!(configuration.other["ExposedPorts"], json!({"80/tcp": {}}));
    assert_eq!(
        configuration.other["Image"],
        json!(container.id().to_string())
    );

    let tree = image.tree().unwrap();
    let su = tree
        .entries()
        .find(|entry| entry.path.ends_with("bin/su"))
        .unwrap();
    assert_eq!(su.attributes.mode, 0o4755);
    assert_eq!(su.attributes.changed, 1_000_000_000);
    let names: Vec<_> = tree
        .entries()
        .map(|entry| entry.path.to_str().unwrap().to_owned())
        .collect();
    assert_eq!(names, ["", "bin", "bin/su", "sh"]);
}

#[test]
fn one_of_several_is_chosen_by_its_name() {
    let place = Place::new();
    let mut parts = Parts::docker(&layers(), Packing::None);
    let both = json!([
        {"Config": "c.json", "RepoTags": ["one:1", "one:latest"], "Layers": ["0/layer.tar", "1/layer.tar"]},
        {"Config": "c.json", "RepoTags": ["two:1"], "Layers": ["0/layer.tar", "1/layer.tar"]},
    ]);
    parts.add("manifest.json", both.to_string());
    let path = place.archive("both.tar", &parts, Packing::None);
    for name in ["one:1", "one", "two:1"] {
        place.open(&path, Some(name), Limits::default()).unwrap();
    }
    let refused = |name| chain(&place.open(&path, name, Limits::default()).unwrap_err());
    let several = refused(None);
    assert!(
        several.contains("not said which is meant: one:1, one:latest, two:1"),
        "{several}"
    );
    let none = refused(Some("three"));
    assert!(none.contains("no image three in"), "{none}");
    assert!(none.ends_with("one:1, one:latest, two:1"), "{none}");
}

#[test]
fn the_platform_of_this_machine_is_chosen() {
    let place = Place::new();
    let mut parts = Parts::oci(&layers(), Packing::Gzip);
    let index: serde_json::Value = serde_json::from_slice(&parts.0["index.json"]).unwrap();
    let of = |manifest: &serde_json::Value, os: &str, architecture: &str| {
        let mut manifest = manifest.clone();
        manifest["platform"] = json!({"os": os, "architecture": architecture});
        manifest
    };
    let here = &index["manifests"][0];
    let elsewhere = parts.blob(b"not for us".to_vec());
    let list = json!({"manifests": [
        of(&elsewhere, "unknown", "unknown"),
        of(&elsewhere, "linux", "mips"),
        of(here, "linux", oci::this_architecture()),
    ]});
    let mut inner = parts.blob(list.to_string().into_bytes());
    inner["mediaType"] = json!("application/vnd.oci.image.index.v1+json");
    parts.add("index.json", json!({"manifests": [inner]}).to_string());
    place
        .open(&place.folder("several", &parts), None, Limits::default())
        .unwrap();

    let foreign = json!({"manifests": [of(&elsewhere, "linux", "mips")]});
    parts.add("index.json", foreign.to_string());
    let path = place.folder("foreign", &parts);
    let refused = chain(&place.open(&path, None, Limits::default()).unwrap_err());
    assert!(
        refused.contains("is for linux/mips, and not for linux/"),
        "{refused}"
    );
}

#[test]
fn a_layer_that_is_a_link_in_the_archive_is_found() {
    let place = Place::new();
    let parts = Parts::docker(&layers(), Packing::None);
    let mut archive = Layer::new();
    for (path, bytes) in &parts.0 {
        let path = path.replace("0/layer.tar", "real/layer.tar");
        archive = archive.entry(&path, tar::EntryType::Regular, 0o644, "", bytes);
    }
    archive = archive.link("0/layer.tar", "../real/layer.tar");
    let path = place.path("linked.tar");
    fs::write(&path, archive.bytes()).unwrap();
    let image = place.open(&path, None, Limits::default()).unwrap();
    image.pack(&place.path("image.gvmi")).unwrap();
}
