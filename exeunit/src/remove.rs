//! Removing trees that strangers' programs have made, who may have made that as hard as they could.
//!
//! A tree may be deeper than any path can tell and any stack of descriptors can follow, and its folders may forbid to be
//! looked into. So nothing here takes a path but that of the tree, nothing recurses, and four folders are open at most: what
//! is deeper than the second level is moved to the first, until there is nothing left.

use std::{
    ffi::{CStr, CString},
    fs::{self, Permissions},
    io,
    os::{
        fd::{AsFd, AsRawFd, OwnedFd},
        unix::fs::PermissionsExt,
    },
    path::Path,
};

use rustix::{
    fs::{AtFlags, CWD, Dir, Mode, OFlags, fstat, openat, renameat, unlinkat},
    io::{Errno, Result as Outcome},
    path::Arg,
};

/// What an owner needs to empty a folder.
const OWNER: u32 = 0o700;

/// Removes a file, or a folder and all that is in it, also where its programs have taken the permission to do so.
///
/// Links are removed, and not followed. Nobody may move anything in the tree meanwhile. What cannot be removed does not keep
/// the rest from being removed.
///
/// # Errors
/// If something is left; the reason is one of those that there are.
pub fn remove_tree(path: &Path) -> io::Result<()> {
    match unlinkat(CWD, path, AtFlags::empty()) {
        Err(Errno::ISDIR) => {}
        removed => return Ok(removed?),
    }
    let mut removal = Removal {
        top: unlock(CWD, path)?,
        moved: 0,
        failure: None,
    };
    removal.empty();
    match (unlinkat(CWD, path, AtFlags::REMOVEDIR), removal.failure) {
        (Ok(()), _) => Ok(()),
        // It is not empty; why that is was said before.
        (Err(_), Some(reason)) => Err(reason.into()),
        (Err(error), None) => Err(error.into()),
    }
}

/// A tree on its way out.
struct Removal {
    top: OwnedFd,
    /// How many folders were moved to the top.
    moved: u64,
    /// Why something could not be removed.
    failure: Option<Errno>,
}

impl Removal {
    /// Removes whatever can be from the top folder.
    fn empty(&mut self) {
        loop {
            // Whatever fails now and matters will fail again in the last round.
            self.failure = None;
            if !self.for_each(None, Self::remove) {
                return;
            }
        }
    }

    /// Does something with all that is in a folder, or in the top one: whether that has changed anything.
    fn for_each(
        &mut self,
        folder: Option<&OwnedFd>,
        mut act: impl FnMut(&mut Self, &CStr) -> Outcome<bool>,
    ) -> bool {
        let entries = match Dir::read_from(folder.unwrap_or(&self.top)) {
            Ok(entries) => entries,
            Err(error) => {
                self.failure = Some(error);
                return false;
            }
        };
        let mut has_changed = false;
        for entry in entries {
            let acted = match &entry {
                Ok(entry) if matches!(entry.file_name().to_bytes(), b"." | b"..") => continue,
                Ok(entry) => act(self, entry.file_name()),
                Err(error) => Err(*error),
            };
            match acted {
                Ok(changed) => has_changed |= changed,
                Err(error) => self.failure = Some(error),
            }
            if entry.is_err() {
                break;
            }
        }
        has_changed
    }

    /// Removes what is in the top folder, or at least something of it: whether it has.
    fn remove(&mut self, name: &CStr) -> Outcome<bool> {
        if remove_at(&self.top, name)? {
            return Ok(true);
        }
        let folder = unlock(&self.top, name)?;
        let mut has_changed = false;
        while self.for_each(Some(&folder), |removal, name| {
            removal.take_out(&folder, name)
        }) {
            has_changed = true;
        }
        match unlinkat(&self.top, name, AtFlags::REMOVEDIR) {
            Ok(()) => Ok(true),
            // The reason is known.
            Err(Errno::NOTEMPTY | Errno::EXIST) => Ok(has_changed),
            Err(error) => Err(error),
        }
    }

    /// Removes what is in a folder of the top folder, or moves it there: whether it has.
    fn take_out(&mut self, folder: &OwnedFd, name: &CStr) -> Outcome<bool> {
        if remove_at(folder, name)? {
            return Ok(true);
        }
        // A folder that is moved is written to: what is above it changes.
        unlock(folder, name)?;
        loop {
            self.moved += 1;
            let new_name = CString::new(self.moved.to_string()).map_err(|_| Errno::INVAL)?;
            match renameat(folder, name, &self.top, &new_name) {
                Err(Errno::NOTEMPTY | Errno::EXIST | Errno::NOTDIR) => {}
                moved => return moved.map(|()| true),
            }
        }
    }
}

