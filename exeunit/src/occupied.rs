//! What files take of a disk, also where somebody would rather not have it found.

use std::{
    collections::BTreeMap,
    fs, io,
    os::{
        fd::{AsFd, AsRawFd, OwnedFd},
        unix::fs::MetadataExt,
    },
    path::{Path, PathBuf},
};

use rustix::{
    fs::{AtFlags, CWD, Dir, FileType, Mode, OFlags, RawMode, chmod, fchmod, openat, statat},
    io::{Errno, fcntl_dupfd_cloexec},
    process::Pid,
};

use crate::measure;

/// What a file takes of a disk though it is empty, in bytes: about what file systems spend on its name and its attributes.
const ENTRY: u64 = 512;
/// The bytes of a block, whatever the file system's own are.
const BLOCK: u64 = 512;
/// How deep folders may lie in each other. Each has a descriptor while it is looked at.
const DEEPEST: usize = 256;

/// Why nobody can tell what there is below a folder.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum Hidden {
    #[error("folders below {} lie more than {DEEPEST} deep in each other", .0.display())]
    TooDeep(PathBuf),
    #[error("a folder below {} cannot be read: {errno}", .path.display())]
    Unreadable { path: PathBuf, errno: Errno },
}

/// The disk space that all files below a folder take, in bytes; nothing if there is no such folder. Files may come and
/// go meanwhile.
pub(crate) fn below(path: &Path) -> Result<u64, Hidden> {
    let counted = match open(CWD, path) {
        Err(Errno::NOENT) => return Ok(0),
        Err(errno) => Err(Problem::Unreadable(errno)),
        Ok(folder) => count(&folder, 0),
    };
    counted.map_err(|problem| match problem {
        Problem::TooDeep => Hidden::TooDeep(path.to_owned()),
        Problem::Unreadable(errno) => Hidden::Unreadable {
            path: path.to_owned(),
            errno,
        },
    })
}

enum Problem {
    TooDeep,
    Unreadable(Errno),
}

/// Counts by descriptor: whatever becomes of paths meanwhile, it stays below the folder.
fn count(folder: &OwnedFd, depth: usize) -> Result<u64, Problem> {
    if depth == DEEPEST {
        return Err(Problem::TooDeep);
    }
    let mut bytes = 0;
    // What is open is read, and not opened once more: by now, its mode may forbid that again.
    let list = fcntl_dupfd_cloexec(folder, 0).and_then(Dir::new);
    for entry in list.map_err(Problem::Unreadable)? {
        let entry = entry.map_err(Problem::Unreadable)?;
        let name = entry.file_name();
        if matches!(name.to_bytes(), b"." | b"..") {
            continue;
        }
        let status = match statat(folder, name, AtFlags::SYMLINK_NOFOLLOW) {
            Err(Errno::NOENT) => continue,
            status => status.map_err(Problem::Unreadable)?,
        };
        bytes += ENTRY + status.st_blocks as u64 * BLOCK;
        if FileType::from_raw_mode(status.st_mode) == FileType::Directory {
            bytes += match open_whatever_its_mode(folder, name, status.st_mode) {
                // It has gone, or is something else by now; the next look will find it.
                Err(Errno::NOENT | Errno::NOTDIR | Errno::LOOP) => 0,
                opened => count(&opened.map_err(Problem::Unreadable)?, depth + 1)?,
            };
        }
    }
    Ok(bytes)
}

fn open(folder: impl AsFd, name: impl rustix::path::Arg) -> rustix::io::Result<OwnedFd> {
    let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    openat(folder, name, flags, Mode::empty())
}

/// Opens a folder, also one that its owner, who is this process's user, may not read: it has its mode again after that.
fn open_whatever_its_mode(
    parent: &OwnedFd,
    name: &std::ffi::CStr,
    mode: RawMode,
) -> rustix::io::Result<OwnedFd> {
    match open(parent, name) {
        Err(Errno::ACCESS) => {}
        opened => return opened,
    }
    let flags = OFlags::PATH | OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    let place = openat(parent, name, flags, Mode::empty())?;
    // By what is open, and not by a name that may stand for another file by now.
    let this = format!("/proc/self/fd/{}", place.as_raw_fd());
    let mode = Mode::from_raw_mode(mode);
    chmod(&this, mode | Mode::RWXU)?;
    let opened = open(&place, ".");
    match &opened {
        Ok(folder) => fchmod(folder, mode)?,
        Err(_) => chmod(&this, mode)?,
    }
    opened
}

