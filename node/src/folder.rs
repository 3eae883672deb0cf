//! The folder where a node keeps what exe-units and the bus need.
//!
//! It is held as long as its node lives: a temporary one by a lock on the folder itself, one that stays by a lock on a
//! file in it, as not every file system locks folders. The kernel lets go of a lock when a process ends, however it does;
//! so whoever holds a temporary folder that is not its own knows that the node was killed.

use std::{
    env,
    fs::{self, DirBuilder, File, Permissions, TryLockError},
    io,
    os::unix::fs::{DirBuilderExt, MetadataExt, OpenOptionsExt, PermissionsExt},
    path::{Path, PathBuf},
    time::{Duration, Instant},
};

use rustix::process::geteuid;

/// A folder for all that belongs to a node, which nobody else has. A temporary one goes with this.
#[derive(Debug)]
pub(crate) struct Folder {
    path: PathBuf,
    is_temporary: bool,
    _hold: File,
}

/// Why a folder cannot be a node's.
#[derive(Debug, thiserror::Error)]
pub(crate) enum HoldError {
    /// It is another's.
    #[error("another node is at work there")]
    Taken,
    #[error(transparent)]
    Io(#[from] io::Error),
}

/// What is locked in a folder that stays.
const LOCK: &str = "node.lock";

/// How the names of temporary folders begin.
const TEMPORARY: &str = "kiln-node-";

/// Only its user may enter, read and write.
const PRIVATE: u32 = 0o700;

/// How long a lock may be there after who held it is gone: a process that it was starting has it too, until that process
/// has become another program.
const LINGERING: Duration = Duration::from_secs(1);

/// How long something may still be written in a folder that is to go: what an exe-unit ran dies with it, but later.
const SETTLING: Duration = Duration::from_secs(2);

impl Folder {
    /// A folder that is removed when this is dropped.
    pub(crate) fn temporary() -> io::Result<Self> {
        Self::temporary_in(&env::temp_dir())
    }

    fn temporary_in(parent: &Path) -> io::Result<Self> {
        loop {
            let folder = tempfile::Builder::new()
                .prefix(TEMPORARY)
                .permissions(Permissions::from_mode(PRIVATE))
                .tempdir_in(parent)?;
            let path = folder.keep();
            // Before it is held, a node that starts at the same time may take it for one that was left.
            if let Some(hold) = hold(&path)? {
                return Ok(Self {
                    path,
                    is_temporary: true,
                    _hold: hold,
                });
            }
        }
    }

    /// A folder that stays; it is made if it is not there. If it is another's, that is waited for a little.
    pub(crate) async fn at(path: &Path) -> Result<Self, HoldError> {
        let deadline = Instant::now() + LINGERING;
        loop {
            match Self::try_at(path) {
                Err(HoldError::Taken) if Instant::now() < deadline => {
                    tokio::time::sleep(Duration::from_millis(10)).await;
                }
                held => return held,
            }
        }
    }

    fn try_at(path: &Path) -> Result<Self, HoldError> {
        make_private(path)?;
        let path = path.canonicalize()?;
        let mut options = File::options();
        options.write(true).create(true).truncate(false).mode(0o600);
        // The file stays: if it went, two nodes could each lock one of that name.
        let lock = options.open(path.join(LOCK))?;
        match lock.try_lock() {
            Ok(()) => Ok(Self {
                path,
                is_temporary: false,
                _hold: lock,
            }),
            Err(TryLockError::WouldBlock) => Err(HoldError::Taken),
            Err(TryLockError::Error(error)) => Err(error.into()),
        }
    }

    /// A folder in it that nobody but its user can enter, whatever this one is like.
    pub(crate) fn private(&self, name: &str) -> io::Result<PathBuf> {
        let path = self.path.join(name);
        make_private(&path)?;
        fs::set_permissions(&path, Permissions::from_mode(PRIVATE))?;
        Ok(path)
    }

    /// Where it is.
    pub(crate) fn path(&self) -> &Path {
        &self.path
    }

