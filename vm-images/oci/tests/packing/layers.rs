//! What layers make together.

use std::collections::BTreeMap;

use crate::made::{Layer, Place};

#[track_caller]
fn check(layers: &[Layer], expected: &[(&str, &str)]) {
    let expected: BTreeMap<String, String> = expected
        .iter()
        .map(|(path, what)| ((*path).to_owned(), (*what).to_owned()))
        .collect();
    assert_eq!(Place::new().packed(layers), expected);
}

fn base() -> Layer {
    Layer::new()
        .folder("etc/", 0o755)
        .file("etc/a", "a")
        .file("etc/b", "b")
        .folder("etc/sub/", 0o700)
        .file("etc/sub/c", "c")
        .file("etc.d", "beside")
}

#[test]
fn what_is_above_covers_what_is_below() {
    let upper = Layer::new()
        .folder("etc", 0o750)
        .file("etc/a", "other")
        .file("./new/file", "x");
    check(
        &[base(), upper],
        &[
            ("etc", "folder 750"),
            ("etc/a", "other"),
            ("etc/b", "b"),
            ("etc/sub", "folder 700"),
            ("etc/sub/c", "c"),
            ("etc.d", "beside"),
            // Nobody says anything about it.
            ("new", "folder 755"),
            ("new/file", "x"),
        ],
    );
}

#[test]
fn whiteouts_take_away_files_and_folders_of_lower_layers() {
    let upper = Layer::new()
        .file("etc/.wh.a", "")
        .file("etc/.wh.sub", "")
        .file("etc/.wh.never", "")
        .file(".wh..wh.plnk", "");
    check(
        &[base(), upper],
        &[("etc", "folder 755"), ("etc/b", "b"), ("etc.d", "beside")],
    );
}

#[test]
fn a_whiteout_does_not_touch_its_own_layer() {
    for upper in [
        Layer::new().file("etc/a", "new").file("etc/.wh.a", ""),
        Layer::new().file("etc/.wh.a", "").file("etc/a", "new"),
    ] {
        let contents = Place::new().packed(&[base(), upper]);
        assert_eq!(contents["etc/a"], "new");
    }
    // The folder that it takes away is needed again.
    let upper = Layer::new()
        .file("etc/sub/new", "new")
        .file("etc/.wh.sub", "");
    let contents = Place::new().packed(&[base(), upper]);
    assert_eq!(contents["etc/sub"], "folder 755");
    assert_eq!(contents["etc/sub/new"], "new");
    assert!(!contents.contains_key("etc/sub/c"));
}

#[test]
fn an_opaque_folder_hides_all_below_it() {
    for upper in [
        Layer::new()
            .folder("etc", 0o711)
            .file("etc/.wh..wh..opq", "")
            .file("etc/n", "n"),
        Layer::new()
            .folder("etc", 0o711)
            .file("etc/n", "n")
            .file("etc/.wh..wh..opq", ""),
    ] {
        check(
            &[base(), upper],
            &[("etc", "folder 711"), ("etc/n", "n"), ("etc.d", "beside")],
        );
    }
    check(&[base(), Layer::new().file(".wh..wh..opq", "")], &[]);
}

#[test]
fn one_kind_takes_the_place_of_another() {
    let upper = Layer::new()
        .file("etc/sub", "now a file")
        .folder("etc/a", 0o755)
        .file("etc/a/x", "x")
        .link("etc/b", "a");
    check(
        &[base(), upper],
        &[
            ("etc", "folder 755"),
            ("etc/a", "folder 755"),
            ("etc/a/x", "x"),
            ("etc/b", "-> a"),
            ("etc/sub", "now a file"),
            ("etc.d", "beside"),
        ],
    );
}

#[test]
fn hard_links_are_files_with_the_same_contents() {
    let lower = Layer::new()
        .file("a", "text")
        .hard_link("dir/b", "a")
        .link("l", "a");
    let upper = Layer::new()
        .hard_link("c", "./dir/b")
        .hard_link("m", "l")
        .file(".wh.a", "");
    check(
        &[lower, upper],
        &[
            ("c", "text"),
            ("dir", "folder 755"),
            ("dir/b", "text"),
            ("l", "-> a"),
            ("m", "-> a"),
        ],
    );
}

#[test]
fn links_to_folders_are_followed_within_the_image() {
    let lower = Layer::new()
        .folder("usr/lib", 0o755)
        .link("lib", "usr/lib")
        .link("abs", "/usr/lib")
        .link("up", "../../../../usr")
        .link("twice", "up/lib");
    let upper = Layer::new()
        .file("lib/a", "a")
        .file("abs/b", "b")
        .file("up/c", "c")
        .file("twice/d", "d")
        .file("abs/.wh.a", "")
        .hard_link("e", "twice/d");
    let contents = Place::new().packed(&[lower, upper]);
    assert_eq!(contents["lib"], "-> usr/lib");
    // A whiteout is for lower layers only.
    assert_eq!(contents["usr/lib/a"], "a");
    assert_eq!(contents["usr/lib/b"], "b");
    assert_eq!(contents["usr/c"], "c");
    assert_eq!(contents["usr/lib/d"], "d");
    assert_eq!(contents["e"], "d");
}

#[test]
fn devices_are_left_out_and_counted() {
    let place = Place::new();
    let layer = Layer::new()
        .entry("dev/null", tar::EntryType::Char, 0o666, "", b"")
        .entry("dev/sda", tar::EntryType::Block, 0o660, "", b"")
        .entry("run/pipe", tar::EntryType::Fifo, 0o660, "", b"");
    let parts = crate::made::Parts::docker(&[layer], crate::made::Packing::None);
    let path = place.archive("devices.tar", &parts, crate::made::Packing::None);
    let image = place.open(&path, None, oci::Limits::default()).unwrap();
    let packed = image.pack(&place.path("image.gvmi")).unwrap();
    assert_eq!((packed.entries, packed.left_out), (2, 3));
}
