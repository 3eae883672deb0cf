//! Which images there are, and what they are called.

use std::{
    collections::BTreeMap,
    convert::Infallible,
    fs,
    io::{self, ErrorKind},
    path::Path,
};

use super::{SUFFIX, Tag};
use crate::owned::Machine;

/// All images of a registry.
#[derive(Debug, Default)]
pub(super) struct Catalogue {
    /// Their sizes in bytes, by their hashes.
    images: BTreeMap<String, u64>,
    tags: BTreeMap<Tag, String>,
}

/// One image.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Entry {
    /// Its SHA3-224, in hex.
    pub(crate) hash: String,
    /// Its size in bytes.
    pub(crate) size: u64,
}

/// Which image somebody means.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Which {
    /// The one of that hash, in hex.
    Hash(String),
    /// The one that is called so.
    Tag(Tag),
}

/// Where the tags are, beside the images.
pub(super) const TAGS: &str = "tags.json";

impl Catalogue {
    /// What there is in a folder.
    pub(super) fn read(folder: &Path) -> io::Result<Self> {
        let mut catalogue = Self::default();
        for file in fs::read_dir(folder)? {
            let file = file?;
            let path = file.path();
            let is_image = path.extension().is_some_and(|suffix| suffix == SUFFIX);
            if let (true, Some(hash)) = (is_image, path.file_stem().and_then(|stem| stem.to_str()))
            {
                let size = file.metadata()?.len();
                catalogue.images.insert(hash.to_owned(), size);
            }
        }
        let tags = match fs::read(folder.join(TAGS)) {
            Err(error) if error.kind() == ErrorKind::NotFound => return Ok(catalogue),
            tags => tags?,
        };
        let tags: BTreeMap<String, String> = serde_json::from_slice(&tags)?;
        for (tag, hash) in tags {
            let tag = tag
                .parse()
                .map_err(|error| io::Error::new(ErrorKind::InvalidData, error))?;
            catalogue.tags.insert(tag, hash);
        }
        Ok(catalogue)
    }

    /// Enters an image, and what it is called from now on.
    pub(super) fn enter(&mut self, entry: Entry, tag: Option<Tag>) {
        if let Some(tag) = tag {
            self.tags.insert(tag, entry.hash.clone());
        }
        self.images.insert(entry.hash, entry.size);
    }

    /// The image that is meant.
    pub(super) fn find(&self, which: &Which) -> Option<Entry> {
        let hash = match which {
            Which::Hash(hash) => &hash.to_ascii_lowercase(),
            Which::Tag(tag) => self.tags.get(tag)?,
        };
        let (hash, size) = self.images.get_key_value(hash)?;
        Some(Entry {
            hash: hash.clone(),
            size: *size,
        })
    }

    /// What [`read`](Self::read) finds beside the images.
    pub(super) fn tags_as_json(&self) -> String {
        let tags: serde_json::Map<_, _> = self
            .tags
            .iter()
            .map(|(tag, hash)| (tag.to_string(), hash.as_str().into()))
            .collect();
        serde_json::Value::from(tags).to_string()
    }
}

impl Machine for Catalogue {
    /// Nobody waits for images.
    type Topic = Infallible;

    fn take_changes(&mut self) -> Vec<Infallible> {
        Vec::new()
    }
}
