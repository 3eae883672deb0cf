//! What is written about a container image: as Docker writes it into its archives, and as the OCI has it.

use std::collections::BTreeMap;

use gvmi::Configuration;
use serde::Deserialize;
use serde_json::Value;

/// The file that makes an archive one of Docker's.
pub(crate) const DOCKER_MANIFEST: &str = "manifest.json";

/// The file that makes a folder or an archive an OCI layout.
pub(crate) const OCI_INDEX: &str = "index.json";

/// The annotation that an image's name is in.
const REFERENCE_NAME: &str = "org.opencontainers.image.ref.name";

/// An image in an archive of Docker's.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub(crate) struct DockerImage {
    /// Where its configuration is.
    pub(crate) config: String,
    /// `name:tag` any number of times.
    #[serde(default)]
    pub(crate) repo_tags: Option<Vec<String>>,
    /// Where its layers are, the lowest first.
    #[serde(default)]
    pub(crate) layers: Vec<String>,
}

/// A list of manifests: that of a layout, or that of one image for several platforms.
#[derive(Debug, Deserialize)]
pub(crate) struct Index {
    #[serde(default)]
    pub(crate) manifests: Vec<Descriptor>,
}

/// What an image is made of.
#[derive(Debug, Deserialize)]
pub(crate) struct Manifest {
    pub(crate) config: Descriptor,
    #[serde(default)]
    pub(crate) layers: Vec<Descriptor>,
}

/// A blob by its digest.
#[derive(Clone, Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Descriptor {
    #[serde(default)]
    pub(crate) media_type: String,
    pub(crate) digest: String,
    #[serde(default)]
    pub(crate) annotations: Option<BTreeMap<String, String>>,
    #[serde(default)]
    pub(crate) platform: Option<Platform>,
}

/// What an image runs on.
#[derive(Clone, Debug, Deserialize)]
pub(crate) struct Platform {
    #[serde(default)]
    pub(crate) architecture: String,
    #[serde(default)]
    pub(crate) os: String,
}

/// What an image says about itself and its layers.
#[derive(Debug, Deserialize)]
pub(crate) struct ImageConfiguration {
    #[serde(default)]
    pub(crate) architecture: String,
    #[serde(default)]
    pub(crate) os: String,
    #[serde(default)]
    pub(crate) config: Option<Configuration>,
    #[serde(default)]
    pub(crate) rootfs: Rootfs,
}

/// The layers, each by the digest of its archive before it is compressed.
#[derive(Debug, Default, Deserialize)]
pub(crate) struct Rootfs {
    #[serde(default)]
    pub(crate) diff_ids: Vec<String>,
}

impl Descriptor {
    pub(crate) fn name(&self) -> Option<&str> {
        let annotations = self.annotations.as_ref()?;
        annotations.get(REFERENCE_NAME).map(String::as_str)
    }

    /// Whether it is a list of manifests.
    pub(crate) fn is_index(&self) -> bool {
        self.media_type.ends_with("image.index.v1+json")
            || self.media_type.ends_with("manifest.list.v2+json")
    }

    /// Whether it is an image, and not what proves where one is from.
    pub(crate) fn is_image(&self) -> bool {
        let is_image =
            |platform: &Platform| platform.os != "unknown" && platform.architecture != "unknown";
        self.platform.as_ref().is_none_or(is_image)
    }

    /// Whether it may run on this machine, as far as it is said here.
    pub(crate) fn is_for_this_machine(&self) -> bool {
        let here = |platform: &Platform| is_here(&platform.os, &platform.architecture);
        self.platform.as_ref().is_none_or(here)
    }
}

/// Whether a platform, by the names that Go has for it, is that of this machine. What is not said is.
pub(crate) fn is_here(os: &str, architecture: &str) -> bool {
    matches!(os, "" | "linux") && (architecture.is_empty() || architecture == this_architecture())
}

/// This machine's architecture, by the name that Go has for it.
pub fn this_architecture() -> &'static str {
    match std::env::consts::ARCH {
        "x86_64" => "amd64",
        "aarch64" => "arm64",
        other => other,
    }
}

/// A JSON value's first words, for an error that says what was found.
pub(crate) fn parse<'a, T: Deserialize<'a>>(bytes: &'a [u8]) -> serde_json::Result<T> {
    serde_json::from_slice(bytes)
}

/// Whether what an index lists is another index, which old tools do not say.
pub(crate) fn looks_like_index(bytes: &[u8]) -> bool {
    parse::<Value>(bytes).is_ok_and(|value| value.get("manifests").is_some())
}
