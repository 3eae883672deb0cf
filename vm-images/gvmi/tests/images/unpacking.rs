//! From an image to a folder.

use std::{fs, io::BufReader, path::Path};

use backhand::FilesystemReader;
use gvmi::{Configuration, Image, pack};

use crate::place::{Place, configuration, listing, mode, set_mode};

#[test]
fn what_is_packed_is_unpacked() {
    let place = Place::new();
    let (tree, image) = place.packed();
    let image = Image::open(&image).unwrap();
    assert_eq!(image.configuration(), &configuration());

    let files = image.tree().unwrap();
    assert_eq!(files.size(), 5 + 400_000 + 2 * 700_000 + 4);
    let unpacked = place.path("unpacked");
    files.unpack(&unpacked).unwrap();
    assert!(
        listing(&unpacked) == listing(&tree),
        "{:?}",
        listing(&unpacked)
    );
    assert_eq!(mode(&unpacked), 0o755);
}

#[test]
fn many_files_in_one_folder_are_kept() {
    let place = Place::new();
    let tree = place.path("tree");
    fs::create_dir(&tree).unwrap();
    for number in 0..2000 {
        fs::write(
            tree.join(format!("a file with a rather long name, number {number}")),
            number.to_string(),
        )
        .unwrap();
    }
    let image = place.path("image.gvmi");
    pack(&tree, &Configuration::default(), &image).unwrap();
    let unpacked = place.path("unpacked");
    Image::open(&image)
        .unwrap()
        .tree()
        .unwrap()
        .unpack(&unpacked)
        .unwrap();
    assert!(listing(&unpacked) == listing(&tree));
}

#[test]
fn unpacking_lends_no_rights_and_locks_nobody_out() {
    let place = Place::new();
    let tree = place.path("tree");
    fs::create_dir_all(tree.join("closed")).unwrap();
    for (name, mode) in [
        ("setuid", 0o4755),
        ("setgid", 0o2755),
        ("write only", 0o200),
        ("closed/file", 0o444),
    ] {
        fs::write(tree.join(name), "").unwrap();
        set_mode(&tree.join(name), mode);
    }
    // What its owner may not read is packed by root only.
    let readable = rustix::process::geteuid().is_root();
    if !readable {
        set_mode(&tree.join("write only"), 0o400);
    }
    set_mode(&tree.join("closed"), 0o555);
    let image = place.path("image.gvmi");
    pack(&tree, &Configuration::default(), &image).unwrap();
    let packed =
        FilesystemReader::from_reader(BufReader::new(fs::File::open(&image).unwrap())).unwrap();
    let setuid = packed
        .files()
        .find(|node| node.fullpath == Path::new("/setuid"))
        .unwrap();
    assert_eq!(setuid.header.permissions, 0o4755);

    let unpacked = place.path("unpacked");
    Image::open(&image)
        .unwrap()
        .tree()
        .unwrap()
        .unpack(&unpacked)
        .unwrap();
    let modes = ["setuid", "setgid", "write only", "closed/file", "closed"]
        .map(|name| mode(&unpacked.join(name)));
    assert_eq!(
        modes,
        [
            0o755,
            0o755,
            if readable { 0o600 } else { 0o400 },
            0o444,
            0o755
        ]
    );
    set_mode(&tree.join("closed"), 0o755);
}

#[test]
fn devices_pipes_and_sockets_are_left_out() {
    let place = Place::new();
    let tree = place.path("tree");
    fs::create_dir(&tree).unwrap();
    fs::write(tree.join("file"), "").unwrap();
    let mode = rustix::fs::Mode::RUSR;
    rustix::fs::mknodat(
        rustix::fs::CWD,
        tree.join("pipe"),
        rustix::fs::FileType::Fifo,
        mode,
        0,
    )
    .unwrap();
    let _socket = std::os::unix::net::UnixListener::bind(tree.join("socket")).unwrap();
    let image = place.path("image.gvmi");
    pack(&tree, &Configuration::default(), &image).unwrap();
    let unpacked = place.path("unpacked");
    Image::open(&image)
        .unwrap()
        .tree()
        .unwrap()
        .unpack(&unpacked)
        .unwrap();
    assert_eq!(listing(&unpacked).len(), 1);

    // Images that others have made may have them.
    let mut others = backhand::FilesystemWriter::default();
    let header = backhand::NodeHeader::default();
    others.push_char_device(0x0103, "null", header).unwrap();
    others.push_block_device(0x0700, "loop", header).unwrap();
    others.push_fifo("pipe", header).unwrap();
    others.push_socket("socket", header).unwrap();
    others.push_dir("folder", header).unwrap();
    let mut bytes = std::io::Cursor::new(Vec::new());
    others.write(&mut bytes).unwrap();
    let trailer = b"{}00000002";
    let crc = crc32fast::hash(b"{}").to_le_bytes();
    fs::write(&image, [bytes.get_ref(), &crc[..], trailer].concat()).unwrap();
    let unpacked = place.path("others");
    Image::open(&image)
        .unwrap()
        .tree()
        .unwrap()
        .unpack(&unpacked)
        .unwrap();
    assert_eq!(listing(&unpacked).len(), 1);
}
