//! Files of the sandbox: those in its volumes.
//!
//! They lie in folders of the host, which are entered so that neither `..` nor a link that a program of the sandbox
//! has put there leads out of them.

use std::{
    fs::File,
    io,
    os::fd::{AsFd, OwnedFd},
    path::{Component, Path, PathBuf},
};

use futures::{Stream, TryStreamExt};
use prost::bytes::Bytes;
use rustix::{
    fs::{CWD, FileType, Mode, OFlags, fstat, openat},
    io::Errno,
};
use tokio::io::AsyncWriteExt;
use tokio_util::io::ReaderStream;

use super::{TransferError, draft::Draft};
use crate::{
    sandbox::adopt_open,
    within::{self, Bounds},
};

/// How much of a file is read at once.
const PIECE: usize = 64 << 10;
/// How much of a file is handed to the disk at once.
const BUFFER: usize = 1 << 20;

/// A folder of the host that a sandbox sees at a path of its own.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Volume {
    pub(crate) folder: PathBuf,
    pub(crate) path: String,
}

/// The volumes of a sandbox.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Volumes(pub(crate) Vec<Volume>);

impl Volumes {
    /// The file at a path of the sandbox.
    pub(super) fn open(
        &self,
        path: &str,
    ) -> Result<
        (
            u64,
            impl Stream<Item = Result<Bytes, TransferError>> + Send + use<>,
        ),
        TransferError,
    > {
        let (volume, rest) = self.find(path)?;
        // Without NONBLOCK a pipe of the same name would hold the exe-unit up.
        let flags = OFlags::RDONLY | OFlags::NONBLOCK;
        let file = enter(volume)
            .and_then(|volume| within::open(volume, Bounds::Fence, &rest, flags, Mode::empty()))
            .map_err(|errno| failed("open", path, errno))?;
        let status = fstat(&file).map_err(|errno| failed("open", path, errno))?;
        if FileType::from_raw_mode(status.st_mode) != FileType::RegularFile {
            return Err(no_file(path));
        }
        let file = tokio::fs::File::from_std(File::from(file));
        let path = path.to_owned();
        let broken = move |source| TransferError::File {
            step: "read",
            path: path.clone(),
            source,
        };
        let pieces = ReaderStream::with_capacity(file, PIECE).map_err(broken);
        Ok((status.st_size as u64, pieces))
    }

    /// The folder at a path of the sandbox.
    pub(super) fn open_folder(&self, path: &str) -> Result<OwnedFd, TransferError> {
        let (volume, rest) = self.find(path)?;
        let flags = OFlags::RDONLY | OFlags::DIRECTORY;
        let opened = enter(volume)
            .and_then(|volume| within::open(volume, Bounds::Fence, &rest, flags, Mode::empty()));
        opened.map_err(|errno| failed("open", path, errno))
    }

    /// The folder at a path of the sandbox, which is created where it is missing; and the folder of the host that
    /// it lies in.
    pub(super) fn create_folder(&self, path: &str) -> Result<(OwnedFd, &Path), TransferError> {
        let (volume, rest) = self.find(path)?;
        let created = enter(volume).and_then(|volume| {
            within::create_folder(volume, Bounds::Fence, &rest, |new| adopt_open(new))
        });
        let created = created.map_err(|errno| failed("create", path, errno))?;
        Ok((created, &volume.folder))
    }

    /// A new file at a path of the sandbox, which takes the place of an old one when it is finished.
    pub(super) fn create(&self, path: &str) -> Result<NewFile, TransferError> {
        let (volume, rest) = self.find(path)?;
        let (Some(parent), Some(name)) = (rest.parent(), rest.file_name()) else {
            return Err(no_file(path));
        };
        if path.ends_with('/') {
            return Err(no_file(path));
        }
        let created = enter(volume).and_then(|volume| {
            let folder =
                within::create_folder(volume, Bounds::Fence, parent, |new| adopt_open(new))?;
            NewFile::create(folder, Path::new(name), path)
        });
        created.map_err(|errno| failed("create", path, errno))
    }

    /// The volume that a path lies in, and the rest of the path.
    pub(crate) fn find(&self, path: &str) -> Result<(&Volume, PathBuf), TransferError> {
        let wrong = |reason| TransferError::Container {
            path: path.to_owned(),
            reason,
        };
        let place = Path::new(path);
        if place.components().any(|part| part == Component::ParentDir) {
            return Err(wrong("a path with `..` is refused"));
        }
        let volumes = self.0.iter().filter_map(|volume| {
            let rest = place.strip_prefix(&volume.path).ok()?;
            Some((volume, rest.to_owned()))
        });
        let nearest = volumes.max_by_key(|(volume, _)| volume.path.len());
        nearest.ok_or_else(|| wrong("not in a volume of the image"))
    }
}

