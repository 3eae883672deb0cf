//! From a folder to an image.

use std::{fs, io::BufReader, os::unix::fs::symlink, path::PathBuf};

use backhand::FilesystemReader;
use gvmi::{Configuration, Hash, Image, pack};

use crate::place::{Place, chain, configuration, incompressible, listing, set_mode};

#[test]
fn in_an_image_all_is_roots_and_of_one_time() {
    let place = Place::new();
    let (_, image) = place.packed();
    let file = BufReader::new(fs::File::open(image).unwrap());
    let file_system = FilesystemReader::from_reader(file).unwrap();
    assert_eq!(file_system.mod_time, 0);
    assert_eq!(file_system.files().count(), 12);
    for node in file_system.files() {
        let header = node.header;
        assert_eq!(
            (header.uid, header.gid, header.mtime),
            (0, 0, 0),
            "{}",
            node.fullpath.display()
        );
    }
}

#[test]
fn the_same_folder_gives_the_same_bytes() {
    let place = Place::new();
    let (tree, image) = place.packed();
    // The same again, made in another order, at another time.
    let again = place.path("again");
    fs::create_dir(&again).unwrap();
    set_mode(&again, 0o755);
    for (path, mode, contents) in listing(&tree).into_iter().rev().collect::<Vec<_>>() {
        let path = again.join(path);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        match mode & 0o170_000 {
            0o040_000 => fs::create_dir_all(&path).unwrap(),
            0o120_000 => {
                symlink(PathBuf::from(String::from_utf8(contents).unwrap()), &path).unwrap()
            }
            _ => fs::write(&path, contents).unwrap(),
        }
        if mode & 0o170_000 != 0o120_000 {
            set_mode(&path, mode & 0o7777);
        }
    }
    let second = place.path("second.gvmi");
    pack(&again, &configuration(), &second).unwrap();
    assert_eq!(
        Hash::of_file(&image).unwrap(),
        Hash::of_file(&second).unwrap()
    );
}

#[test]
fn duplicates_leave_nothing_behind() {
    let place = Place::new();
    let (small, large) = (place.path("small"), place.path("large"));
    for folder in [&small, &large] {
        fs::create_dir(folder).unwrap();
        fs::write(folder.join("a"), incompressible(1_000_000)).unwrap();
    }
    fs::write(large.join("z"), incompressible(1_000_000)).unwrap();
    let size = |folder| {
        let image = place.path("image.gvmi");
        pack(folder, &Configuration::default(), &image).unwrap();
        let size = fs::metadata(&image).unwrap().len();
        Image::open(&image).unwrap().tree().unwrap();
        fs::remove_file(image).unwrap();
        size
    };
    assert!(size(&large) < size(&small) + 4096 + 1);
}

#[test]
fn what_cannot_be_packed_is_named() {
    let place = Place::new();
    let (tree, image) = (place.path("tree"), place.path("image.gvmi"));
    let packed = || chain(&pack(&tree, &Configuration::default(), &image).unwrap_err());
    assert!(packed().contains(&format!("cannot read {}: No such file", tree.display())));
    fs::create_dir(&tree).unwrap();
    symlink("x".repeat(300), tree.join("link")).unwrap();
    let long = "tree: the target of the symbolic link link is empty or longer than 255 bytes";
    assert!(packed().contains(long), "{}", packed());
    assert!(!image.exists());
    fs::remove_file(tree.join("link")).unwrap();
    let error = pack(
        &tree,
        &Configuration::default(),
        &place.path("missing/image.gvmi"),
    )
    .unwrap_err();
    assert!(chain(&error).contains("missing/image.gvmi: No such file"));
}

#[test]
fn what_exists_is_not_written_over() {
    let place = Place::new();
    let (tree, image) = place.packed();
    let before = fs::read(&image).unwrap();
    let error = chain(&pack(&tree, &configuration(), &image).unwrap_err());
    assert!(error.contains("image.gvmi: File exists"), "{error}");
    assert!(fs::read(&image).unwrap() == before);

    let error = Image::open(&image)
        .unwrap()
        .tree()
        .unwrap()
        .unpack(&tree)
        .unwrap_err();
    assert!(chain(&error).contains("tree: File exists"), "{error:?}");
    assert_eq!(listing(&tree).len(), 11);
}
