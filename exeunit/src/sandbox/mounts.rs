//! What the processes of a sandbox see as the file system.
//!
//! ```text
//! /            the image, read-only below a scratch space in memory that takes all writes; or a tree in place
//! /proc        of the sandbox's own processes
//! /dev         null, zero, full, random, urandom; shm; fd, stdin, stdout, stderr
//! /some/path   a volume: a folder of the host
//! ```
//!
//! The launcher [assembles](assemble) it out of [`Tree`]s beside the host's file system; the agent, who is the
//! first to see the new processes, [adds](mount_processes) `/proc` and [leaves](leave_host) the host's for good.

use std::{
    io,
    os::{
        fd::{AsFd, AsRawFd, OwnedFd},
        unix::ffi::OsStrExt,
    },
    path::Path,
};

use rustix::{
    fs::{CWD, Mode, OFlags, chmodat, mkdirat, open, openat, symlinkat},
    io::Result as Outcome,
    mount::{
        FsMountFlags, FsOpenFlags, MountAttrFlags, MountPropagationFlags, MoveMountFlags,
        OpenTreeFlags, UnmountFlags, fsconfig_create, fsconfig_set_flag, fsconfig_set_string,
        fsmount, fsopen, mount_change, move_mount, open_tree, unmount,
    },
    process::{chdir, fchdir, pivot_root},
};

use crate::within::{self, Bounds};

/// What could not be mounted, and why.
#[derive(Debug, thiserror::Error)]
#[error("cannot {step}")]
pub(super) struct MountError {
    step: String,
    source: io::Error,
}

impl MountError {
    /// Whether it was for lack of a permission.
    pub(super) fn is_denied(&self) -> bool {
        self.source.kind() == io::ErrorKind::PermissionDenied
    }
}

/// Says in which step an error happened.
pub(super) trait Step<T> {
    fn step(self, step: impl Into<String>) -> Result<T, MountError>;
}

impl<T, E: Into<io::Error>> Step<T> for Result<T, E> {
    fn step(self, step: impl Into<String>) -> Result<T, MountError> {
        self.map_err(|error| MountError {
            step: step.into(),
            source: error.into(),
        })
    }
}

/// A mount that is nowhere yet: a folder of the host, or a new file system.
pub(super) struct Tree(OwnedFd);

impl Tree {
    /// A folder of the host and all that is mounted below it, without its set-user-id programs and devices.
    pub(super) fn of_host(folder: &Path) -> Outcome<Self> {
        let tree = open_tree(
            CWD,
            folder,
            OpenTreeFlags::OPEN_TREE_CLONE
                | OpenTreeFlags::OPEN_TREE_CLOEXEC
                | OpenTreeFlags::AT_RECURSIVE,
        )?;
        let flags = OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC;
        openat(&tree, ".", flags, Mode::empty())?;
        restrict(&tree, NO_PRIVILEGED_FILES)?;
        Ok(Self(tree))
    }

    /// A device of the host.
    fn of_device(device: &Path) -> Outcome<Self> {
        let flags = OpenTreeFlags::OPEN_TREE_CLONE | OpenTreeFlags::OPEN_TREE_CLOEXEC;
        let tree = open_tree(CWD, device, flags)?;
        let attributes = MountAttrFlags::MOUNT_ATTR_NOSUID | MountAttrFlags::MOUNT_ATTR_NOEXEC;
        restrict(&tree, attributes)?;
        Ok(Self(tree))
    }

    /// A folder of another tree, mounted a second time.
    fn of_folder(tree: &Self, name: &str, attributes: MountAttrFlags) -> Outcome<Self> {
        let flags = OpenTreeFlags::OPEN_TREE_CLONE | OpenTreeFlags::OPEN_TREE_CLOEXEC;
        let tree = open_tree(tree, name, flags)?;
        restrict(&tree, attributes)?;
        Ok(Self(tree))
    }

    /// A new file system. An option without a value is a flag.
    fn new(kind: &str, options: &[(&str, &str)], attributes: MountAttrFlags) -> Outcome<Self> {
        let context = fsopen(kind, FsOpenFlags::FSOPEN_CLOEXEC)?;
        for &(option, value) in options {
            match value {
                "" => fsconfig_set_flag(&context, option)?,
                value => fsconfig_set_string(&context, option, value)?,
            }
        }
        fsconfig_create(&context)?;
        fsmount(&context, FsMountFlags::FSMOUNT_CLOEXEC, attributes).map(Self)
    }

