//! An image of this machine's programs.

use std::{
    fs,
    path::{Path, PathBuf},
    process::Command,
};

/// An image with some programs of this machine, and what they need of it.
pub(crate) fn image(folder: &Path) -> PathBuf {
    let tree = folder.join("tree");
    for program in ["echo", "sh", "sleep", "true"] {
        let program = Path::new("/bin").join(program);
        let needed = Command::new("ldd").arg(&program).output().unwrap();
        let needed = String::from_utf8_lossy(&needed.stdout).into_owned();
        let libraries = needed
            .split_whitespace()
            .filter(|word| word.starts_with('/'));
        for file in libraries.map(Path::new).chain([program.as_path()]) {
            let copy = tree.join(file.strip_prefix("/").unwrap());
            fs::create_dir_all(copy.parent().unwrap()).unwrap();
            fs::copy(file, copy).unwrap();
        }
    }
    let mut configuration = gvmi::Configuration::default();
    configuration.add_volume("/golem/work");
    let image = folder.join("image.gvmi");
    gvmi::pack(&tree, &configuration, &image).unwrap();
    image
}
