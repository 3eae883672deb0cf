//! A place for a test's context and images.

use std::{
    collections::BTreeMap,
    fs,
    os::unix::fs::{PermissionsExt, symlink},
    path::{Path, PathBuf},
    process::Command,
    sync::Mutex,
};

use builder::{Build, BuildError, BuiltImage, Dockerfile, Event, Progress};
use exeunit::Program;
use gvmi::{Configuration, Image};
use tempfile::TempDir;
use walkdir::WalkDir;

/// The program that becomes the sandboxes of the tests' builds.
pub(crate) const SANDBOX: &str = env!("CARGO_BIN_EXE_sandbox-of-tests");

/// A context and a cache.
pub(crate) struct Place {
    folder: TempDir,
}

impl Place {
    pub(crate) fn new() -> Self {
        let place = Self {
            folder: tempfile::tempdir().unwrap(),
        };
        fs::create_dir(place.context()).unwrap();
        place
    }

    pub(crate) fn folder(&self) -> &Path {
        self.folder.path()
    }

    pub(crate) fn context(&self) -> PathBuf {
        self.folder().join("context")
    }

    pub(crate) fn cache(&self) -> PathBuf {
        self.folder().join("cache")
    }

    /// Writes a file into the context.
    pub(crate) fn write(&self, path: &str, contents: &str) {
        self.write_with_mode(path, 0o644, contents);
    }

    pub(crate) fn write_with_mode(&self, path: &str, mode: u32, contents: &str) {
        let path = self.context().join(path);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(&path, contents).unwrap();
        fs::set_permissions(&path, PermissionsExt::from_mode(mode)).unwrap();
    }

    /// Makes a symbolic link in the context.
    pub(crate) fn link(&self, path: &str, target: &str) {
        let path = self.context().join(path);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        symlink(target, path).unwrap();
    }

    /// Copies programs of this machine, with the libraries that they need, to `rootfs` in the context.
    pub(crate) fn programs(&self, names: &[&str]) {
        let rootfs = self.context().join("rootfs");
        for name in names {
            let path = std::env::var_os("PATH").unwrap();
            let mut found = std::env::split_paths(&path).map(|folder| folder.join(name));
            let program = found.find(|program| program.is_file()).unwrap();
            let ldd = Command::new("ldd").arg(&program).output().unwrap();
            let libraries = String::from_utf8(ldd.stdout).unwrap();
            for library in libraries
                .split_whitespace()
                .filter(|word| word.starts_with('/'))
            {
                copy_file(
                    Path::new(library),
                    &rootfs.join(library.trim_start_matches('/')),
                );
            }
            copy_file(&program, &rootfs.join("bin").join(name));
        }
    }

    /// The build of a Dockerfile with this text after its `FROM scratch`, which is in line 1.
    pub(crate) fn build(&self, text: &str) -> Build {
        self.build_all(&format!("FROM scratch\n{text}\n"))
    }

    /// The build of a Dockerfile with this text.
    pub(crate) fn build_all(&self, text: &str) -> Build {
        let dockerfile = Dockerfile::parse(self.context().join("Dockerfile"), text).unwrap();
        Build::new(dockerfile)
            .cache(self.cache())
            .program(Program::at(SANDBOX))
    }

    /// Builds, and takes the image apart.
    pub(crate) async fn contents(&self, text: &str) -> Contents {
        let image = self
            .build(text)
            .run(&())
            .await
            .unwrap_or_else(|error| panic!("{}", chain(&error)));
        self.contents_of(&image)
    }

    pub(crate) fn contents_of(&self, image: &BuiltImage) -> Contents {
        let image = Image::open(image.path()).unwrap();
        let unpacked = tempfile::tempdir_in(self.folder()).unwrap();
        let tree = unpacked.path().join("tree");
        image.tree().unwrap().unpack(&tree).unwrap();
        let entries = WalkDir::new(&tree).min_depth(1).into_iter().map(|entry| {
            let entry = entry.unwrap();
            let path = entry
                .path()
                .strip_prefix(&tree)
                .unwrap()
                .to_str()
                .unwrap()
                .to_owned();
            (path, Item::read(entry.path()))
        });
        Contents {
            items: entries.collect(),
            configuration: image.configuration().clone(),
        }
    }

