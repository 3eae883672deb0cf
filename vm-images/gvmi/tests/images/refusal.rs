//! Files that are no images, or not the right ones.

use std::fs;

use gvmi::{Hash, Image, verify};

use crate::place::{Place, chain};

#[test]
fn a_tampered_image_is_refused_with_its_path() {
    let place = Place::new();
    let (_, image) = place.packed();
    let hash = Hash::of_file(&image).unwrap();
    verify(&image, hash).unwrap();
    let mut bytes = fs::read(&image).unwrap();
    for position in [0, bytes.len() / 2, bytes.len() - 1] {
        bytes[position] ^= 1;
        fs::write(&image, &bytes).unwrap();
        let error = verify(&image, hash).unwrap_err().to_string();
        assert!(
            error.starts_with(&format!("{} has been tampered with", image.display())),
            "{error}"
        );
        assert!(error.contains(&hash.to_string()), "{error}");
        bytes[position] ^= 1;
    }
    fs::write(&image, &bytes[1..]).unwrap();
    verify(&image, hash).unwrap_err();
    fs::write(&image, &bytes).unwrap();
    verify(&image, hash).unwrap();

    fs::remove_file(&image).unwrap();
    let missing = chain(&verify(&image, hash).unwrap_err());
    assert!(
        missing.starts_with(&format!("cannot read {}: No such file", image.display())),
        "{missing}"
    );
}

#[test]
fn what_is_no_image_is_refused_with_its_path_and_why() {
    let place = Place::new();
    let (_, whole) = place.packed();
    let whole = fs::read(whole).unwrap();
    let changed = |at: usize, to: &[u8]| {
        let mut bytes = whole.clone();
        bytes[at..at + to.len()].copy_from_slice(to);
        bytes
    };
    let end = whole.len();
    let cut_out = [&whole[..4096], &whole[end - 200..]].concat();
    let cases = [
        (Vec::new(), "it is not a squashfs file system"),
        (
            b"PK\x03\x04 an archive".to_vec(),
            "it is not a squashfs file system",
        ),
        (vec![b'x'; 5000], "it is not a squashfs file system"),
        (
            changed(28, &[3]),
            "it is a squashfs of version 3.0, not 4.0",
        ),
        (changed(20, &[2]), "compressed with lzma"),
        (
            changed(20, &[3]),
            "compressed with lzo, which cannot be read: pack it with zstd instead, either where it comes from (`gvmkit_build",
        ),
        (changed(20, &[9]), "compressed with an unknown method (9)"),
        (whole[..end - 1].to_vec(), "it does not end with 8 digits"),
        (whole[..end / 2].to_vec(), "it does not end with 8 digits"),
        (changed(end - 8, b"+"), "it does not end with 8 digits"),
        (
            changed(end - 8, b"99999999"),
            "longer (99999999 bytes) than the file",
        ),
        (
            changed(end - 10, b" "),
            "its configuration is damaged: the checksum is",
        ),
        (cut_out, "it is cut off: its file system needs"),
        (
            changed(40, &[0xff; 8]),
            "it is cut off: its file system needs",
        ),
        (changed(40, &[0; 8]), "it is cut off: its file system needs"),
    ];
    let path = place.path("broken.gvmi");
    for (bytes, why) in cases {
        fs::write(&path, bytes).unwrap();
        let error = chain(&Image::open(&path).unwrap_err());
        assert!(
            error.starts_with(&format!("{} is no image: ", path.display())),
            "{error}"
        );
        assert!(error.contains(why), "{error:?} does not say {why:?}");
    }
    let missing = chain(&Image::open(&place.path("missing")).unwrap_err());
    assert!(missing.contains("missing: No such file"), "{missing}");
}

#[test]
fn a_damaged_file_system_is_refused_with_the_images_path() {
    let place = Place::new();
    let (_, image) = place.packed();
    let whole = fs::read(&image).unwrap();
    let inode_table = u64::from_le_bytes(whole[64..72].try_into().unwrap()) as usize;
    let mut bytes = whole;
    bytes[inode_table..inode_table + 40].fill(0x55);
    fs::write(&image, &bytes).unwrap();
    let error = chain(&Image::open(&image).unwrap().tree().err().unwrap());
    assert!(
        error.starts_with(&format!(
            "the file system of the image {} is damaged",
            image.display()
        )),
        "{error}"
    );
}

#[test]
fn a_damaged_file_is_named_with_its_image() {
    let place = Place::new();
    let image = place.pack_and_change(
        |tree| fs::write(tree.join("text"), "some words ".repeat(100_000)).unwrap(),
        // Behind the superblock and the options of compression.
        |bytes| bytes[110..140].fill(0x55),
    );
    let unpacked = place.path("unpacked");
    let error = Image::open(&image)
        .unwrap()
        .tree()
        .unwrap()
        .unpack(&unpacked)
        .unwrap_err();
    let error = chain(&error);
    assert!(
        error.starts_with(&format!(
            "cannot read /text in the image {}: ",
            image.display()
        )),
        "{error}"
    );
    assert!(!unpacked.exists());
}