    /// A new file system in memory, which belongs to this user and group, or to who makes it.
    pub(super) fn in_memory(source: &str, bytes: u64, owner: Option<u32>) -> Outcome<Self> {
        // As many files as disks of this size usually have room for: each takes memory of the kernel's.
        let files = (bytes / BYTES_PER_FILE).max(64).to_string();
        let (size, owner) = (bytes.to_string(), owner.map(|owner| owner.to_string()));
        let mut options = vec![
            ("source", source),
            ("size", &size),
            ("nr_inodes", &files),
            ("mode", "0755"),
        ];
        if let Some(owner) = &owner {
            options.extend([("uid", owner.as_str()), ("gid", owner)]);
        }
        Self::new("tmpfs", &options, NO_PRIVILEGED_FILES)
    }

    /// Mounts it on a folder, or on the file `name` in that folder.
    fn mount_at(&self, folder: impl AsFd, name: &str) -> Outcome<()> {
        let mut flags = MoveMountFlags::MOVE_MOUNT_F_EMPTY_PATH;
        if name.is_empty() {
            flags |= MoveMountFlags::MOVE_MOUNT_T_EMPTY_PATH;
        }
        move_mount(self, "", folder, name, flags)
    }

    /// A path to its root that needs no permission on the way.
    fn path(&self) -> String {
        format!("/proc/self/fd/{}", self.0.as_raw_fd())
    }
}

impl AsFd for Tree {
    fn as_fd(&self) -> std::os::fd::BorrowedFd<'_> {
        self.0.as_fd()
    }
}

const NO_PRIVILEGED_FILES: MountAttrFlags =
    MountAttrFlags::MOUNT_ATTR_NOSUID.union(MountAttrFlags::MOUNT_ATTR_NODEV);

/// What the root folder is made of.
pub(super) enum Base {
    /// Read-only, below the scratch space.
    Below(Tree),
    /// Written to itself.
    InPlace(Tree),
}

/// Puts a sandbox's file system together, out of sight of the host, and makes its root the working directory.
///
/// The caller is in a mount namespace of its own. `volumes` are mounted at their paths in the sandbox.
pub(super) fn assemble(
    base: &Base,
    scratch_bytes: u64,
    volumes: &[(&str, Tree)],
) -> Result<(), MountError> {
    let private = MountPropagationFlags::PRIVATE | MountPropagationFlags::REC;
    mount_change("/", private).step("make the mounts private")?;
    let scratch = mount_scratch(scratch_bytes).step("mount the scratch space")?;
    let root = match base {
        Base::InPlace(tree) => {
            tree.mount_at(&scratch.0, "root").step("mount the tree")?;
            tree
        }
        Base::Below(image) => &mount_overlay(&scratch, image).step("mount the image")?,
    };
    mount_devices(&scratch, root)?;
    for (path, volume) in volumes {
        mount_point(root, Path::new(path))
            .and_then(|point| volume.mount_at(point, ""))
            .step(format!("mount the volume {path}"))?;
    }
    mount_point(root, Path::new("/proc")).step("make /proc")?;
    fchdir(root).step("enter the root folder")
}

/// How large a disk is per file that it can have, in bytes.
const BYTES_PER_FILE: u64 = 16 << 10;

/// A file system in memory, over the host's root, with a folder for each use of it.
fn mount_scratch(bytes: u64) -> Outcome<Tree> {
    let scratch = Tree::in_memory("scratch", bytes, None)?;
    let host_root = open("/", OFlags::PATH | OFlags::CLOEXEC, Mode::empty())?;
    scratch.mount_at(host_root, "")?;
    for name in ["image", "upper", "work", "root", "dev", "shm"] {
        mkdirat(&scratch, name, Mode::from_raw_mode(0o755))?;
    }
    chmodat(
        &scratch,
        "shm",
        Mode::from_raw_mode(0o1777),
        rustix::fs::AtFlags::empty(),
    )?;
    Ok(scratch)
}

fn mount_overlay(scratch: &Tree, image: &Tree) -> Outcome<Tree> {
    // Only what is mounted somewhere in this namespace may be a layer.
    image.mount_at(scratch, "image")?;
    let options = [
        ("source", "image"),
        ("lowerdir", &image.path()),
        ("upperdir", &format!("{}/upper", scratch.path())),
        ("workdir", &format!("{}/work", scratch.path())),
        ("userxattr", ""),
    ];
    let overlay = Tree::new("overlay", &options, NO_PRIVILEGED_FILES)?;
    overlay.mount_at(scratch, "root")?;
    Ok(overlay)
}

