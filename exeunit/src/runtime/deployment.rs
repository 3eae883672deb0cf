//! An image that is deployed: with folders for its volumes.

use std::{
    collections::BTreeMap,
    fs, io,
    os::fd::{AsRawFd, OwnedFd},
    path::{Component, Path, PathBuf},
};

use serde_json::json;
use tokio::task::spawn_blocking;

use crate::{
    Program,
    image::Image,
    remove_tree,
    sandbox::{self, MemoryVolume, Root, SandboxConfig, adopt},
    transfer::{Volume, Volumes},
};

/// What the folders of volumes are called: this and a number.
const PREFIX: &str = "vol-";

/// An image and its volumes.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Deployed {
    pub(crate) image: Image,
    pub(crate) volumes: Volumes,
}

/// Why the volumes of an image could not be created.
#[derive(Debug, thiserror::Error)]
pub(crate) enum VolumeError {
    #[error("the image has a volume at {path:?}, which is no absolute path below the root")]
    Path { path: String },
    #[error("cannot create a folder for the volume {path}")]
    Create { path: String, source: io::Error },
}

impl Deployed {
    /// Creates the image's volumes below a folder, or nothing.
    pub(crate) fn create(image: Image, work: &Path) -> Result<Self, VolumeError> {
        // An exe-unit that was killed may have left some.
        remove_now(work);
        let paths = image.configuration.volumes.keys();
        let volumes = paths
            .enumerate()
            .map(|(number, path)| create(work, number, path));
        match volumes.collect() {
            Ok(volumes) => Ok(Self {
                image,
                volumes: Volumes(volumes),
            }),
            Err(error) => {
                remove_now(work);
                Err(error)
            }
        }
    }

    /// What the network expects to be told of it, as JSON.
    pub(crate) fn answer(&self) -> String {
        let volume = |volume: &Volume| {
            let name = volume.folder.file_name().unwrap_or_default();
            json!({"name": name.to_string_lossy(), "path": volume.path})
        };
        let volumes: Vec<_> = self.volumes.0.iter().map(volume).collect();
        json!({"valid": {"Ok": ""}, "vols": volumes, "startMode": "blocking"}).to_string()
    }

    /// A sandbox over it, with this much room for what is written outside of volumes.
    pub(crate) fn sandbox(
        &self,
        program: Program,
        hostname: String,
        scratch_bytes: u64,
    ) -> SandboxConfig {
        let mount = |volume: &Volume| sandbox::Volume {
            folder: volume.folder.clone(),
            path: volume.path.clone(),
        };
        SandboxConfig {
            program,
            root: Root::Overlay {
                image: self.image.tree.clone(),
                scratch_bytes,
            },
            volumes: self.volumes.0.iter().map(mount).collect(),
            hostname,
        }
    }

    /// Has files transferred into and out of volumes in memory where they are, instead of the folders below them.
    pub(super) fn move_volumes(&mut self, in_memory: &[MemoryVolume], folders: &[OwnedFd]) {
        for (wanted, folder) in in_memory.iter().zip(folders) {
            let at = |volume: &&mut Volume| volume.path == wanted.path;
            if let Some(volume) = self.volumes.0.iter_mut().find(at) {
                volume.folder = format!("/proc/self/fd/{}", folder.as_raw_fd()).into();
            }
        }
    }

    /// The image's environment, with that of a command over it.
    pub(crate) fn environment(
        &self,
        command: BTreeMap<String, String>,
    ) -> BTreeMap<String, String> {
        let of_image = self.image.configuration.env.iter();
        let split = |line: &String| {
            let (name, value) = line.split_once('=').unwrap_or((line, ""));
            (name.to_owned(), value.to_owned())
        };
        of_image.map(split).chain(command).collect()
    }

    pub(crate) fn working_dir(&self) -> String {
        match self.image.configuration.working_dir.as_str() {
            "" => "/".to_owned(),
            folder => folder.to_owned(),
        }
    }
}

fn create(work: &Path, number: usize, path: &str) -> Result<Volume, VolumeError> {
    let parts = || Path::new(path).components();
    let is_below_root = path.starts_with('/')
        && parts().count() > 1
        && parts().all(|part| part != Component::ParentDir);
    if !is_below_root {
        return Err(VolumeError::Path {
            path: path.to_owned(),
        });
    }
    let folder = work.join(format!("{PREFIX}{number}"));
    let created = fs::create_dir(&folder).and_then(|()| adopt(&folder));
    created.map_err(|source| VolumeError::Create {
        path: path.to_owned(),
        source,
    })?;
    Ok(Volume {
        folder,
        path: path.to_owned(),
    })
}