/// A file that is being written. Unless it is finished, nothing of it stays.
#[derive(Debug)]
pub(crate) struct NewFile {
    draft: Draft,
    /// What it is called in the sandbox.
    path: String,
    file: tokio::fs::File,
}

impl NewFile {
    /// `path` is only what it is called in errors.
    fn create(folder: OwnedFd, name: &Path, path: &str) -> rustix::io::Result<Self> {
        let (draft, file) = Draft::create(folder, name)?;
        let mut file = tokio::fs::File::from_std(file);
        file.set_max_buf_size(BUFFER);
        Ok(Self {
            draft,
            path: path.to_owned(),
            file,
        })
    }

    pub(crate) async fn write(&mut self, bytes: &[u8]) -> Result<(), TransferError> {
        let written = self.file.write_all(bytes).await;
        written.map_err(|source| self.broken("write", source))
    }

    /// Gives it its name.
    pub(crate) async fn finish(mut self) -> Result<(), TransferError> {
        let flushed = self.file.flush().await;
        flushed.map_err(|source| self.broken("write", source))?;
        let path = self.path;
        self.draft.finish().map_err(|errno| TransferError::File {
            step: "create",
            path,
            source: errno.into(),
        })
    }

    fn broken(&self, step: &'static str, source: io::Error) -> TransferError {
        TransferError::File {
            step,
            path: self.path.clone(),
            source,
        }
    }
}

fn enter(volume: &Volume) -> rustix::io::Result<OwnedFd> {
    let flags = OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC;
    openat(CWD.as_fd(), &volume.folder, flags, Mode::empty())
}

fn failed(step: &'static str, path: &str, errno: Errno) -> TransferError {
    match errno {
        Errno::XDEV | Errno::LOOP => TransferError::Container {
            path: path.to_owned(),
            reason: "a link on the way leads out of the volume",
        },
        errno => TransferError::File {
            step,
            path: path.to_owned(),
            source: errno.into(),
        },
    }
}

fn no_file(path: &str) -> TransferError {
    TransferError::Container {
        path: path.to_owned(),
        reason: "not a file",
    }
}

#[cfg(test)]
mod tests {
    use std::{
        fs,
        os::unix::fs::{MetadataExt, symlink},
    };

    use super::*;
    use crate::transfer::draft::PARTIAL;

    /// A volume with a file, links that lead out of it, a pipe, and a secret beside it.
    struct Place {
        folder: tempfile::TempDir,
        volumes: Volumes,
    }

    impl Place {
        fn new() -> Self {
            let folder = tempfile::tempdir().expect("a folder");
            let inside = folder.path().join("volume");
            fs::create_dir_all(inside.join("sub")).expect("a folder");
            fs::write(folder.path().join("secret"), "secret").expect("a file");
            fs::write(inside.join("sub/file"), "content").expect("a file");
            symlink("sub/file", inside.join("inner")).expect("a link");
            symlink("../secret", inside.join("outer")).expect("a link");
            symlink("..", inside.join("up")).expect("a link");
            symlink(folder.path(), inside.join("absolute")).expect("a link");
            symlink("/proc/self/root", inside.join("magic")).expect("a link");
            let mode = Mode::from_raw_mode(0o644);
            rustix::fs::mknodat(CWD, inside.join("pipe"), FileType::Fifo, mode, 0).expect("a pipe");
            let volume = Volume {
                folder: inside,
                path: "/golem/work".to_owned(),
            };
            Self {
                folder,
                volumes: Volumes(vec![volume]),
            }
        }

        async fn read(&self, path: &str) -> Result<Vec<u8>, String> {
            let (_, file) = self.volumes.open(path).map_err(|error| error.to_string())?;
            let pieces: Result<Vec<_>, _> = file.try_collect().await;
            Ok(pieces.map_err(|error| error.to_string())?.concat())
        }

        async fn write(&self, path: &str, content: &[u8]) -> Result<(), String> {
            let mut file = self
                .volumes
                .create(path)
                .map_err(|error| error.to_string())?;
            file.write(content)
                .await
                .map_err(|error| error.to_string())?;
            file.finish().await.map_err(|error| error.to_string())
        }

