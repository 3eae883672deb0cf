//! Container images that are made for a test.

use std::{
    collections::BTreeMap,
    error::Error,
    fs,
    io::Write,
    path::{Path, PathBuf},
};

use gvmi::{EntryKind, Image};
use oci::{ContainerImage, Digest, Limits, Selection};
use serde_json::{Value, json};
use tempfile::TempDir;

/// A place for images.
pub(crate) struct Place(TempDir);

/// A layer's archive, entry by entry.
#[derive(Clone, Default)]
pub(crate) struct Layer(Vec<u8>);

/// What is packed how.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Packing {
    None,
    Gzip,
    Zstd,
    Bzip2,
    Xz,
}

impl Layer {
    pub(crate) fn new() -> Self {
        Self::default()
    }

    pub(crate) fn folder(self, path: &str, mode: u32) -> Self {
        self.entry(path, tar::EntryType::Directory, mode, "", b"")
    }

    pub(crate) fn file(self, path: &str, contents: &str) -> Self {
        self.entry(
            path,
            tar::EntryType::Regular,
            0o644,
            "",
            contents.as_bytes(),
        )
    }

    pub(crate) fn link(self, path: &str, target: &str) -> Self {
        self.entry(path, tar::EntryType::Symlink, 0o777, target, b"")
    }

    pub(crate) fn hard_link(self, path: &str, target: &str) -> Self {
        self.entry(path, tar::EntryType::Link, 0o644, target, b"")
    }

    /// An entry with a path that no tool would write.
    pub(crate) fn entry(
        self,
        path: &str,
        kind: tar::EntryType,
        mode: u32,
        target: &str,
        contents: &[u8],
    ) -> Self {
        let mut header = tar::Header::new_ustar();
        let fields = header.as_ustar_mut().expect("it is one");
        fields.name[..path.len()].copy_from_slice(path.as_bytes());
        fields.linkname[..target.len()].copy_from_slice(target.as_bytes());
        header.set_entry_type(kind);
        header.set_mode(mode);
        header.set_uid(0);
        header.set_gid(0);
        header.set_mtime(1_000_000_000);
        header.set_size(contents.len() as u64);
        header.set_cksum();
        self.raw(header.as_bytes(), contents)
    }

    pub(crate) fn raw(mut self, header: &[u8], contents: &[u8]) -> Self {
        self.0.extend_from_slice(header);
        self.0.extend_from_slice(contents);
        self.0.resize(self.0.len().next_multiple_of(512), 0);
        self
    }

    pub(crate) fn bytes(&self) -> Vec<u8> {
        [&self.0[..], &[0; 1024]].concat()
    }
}

impl Packing {
    pub(crate) const ALL: [Self; 5] = [Self::None, Self::Gzip, Self::Zstd, Self::Bzip2, Self::Xz];

    pub(crate) fn pack(self, bytes: &[u8]) -> Vec<u8> {
        match self {
            Self::None => bytes.to_vec(),
            Self::Gzip => {
                let mut encoder =
                    flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
                encoder.write_all(bytes).unwrap();
                encoder.finish().unwrap()
            }
            Self::Zstd => zstd::encode_all(bytes, 1).unwrap(),
            Self::Bzip2 => {
                let mut encoder =
                    bzip2::write::BzEncoder::new(Vec::new(), bzip2::Compression::fast());
                encoder.write_all(bytes).unwrap();
                encoder.finish().unwrap()
            }
            Self::Xz => liblzma::encode_all(bytes, 1).unwrap(),
        }
    }
}

/// A container image: its parts by their paths.
#[derive(Clone, Default)]
pub(crate) struct Parts(pub(crate) BTreeMap<String, Vec<u8>>);

/// What an image says about itself.
pub(crate) fn configuration(layers: &[Vec<u8>]) -> Value {
    let digests = layers.iter().map(|layer| Digest::of(layer).to_string());
    json!({
        "architecture": oci::this_architecture(), "os": "linux",
        "config": {"Env": ["A=1"], "Cmd": ["sh"], "WorkingDir": "/work", "ExposedPorts": {"80/tcp": {}}},
        "rootfs": {"type": "layers", "diff_ids": digests.collect::<Vec<_>>()},
    })
}

impl Parts {
    /// As `docker save` writes it.
    pub(crate) fn docker(layers: &[Layer], packing: Packing) -> Self {
        let layers: Vec<_> = layers.iter().map(Layer::bytes).collect();
        Self::docker_of(&layers, &configuration(&layers), packing)
    }

    pub(crate) fn docker_of(layers: &[Vec<u8>], configuration: &Value, packing: Packing) -> Self {
        let names: Vec<_> = (0..layers.len())
            .map(|n| format!("{n}/layer.tar"))
            .collect();
        let manifest = json!([{"Config": "c.json", "RepoTags": ["image:1"], "Layers": names}]);
        let mut parts = Self::default();
        parts.add("manifest.json", manifest.to_string());
        parts.add("c.json", configuration.to_string());
        for (name, layer) in names.iter().zip(layers) {
            parts.add(name, packing.pack(layer));
        }
        parts
    }

