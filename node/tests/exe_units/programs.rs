//! Images of this machine's programs.

use std::{
    fs,
    path::{Path, PathBuf},
    process::Command,
};

/// An image in `folder` with programs of this machine, each at its place, and what they need of it.
pub(crate) fn pack(programs: &[(&Path, &str)], folder: &Path) -> PathBuf {
    let tree = folder.join("tree");
    for (program, place) in programs {
        let needed = Command::new("ldd").arg(program).output().unwrap();
        let needed = String::from_utf8_lossy(&needed.stdout).into_owned();
        let libraries = needed
            .split_whitespace()
            .filter(|word| word.starts_with('/'));
        for library in libraries {
            copy(Path::new(library), &inside(&tree, library));
        }
        copy(program, &inside(&tree, place));
    }
    let mut configuration = gvmi::Configuration::default();
    configuration.add_volume("/golem/work");
    let image = folder.join("image.gvmi");
    gvmi::pack(&tree, &configuration, &image).unwrap();
    fs::remove_dir_all(&tree).unwrap();
    image
}

fn inside(tree: &Path, path: &str) -> PathBuf {
    tree.join(path.trim_start_matches('/'))
}

fn copy(from: &Path, to: &Path) {
    fs::create_dir_all(to.parent().unwrap()).unwrap();
    fs::copy(from, to).unwrap();
}
