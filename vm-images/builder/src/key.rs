//! What an image is known as before it is built.

use std::{collections::BTreeMap, fmt, os::unix::ffi::OsStrExt, path::Path};

use sha2::{Digest as _, Sha256};

use crate::{
    dockerfile::Dockerfile,
    plan::{Beginning, Origin, Plan, Wishes},
    source::{Entry, Kind, Source},
};

/// Changes whenever the same Dockerfile and files come to give another image.
const FORMAT: &str = concat!(
    "kiln image builder ",
    env!("CARGO_PKG_VERSION"),
    ", format 2"
);

/// A digest of all that decides what is in an image: equal keys, equal images.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Key(String);

/// What decides, beside the files that are copied.
pub(crate) struct Decisive<'a> {
    pub(crate) dockerfile: &'a Dockerfile,
    pub(crate) wishes: &'a Wishes,
    pub(crate) plan: &'a Plan,
}

impl Key {
    /// The key of what a build makes of `sources`, which are those of its `COPY` instructions in their order.
    pub(crate) fn of(build: &Decisive<'_>, sources: &[Vec<Source>]) -> Self {
        let mut digest = Fields(Sha256::new());
        digest.add(FORMAT.as_bytes());
        digest.add(std::env::consts::ARCH.as_bytes());
        digest.add(build.dockerfile.text().as_bytes());
        digest.add_names(&build.wishes.arguments);
        digest.add(build.wishes.target.as_deref().unwrap_or("").as_bytes());
        for stage in &build.plan.stages {
            match &stage.begins {
                Beginning::Scratch | Beginning::Stage(_) => digest.add(b""),
                Beginning::Image(base) => digest.add(base.identity.as_bytes()),
            }
            for origin in &stage.origins {
                match origin {
                    Origin::Folder(..) => digest.add(b"folder"),
                    Origin::Stage(place) => digest.add(&place.to_le_bytes()),
                    Origin::Image(base) => digest.add(base.identity.as_bytes()),
                }
            }
        }
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

    fn add_names(&mut self, values: &BTreeMap<String, String>) {
        self.add(&values.len().to_le_bytes());
        for (name, value) in values {
            self.add(name.as_bytes());
            self.add(value.as_bytes());
        }
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
    use crate::{base::Bases, cache::Cache, plan};

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

    #[tokio::test]
    async fn all_that_decides_is_in_the_key_and_nothing_else() {
        let key_of = async |text: &str, wishes: &Wishes, sources: &[Vec<Source>]| {
            let dockerfile = Dockerfile::parse("/Dockerfile", text).unwrap();
            let mut bases = Bases::new(Cache::at("/nowhere".into()));
            let plan = plan::plan(&dockerfile, wishes, &mut bases, |_, _, _| {});
            let decisive = Decisive {
                dockerfile: &dockerfile,
                wishes,
                plan: &plan.await.unwrap(),
            };
            Key::of(&decisive, sources).to_string()
        };
        let plain = Wishes {
            main: "/context".into(),
            named: BTreeMap::new(),
            arguments: BTreeMap::new(),
            target: None,
        };
        let with_argument = |value: &str| Wishes {
            arguments: [("x".to_owned(), value.to_owned())].into(),
            ..plain.clone()
        };
        let with_target = Wishes {
            target: Some("0".into()),
            ..plain.clone()
        };
        let text = "FROM scratch\nARG x\nCOPY a b";
        let key = async |sources: Vec<Source>| key_of(text, &plain, &[sources]).await;
        let keys = [
            key(source("a", 0o644, Kind::File([1; 32]))).await,
            key(source("a", 0o644, Kind::File([2; 32]))).await,
            key(source("a", 0o755, Kind::File([1; 32]))).await,
            key(source("b", 0o644, Kind::File([1; 32]))).await,
            key(source("a", 0o644, Kind::Folder)).await,
            key(source("a", 0o644, Kind::Link("x".into()))).await,
            key(source("a", 0o644, Kind::Link("y".into()))).await,
            key(vec![]).await,
            key_of(text, &plain, &[]).await,
            key_of("FROM scratch\nARG x\nCOPY a c", &plain, &[]).await,
            key_of(text, &with_argument("1"), &[]).await,
            key_of(text, &with_argument("2"), &[]).await,
            key_of(text, &with_target, &[]).await,
        ];
        for (place, key) in keys.iter().enumerate() {
            assert_eq!(key.len(), 32);
            assert!(!keys[..place].contains(key), "{keys:?}");
        }

        let mut elsewhere = source("a", 0o644, Kind::File([1; 32]));
        elsewhere[0].entries[0].host = "/elsewhere".into();
        assert_eq!(key(elsewhere).await, keys[0]);
    }
}