    /// Removes it now, if it is temporary.
    pub(crate) fn remove(mut self) -> io::Result<()> {
        match std::mem::take(&mut self.is_temporary) {
            true => remove(&self.path),
            false => Ok(()),
        }
    }
}

fn make_private(path: &Path) -> io::Result<()> {
    DirBuilder::new().recursive(true).mode(PRIVATE).create(path)
}

impl Drop for Folder {
    fn drop(&mut self) {
        if self.is_temporary
            && let Err(error) = remove(&self.path)
        {
            tracing::error!(path = %self.path.display(), %error, "a temporary folder stays");
        }
    }
}

/// Holds a folder; nothing if somebody else does, or it is gone.
fn hold(path: &Path) -> io::Result<Option<File>> {
    let folder = match File::open(path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        folder => folder?,
    };
    match folder.try_lock() {
        Ok(()) => {}
        Err(TryLockError::WouldBlock) => return Ok(None),
        Err(TryLockError::Error(error)) => return Err(error),
    }
    // Who held it before may have removed it.
    let held = folder.metadata()?;
    let is_there = fs::metadata(path).is_ok_and(|there| there.ino() == held.ino());
    Ok(is_there.then_some(folder))
}

/// Removes the temporary folders that nodes have left which were killed.
pub(crate) fn remove_abandoned() {
    remove_abandoned_in(&env::temp_dir());
}

fn remove_abandoned_in(parent: &Path) {
    for entry in fs::read_dir(parent).into_iter().flatten().flatten() {
        let (name, path) = (entry.file_name(), entry.path());
        let is_own = entry
            .metadata()
            .is_ok_and(|metadata| metadata.is_dir() && metadata.uid() == geteuid().as_raw());
        if is_own
            && name.as_encoded_bytes().starts_with(TEMPORARY.as_bytes())
            && let Ok(Some(_hold)) = hold(&path)
        {
            tracing::info!(path = %path.display(), "removing what a killed node has left");
            if let Err(error) = remove(&path) {
                tracing::warn!(path = %path.display(), %error, "it stays");
            }
        }
    }
}

/// Removes a folder and all that is in it, while something may still be written there.
pub(crate) fn remove(path: &Path) -> io::Result<()> {
    let deadline = Instant::now() + SETTLING;
    loop {
        match exeunit::remove_tree(path) {
            Err(error)
                if error.kind() == io::ErrorKind::DirectoryNotEmpty
                    && Instant::now() < deadline =>
            {
                std::thread::sleep(Duration::from_millis(10));
            }
            removed => return removed,
        }
    }
}

/// Where this user's programs keep what they could get again.
pub(crate) fn user_cache() -> Option<PathBuf> {
    let absolute = |name| {
        env::var_os(name)
            .map(PathBuf::from)
            .filter(|path| path.is_absolute())
    };
    let cache = absolute("XDG_CACHE_HOME").or_else(|| Some(absolute("HOME")?.join(".cache")))?;
    Some(cache.join(Path::new("kiln/exe-unit")))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_folder_goes_if_it_is_temporary() {
        let temporary = Folder::temporary().unwrap();
        let path = temporary.path().to_owned();
        let stays = Folder::try_at(&path.join("a/b")).unwrap();
        let kept = stays.path().to_owned();
        stays.remove().unwrap();
        assert!(kept.exists());
        temporary.remove().unwrap();
        assert!(!path.exists());

        let dropped = Folder::temporary().unwrap();
        let path = dropped.path().to_owned();
        drop(dropped);
        assert!(!path.exists());
    }

    #[tokio::test]
    async fn a_folder_that_stays_has_one_holder_at_a_time() {
        let parent = tempfile::tempdir().unwrap();
        let path = parent.path().join("data");
        let held = std::thread::scope(|scope| {
            let hold = || Folder::try_at(&path);
            let threads: Vec<_> = (0..8).map(|_| scope.spawn(hold)).collect();
            let held = threads.into_iter().map(|thread| thread.join().unwrap());
            held.collect::<Vec<_>>()
        });
        let winners = held.iter().filter(|held| held.is_ok());
        assert_eq!(winners.count(), 1);
        let taken = Folder::at(&path).await;
        assert!(matches!(taken, Err(HoldError::Taken)), "{taken:?}");
        drop(held);
        Folder::at(&path).await.unwrap().remove().unwrap();
        Folder::at(&path).await.unwrap();
    }

    #[test]
    fn what_is_private_is_so_even_in_a_folder_that_is_not() {
        let open = tempfile::tempdir().unwrap();
        let mode = |path: &Path| fs::metadata(path).unwrap().permissions().mode() & 0o777;
        fs::set_permissions(open.path(), Permissions::from_mode(0o755)).unwrap();
        fs::create_dir(open.path().join("bus")).unwrap();
        let folder = Folder::try_at(open.path()).unwrap();
        assert_eq!(mode(open.path()), 0o755);
        assert_eq!(mode(&folder.private("bus").unwrap()), PRIVATE);
        assert_eq!(mode(Folder::temporary().unwrap().path()), PRIVATE);
    }

    #[test]
    fn only_abandoned_folders_of_nodes_are_removed() {
        let parent = tempfile::tempdir().unwrap();
        let alive = Folder::temporary_in(parent.path()).unwrap();
        for name in ["kiln-node-dead", "other-dead"] {
            fs::create_dir(parent.path().join(name)).unwrap();
        }
        fs::write(parent.path().join("kiln-node-file"), "").unwrap();
        remove_abandoned_in(parent.path());
        let left = || {
            let left = fs::read_dir(parent.path()).unwrap();
            let mut left: Vec<_> = left.map(|entry| entry.unwrap().path()).collect();
            left.sort();
            left
        };
        let others = ["kiln-node-file", "other-dead"].map(|name| parent.path().join(name));
        let mut expected = others.to_vec();
        expected.push(alive.path().to_owned());
        expected.sort();
        assert_eq!(left(), expected);
        drop(alive);
        assert_eq!(left(), others);
    }

    #[test]
    fn nobody_removes_the_folder_of_a_node_that_starts() {
        let parent = tempfile::tempdir().unwrap();
        std::thread::scope(|scope| {
            for _ in 0..4 {
                scope.spawn(|| {
                    for _ in 0..100 {
                        remove_abandoned_in(parent.path());
                        let folder = Folder::temporary_in(parent.path()).unwrap();
                        folder.private("bus").unwrap();
                        assert!(folder.path().join("bus").exists());
                        folder.remove().unwrap();
                    }
                });
            }
        });
        assert_eq!(fs::read_dir(parent.path()).unwrap().count(), 0);
    }
}
