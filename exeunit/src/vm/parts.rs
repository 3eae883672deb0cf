//! What a virtual machine is made of: QEMU, a kernel, and a first file system with the guest's program.
//!
//! QEMU is a package of the system. The other two lie in a folder, which [`install`] fills from a kernel that is taken
//! as it is:
//!
//! ```text
//! vmlinuz         the kernel
//! initramfs.cpio  the guest's program and the modules that it loads
//! kvm             what the last test of this machine's KVM has shown
//! ```

use std::{
    env, fs,
    io::{self, BufWriter},
    path::{Path, PathBuf},
};

use super::initramfs;

/// The modules that a guest needs, each after those that it needs itself.
const MODULES: [&str; 9] = [
    "virtio_ring",
    "virtio",
    "virtio_pci_modern_dev",
    "virtio_pci_legacy_dev",
    "virtio_pci",
    "virtio_blk",
    "virtio_console",
    "squashfs",
    "overlay",
];

const QEMU: &str = "qemu-system-x86_64";
pub(super) const KERNEL: &str = "vmlinuz";
pub(super) const INITRAMFS: &str = "initramfs.cpio";

/// What is missing for virtual machines, or wrong with it.
#[derive(Debug, thiserror::Error)]
pub enum PartsError {
    /// QEMU is not installed.
    #[error(
        "there is no {QEMU} on the PATH: install it, on Debian and Ubuntu with `apt-get install --no-install-recommends qemu-system-x86`"
    )]
    Qemu,
    /// The folder of the parts lacks one.
    #[error(
        "there is no {} for virtual machines: `kiln vm setup` makes it, and says what it needs", .path.display()
    )]
    Missing {
        /// Where it should be.
        path: PathBuf,
    },
    /// There is no place for the parts.
    #[error("no folder for the parts of virtual machines is known: set KILN_VM or HOME")]
    Homeless,
    /// No kernel was found in a folder.
    #[error(
        "there is no kernel in {}: no boot/vmlinuz-<version> with modules in lib/modules/<version>; unpack one there, on Debian with `apt-get download linux-image-<version>-cloud-amd64` and `dpkg -x`", .folder.display()
    )]
    NoKernel {
        /// Where one was looked for.
        folder: PathBuf,
    },
    /// A module is neither a file nor part of the kernel.
    #[error(
        "the kernel {version} has no module {module} below {}: it must be there as {module}.ko, uncompressed, or be built in", .folder.display()
    )]
    NoModule {
        /// The kernel's version.
        version: String,
        /// The module's name.
        module: &'static str,
        /// Where it was looked for.
        folder: PathBuf,
    },
    /// The guest's program needs more than the kernel.
    #[error(
        "{} is not statically linked, as a machine's first program must be", .path.display()
    )]
    NotStatic {
        /// The program.
        path: PathBuf,
    },
    /// A file cannot be read or written.
    #[error("cannot {step} {}", .path.display())]
    File {
        /// What failed.
        step: &'static str,
        /// The file.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
}

/// The parts of virtual machines, all there.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Parts {
    /// The emulator.
    pub qemu: PathBuf,
    /// The folder of the others.
    pub folder: PathBuf,
}

impl Parts {
    /// Finds all parts; those of our own in a folder, or else in the [usual one](folder).
    pub fn find(in_folder: Option<&Path>) -> Result<Self, PartsError> {
        let folder = match in_folder {
            Some(folder) => folder.to_owned(),
            None => folder()?,
        };
        for name in [KERNEL, INITRAMFS] {
            let path = folder.join(name);
            if !path.is_file() {
                return Err(PartsError::Missing { path });
            }
        }
        Ok(Self {
            qemu: find_program(QEMU).ok_or(PartsError::Qemu)?,
            folder,
        })
    }

    pub(super) fn kernel(&self) -> PathBuf {
        self.folder.join(KERNEL)
    }

    pub(super) fn initramfs(&self) -> PathBuf {
        self.folder.join(INITRAMFS)
    }
}

