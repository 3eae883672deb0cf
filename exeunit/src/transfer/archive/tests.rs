mod hostile;

use std::{
    fs,
    io::Write,
    os::unix::fs::{PermissionsExt, symlink},
};

use futures::TryStreamExt;
use serde_json::json;

use super::*;
use crate::{script::FileSet, transfer::Digest};

const FORMATS: [ArchiveFormat; 6] = [
    ArchiveFormat::Tar,
    ArchiveFormat::TarGz,
    ArchiveFormat::TarBz2,
    ArchiveFormat::TarXz,
    ArchiveFormat::Zip,
    ArchiveFormat::ZipStored,
];

fn open(folder: &Path) -> OwnedFd {
    fs::File::open(folder).expect("a folder").into()
}

/// A folder with files of several kinds.
fn tree() -> tempfile::TempDir {
    let folder = tempfile::tempdir().expect("a folder");
    let at = |path: &str| folder.path().join(path);
    fs::create_dir_all(at("sub/deep/down")).expect("a folder");
    fs::create_dir(at("empty")).expect("a folder");
    let large: Vec<u8> = (0..300_000u32)
        .map(|number| (number.wrapping_mul(number) >> 7) as u8)
        .collect();
    fs::write(at("large"), large).expect("a file");
    fs::write(at("nothing"), "").expect("a file");
    fs::write(at("sub/text.txt"), "text").expect("a file");
    fs::write(at("sub/deep/grün 😀"), "grün").expect("a file");
    fs::write(at(&format!("sub/deep/down/{}", "long".repeat(40))), "long").expect("a file");
    fs::write(at("program"), "#!/bin/sh").expect("a file");
    fs::set_permissions(at("program"), fs::Permissions::from_mode(0o755)).expect("a mode");
    symlink("sub/text.txt", at("link")).expect("a link");
    symlink("../large", at("sub/up")).expect("a link");
    let mode = rustix::fs::Mode::from_raw_mode(0o600);
    rustix::fs::mkfifoat(rustix::fs::CWD, at("pipe"), mode).expect("a pipe");
    folder
}

/// Everything below a folder: its path and what it is.
fn listing(folder: &Path) -> Vec<String> {
    fn list(folder: &Path, below: &Path, lines: &mut Vec<String>) {
        for entry in fs::read_dir(folder).expect("a folder").flatten() {
            let (path, name) = (entry.path(), below.join(entry.file_name()));
            let metadata = fs::symlink_metadata(&path).expect("it is there");
            let kind = if metadata.is_dir() {
                list(&path, &name, lines);
                "folder".to_owned()
            } else if metadata.is_symlink() {
                format!(
                    "link to {}",
                    fs::read_link(&path).expect("a link").display()
                )
            } else if metadata.is_file() {
                let hash = gvmi::Hash::of_file(&path).expect("a file");
                format!("{:o} {hash}", metadata.permissions().mode() & 0o777)
            } else {
                continue;
            };
            lines.push(format!("{}: {kind}", name.display()));
        }
    }
    let mut lines = Vec::new();
    list(folder, Path::new(""), &mut lines);
    lines.sort();
    lines
}

async fn packed(
    folder: &Path,
    format: ArchiveFormat,
    depth: Option<usize>,
    selection: Selection,
) -> Vec<u8> {
    let pieces: Vec<Bytes> = within(ENOUGH)
        .pack(open(folder), format, depth, selection)
        .try_collect()
        .await
        .expect("it is packed");
    pieces.concat()
}

fn download(bytes: Vec<u8>, digest: Option<Digest>) -> Download {
    let pieces: Vec<_> = bytes
        .chunks(10_000)
        .map(|piece| Ok(Bytes::copy_from_slice(piece)))
        .collect();
    Download {
        bytes: Box::pin(futures::stream::iter(pieces)),
        check: digest.map(|digest| {
            let hasher = digest.hasher();
            (digest, hasher)
        }),
        travelled: Default::default(),
    }
}

async fn unpacked(
    bytes: Vec<u8>,
    format: ArchiveFormat,
    bounds: Bounds,
) -> (tempfile::TempDir, Result<(), String>) {
    let folder = tempfile::tempdir().expect("a folder");
    let target = folder.path().join("target");
    fs::create_dir(&target).expect("a folder");
    fs::write(folder.path().join("secret"), "secret").expect("a file");
    let all = Selection::default();
    let archive = download(bytes, None);
    let archives = within(bounds);
    let result = archives
        .unpack(archive, format, open(&target), all, folder.path())
        .await;
    let result = result.map_err(|error| crate::cause::in_one_line(&error));
    let secret = fs::read(folder.path().join("secret")).expect("it is there");
    assert_eq!(secret, b"secret");
    assert_eq!(fs::read_dir(folder.path()).expect("a folder").count(), 2);
    (folder, result)
}

