//! What an image is known as before it is built.

use std::{fmt, os::unix::ffi::OsStrExt, path::Path};

use sha2::{Digest as _, Sha256};

use crate::{
    dockerfile::Dockerfile,
    source::{Entry, Kind, Source},
};

/// Changes whenever the same Dockerfile and files come to give another image.
const FORMAT: &str = concat!(
    "kiln image builder ",
    env!("CARGO_PKG_VERSION"),
    ", format 1"
);

/// A digest of all that decides what is in an image: equal keys, equal images.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Key(String);

impl Key {
    /// The key of what `dockerfile` makes of `sources`, which are those of its `COPY` instructions in their order.
    pub(crate) fn of(dockerfile: &Dockerfile, sources: &[Vec<Source>]) -> Self {
        let mut digest = Fields(Sha256::new());
        digest.add(FORMAT.as_bytes());
        digest.add(std::env::consts::ARCH.as_bytes());
        digest.add(dockerfile.text().as_bytes());
        for sources in sources {
            digest.add(&sources.len().to_le_bytes());
            for source in sources {
                digest.add(source.name.as_bytes());
                digest.add(&source.entries.len().to_le_bytes());
                source
                    .entries
                    .iter()
                    .for_each(|entry| digest.add_entry(entry));
            }
        }
        Self(hex::encode(&digest.0.finalize()[..16]))
    }
}

impl fmt::Display for Key {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(&self.0)
    }
}

/// A digest of fields, each with its length, so that none can pass for a part of another.
struct Fields(Sha256);

impl Fields {
    fn add(&mut self, field: &[u8]) {
        self.0.update((field.len() as u64).to_le_bytes());
        self.0.update(field);
    }

    fn add_path(&mut self, path: &Path) {
        self.add(path.as_os_str().as_bytes());
    }

    fn add_entry(&mut self, entry: &Entry) {
        self.add_path(&entry.path);
        self.add(&entry.mode.to_le_bytes());
        match &entry.kind {
            Kind::Folder => self.add(b"folder"),
            Kind::File(contents) => {
                self.add(b"file");
                self.add(contents);
            }
            Kind::Link(target) => {
                self.add(b"link");
                self.add_path(target);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn source(name: &str, mode: u32, kind: Kind) -> Vec<Source> {
        let entry = Entry {
            host: "/host".into(),
            path: "".into(),
            mode,
            kind,
        };
        vec![Source {
            name: name.into(),
            entries: vec![entry],
        }]
    }

    #[test]
    fn all_that_decides_is_in_the_key_and_nothing_else() {
        let dockerfile = |text: &str| Dockerfile::parse("/Dockerfile", text).unwrap();
        let plain = dockerfile("FROM scratch\nCOPY a b");
        let key = |sources: Vec<Source>| Key::of(&plain, &[sources]).to_string();
        let keys = [
            key(source("a", 0o644, Kind::File([1; 32]))),
            key(source("a", 0o644, Kind::File([2; 32]))),
            key(source("a", 0o755, Kind::File([1; 32]))),
            key(source("b", 0o644, Kind::File([1; 32]))),
            key(source("a", 0o644, Kind::Folder)),
            key(source("a", 0o644, Kind::Link("x".into()))),
            key(source("a", 0o644, Kind::Link("y".into()))),
            key(vec![]),
            Key::of(&plain, &[]).to_string(),
            Key::of(&dockerfile("FROM scratch\nCOPY a c"), &[]).to_string(),
        ];
        for (place, key) in keys.iter().enumerate() {
            assert_eq!(key.len(), 32);
            assert!(!keys[..place].contains(key), "{keys:?}");
        }

        let mut elsewhere = source("a", 0o644, Kind::File([1; 32]));
        elsewhere[0].entries[0].host = "/elsewhere".into();
        assert_eq!(key(elsewhere), keys[0]);
    }
}
