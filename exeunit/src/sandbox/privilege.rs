//! Giving up privileges: those of the host's root, and those that a namespace gives.

use std::{
    fs,
    io::{Error, Result},
    os::{fd::AsFd, unix::fs::lchown},
    path::Path,
};

use rustix::{
    fs::{AtFlags, Gid, Uid, chownat},
    process::{DumpableBehavior, geteuid, set_dumpable_behavior},
    thread::{
        CapabilitySet, CapabilitySets, capability_is_in_bounding_set, clear_ambient_capability_set,
        remove_capability_from_bounding_set, set_capabilities, set_no_new_privs, set_thread_groups,
        set_thread_res_gid, set_thread_res_uid,
    },
};

/// Who a sandbox that root starts runs as: a user and a group that nobody else is.
///
/// The number has no name in any `passwd`, and lies in a range that systemd's list of user ids
/// (1879048192 to 2147352575) and the distributions leave unused, above what containers and `subuid` hand out.
const UNPRIVILEGED: u32 = 1_900_000_000;

/// Whether this process is the machine's root, and a sandbox that it starts is therefore another user's.
///
/// Who is root in a user namespace only, in a rootless container say, is an ordinary user outside already.
pub(crate) fn is_root() -> bool {
    let is_outside = |map: String| maps_root_to_root(&map);
    geteuid().is_root() && fs::read_to_string("/proc/self/uid_map").is_ok_and(is_outside)
}

/// Whether user 0 of a user namespace is user 0 outside, by its `uid_map`: lines of an id inside, one outside, a count.
fn maps_root_to_root(uid_map: &str) -> bool {
    uid_map
        .lines()
        .any(|line| line.split_whitespace().take(2).eq(["0", "0"]))
}

/// Makes a tree that root has created the sandbox's, so that a sandbox can read and write all of it.
///
/// Nothing is to do, and nothing is done, for an ordinary user: their sandboxes run as themselves.
/// For root, everything in the tree gets the owner that root's sandboxes run as, and keeps its
/// permissions; links are not followed. No sandbox may be at work in the tree.
pub fn adopt(tree: &Path) -> Result<()> {
    if is_root() {
        adopt_recursively(tree)?;
    }
    Ok(())
}

/// Like [`adopt`], for one file or folder, which may be open as a place only.
pub(crate) fn adopt_open(file: impl AsFd) -> rustix::io::Result<()> {
    match is_root() {
        true => chownat(file, "", Some(uid()), Some(gid()), AtFlags::EMPTY_PATH),
        false => Ok(()),
    }
}

fn adopt_recursively(path: &Path) -> Result<()> {
    let at = |error: Error| Error::new(error.kind(), format!("{}: {error}", path.display()));
    let metadata = fs::symlink_metadata(path).map_err(at)?;
    lchown(path, Some(UNPRIVILEGED), Some(UNPRIVILEGED)).map_err(at)?;
    if metadata.is_file() {
        // With another owner, a file loses its set-user-id bits.
        fs::set_permissions(path, metadata.permissions()).map_err(at)?;
    }
    if metadata.is_dir() {
        for entry in fs::read_dir(path).map_err(at)? {
            adopt_recursively(&entry.map_err(at)?.path())?;
        }
    }
    Ok(())
}

/// Turns root into the user that its sandboxes run as, for good.
pub(crate) fn become_unprivileged() -> rustix::io::Result<()> {
    set_thread_groups(&[])?;
    set_thread_res_gid(gid(), gid(), gid())?;
    set_thread_res_uid(uid(), uid(), uid())?;
    // A change of user makes the process's files under /proc root's, and with them the id maps to be written.
    set_dumpable_behavior(DumpableBehavior::Dumpable)
}

/// Which capabilities are kept.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Keep {
    /// None at all.
    Nothing,
    /// Those that make the root of a virtual machine the master of its image's files, whosever they are, and of its
    /// own processes, but not of its kernel.
    OwnFiles,
}

impl Keep {
    fn capabilities(self) -> CapabilitySet {
        match self {
            Self::Nothing => CapabilitySet::empty(),
            Self::OwnFiles => {
                CapabilitySet::CHOWN
                    | CapabilitySet::DAC_OVERRIDE
                    | CapabilitySet::FOWNER
                    | CapabilitySet::FSETID
                    | CapabilitySet::KILL
                    | CapabilitySet::NET_BIND_SERVICE
                    | CapabilitySet::SETGID
                    | CapabilitySet::SETUID
            }
        }
    }
}

/// Gives up every other capability, and every way to get one again, for this process and all its children.
pub(super) fn drop_capabilities(keep: Keep) -> rustix::io::Result<()> {
    let kept = keep.capabilities();
    clear_ambient_capability_set()?;
    for capability in CapabilitySet::all().difference(kept).iter() {
        // The kernel may know fewer than this program does.
        if capability_is_in_bounding_set(capability).unwrap_or(false) {
            remove_capability_from_bounding_set(capability)?;
        }
    }
    let left = CapabilitySets {
        effective: kept,
        permitted: kept,
        inheritable: CapabilitySet::empty(),
    };
    set_capabilities(None, left)?;
    set_no_new_privs(true)
}

/// Who owns what root makes for a sandbox; nobody in particular if this process is not root.
pub(super) fn owner() -> Option<u32> {
    is_root().then_some(UNPRIVILEGED)
}

fn uid() -> Uid {
    Uid::from_raw(UNPRIVILEGED)
}

fn gid() -> Gid {
    Gid::from_raw(UNPRIVILEGED)
}

#[cfg(test)]
mod tests {
    use std::{
        fs,
        os::unix::fs::{MetadataExt, PermissionsExt, symlink},
    };

    use super::*;

    #[test]
    fn an_adopted_tree_has_one_owner_and_its_permissions() {
        let folder = tempfile::tempdir().expect("a folder");
        let [file, link] = ["file", "link"].map(|name| folder.path().join("sub").join(name));
        fs::create_dir(folder.path().join("sub")).expect("a folder");
        fs::write(&file, "").expect("a file");
        fs::set_permissions(&file, fs::Permissions::from_mode(0o4711)).expect("a mode");
        symlink("/", &link).expect("a link");
        adopt(folder.path()).expect("the tree is the caller's");
        let owner = if is_root() {
            UNPRIVILEGED
        } else {
            geteuid().as_raw()
        };
        for path in [folder.path(), &file, &link] {
            let metadata = fs::symlink_metadata(path).expect("it is there");
            assert_eq!(metadata.uid(), owner, "{}", path.display());
        }
        assert_eq!(fs::metadata(&file).expect("a file").mode() & 0o7777, 0o4711);
        assert_ne!(fs::metadata("/").expect("a folder").uid(), UNPRIVILEGED);
    }

    #[test]
    fn root_of_a_rootless_container_is_not_the_machines() {
        for (map, expected) in [
            ("         0          0 4294967295\n", true),
            ("         0          0          1\n", true),
            ("         0       1000          1\n", false),
            ("         0     100000      65536\n", false),
            (
                "         0       1000          1\n         1     100000      65536\n",
                false,
            ),
            ("", false),
        ] {
            assert_eq!(maps_root_to_root(map), expected, "{map}");
        }
    }
}