/// Mounts /dev and what belongs in it.
fn mount_devices(scratch: &Tree, root: &Tree) -> Result<(), MountError> {
    let no_programs = MountAttrFlags::MOUNT_ATTR_NOSUID | MountAttrFlags::MOUNT_ATTR_NOEXEC;
    let folder = Tree::of_folder(scratch, "dev", no_programs)
        .and_then(|dev| {
            dev.mount_at(mount_point(root, Path::new("/dev"))?, "")?;
            Ok(dev)
        })
        .step("mount /dev")?;
    for name in ["null", "zero", "full", "random", "urandom"] {
        let device = Path::new("/dev").join(name);
        let flags = OFlags::CREATE | OFlags::WRONLY | OFlags::CLOEXEC;
        openat(&folder, name, flags, Mode::from_raw_mode(0o666))
            .and_then(|_| Tree::of_device(&device)?.mount_at(&folder, name))
            .step(format!("mount {}", device.display()))?;
    }
    for (name, target) in [
        ("fd", "/proc/self/fd"),
        ("stdin", "/proc/self/fd/0"),
        ("stdout", "/proc/self/fd/1"),
        ("stderr", "/proc/self/fd/2"),
    ] {
        symlinkat(target, &folder, name).step(format!("link /dev/{name}"))?;
    }
    mkdirat(&folder, "shm", Mode::from_raw_mode(0o755))
        .and_then(|()| {
            let shared = Tree::of_folder(scratch, "shm", no_programs | NO_PRIVILEGED_FILES)?;
            shared.mount_at(&folder, "shm")
        })
        .step("mount /dev/shm")
}

/// The folder at a path of the sandbox, created where it is missing; links in the image lead to where they do inside.
fn mount_point(root: impl AsFd, path: &Path) -> Outcome<OwnedFd> {
    within::create_folder(root, Bounds::Root, path, |_| Ok(()))
}

/// Mounts /proc in the file system whose root is the working directory, for a process of the sandbox's own.
pub(super) fn mount_processes() -> Result<(), MountError> {
    let attributes = NO_PRIVILEGED_FILES | MountAttrFlags::MOUNT_ATTR_NOEXEC;
    let root = open(".", OFlags::PATH | OFlags::CLOEXEC, Mode::empty());
    Tree::new("proc", &[("source", "proc")], attributes)
        .and_then(|processes| processes.mount_at(mount_point(root?, Path::new("/proc"))?, ""))
        .step("mount /proc (a container that hides parts of its own /proc forbids this)")
}

/// Makes the working directory the root of everything; nothing of the host's can be reached any more.
pub(super) fn leave_host() -> Result<(), MountError> {
    // The host's root comes to lie upon the new one, and upon it, as before, the scratch space: two to be taken away.
    pivot_root(".", ".")
        .and_then(|()| unmount(".", UnmountFlags::DETACH))
        .and_then(|()| unmount(".", UnmountFlags::DETACH))
        .and_then(|()| chdir("/"))
        .step("leave the host's file system")
}

/// Adds attributes to a mount and all below it, and keeps mounts made in it to this namespace.
fn restrict(tree: impl AsFd, attributes: MountAttrFlags) -> Outcome<()> {
    let change = libc::mount_attr {
        attr_set: u64::from(attributes.bits()),
        attr_clr: 0,
        propagation: libc::MS_PRIVATE,
        userns_fd: 0,
    };
    let flags = libc::AT_EMPTY_PATH | libc::AT_RECURSIVE;
    // SAFETY: the descriptor is open, the path is an empty C string, and `change` lives past the call, which only
    // reads as many bytes of it as it is told.
    let result = unsafe {
        libc::syscall(
            libc::SYS_mount_setattr,
            tree.as_fd().as_raw_fd(),
            c"".as_ptr(),
            flags,
            &raw const change,
            size_of_val(&change),
        )
    };
    match result {
        0 => Ok(()),
        _ => Err(
            rustix::io::Errno::from_io_error(&io::Error::last_os_error())
                .unwrap_or(rustix::io::Errno::IO),
        ),
    }
}

/// A path as the wire has it.
pub(super) fn path_of(bytes: &[u8]) -> &Path {
    Path::new(std::ffi::OsStr::from_bytes(bytes))
}
