//! Images that were made to do harm.

use std::{
    fs,
    io::Cursor,
    path::{Path, PathBuf},
};

use backhand::{
    FilesystemCompressor, FilesystemWriter, NodeHeader,
    compression::{CompressionOptions, Compressor, Gzip},
};
use gvmi::Image;
use proptest::prelude::*;

use crate::place::{Place, chain, listing};

/// An image in which nothing is compressed, so that it can be changed everywhere.
fn plain_image(fill: impl FnOnce(&mut FilesystemWriter<'_, '_, '_>)) -> Vec<u8> {
    // What level 0 gives is longer than what it is given, and so it is not taken.
    let gzip = CompressionOptions::Gzip(Gzip {
        compression_level: 0,
        window_size: 15,
        strategies: 0,
    });
    let mut file_system = FilesystemWriter::default();
    file_system.set_compressor(FilesystemCompressor::new(Compressor::Gzip, Some(gzip)).unwrap());
    fill(&mut file_system);
    let mut bytes = Cursor::new(Vec::new());
    file_system.write(&mut bytes).unwrap();
    let mut bytes = bytes.into_inner();
    bytes.extend(crc32fast::hash(b"{}").to_le_bytes());
    bytes.extend(b"{}00000002");
    bytes
}

fn folder_header() -> NodeHeader {
    NodeHeader {
        permissions: 0o755,
        ..NodeHeader::default()
    }
}

/// An image with a link, and a folder with a file.
fn link_and_folder(target: &Path) -> Vec<u8> {
    plain_image(|file_system| {
        file_system
            .push_symlink(target, "aa", NodeHeader::default())
            .unwrap();
        file_system.push_dir("ab", folder_header()).unwrap();
        file_system
            .push_file(&b"text"[..], "ab/file", NodeHeader::default())
            .unwrap();
    })
}

/// The first place of `bytes` in `image`.
fn find(image: &[u8], bytes: &[u8]) -> usize {
    image
        .windows(bytes.len())
        .position(|window| window == bytes)
        .unwrap()
}

/// Unpacks, or says why not, and checks that nothing is written elsewhere.
fn unpack(image: &[u8]) -> Result<Vec<PathBuf>, String> {
    let place = Place::new();
    let (path, unpacked) = (place.path("image.gvmi"), place.path("unpacked"));
    fs::write(&path, image).unwrap();
    let text = |error: &dyn std::error::Error| chain(error);
    let result = (|| {
        let image = Image::open(&path).map_err(|error| text(&error))?;
        let tree = image.tree().map_err(|error| text(&error))?;
        if tree.size() > 1 << 20 {
            return Err("large".into());
        }
        tree.unpack(&unpacked).map_err(|error| text(&error))?;
        Ok(listing(&unpacked)
            .into_iter()
            .map(|found| found.0)
            .collect())
    })();
    let names: Vec<_> = fs::read_dir(place.path("."))
        .unwrap()
        .map(|entry| entry.unwrap().file_name())
        .collect();
    assert_eq!(
        names.len(),
        1 + usize::from(result.is_ok()),
        "{names:?} after {result:?}"
    );
    result
}

#[test]
fn an_image_that_is_not_changed_is_good() {
    let unpacked = unpack(&link_and_folder(Path::new("target"))).unwrap();
    assert_eq!(unpacked, ["aa", "ab", "ab/file"].map(PathBuf::from));
}

#[test]
fn nothing_is_written_through_a_link() {
    let outside = Place::new();
    let mut image = link_and_folder(&outside.path("."));
    // The folder takes the name of the link, so that what is in it would be written through the link.
    let name = find(&image, b"ab");
    image[name..][..2].copy_from_slice(b"aa");
    let error = unpack(&image).unwrap_err();
    assert!(error.contains("aa: File exists"), "{error}");
    assert!(listing(&outside.path(".")).is_empty());
}

#[test]
fn a_folder_above_is_not_reached() {
    for name in [&b".."[..], b"./", b"b/", b"/b", b"//", b".\0"] {
        let mut image = link_and_folder(Path::new("target"));
        let at = find(&image, b"ab");
        image[at..][..2].copy_from_slice(name);
        let error = unpack(&image).unwrap_err();
        let refused = ["Invalid file path", "Invalid argument"]
            .iter()
            .any(|why| error.contains(why));
        assert!(refused, "{name:?}: {error}");
    }
}

#[test]
fn numbers_beyond_all_bounds_are_refused() {
    let mut image = link_and_folder(Path::new("target"));
    let table = u64::from_le_bytes(image[72..80].try_into().unwrap()) as usize;
    // The number of an inode in the folder `ab`, and the distance of its only entry from it.
    image[table + 10..table + 14].copy_from_slice(&i32::MAX.to_le_bytes());
    image[table + 16..table + 18].copy_from_slice(&i16::MAX.to_le_bytes());
    let error = unpack(&image).unwrap_err();
    assert!(
        error.contains("is damaged, or cannot be read: corrupted or invalid"),
        "{error}"
    );
}

// `PROPTEST_CASES=1000000` tries more.
proptest! {
    #![proptest_config(ProptestConfig { cases: ProptestConfig::default().cases.max(2000), failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn no_change_of_bytes_does_harm(
        changes in prop::collection::vec(
            (any::<prop::sample::Index>(), prop_oneof![any::<u8>(), Just(0), Just(0xff), Just(0x7f)]), 1..6
        )
    ) {
        let mut image = link_and_folder(Path::new("target"));
        // In the padding, a change means nothing.
        let meaningful: Vec<usize> = (0..500).chain(image.len() - 14..image.len()).collect();
        for (index, value) in changes {
            image[*index.get(&meaningful)] = value;
        }
        // It is unpacked or refused, and in either case does no more than it should.
        let _ = unpack(&image);
    }
}
