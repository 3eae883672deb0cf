//! Archives that are made to do harm.

use oci::Limits;
use tar::EntryType;

use crate::made::{Layer, Packing, Place};

#[test]
fn what_leads_out_of_the_archive_is_refused() {
    let file = |path: &str| Layer::new().file(path, "harm");
    let cases: Vec<(Layer, &str)> = vec![
        (
            file("../evil"),
            r#"the path "../evil" in the archive leads out of it"#,
        ),
        (file("a/../../evil"), "leads out of it"),
        (file("a/b/.."), "leads out of it"),
        (file("/../evil"), "leads out of it"),
        (file("../.wh.evil"), "leads out of it"),
        (Layer::new().folder("../d", 0o755), "leads out of it"),
        (Layer::new().link("../l", "x"), "leads out of it"),
        (
            Layer::new().file("a", "").hard_link("b", "../a"),
            "leads out of it",
        ),
        (
            Layer::new().hard_link("b", "../../etc/passwd"),
            "leads out of it",
        ),
        (
            Layer::new().hard_link("b", "/etc/passwd"),
            "is no file in the image",
        ),
        (Layer::new().hard_link("b", "b"), "is no file in the image"),
        (
            Layer::new().folder("d", 0o755).hard_link("b", "d"),
            "is no file in the image",
        ),
        (Layer::new().hard_link("b", ""), "is no file in the image"),
        (
            file("a").file("a/b", ""),
            r#""a/b" in the archive leads through "a""#,
        ),
        (
            Layer::new().link("x", "y").link("y", "x").file("x/f", ""),
            "too many symbolic links",
        ),
        (
            Layer::new().link("x", "x").file("x/f", ""),
            "too many symbolic links",
        ),
        (
            Layer::new().entry("", EntryType::Regular, 0o644, "", b"x"),
            "no folder",
        ),
        (
            Layer::new().entry("s", EntryType::new(b'?'), 0o644, "", b""),
            "unknown type '?'",
        ),
        (
            Layer::new().link("l", ""),
            "target of the symbolic link l is empty",
        ),
    ];
    for (layer, why) in cases {
        let refused = Place::new().refusal(&[layer], Limits::default());
        assert!(
            refused.contains("layer 1 of 1 (sha256:") || refused.contains("cannot pack"),
            "{refused}"
        );
        assert!(refused.contains(why), "{refused:?} does not say {why:?}");
    }
}

#[test]
fn a_path_from_the_root_is_one_in_the_image() {
    let contents = Place::new().packed(&[Layer::new().file("/etc/kiln", "x")]);
    assert_eq!(contents["etc/kiln"], "x");
}

#[test]
fn no_limit_is_exceeded() {
    let limits = Limits {
        bytes: 1 << 20,
        entries: 10,
        ratio: 200,
    };
    let many = (0..11).fold(Layer::new(), |layer, n| layer.file(&n.to_string(), ""));
    let cases = [
        (many, "more than 10 files"),
        (
            Layer::new().file("big", &"x".repeat(2 << 20)),
            "more than 1048576 bytes",
        ),
        // It only says how long it is.
        (claiming(1 << 40), "cannot use layer 1 of 1"),
        (claiming(u64::MAX >> 1), "cannot use layer 1 of 1"),
    ];
    for (layer, why) in cases {
        let refused = Place::new().refusal(&[layer], limits);
        assert!(refused.contains(why), "{refused:?} does not say {why:?}");
    }
}

/// A file that says to be longer than it is.
fn claiming(size: u64) -> Layer {
    let mut header = tar::Header::new_gnu();
    header.as_gnu_mut().expect("it is one").name[0] = b'a';
    header.set_entry_type(EntryType::Regular);
    header.set_mode(0o644);
    header.set_uid(0);
    header.set_gid(0);
    header.set_mtime(0);
    header.set_size(size);
    header.set_cksum();
    Layer::new().raw(header.as_bytes(), b"short")
}

#[test]
fn a_bomb_is_refused_before_it_fills_the_disk() {
    let limits = Limits {
        ratio: 20,
        ..Limits::default()
    };
    // Beyond what may be compressed to any length.
    let bomb = Layer::new().entry("zeros", EntryType::Regular, 0o644, "", &vec![0; 80 << 20]);
    let refused = Place::new().refusal(&[bomb], limits);
    assert!(
        refused.contains("compressed more than 20 times"),
        "{refused}"
    );
}

#[test]
fn a_name_that_takes_all_memory_is_refused() {
    let mut header = tar::Header::new_gnu();
    header.as_gnu_mut().expect("it is one").name[..13].copy_from_slice(b"././@LongLink");
    header.set_entry_type(EntryType::GNULongName);
    header.set_mode(0);
    header.set_uid(0);
    header.set_gid(0);
    header.set_mtime(0);
    header.set_size(8 << 20);
    header.set_cksum();
    let layer = Layer::new()
        .raw(header.as_bytes(), &vec![b'a'; 8 << 20])
        .file("x", "");
    let refused = Place::new().refusal(&[layer], Limits::default());
    assert!(refused.contains("longer than 1048576 bytes"), "{refused}");
    let long = format!("{}/x", "n".repeat(90));
    // A path of ordinary length is none of that.
    assert!(
        Place::new()
            .packed(&[Layer::new().file(&long, "")])
            .contains_key(&long)
    );
}

#[test]
fn whatever_is_in_an_archive_nothing_panics() {
    use proptest::prelude::*;
    let sound = Layer::new()
        .folder("d", 0o755)
        .file("d/f", "contents")
        .link("d/l", "f")
        .hard_link("d/h", "d/f")
        .bytes();
    let config = proptest::test_runner::Config {
        cases: 256,
        failure_persistence: None,
        ..Default::default()
    };
    proptest!(config, |(
        changes in proptest::collection::vec((0..sound.len(), any::<u8>()), 1..12),
        cut in 0..sound.len(),
        packing in 0..Packing::ALL.len(),
    )| {
        let mut bytes = sound.clone();
        for (at, byte) in changes {
            bytes[at] = byte;
        }
        bytes.truncate(sound.len() - cut / 4);
        let mut packed = Packing::ALL[packing].pack(&bytes);
        if cut % 2 == 0 {
            let at = cut % packed.len();
            packed[at] ^= 1;
        }
        let _ = oci::archive::for_each(&packed[..], Limits::default(), |_, contents| {
            std::io::copy(contents, &mut std::io::sink()).map(drop)
        });
    });
}
