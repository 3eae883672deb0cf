//! A place for a test's folders and images, and what tests say about them.

use std::{
    fs::{self, Permissions},
    os::unix::fs::{MetadataExt, PermissionsExt, symlink},
    path::{Path, PathBuf},
};

use gvmi::{Configuration, pack};
use tempfile::TempDir;

/// A folder of a test's own.
pub(crate) struct Place(TempDir);

impl Place {
    pub(crate) fn new() -> Self {
        Self(tempfile::tempdir().unwrap())
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }

    /// Packs a folder with one of everything, and returns where it and its image are.
    pub(crate) fn packed(&self) -> (PathBuf, PathBuf) {
        let tree = self.path("tree");
        fs::create_dir_all(tree.join("a/b")).unwrap();
        fs::create_dir(tree.join("a/empty")).unwrap();
        fs::write(tree.join("a/greeting"), "hello").unwrap();
        fs::write(tree.join("a/nothing"), "").unwrap();
        fs::write(tree.join("a/b/zeros"), vec![0; 400_000]).unwrap();
        fs::write(tree.join("large"), incompressible(700_000)).unwrap();
        fs::hard_link(tree.join("large"), tree.join("large too")).unwrap();
        fs::write(tree.join("na\u{ef}ve \u{1f980}"), "crab").unwrap();
        symlink("../large", tree.join("a/link")).unwrap();
        symlink("/not/there", tree.join("dangling")).unwrap();
        for (name, mode) in [
            ("a/greeting", 0o640),
            ("large", 0o755),
            ("a/empty", 0o1777),
            ("a/b", 0o750),
            (".", 0o755),
        ] {
            set_mode(&tree.join(name), mode);
        }
        let image = self.path("image.gvmi");
        pack(&tree, &configuration(), &image).unwrap();
        (tree, image)
    }

    pub(crate) fn pack_and_change(
        &self,
        fill: impl FnOnce(&Path),
        change: impl FnOnce(&mut Vec<u8>),
    ) -> PathBuf {
        let (tree, image) = (self.path("tree"), self.path("image.gvmi"));
        fs::create_dir(&tree).unwrap();
        fill(&tree);
        pack(&tree, &Configuration::default(), &image).unwrap();
        let mut bytes = fs::read(&image).unwrap();
        change(&mut bytes);
        fs::write(&image, bytes).unwrap();
        image
    }
}

pub(crate) fn configuration() -> Configuration {
    let mut configuration = Configuration::default();
    configuration.env.push("GREETING=hello".into());
    configuration.add_volume("/golem/out");
    configuration
}

pub(crate) fn incompressible(size: u64) -> Vec<u8> {
    (0..size / 8)
        .flat_map(|i| (i + 1).wrapping_mul(0x9e37_79b9_7f4a_7c15).to_le_bytes())
        .collect()
}

pub(crate) fn set_mode(path: &Path, mode: u32) {
    fs::set_permissions(path, Permissions::from_mode(mode)).unwrap();
}

pub(crate) fn mode(path: &Path) -> u32 {
    fs::symlink_metadata(path).unwrap().mode() & 0o7777
}

/// All that is in a folder: paths in it with type, mode and contents.
pub(crate) fn listing(folder: &Path) -> Vec<(PathBuf, u32, Vec<u8>)> {
    let mut found = Vec::new();
    let mut folders = vec![folder.to_path_buf()];
    while let Some(parent) = folders.pop() {
        for entry in fs::read_dir(&parent).unwrap() {
            let path = entry.unwrap().path();
            let metadata = fs::symlink_metadata(&path).unwrap();
            let contents = if metadata.is_symlink() {
                fs::read_link(&path)
                    .unwrap()
                    .into_os_string()
                    .into_encoded_bytes()
            } else if metadata.is_dir() {
                folders.push(path.clone());
                Vec::new()
            } else {
                fs::read(&path).unwrap()
            };
            found.push((
                path.strip_prefix(folder).unwrap().to_owned(),
                metadata.mode(),
                contents,
            ));
        }
    }
    found.sort();
    found
}

/// The whole chain of an error's causes, as a user sees it.
pub(crate) fn chain(error: &dyn std::error::Error) -> String {
    match error.source() {
        Some(source) => format!("{error}: {}", chain(source)),
        None => error.to_string(),
    }
}
