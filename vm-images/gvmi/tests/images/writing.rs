//! Images that are put together file by file, and what they say about their files.

use std::{
    fs,
    io::{self, Read},
    os::unix::fs::symlink,
    path::Path,
};

use gvmi::{
    Attributes, Compression, Configuration, Entry, EntryKind, Hash, Image, Owner, Writer, pack_as,
};

use crate::place::{Place, chain};

fn attributes(mode: u16, user: u32, changed: u32) -> Attributes {
    let owner = Owner { user, group: 7 };
    Attributes {
        mode,
        owner,
        changed,
    }
}

fn write(writer: Writer<'_>, path: &Path) -> Result<(), String> {
    writer
        .write(&Configuration::default(), path)
        .map_err(|error| chain(&error))
}

#[test]
fn an_image_says_what_was_said_of_its_files() {
    let place = Place::new();
    let text = String::from("borrowed");
    let mut writer = Writer::new(0o711);
    let added = [
        ("folder", attributes(0o1777, 5, 10)),
        ("folder/file", attributes(0o4755, 1000, u32::MAX)),
        ("link", attributes(0o777, u32::MAX - 1, 3)),
    ];
    writer.add_folder("folder".as_ref(), added[0].1).unwrap();
    writer
        .add_file("folder/file".as_ref(), added[1].1, text.as_bytes())
        .unwrap();
    writer
        .add_link("link".as_ref(), added[2].1, "folder".as_ref())
        .unwrap();
    let path = place.path("image.gvmi");
    write(writer, &path).unwrap();

    let image = Image::open(&path).unwrap();
    assert_eq!(image.compression(), Compression::Zstd);
    let tree = image.tree().unwrap();
    let root = Attributes {
        mode: 0o711,
        ..Attributes::default()
    };
    let kinds = [
        EntryKind::Folder,
        EntryKind::File(8),
        EntryKind::Link("folder".as_ref()),
    ];
    let mut expected = vec![Entry {
        path: "".as_ref(),
        attributes: root,
        kind: EntryKind::Folder,
    }];
    expected.extend(added.iter().zip(kinds).map(|(added, kind)| Entry {
        path: added.0.as_ref(),
        attributes: added.1,
        kind,
    }));
    assert_eq!(tree.entries().collect::<Vec<_>>(), expected);
    tree.check().unwrap();
}

#[test]
fn what_has_no_place_is_refused() {
    let mut writer = Writer::new(0o755);
    let plain = Attributes::default();
    writer.add_folder("a".as_ref(), plain).unwrap();
    writer
        .add_file("a/file".as_ref(), plain, io::empty())
        .unwrap();
    let long = "x".repeat(256);
    let cases = [
        ("", "no path that"),
        ("/", "no path that"),
        ("/a/b", "no path that"),
        ("../a", "no path that"),
        ("a/../b", "no path that"),
        (long.as_str(), "no path that"),
        ("b/c", "no place for b/c in the image"),
        ("a/file/c", "no place for a/file/c"),
        ("a/file", "no place for a/file"),
        ("a", "no place for a in"),
    ];
    for (path, why) in cases {
        let error = writer.add_folder(path.as_ref(), plain).unwrap_err();
        assert!(error.to_string().contains(why), "{path}: {error}");
    }
    for target in [String::new(), long] {
        let error = writer
            .add_link("link".as_ref(), plain, target.as_ref())
            .unwrap_err();
        assert!(error.to_string().contains("255 bytes"), "{error}");
    }
}

#[test]
fn there_is_room_for_many_owners_and_no_more() {
    let mut writer = Writer::new(0o755);
    let owner = |user, group| Attributes {
        owner: Owner { user, group },
        ..Attributes::default()
    };
    // Root is one of them.
    for user in (1..65_535).step_by(2) {
        let path = format!("{user:05}");
        let added = writer.add_folder(path.as_ref(), owner(user, (user + 1) % 65_535));
        added.unwrap_or_else(|error| panic!("{error}"));
    }
    let error = writer
        .add_folder("one more".as_ref(), owner(1 << 30, 0))
        .unwrap_err();
    assert!(
        error.to_string().contains("one more is one file too many"),
        "{error}"
    );
}

#[test]
fn contents_that_cannot_be_read_leave_no_image() {
    struct Broken;
    impl Read for Broken {
        fn read(&mut self, _: &mut [u8]) -> io::Result<usize> {
            Err(io::Error::other("the disk is gone"))
        }
    }
    let place = Place::new();
    let mut writer = Writer::new(0o755);
    writer
        .add_file("file".as_ref(), Attributes::default(), Broken)
        .unwrap();
    let path = place.path("image.gvmi");
    let error = write(writer, &path).unwrap_err();
    assert!(error.contains("image.gvmi: the disk is gone"), "{error}");
    assert!(!path.exists());
}

#[test]
fn a_folder_is_packed_with_the_owners_that_are_given() {
    let place = Place::new();
    let tree = place.path("tree");
    fs::create_dir_all(tree.join("a")).unwrap();
    fs::write(tree.join("a/file"), "").unwrap();
    symlink("a", tree.join("link")).unwrap();
    let pack = |name| {
        let path = place.path(name);
        let describe = |path: &Path, metadata: &fs::Metadata| match path.to_str() {
            Some("a/file") => attributes(0o4750, 1000, 42),
            _ => Attributes::roots(metadata),
        };
        pack_as(&tree, describe, &Configuration::default(), &path).unwrap();
        path
    };
    let (path, again) = (pack("one.gvmi"), pack("other.gvmi"));
    assert_eq!(
        Hash::of_file(&path).unwrap(),
        Hash::of_file(&again).unwrap()
    );
    let tree = Image::open(&path).unwrap().tree().unwrap();
    let of = |path: &str| {
        let mut entries = tree.entries();
        entries
            .find(|entry| entry.path == Path::new(path))
            .unwrap()
            .attributes
    };
    assert_eq!(of("a/file"), attributes(0o4750, 1000, 42));
    assert_eq!((of("a").owner, of("a").changed), (Owner::default(), 0));
}

#[test]
fn a_check_finds_what_cannot_be_read() {
    let place = Place::new();
    let image = place.pack_and_change(
        |tree| fs::write(tree.join("text"), "some words ".repeat(100_000)).unwrap(),
        // Behind the superblock and the options of compression.
        |bytes| bytes[110..140].fill(0x55),
    );
    let tree = Image::open(&image).unwrap().tree().unwrap();
    let error = chain(&tree.check().unwrap_err());
    assert!(
        error.starts_with("cannot read /text in the image"),
        "{error}"
    );
}