/// Removes all volumes below a folder. No sandbox may use them any more.
pub(super) async fn remove_volumes(work: &Path) {
    let work = work.to_owned();
    // A panic has told of itself.
    let _ = spawn_blocking(move || remove_now(&work)).await;
}

/// Removes a folder that a runtime may have written to.
pub(super) async fn remove(folder: PathBuf) {
    let removed = spawn_blocking(move || {
        if let Err(error) = remove_tree(&folder) {
            tracing::warn!(volume = %folder.display(), %error, "cannot remove a volume");
        }
    });
    // A panic has told of itself.
    let _ = removed.await;
}

fn remove_now(work: &Path) {
    let entries = fs::read_dir(work).into_iter().flatten().flatten();
    let is_volume = |entry: &fs::DirEntry| {
        let name = entry.file_name();
        name.to_string_lossy().starts_with(PREFIX)
    };
    for volume in entries.filter(is_volume).map(|entry| entry.path()) {
        if let Err(error) = remove_tree(&volume) {
            tracing::warn!(volume = %volume.display(), %error, "cannot remove a volume");
        }
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt;

    use serde_json::Value;

    use super::*;

    fn image(configuration: Value) -> Image {
        Image {
            tree: PathBuf::from("/cache/tree"),
            configuration: serde_json::from_value(configuration).expect("a configuration"),
        }
    }

    #[test]
    fn the_answer_is_what_the_network_expects() {
        let work = tempfile::tempdir().expect("a folder");
        let image = image(json!({"Volumes": {"/golem/in": {}, "/golem/out": {}}}));
        let deployment = Deployed::create(image, work.path()).expect("a deployment");
        let answer: Value = serde_json::from_str(&deployment.answer()).expect("JSON");
        let expected = json!({
            "valid": {"Ok": ""},
            "vols": [{"name": "vol-0", "path": "/golem/in"}, {"name": "vol-1", "path": "/golem/out"}],
            "startMode": "blocking",
        });
        assert_eq!(answer, expected);
        assert!(work.path().join("vol-1").is_dir());
    }

    #[test]
    fn a_volume_that_makes_no_sense_leaves_none() {
        for path in ["/", "golem", "", "/golem/../etc"] {
            let work = tempfile::tempdir().expect("a folder");
            let image = image(json!({"Volumes": {"/a": {}, path: {}, "/z": {}}}));
            let error = Deployed::create(image, work.path()).expect_err(path);
            assert!(error.to_string().contains(&format!("{path:?}")), "{error}");
            assert_eq!(fs::read_dir(work.path()).expect("a folder").count(), 0);
        }
    }

    #[test]
    fn volumes_are_removed_whatever_is_in_them() {
        let work = tempfile::tempdir().expect("a folder");
        let deep = work.path().join("vol-0/a/b");
        fs::create_dir_all(&deep).expect("a folder");
        fs::write(deep.join("file"), "").expect("a file");
        std::os::unix::fs::symlink("/", deep.join("link")).expect("a link");
        for folder in [&deep, deep.parent().expect("a folder")] {
            fs::set_permissions(folder, fs::Permissions::from_mode(0o000)).expect("a mode");
        }
        fs::create_dir(work.path().join("logs")).expect("a folder");
        remove_now(work.path());
        let left: Vec<_> = fs::read_dir(work.path())
            .expect("a folder")
            .flatten()
            .map(|entry| entry.file_name())
            .collect();
        assert_eq!(left, ["logs"]);
    }

    #[test]
    fn the_environment_of_a_command_is_over_the_images() {
        let image = image(json!({"Env": ["A=1", "B=b=b", "C"]}));
        let deployment = Deployed {
            image,
            volumes: Volumes::default(),
        };
        let pairs = |pairs: &[(&str, &str)]| -> BTreeMap<String, String> {
            pairs
                .iter()
                .map(|&(name, value)| (name.to_owned(), value.to_owned()))
                .collect()
        };
        let environment = deployment.environment(pairs(&[("A", "2"), ("D", "4")]));
        assert_eq!(
            environment,
            pairs(&[("A", "2"), ("B", "b=b"), ("C", ""), ("D", "4")])
        );
        assert_eq!(deployment.working_dir(), "/");
    }
}