fn within(bounds: Bounds) -> Archives {
    Archives {
        bounds,
        threads: Threads::default(),
    }
}

const ENOUGH: Bounds = Bounds {
    entries: 1000,
    bytes: 1 << 30,
    ratio: 200,
};

#[tokio::test]
async fn what_is_packed_is_unpacked_as_it_was() {
    let tree = tree();
    for format in FORMATS {
        let bytes = packed(tree.path(), format, None, Selection::default()).await;
        let again = packed(tree.path(), format, None, Selection::default()).await;
        assert!(bytes == again, "{format:?}");
        let (folder, result) = unpacked(bytes, format, ENOUGH).await;
        assert_eq!(result, Ok(()), "{format:?}");
        let found = listing(&folder.path().join("target"));
        assert_eq!(found, listing(tree.path()), "{format:?}");
    }
}

#[tokio::test]
async fn programs_of_this_machine_understand_what_is_packed() {
    let tree = tree();
    let bytes = packed(
        tree.path(),
        ArchiveFormat::TarGz,
        None,
        Selection::default(),
    )
    .await;
    let file = tempfile::NamedTempFile::new().expect("a file");
    fs::write(file.path(), bytes).expect("a file");
    let target = tempfile::tempdir().expect("a folder");
    let tar = std::process::Command::new("tar")
        .args(["-x", "-z", "--no-same-owner", "-f"])
        .arg(file.path())
        .arg("-C")
        .arg(target.path())
        .status();
    assert!(tar.expect("tar").success());
    assert_eq!(listing(target.path()), listing(tree.path()));
}

#[tokio::test]
async fn depth_and_fileset_choose() {
    let tree = tree();
    let names = |folder: &Path| -> Vec<String> {
        let name = |line: String| line.split(": ").next().map(str::to_owned);
        let mut names: Vec<_> = listing(folder).into_iter().filter_map(name).collect();
        names.sort();
        names
    };
    let set = |set| -> Selection {
        let set: FileSet = serde_json::from_value(set).expect("a file set");
        Selection::of(Some(&set)).expect("patterns")
    };
    let cases = [
        (
            Some(0),
            Selection::default(),
            vec!["empty", "large", "link", "nothing", "program", "sub"],
        ),
        (Some(1), set(json!("**/*.txt")), vec!["sub", "sub/text.txt"]),
        (
            None,
            set(json!({"includes": "sub/**", "excludes": ["sub/deep/**"]})),
            vec!["sub", "sub/text.txt", "sub/up"],
        ),
        (Some(0), set(json!("sub/*")), vec![]),
    ];
    for (depth, selection, expected) in cases {
        for format in [ArchiveFormat::Tar, ArchiveFormat::Zip] {
            let bytes = packed(tree.path(), format, depth, selection.clone()).await;
            let (folder, result) = unpacked(bytes, format, ENOUGH).await;
            assert_eq!(result, Ok(()));
            assert_eq!(names(&folder.path().join("target")), expected, "{format:?}");
        }
    }
    // The same choice when it is unpacked.
    let bytes = packed(
        tree.path(),
        ArchiveFormat::TarXz,
        None,
        Selection::default(),
    )
    .await;
    let folder = tempfile::tempdir().expect("a folder");
    let (archive, target) = (download(bytes, None), open(folder.path()));
    let selection = set(json!("*"));
    within(ENOUGH)
        .unpack(
            archive,
            ArchiveFormat::TarXz,
            target,
            selection,
            folder.path(),
        )
        .await
        .expect("it is unpacked");
    assert_eq!(
        names(folder.path()),
        ["large", "link", "nothing", "program"]
    );
}