        fn at(&self, path: &str) -> PathBuf {
            self.folder.path().join(path)
        }
    }

    const OUTSIDE: [&str; 8] = [
        "/golem/work/outer",
        "/golem/work/up/secret",
        "/golem/work/absolute/secret",
        "/golem/work/magic/etc/passwd",
        "/golem/work/../secret",
        "/golem/work/sub/../../secret",
        "/golem/secret",
        "/etc/passwd",
    ];

    #[tokio::test]
    async fn files_in_a_volume_are_read() {
        let place = Place::new();
        for path in [
            "/golem/work/sub/file",
            "/golem/work/inner",
            "/golem/work//sub/./file",
        ] {
            assert_eq!(
                place.read(path).await.as_deref(),
                Ok(&b"content"[..]),
                "{path}"
            );
        }
    }

    #[tokio::test]
    async fn nothing_outside_a_volume_is_read_or_written() {
        let place = Place::new();
        for path in OUTSIDE {
            let error = place.read(path).await.expect_err(path);
            assert!(error.contains(path), "{error}");
            if path != "/golem/work/outer" {
                let error = place.write(path, b"harm").await.expect_err(path);
                assert!(error.contains(path), "{error}");
            }
        }
        assert_eq!(fs::read(place.at("secret")).expect("a file"), b"secret");
        assert_eq!(
            fs::read_dir(place.folder.path()).expect("a folder").count(),
            2
        );
    }

    #[tokio::test]
    async fn what_is_no_file_is_no_source_and_no_target() {
        let place = Place::new();
        for path in ["/golem/work/sub", "/golem/work/pipe", "/golem/work"] {
            let error = place.read(path).await.expect_err(path);
            assert_eq!(error, format!("{path}: not a file"));
        }
        for path in ["/golem/work", "/golem/work/", "/golem/work/new/"] {
            let error = place.write(path, b"").await.expect_err(path);
            assert_eq!(error, format!("{path}: not a file"));
        }
        assert_eq!(
            place.write("/golem/work/sub", b"").await,
            Err("cannot create /golem/work/sub".to_owned())
        );
        assert_eq!(
            place.read("/golem/work/none").await,
            Err("cannot open /golem/work/none".to_owned())
        );
    }

    #[tokio::test]
    async fn a_new_file_takes_the_place_of_an_old_one_and_of_a_link() {
        let place = Place::new();
        for path in ["sub/file", "outer", "deep/down/file"] {
            place
                .write(&format!("/golem/work/{path}"), b"new")
                .await
                .expect(path);
            let found = place.at("volume").join(path);
            assert_eq!(fs::read(&found).expect("a file"), b"new");
            assert!(fs::symlink_metadata(&found).expect("a file").is_file());
            let owner = fs::metadata(&found).expect("a file").uid();
            let parent = found.parent().expect("not the root");
            assert!(
                path == "outer"
                    || owner == fs::metadata(parent).expect("a folder").uid()
                    || path == "sub/file"
            );
        }
        assert_eq!(fs::read(place.at("secret")).expect("a file"), b"secret");
    }

    #[tokio::test]
    async fn an_unfinished_file_leaves_nothing() {
        let place = Place::new();
        let before = fs::read_dir(place.at("volume")).expect("a folder").count();
        fs::write(place.at("volume").join(PARTIAL), "of another time").expect("a file");
        let mut file = place.volumes.create("/golem/work/new").expect("a file");
        file.write(b"half of it").await.expect("it can be written");
        drop(file);
        assert_eq!(
            fs::read_dir(place.at("volume")).expect("a folder").count(),
            before
        );
    }

    #[test]
    fn the_nearest_volume_is_taken() {
        let volume = |path: &str| Volume {
            folder: PathBuf::from("/host").join(path.trim_start_matches('/')),
            path: path.to_owned(),
        };
        let volumes = Volumes(vec![
            volume("/golem"),
            volume("/golem/work"),
            volume("/golem/wo"),
        ]);
        for (path, expected, rest) in [
            ("/golem/work/a/b", "/golem/work", "a/b"),
            ("/golem/works/a", "/golem", "works/a"),
            ("/golem/work", "/golem/work", ""),
        ] {
            let (volume, found) = volumes.find(path).expect("a volume");
            assert_eq!(
                (&*volume.path, found.as_path()),
                (expected, Path::new(rest)),
                "{path}"
            );
        }
    }
}