/// Removes a file, or a folder that is empty: whether it could be.
fn remove_at(folder: &OwnedFd, name: &CStr) -> Outcome<bool> {
    match unlinkat(folder, name, AtFlags::empty()) {
        Err(Errno::ISDIR) => {}
        removed => return removed.map(|()| true),
    }
    match unlinkat(folder, name, AtFlags::REMOVEDIR) {
        Ok(()) => Ok(true),
        Err(Errno::NOTEMPTY | Errno::EXIST) => Ok(false),
        Err(error) => Err(error),
    }
}

/// Opens a folder to be read, and lets its owner do with it whatever they want.
fn unlock(parent: impl AsFd, name: impl Arg) -> Outcome<OwnedFd> {
    let flags = OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    let place = openat(parent, name, flags | OFlags::PATH, Mode::empty())?;
    if fstat(&place)?.st_mode & OWNER != OWNER {
        // Only by this name can what is open as a place be changed. Who may not will be told so by what comes next.
        let itself = format!("/proc/self/fd/{}", place.as_raw_fd());
        let _ = fs::set_permissions(itself, Permissions::from_mode(OWNER));
    }
    openat(&place, c".", flags | OFlags::RDONLY, Mode::empty())
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::symlink;

    use rustix::fs::mkdirat;

    use super::*;

    /// More folders than a path can have, and a process descriptors.
    const DEEP: usize = 5000;

    fn mode(path: &Path, mode: u32) {
        fs::set_permissions(path, Permissions::from_mode(mode)).expect("a mode");
    }

    #[test]
    fn a_tree_may_be_deeper_than_a_path_can_tell() {
        let place = tempfile::tempdir().expect("a folder");
        let tree = place.path().join("tree");
        fs::create_dir(&tree).expect("a folder");
        let mut folder = unlock(CWD, &tree).expect("it is there");
        for _ in 0..DEEP {
            mkdirat(&folder, "deeper", Mode::from_raw_mode(0o700)).expect("a folder");
            mkdirat(&folder, "1", Mode::empty()).expect("a folder");
            folder = unlock(&folder, "deeper").expect("it is there");
        }
        remove_tree(&tree).expect("it can be removed");
        assert!(!tree.exists());
    }

    #[test]
    fn folders_that_forbid_it_are_removed_and_links_not_followed() {
        let place = tempfile::tempdir().expect("a folder");
        let tree = place.path().join("tree");
        let kept = place.path().join("kept");
        fs::create_dir_all(tree.join("a/b/c/d")).expect("folders");
        fs::create_dir(&kept).expect("a folder");
        fs::write(kept.join("file"), "").expect("a file");
        fs::write(tree.join("a/b/file"), "").expect("a file");
        fs::write(tree.join("1"), "").expect("a file");
        symlink(&kept, tree.join("a/link")).expect("a link");
        symlink("/none", tree.join("a/b/c/link")).expect("a link");
        mode(&kept, 0o500);
        for locked in ["a/b/c/d", "a/b/c", "a/b/file", "a/b", "a", ""] {
            mode(&tree.join(locked), 0);
        }
        remove_tree(&tree).expect("it can be removed");
        let left = fs::read_dir(place.path()).expect("a folder").flatten();
        assert_eq!(left.map(|entry| entry.path()).collect::<Vec<_>>(), [&*kept]);
        assert!(kept.join("file").exists());
        let metadata = fs::metadata(&kept).expect("it is there");
        assert_eq!(metadata.permissions().mode() & 0o777, 0o500);
    }

    #[test]
    fn files_and_links_are_removed_and_nothing_is_an_error() {
        let place = tempfile::tempdir().expect("a folder");
        let (file, link) = (place.path().join("file"), place.path().join("link"));
        fs::write(&file, "").expect("a file");
        symlink(&file, &link).expect("a link");
        remove_tree(&link).expect("it can be removed");
        assert!(file.exists());
        remove_tree(&file).expect("it can be removed");
        let error = remove_tree(&file).expect_err("it is gone");
        assert_eq!(error.kind(), io::ErrorKind::NotFound);
    }
}