/// A tape archive with a good file, one entry of any kind, and a file after it.
fn tar_with(kind: tar::EntryType, path: &[u8], link: &[u8]) -> Vec<u8> {
    let mut builder = tar::Builder::new(Vec::new());
    let mut add = |kind, path: &[u8], link: &[u8]| {
        let mut header = tar::Header::new_gnu();
        let raw = header.as_gnu_mut().expect("it is");
        raw.name[..path.len()].copy_from_slice(path);
        raw.linkname[..link.len()].copy_from_slice(link);
        header.set_entry_type(kind);
        header.set_mode(0o4755);
        header.set_size(0);
        header.set_cksum();
        builder.append(&header, &[][..]).expect("it is appended");
    };
    add(tar::EntryType::Regular, b"good", b"");
    add(kind, path, link);
    add(tar::EntryType::Regular, b"after", b"");
    builder.into_inner().expect("it is written")
}

#[tokio::test]
async fn a_damaged_archive_says_so() {
    let tree = tree();
    for format in FORMATS {
        let bytes = packed(tree.path(), format, None, Selection::default()).await;
        for damaged in [
            b"no archive at all".repeat(100),
            bytes[..bytes.len() / 2].to_vec(),
        ] {
            let (folder, result) = unpacked(damaged, format, ENOUGH).await;
            let error = result.expect_err("it is damaged");
            assert!(
                error.contains("the archive is damaged"),
                "{format:?}: {error}"
            );
            let left = listing(&folder.path().join("target"));
            assert!(
                left.iter().all(|line| !line.contains("partial")),
                "{left:?}"
            );
        }
    }
}

#[tokio::test]
async fn nothing_is_unpacked_before_the_hash_is_right() {
    let tree = tree();
    let bytes = packed(tree.path(), ArchiveFormat::Tar, None, Selection::default()).await;
    let digest = Digest::parse(&"00".repeat(32));
    let folder = tempfile::tempdir().expect("a folder");
    let (archive, all) = (download(bytes, digest), Selection::default());
    let target = open(folder.path());
    let result = within(ENOUGH)
        .unpack(archive, ArchiveFormat::Tar, target, all, folder.path())
        .await;
    let error = result.expect_err("the hash is wrong").to_string();
    assert!(error.contains("and should be 0000"), "{error}");
    assert_eq!(fs::read_dir(folder.path()).expect("a folder").count(), 0);
}

#[tokio::test]
async fn a_thread_whose_work_is_broken_off_leaves_no_half_of_a_file() {
    let bytes = packed(
        tree().path(),
        ArchiveFormat::Tar,
        None,
        Selection::default(),
    )
    .await;
    let folder = tempfile::tempdir().expect("a folder");
    let (halfway, mut is_halfway) = tokio::sync::mpsc::channel(1);
    let mut archive = download(bytes[..200_000].to_vec(), None);
    let rest = futures::stream::once(async move {
        // Half of the file `large` was sent by then.
        halfway.send(()).await.expect("the test waits");
        std::future::pending().await
    });
    archive.bytes = Box::pin(futures::StreamExt::chain(archive.bytes, rest));
    let archives = within(ENOUGH);
    let (target, all) = (open(folder.path()), Selection::default());
    let unpacking = archives.unpack(archive, ArchiveFormat::Tar, target, all, folder.path());
    tokio::select! {
        result = unpacking => panic!("it has ended: {result:?}"),
        _ = is_halfway.recv() => {}
    }
    archives.threads.at_rest().await;
    assert_eq!(listing(folder.path()), ["empty: folder"]);
}

#[test]
fn what_nobody_waits_for_is_not_unpacked() {
    let folder = tempfile::tempdir().expect("a folder");
    let unpacking = Unpacking {
        folder: open(folder.path()),
        selection: Selection::default(),
        bounds: ENOUGH,
        unwanted: CancellationToken::new(),
    };
    unpacking.unwanted.cancel();
    let bytes = tar_with(tar::EntryType::Regular, b"file", b"");
    let unpacked = unpacking.tar(&*bytes, ArchiveFormat::Tar);
    assert!(matches!(unpacked, Err(ArchiveError::BrokenOff)));
    assert_eq!(fs::read_dir(folder.path()).expect("a folder").count(), 0);
}

#[tokio::test]
async fn a_thread_packs_no_more_than_is_read() {
    let folder = tempfile::tempdir().expect("a folder");
    // Packed, it is less than a piece, so that no write would ever fail.
    let file = fs::File::create(folder.path().join("hole")).expect("a file");
    file.set_len(1 << 36).expect("a size");
    let archives = within(ENOUGH);
    for format in [ArchiveFormat::TarBz2, ArchiveFormat::TarXz] {
        let packing = archives.pack(open(folder.path()), format, None, Selection::default());
        drop(packing);
        archives.threads.at_rest().await;
    }
}