/// The disk space of a device that is taken by files which have no name any more, but are open in a process or in one
/// that descends from it, in bytes.
pub(crate) fn unlinked(root: Pid, device: u64) -> u64 {
    let mut files = BTreeMap::new();
    for process in measure::family(root) {
        let descriptors = fs::read_dir(format!("/proc/{process}/fd"));
        for descriptor in descriptors.into_iter().flatten().flatten() {
            // Of what it stands for, and not of the link that it is.
            let Ok(file) = fs::metadata(descriptor.path()) else {
                continue;
            };
            if file.is_file() && file.nlink() == 0 && file.dev() == device {
                files.insert(file.ino(), ENTRY + file.blocks() * BLOCK);
            }
        }
    }
    files.values().sum()
}

/// The device that a folder is on.
pub(crate) fn device(folder: &Path) -> io::Result<u64> {
    fs::metadata(folder).map(|metadata| metadata.dev())
}

#[cfg(test)]
mod tests {
    use std::{io::Write, os::unix::fs::PermissionsExt};

    use rustix::{fs::mkdirat, process::getpid};

    use super::*;

    #[test]
    fn the_size_of_a_folder_is_that_of_all_files_in_it() {
        let folder = tempfile::tempdir().expect("a folder");
        let at = |path: &str| folder.path().join(path);
        let empty = below(folder.path()).expect("a size");
        fs::create_dir(at("sub")).expect("a folder");
        fs::write(at("sub/file"), vec![1; 1_000_000]).expect("a file");
        std::os::unix::fs::symlink("/", at("sub/root")).expect("a link");
        let size = below(folder.path()).expect("a size") - empty;
        assert!((1_000_000..1_100_000).contains(&size), "{size}");
        assert_eq!(below(&at("none")), Ok(0));
    }

    #[test]
    fn a_folder_that_must_not_be_read_is_counted() {
        let folder = tempfile::tempdir().expect("a folder");
        let closed = folder.path().join("closed");
        fs::create_dir(&closed).expect("a folder");
        fs::write(closed.join("file"), vec![1; 1_000_000]).expect("a file");
        let mode = |mode| fs::set_permissions(&closed, fs::Permissions::from_mode(mode));
        mode(0o333).expect("a mode");
        let size = below(folder.path()).expect("a size");
        assert!(size > 1_000_000, "{size}");
        let found = fs::metadata(&closed).expect("a folder").permissions();
        assert_eq!(found.mode() & 0o777, 0o333);
        mode(0o700).expect("a mode");
    }

    #[test]
    fn folders_that_lie_too_deep_are_noticed() {
        let folder = tempfile::tempdir().expect("a folder");
        let mut place = open(CWD, folder.path()).expect("a folder");
        for _ in 0..=DEEPEST {
            mkdirat(&place, "down", Mode::RWXU).expect("a folder");
            place = open(&place, "down").expect("a folder");
        }
        let hidden = Hidden::TooDeep(folder.path().to_owned());
        assert_eq!(below(folder.path()), Err(hidden));
    }

    #[test]
    fn a_file_without_a_name_is_found_where_it_is_open() {
        let folder = tempfile::tempdir().expect("a folder");
        let device = device(folder.path()).expect("a device");
        let mut file = tempfile::tempfile_in(folder.path()).expect("a file");
        file.write_all(&vec![1; 1_000_000]).expect("it is written");
        file.sync_all().expect("it is written");
        let _again = file.try_clone().expect("a copy");
        // Other tests of this process have such files, too.
        let found = unlinked(getpid(), device);
        assert!(found >= 1_000_000, "{found}");
    }
}
