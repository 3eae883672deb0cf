//! Archives that are made to do harm.

use super::*;

#[tokio::test]
async fn what_would_leave_the_folder_is_refused() {
    use tar::EntryType as Type;
    let cases: [(Type, &[u8], &[u8], &str); 16] = [
        (Type::Regular, b"../secret", b"", "its path has `..`"),
        (Type::Regular, b"a/../../secret", b"", "its path has `..`"),
        (Type::Regular, b"/etc/harm", b"", "its path is absolute"),
        (Type::Regular, b"//harm", b"", "its path is absolute"),
        (Type::Directory, b"../folder", b"", "its path has `..`"),
        (Type::Regular, b".", b"", "it has no name"),
        (
            Type::Symlink,
            b"link",
            b"/etc/passwd",
            "it is an absolute link",
        ),
        (
            Type::Symlink,
            b"link",
            b"../secret",
            "it is a link that leads out",
        ),
        (
            Type::Symlink,
            b"a/link",
            b"../../secret",
            "it is a link that leads out",
        ),
        (
            Type::Symlink,
            b"a/link",
            b"b/../../../secret",
            "it is a link that leads out",
        ),
        (Type::Link, b"link", b"../secret", "it is a hard link"),
        (Type::Link, b"link", b"good", "it is a hard link"),
        (Type::Char, b"null", b"", "it is a device"),
        (Type::Block, b"disk", b"", "it is a device"),
        (Type::Fifo, b"pipe", b"", "it is a pipe"),
        (Type::new(b'9'), b"what", b"", "it is of an unknown kind"),
    ];
    for (kind, path, link, reason) in cases {
        let bytes = tar_with(kind, path, link);
        let (folder, result) = unpacked(bytes, ArchiveFormat::Tar, ENOUGH).await;
        let error = result.expect_err("it is refused");
        assert!(error.contains(reason), "{error}");
        assert_eq!(listing(&folder.path().join("target")).len(), 1, "{error}");
    }
}

#[tokio::test]
async fn a_link_that_is_there_already_leads_nowhere() {
    let folder = tempfile::tempdir().expect("a folder");
    let target = folder.path().join("target");
    fs::create_dir(&target).expect("a folder");
    fs::create_dir(folder.path().join("outside")).expect("a folder");
    symlink("../outside", target.join("door")).expect("a link");
    symlink(folder.path().join("outside"), target.join("gate")).expect("a link");
    symlink("../outside/file", target.join("file")).expect("a link");
    for path in ["door/harm", "gate/harm", "gate/deep/harm"] {
        let bytes = tar_with(tar::EntryType::Regular, path.as_bytes(), b"");
        let archive = download(bytes, None);
        let all = Selection::default();
        let archives = within(ENOUGH);
        let result = archives.unpack(
            archive,
            ArchiveFormat::Tar,
            open(&target),
            all,
            folder.path(),
        );
        let error = result.await.expect_err("it is refused").to_string();
        assert!(error.contains("a link on the way leads out"), "{error}");
    }
    // A file takes the place of a link, and is not written through it.
    let bytes = tar_with(tar::EntryType::Regular, b"file", b"");
    let (archive, all) = (download(bytes, None), Selection::default());
    within(ENOUGH)
        .unpack(
            archive,
            ArchiveFormat::Tar,
            open(&target),
            all,
            folder.path(),
        )
        .await
        .expect("it is unpacked");
    assert!(
        fs::symlink_metadata(target.join("file"))
            .expect("a file")
            .is_file()
    );
    let mode = fs::metadata(target.join("file"))
        .expect("a file")
        .permissions()
        .mode();
    assert_eq!(mode & 0o7777, 0o755, "no set-user-id bit");
    assert_eq!(
        fs::read_dir(folder.path().join("outside"))
            .expect("a folder")
            .count(),
        0
    );
}

#[tokio::test]
async fn zips_are_no_way_out_either() {
    let options = zip::write::SimpleFileOptions::default();
    for (name, link, reason) in [
        ("../secret", None, "its path has `..`"),
        ("/etc/harm", None, "its path is absolute"),
        ("a/../../secret", None, "its path has `..`"),
        ("link", Some("../secret"), "it is a link that leads out"),
        ("link", Some("/etc/passwd"), "it is an absolute link"),
    ] {
        let mut zip = zip::ZipWriter::new(io::Cursor::new(Vec::new()));
        match link {
            Some(target) => zip.add_symlink(name, target, options).expect("it is added"),
            None => zip.start_file(name, options).expect("it is added"),
        }
        let bytes = zip.finish().expect("it is written").into_inner();
        let (folder, result) = unpacked(bytes, ArchiveFormat::Zip, ENOUGH).await;
        let error = result.expect_err(name);
        assert!(error.contains(reason), "{error}");
        assert!(listing(&folder.path().join("target")).is_empty());
    }
}

#[tokio::test]
async fn bombs_do_not_go_off() {
    let zeros = |size: u64| {
        let mut builder = tar::Builder::new(flate2::write::GzEncoder::new(
            Vec::new(),
            flate2::Compression::best(),
        ));
        let mut header = tar::Header::new_gnu();
        header.set_size(size);
        header.set_mode(0o644);
        builder
            .append_data(&mut header, "zeros", io::Read::take(io::repeat(0), size))
            .expect("it is packed");
        builder
            .into_inner()
            .and_then(|gz| gz.finish())
            .expect("it is written")
    };
    let (_, result) = unpacked(zeros(200 << 20), ArchiveFormat::TarGz, ENOUGH).await;
    assert_eq!(
        result,
        Err("the archive is refused: it has more than 200 times its own size in it".to_owned())
    );
    let few = Bounds {
        bytes: 1 << 20,
        ..ENOUGH
    };
    let (folder, result) = unpacked(zeros(2 << 20), ArchiveFormat::TarGz, few).await;
    assert_eq!(
        result,
        Err("the archive is refused: it has more than 1048576 bytes".to_owned())
    );
    assert!(listing(&folder.path().join("target")).is_empty());

    let few = Bounds {
        entries: 2,
        ..ENOUGH
    };
    let many = tar_with(tar::EntryType::Regular, b"third", b"");
    let (_, result) = unpacked(many, ArchiveFormat::Tar, few).await;
    let too_many = "the archive is refused: it has more than 2 entries".to_owned();
    assert_eq!(result, Err(too_many.clone()));
    let mut zip = zip::ZipWriter::new(io::Cursor::new(Vec::new()));
    for name in ["a", "b", "c"] {
        let options = zip::write::SimpleFileOptions::default();
        zip.start_file(name, options).expect("it is added");
        zip.write_all(b"content").expect("it is written");
    }
    let bytes = zip.finish().expect("it is written").into_inner();
    let (_, result) = unpacked(bytes, ArchiveFormat::Zip, few).await;
    assert_eq!(result, Err(too_many));

    // A name of many megabytes.
    let mut header = tar::Header::new_gnu();
    header.set_entry_type(tar::EntryType::GNULongName);
    header.set_size(8 << 20);
    header.set_cksum();
    let mut bytes = header.as_bytes().to_vec();
    bytes.resize(bytes.len() + (8 << 20), b'x');
    let (_, result) = unpacked(bytes, ArchiveFormat::Tar, ENOUGH).await;
    assert!(
        result
            .expect_err("no name is so long")
            .contains("a name in it is too long")
    );
}
