//! `ADD`, of archives and of all else.

use std::{fs, io::Write};

use gvmi::Owner;

use crate::place::{Item, Place};

/// An archive of a folder, files, a link, a hard link, and a device.
fn archive() -> Vec<u8> {
    let mut archive = tar::Builder::new(Vec::new());
    let mut add = |path: &str, kind: tar::EntryType, mode: u32, target: &str, contents: &str| {
        let mut header = tar::Header::new_gnu();
        header.set_entry_type(kind);
        header.set_mode(mode);
        header.set_uid(1000);
        header.set_gid(50);
        header.set_mtime(1_000_000_000);
        header.set_size(contents.len() as u64);
        if !target.is_empty() {
            header.set_link_name(target).unwrap();
        }
        header.set_path(path).unwrap();
        header.set_cksum();
        archive.append(&header, contents.as_bytes()).unwrap();
    };
    use tar::EntryType;
    add("locked/", EntryType::Directory, 0o500, "", "");
    add("locked/su", EntryType::Regular, 0o4755, "", "su");
    add("locked/again", EntryType::Link, 0o4755, "locked/su", "");
    add("etc", EntryType::Symlink, 0o777, "locked", "");
    add("none", EntryType::Regular, 0, "", "nobody reads it");
    add("null", EntryType::Char, 0o666, "", "");
    archive.into_inner().unwrap()
}

#[tokio::test]
async fn archives_are_unpacked_and_keep_what_they_say() {
    let place = Place::new();
    let mut gzip = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    gzip.write_all(&archive()).unwrap();
    fs::write(place.context().join("plain.tar"), archive()).unwrap();
    // It is found out by what is in it.
    fs::write(place.context().join("packed"), gzip.finish().unwrap()).unwrap();
    place.write("text.tar", "no archive");
    let text = "FROM scratch\nADD plain.tar packed text.tar /to/\nADD packed /root\nCOPY plain.tar /copied";
    let image = place.build_all(text).run(&()).await.unwrap();
    let contents = place.contents_of(&image);
    assert_eq!(contents.text("to/text.tar"), "no archive");
    assert!(matches!(contents.items["copied"], Item::File(..)));
    for folder in ["to", "root"] {
        let at = |path: &str| format!("{folder}/{path}");
        assert_eq!(contents.text(&at("locked/su")), "su");
        assert_eq!(contents.text(&at("locked/again")), "su");
        assert_eq!(contents.text(&at("none")), "nobody reads it");
        assert_eq!(contents.items[&at("etc")], Item::Link("locked".into()));
        assert!(!contents.items.contains_key(&at("null")));
        let attributes = |path| place.attributes(&image, &at(path));
        assert_eq!(attributes("locked/su").mode, 0o4755);
        assert_eq!(attributes("locked").mode, 0o500);
        assert_eq!(attributes("none").mode, 0);
        let owner = Owner {
            user: 1000,
            group: 50,
        };
        for path in ["locked", "locked/su", "etc", "none"] {
            assert_eq!(attributes(path).owner, owner, "{path}");
        }
        assert_eq!(attributes("locked/su").changed, 1_000_000_000);
    }
}

#[tokio::test]
async fn an_archive_writes_nowhere_but_into_the_image() {
    let place = Place::new();
    let hostile = |path: &str, kind: tar::EntryType, target: &str| {
        let mut header = tar::Header::new_ustar();
        let fields = header.as_ustar_mut().unwrap();
        fields.name[..path.len()].copy_from_slice(path.as_bytes());
        fields.linkname[..target.len()].copy_from_slice(target.as_bytes());
        header.set_entry_type(kind);
        header.set_mode(0o644);
        header.set_uid(0);
        header.set_gid(0);
        header.set_mtime(0);
        header.set_size(0);
        header.set_cksum();
        [header.as_bytes().to_vec(), vec![0; 1024]].concat()
    };
    use tar::EntryType;
    for (archive, why) in [
        (
            hostile("../evil", EntryType::Regular, ""),
            "leads out of it",
        ),
        (
            hostile("x", EntryType::Link, "../../etc/passwd"),
            "leads out of it",
        ),
        (
            hostile("x", EntryType::Link, "/etc/passwd"),
            "x: No such file",
        ),
    ] {
        fs::write(place.context().join("a.tar"), archive).unwrap();
        let failure = place.failure("ADD a.tar /").await;
        assert!(
            failure.starts_with("context/Dockerfile:2: ADD a.tar /: "),
            "{failure}"
        );
        assert!(
            failure.contains("cannot unpack the archive context/a.tar"),
            "{failure}"
        );
        assert!(failure.contains(why), "{failure:?} does not say {why:?}");
    }
    // A link out of the image is one in it.
    let outside = place.folder().join("outside");
    fs::create_dir(&outside).unwrap();
    let mut through = hostile("out", EntryType::Symlink, outside.to_str().unwrap());
    through.truncate(512);
    through.extend(hostile("out/evil", EntryType::Regular, ""));
    fs::write(place.context().join("a.tar"), through).unwrap();
    // There is no such folder in it.
    let failure = place.failure("ADD a.tar /").await;
    assert!(failure.contains("out/evil: "), "{failure}");
    assert_eq!(fs::read_dir(&outside).unwrap().count(), 0);
}