    /// Builds a Dockerfile with this text, and takes the image apart.
    pub(crate) async fn contents_of_all(&self, text: &str) -> Contents {
        let built = self.build_all(text).run(&()).await;
        self.contents_of(&built.unwrap_or_else(|error| panic!("{}", chain(&error))))
    }

    /// Why a build of a Dockerfile with this text fails, in one text.
    pub(crate) async fn failure_of_all(&self, text: &str) -> String {
        self.shortened(&self.build_all(text).run(&()).await.unwrap_err())
    }

    /// What an image says of the file at `path` in it.
    pub(crate) fn attributes(&self, image: &BuiltImage, path: &str) -> gvmi::Attributes {
        let image = Image::open(image.path()).unwrap();
        let tree = image.tree().unwrap();
        let entry = tree.entries().find(|entry| entry.path == Path::new(path));
        entry.unwrap_or_else(|| panic!("{path}")).attributes
    }

    /// Why a build fails, in one text.
    pub(crate) async fn failure(&self, text: &str) -> String {
        let error = self.build(text).run(&()).await.unwrap_err();
        self.check_that_nothing_is_left();
        self.shortened(&error)
    }

    /// An error's text, in which this place is left out.
    pub(crate) fn shortened(&self, error: &BuildError) -> String {
        chain(error).replace(
            &format!("{}/", self.folder().canonicalize().unwrap().display()),
            "",
        )
    }

    /// What is in the cache but for its lock.
    pub(crate) fn cached(&self) -> Vec<String> {
        let Ok(entries) = fs::read_dir(self.cache()) else {
            return Vec::new();
        };
        let names = entries.map(|entry| entry.unwrap().file_name().into_string().unwrap());
        names.filter(|name| name != ".lock").collect()
    }

    #[track_caller]
    pub(crate) fn check_that_nothing_is_left(&self) {
        assert_eq!(self.cached(), [""; 0]);
    }
}

fn copy_file(from: &Path, to: &Path) {
    fs::create_dir_all(to.parent().unwrap()).unwrap();
    fs::copy(from, to).unwrap();
}

/// What is in an image.
#[derive(Debug)]
pub(crate) struct Contents {
    /// By their paths, without the first slash.
    pub(crate) items: BTreeMap<String, Item>,
    pub(crate) configuration: Configuration,
}

#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Item {
    Folder(u32),
    File(u32, String),
    Link(String),
}

impl Item {
    fn read(path: &Path) -> Self {
        let metadata = fs::symlink_metadata(path).unwrap();
        let mode = metadata.permissions().mode() & 0o7777;
        if metadata.is_dir() {
            Self::Folder(mode)
        } else if metadata.is_symlink() {
            Self::Link(fs::read_link(path).unwrap().to_str().unwrap().to_owned())
        } else {
            Self::File(
                mode,
                String::from_utf8_lossy(&fs::read(path).unwrap()).into_owned(),
            )
        }
    }
}

impl Contents {
    /// The paths of all that is no folder.
    pub(crate) fn files(&self) -> Vec<&str> {
        let files = self
            .items
            .iter()
            .filter(|(_, item)| !matches!(item, Item::Folder(_)));
        files.map(|(path, _)| path.as_str()).collect()
    }

    #[track_caller]
    pub(crate) fn text(&self, path: &str) -> &str {
        match self.items.get(path) {
            Some(Item::File(_, text)) => text,
            other => panic!("{path} is {other:?} among {:?}", self.files()),
        }
    }
}

/// Remembers what is reported.
#[derive(Default)]
pub(crate) struct Recorder(Mutex<Vec<Event>>);

impl Recorder {
    pub(crate) fn events(&self) -> Vec<Event> {
        self.0.lock().unwrap().clone()
    }
}

impl Progress for Recorder {
    fn report(&self, event: Event) {
        self.0.lock().unwrap().push(event);
    }
}

/// The whole chain of an error's causes, as a user sees it.
pub(crate) fn chain(error: &dyn std::error::Error) -> String {
    match error.source() {
        Some(source) => format!("{error}: {}", chain(source)),
        None => error.to_string(),
    }
}

/// Waits, without a clock, until something holds.
pub(crate) async fn until(what: &str, holds: impl Fn() -> bool) {
    let deadline = std::time::Instant::now() + std::time::Duration::from_secs(60);
    while !holds() {
        assert!(
            std::time::Instant::now() < deadline,
            "{what} has not come true"
        );
        tokio::task::yield_now().await;
    }
}