    /// As the OCI has it.
    pub(crate) fn oci(layers: &[Layer], packing: Packing) -> Self {
        let layers: Vec<_> = layers.iter().map(Layer::bytes).collect();
        let mut parts = Self::default();
        let configuration = parts.blob(configuration(&layers).to_string().into_bytes());
        let layers: Vec<_> = layers
            .iter()
            .map(|layer| parts.blob(packing.pack(layer)))
            .collect();
        let manifest = json!({"schemaVersion": 2, "config": configuration, "layers": layers});
        let mut manifest = parts.blob(manifest.to_string().into_bytes());
        manifest["annotations"] = json!({"org.opencontainers.image.ref.name": "1"});
        let index = json!({"schemaVersion": 2, "manifests": [manifest]});
        parts.add("index.json", index.to_string());
        parts.add("oci-layout", r#"{"imageLayoutVersion": "1.0.0"}"#);
        parts
    }

    pub(crate) fn add(&mut self, path: &str, bytes: impl Into<Vec<u8>>) {
        self.0.insert(path.into(), bytes.into());
    }

    pub(crate) fn blob(&mut self, bytes: Vec<u8>) -> Value {
        let digest = Digest::of(&bytes);
        let size = bytes.len();
        self.add(&format!("blobs/sha256/{}", digest.hex()), bytes);
        json!({"mediaType": "", "digest": digest.to_string(), "size": size})
    }

    /// All of it in one archive.
    pub(crate) fn archive(&self) -> Vec<u8> {
        let mut archive = Layer::new();
        for (path, bytes) in &self.0 {
            archive = archive.entry(path, tar::EntryType::Regular, 0o644, "", bytes);
        }
        archive.bytes()
    }
}

impl Place {
    pub(crate) fn new() -> Self {
        Self(tempfile::tempdir().unwrap())
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }

    pub(crate) fn folder(&self, name: &str, parts: &Parts) -> PathBuf {
        let folder = self.path(name);
        for (path, bytes) in &parts.0 {
            let path = folder.join(path);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, bytes).unwrap();
        }
        folder
    }

    pub(crate) fn archive(&self, name: &str, parts: &Parts, packing: Packing) -> PathBuf {
        let path = self.path(name);
        fs::write(&path, packing.pack(&parts.archive())).unwrap();
        path
    }

    pub(crate) fn open(
        &self,
        path: &Path,
        name: Option<&str>,
        limits: Limits,
    ) -> Result<ContainerImage, oci::ImageError> {
        let selection = Selection {
            name,
            limits,
            scratch: self.0.path(),
        };
        ContainerImage::open(path, &selection)
    }

    /// What is in the image that these layers make.
    pub(crate) fn packed(&self, layers: &[Layer]) -> BTreeMap<String, String> {
        let path = self.archive(
            "layers.tar",
            &Parts::docker(layers, Packing::None),
            Packing::None,
        );
        let image = self.open(&path, None, Limits::default()).unwrap();
        let target = self.path("image.gvmi");
        let _ = fs::remove_file(&target);
        image
            .pack(&target)
            .unwrap_or_else(|error| panic!("{}", chain(&error)));
        self.contents(&target)
    }

    /// Why these layers cannot be packed.
    pub(crate) fn refusal(&self, layers: &[Layer], limits: Limits) -> String {
        let path = self.archive(
            "layers.tar",
            &Parts::docker(layers, Packing::Gzip),
            Packing::None,
        );
        let target = self.path("image.gvmi");
        let refused = match self.open(&path, None, limits) {
            Ok(image) => chain(&image.pack(&target).unwrap_err()),
            Err(error) => chain(&error),
        };
        assert!(!target.exists(), "half an image is left");
        refused.replace(&self.0.path().display().to_string(), "")
    }

    /// What is in an image: of folders and files the permissions, of files their contents, of links their targets.
    pub(crate) fn contents(&self, image: &Path) -> BTreeMap<String, String> {
        let image = Image::open(image).unwrap();
        let tree = image.tree().unwrap();
        let unpacked = tempfile::tempdir_in(self.0.path()).unwrap();
        let folder = unpacked.path().join("tree");
        tree.unpack(&folder).unwrap();
        let entries = tree
            .entries()
            .filter(|entry| !entry.path.as_os_str().is_empty());
        let described = entries.map(|entry| {
            let mode = entry.attributes.mode;
            let text = match entry.kind {
                EntryKind::Folder => format!("folder {mode:o}"),
                EntryKind::File(_) => fs::read_to_string(folder.join(entry.path)).unwrap(),
                EntryKind::Link(target) => format!("-> {}", target.display()),
                EntryKind::Special => "special".into(),
            };
            (entry.path.to_str().unwrap().to_owned(), text)
        });
        described.collect()
    }
}

/// The whole chain of an error's causes, as a user sees it.
pub(crate) fn chain(error: &dyn Error) -> String {
    match error.source() {
        Some(source) => format!("{error}: {}", chain(source)),
        None => error.to_string(),
    }
}
