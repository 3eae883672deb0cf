//! Payloads for the `vm` runtime: an image, and what it needs.

use std::path::PathBuf;

use super::Payload;
use crate::yagna::Properties;

/// The property that says where an image is, and its hash.
pub(crate) const TASK_PACKAGE: &str = "golem.srv.comp.task_package";

/// An image in a local `.gvmi` file. The requestor itself serves it to the providers.
pub fn image_file(path: impl Into<PathBuf>) -> VmPayload {
    VmPayload::new(Image::File(path.into()))
}

/// An image that providers fetch from a URL (`http`, `https` or `gftp`). `hash` is the SHA3-224 of the file, in hex.
pub fn image_url(hash: impl AsRef<str>, url: impl AsRef<str>) -> VmPayload {
    VmPayload::new(Image::Url(task_package(hash.as_ref(), url.as_ref())))
}

/// An image by its hash and its place.
pub(crate) fn task_package(hash: &str, url: &str) -> String {
    format!("hash:sha3:{hash}:{url}")
}

/// An image for the `vm` runtime, and what it needs.
#[derive(Clone, Debug, PartialEq)]
#[must_use = "it becomes a payload with `payload`"]
pub struct VmPayload {
    image: Image,
    runtime: String,
    min_mem_gib: f64,
    min_storage_gib: f64,
    min_cpu_threads: u32,
    capabilities: Vec<String>,
}

#[derive(Clone, Debug, PartialEq)]
enum Image {
    File(PathBuf),
    Url(String),
}

impl VmPayload {
    fn new(image: Image) -> Self {
        Self {
            image,
            runtime: "vm".into(),
            min_mem_gib: 0.5,
            min_storage_gib: 2.0,
            min_cpu_threads: 1,
            capabilities: Vec::new(),
        }
    }

    /// The least memory, in GiB; 0.5 by default.
    pub fn min_mem_gib(mut self, gib: f64) -> Self {
        self.min_mem_gib = gib;
        self
    }

    /// The least storage, in GiB; 2 by default.
    pub fn min_storage_gib(mut self, gib: f64) -> Self {
        self.min_storage_gib = gib;
        self
    }

    /// The least number of processor threads; 1 by default.
    pub fn min_cpu_threads(mut self, threads: u32) -> Self {
        self.min_cpu_threads = threads;
        self
    }

    /// Another runtime than `vm` that takes the same images.
    pub fn runtime(mut self, name: impl Into<String>) -> Self {
        self.runtime = name.into();
        self
    }

    /// A capability that the runtime must have, such as `vpn`.
    pub fn capability(mut self, name: impl Into<String>) -> Self {
        self.capabilities.push(name.into());
        self
    }

    /// The payload.
    pub fn payload(self) -> Payload {
        let mut properties = Properties::default();
        properties.set("golem.srv.comp.vm.package_format", "gvmkit-squash");
        let image = match self.image {
            Image::File(path) => Some(path),
            Image::Url(package) => {
                properties.set(TASK_PACKAGE, package);
                None
            }
        };
        let mut constraints = vec![
            format!("(golem.runtime.name={})", self.runtime),
            format!("(golem.inf.mem.gib>={})", self.min_mem_gib),
            format!("(golem.inf.storage.gib>={})", self.min_storage_gib),
            format!("(golem.inf.cpu.threads>={})", self.min_cpu_threads),
        ];
        let capabilities = self.capabilities.iter();
        constraints.extend(capabilities.map(|name| format!("(golem.runtime.capabilities={name})")));
        Payload {
            properties,
            constraints,
            image,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_image_by_url_says_where_it_is() {
        let payload = image_url("0abc", "http://127.0.0.1:8000/x.gvmi")
            .capability("vpn")
            .payload();
        assert_eq!(
            payload.properties.text(TASK_PACKAGE),
            Some("hash:sha3:0abc:http://127.0.0.1:8000/x.gvmi")
        );
        assert_eq!(payload.image, None);
        assert_eq!(
            payload.constraints.concat(),
            "(golem.runtime.name=vm)(golem.inf.mem.gib>=0.5)(golem.inf.storage.gib>=2)\
             (golem.inf.cpu.threads>=1)(golem.runtime.capabilities=vpn)"
        );
    }

    #[test]
    fn an_image_file_is_still_to_be_served() {
        let payload = image_file("/images/x.gvmi").payload();
        assert_eq!(payload.image, Some(PathBuf::from("/images/x.gvmi")));
        assert_eq!(payload.properties.text(TASK_PACKAGE), None);
    }
}