/// Where the parts lie if nobody says: `$KILN_VM`, or `kiln/vm` in the user's data folder.
pub fn folder() -> Result<PathBuf, PartsError> {
    let set = |name| env::var_os(name).filter(|value| !value.is_empty());
    let data = || Some(PathBuf::from(set("XDG_DATA_HOME")?));
    let home = || Some(PathBuf::from(set("HOME")?).join(".local/share"));
    match set("KILN_VM") {
        Some(folder) => Ok(PathBuf::from(folder)),
        None => data()
            .or_else(home)
            .map(|data| data.join("kiln/vm"))
            .ok_or(PartsError::Homeless),
    }
}

/// Fills a folder with a kernel that is found below `root` (`/`, or a folder that its package was unpacked in), and with
/// a first file system around the program `guest`. Returns the kernel's version.
pub fn install(root: &Path, guest: &Path, folder: &Path) -> Result<String, PartsError> {
    let at = |step, path: &Path| {
        let path = path.to_owned();
        move |source| PartsError::File { step, path, source }
    };
    let (version, kernel) = find_kernel(root)?;
    let program = fs::read(guest).map_err(at("read", guest))?;
    if !is_static(&program) {
        return Err(PartsError::NotStatic {
            path: guest.to_owned(),
        });
    }
    let modules = read_modules(&root.join("lib/modules").join(&version), &version)?;
    fs::create_dir_all(folder).map_err(at("create", folder))?;
    // Each is whole before it has its name.
    let partial = folder.join("partial");
    fs::copy(&kernel, &partial).map_err(at("copy", &kernel))?;
    make_readable(&partial).map_err(at("write", &partial))?;
    let target = folder.join(KERNEL);
    fs::rename(&partial, &target).map_err(at("write", &target))?;
    let written = fs::File::create(&partial).and_then(|file| {
        let mut file = BufWriter::new(file);
        initramfs::write(&mut file, &program, &modules)?;
        file.into_inner()?.sync_all()
    });
    written.map_err(at("write", &partial))?;
    make_readable(&partial).map_err(at("write", &partial))?;
    let target = folder.join(INITRAMFS);
    fs::rename(&partial, &target).map_err(at("write", &target))?;
    Ok(version)
}

/// Root's machines are another user's, who has to read it.
fn make_readable(path: &Path) -> io::Result<()> {
    use std::os::unix::fs::PermissionsExt;
    fs::set_permissions(path, fs::Permissions::from_mode(0o644))
}

/// The kernel to take: one for clouds, which is small and quick, before others, and of those the last in order.
fn find_kernel(root: &Path) -> Result<(String, PathBuf), PartsError> {
    let entries = fs::read_dir(root.join("boot"))
        .into_iter()
        .flatten()
        .flatten();
    let version = |entry: fs::DirEntry| {
        let name = entry.file_name().into_string().ok()?;
        let version = name.strip_prefix("vmlinuz-")?.to_owned();
        let has_modules = root.join("lib/modules").join(&version).is_dir();
        has_modules.then(|| (version.contains("cloud"), version, entry.path()))
    };
    let best = entries.filter_map(version).max();
    let (_, version, path) = best.ok_or_else(|| PartsError::NoKernel {
        folder: root.to_owned(),
    })?;
    Ok((version, path))
}

fn read_modules(folder: &Path, version: &str) -> Result<Vec<(String, Vec<u8>)>, PartsError> {
    let built_in = fs::read_to_string(folder.join("modules.builtin")).unwrap_or_default();
    let mut files = Vec::new();
    list(&folder.join("kernel"), &mut files);
    let mut modules = Vec::new();
    for module in MODULES {
        // Names are written with either.
        let is_it = |path: &Path| {
            let name = path.file_name().unwrap_or_default().to_string_lossy();
            name.replace('-', "_") == format!("{module}.ko")
        };
        if let Some(path) = files.iter().find(|path| is_it(path)) {
            let content = fs::read(path).map_err(|source| PartsError::File {
                step: "read",
                path: path.clone(),
                source,
            })?;
            modules.push((format!("{module}.ko"), content));
        } else if !built_in.lines().any(|line| is_it(Path::new(line))) {
            return Err(PartsError::NoModule {
                version: version.to_owned(),
                module,
                folder: folder.to_owned(),
            });
        }
    }
    Ok(modules)
}

fn list(folder: &Path, files: &mut Vec<PathBuf>) {
    for entry in fs::read_dir(folder).into_iter().flatten().flatten() {
        match entry.file_type().is_ok_and(|kind| kind.is_dir()) {
            true => list(&entry.path(), files),
            false => files.push(entry.path()),
        }
    }
}

/// Whether a program is a 64-bit ELF without an interpreter that would load its libraries.
fn is_static(program: &[u8]) -> bool {
    const INTERPRETER: u32 = 3;
    const PHOFF: usize = 32;
    const PHENTSIZE: usize = 54;
    const PHNUM: usize = 56;
    let number = |at: usize, length: usize| {
        let bytes = program.get(at..at.checked_add(length)?)?;
        Some(
            bytes
                .iter()
                .rev()
                .fold(0u64, |sum, &byte| sum << 8 | u64::from(byte)),
        )
    };
    let is_interpreter = |index: u64| {
        let at = number(PHOFF, 8)?.checked_add(index.checked_mul(number(PHENTSIZE, 2)?)?)?;
        Some(number(usize::try_from(at).ok()?, 4)? == u64::from(INTERPRETER))
    };
    let count = number(PHNUM, 2).unwrap_or(0);
    program.starts_with(b"\x7fELF\x02\x01")
        && count > 0
        && (0..count).all(|index| is_interpreter(index) == Some(false))
}

pub(super) fn find_program(name: &str) -> Option<PathBuf> {
    // What administrators use is not on the PATH of everybody.
    let path = env::var_os("PATH").unwrap_or_default();
    let folders =
        env::split_paths(&path).chain(["/usr/bin", "/usr/sbin", "/sbin"].map(PathBuf::from));
    { folders }
        .map(|folder| folder.join(name))
        .find(|program| program.is_file())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_program_that_needs_libraries_is_told_apart() {
        let this = fs::read("/proc/self/exe").expect("this program");
        assert!(!is_static(&this));
        for nonsense in [&b""[..], b"#!/bin/sh", b"\x7fELF\x02\x01", &this[..100]] {
            assert!(!is_static(nonsense));
        }
    }

    #[test]
    fn what_is_missing_is_named() {
        let folder = tempfile::tempdir().expect("a folder");
        let error =
            |found: Result<_, PartsError>| found.map(|_: ()| ()).expect_err("nothing").to_string();
        let root = folder.path().join("root");
        let found = error(install(&root, Path::new("/bin/true"), folder.path()).map(drop));
        assert!(
            found.contains("no kernel in") && found.contains("apt-get download"),
            "{found}"
        );
        for version in ["6.1.0-9-cloud-amd64", "6.1.0-9-amd64"] {
            fs::create_dir_all(root.join("lib/modules").join(version)).expect("a folder");
            fs::create_dir_all(root.join("boot")).expect("a folder");
            fs::write(root.join(format!("boot/vmlinuz-{version}")), "").expect("a file");
        }
        let found = error(install(&root, Path::new("/proc/self/exe"), folder.path()).map(drop));
        assert!(found.contains("not statically linked"), "{found}");
        let (version, _) = find_kernel(&root).expect("a kernel");
        assert_eq!(version, "6.1.0-9-cloud-amd64");
        let found = error(read_modules(&root.join("lib/modules/6.1.0-9-amd64"), "6.1").map(drop));
        assert!(found.contains("no module virtio_ring"), "{found}");
        let found = error(Parts::find(Some(folder.path())).map(drop));
        assert!(
            found.contains("vmlinuz") && found.contains("kiln vm setup"),
            "{found}"
        );
    }
}
