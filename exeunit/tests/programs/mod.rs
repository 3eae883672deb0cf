//! A root folder for tests, made of programs that every development machine has.

use std::{
    fs,
    path::{Path, PathBuf},
    process::Command,
};

/// Programs of this machine with the libraries that they need, in a folder that is gone when it is dropped.
pub(crate) struct HostPrograms {
    folder: tempfile::TempDir,
}

impl HostPrograms {
    /// Copies programs from the `PATH` to `/bin`.
    pub(crate) fn copy(names: &[&str]) -> Self {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let this = Self { folder };
        for name in names {
            let program = find(name);
            for library in libraries(&program) {
                this.copy_file(&library, &library);
            }
            this.copy_file(&program, &Path::new("/bin").join(name));
        }
        exeunit::sandbox::adopt(this.path()).expect("the folder is the caller's");
        this
    }

    pub(crate) fn path(&self) -> &Path {
        self.folder.path()
    }

    /// Where a path of the tree is.
    pub(crate) fn at(&self, path: &str) -> PathBuf {
        self.path().join(path.trim_start_matches('/'))
    }

    fn copy_file(&self, from: &Path, to: &Path) {
        copy_file(from, &self.at(to.to_str().expect("UTF-8")));
    }
}

/// Copies a file that may be a program, and makes the folders above the copy.
pub(crate) fn copy_file(from: &Path, to: &Path) {
    fs::create_dir_all(to.parent().expect("not the root")).expect("a folder");
    // Written by another process: one that this process forks meanwhile would hold it open for writing, and nobody can
    // run a program that is.
    let copied = Command::new("cp").arg(from).arg(to).status().expect("cp");
    assert!(copied.success(), "{}", from.display());
}

fn find(name: &str) -> PathBuf {
    let path = std::env::var_os("PATH").expect("a PATH");
    std::env::split_paths(&path)
        .map(|folder| folder.join(name))
        .find(|program| program.is_file())
        .unwrap_or_else(|| panic!("no {name} on the PATH"))
}

/// What the dynamic loader loads for a program; nothing for a static one.
fn libraries(program: &Path) -> Vec<PathBuf> {
    let output = Command::new("ldd").arg(program).output().expect("ldd");
    let text = String::from_utf8(output.stdout).expect("UTF-8");
    let words = text.split_whitespace().filter(|word| word.starts_with('/'));
    words.map(PathBuf::from).collect()
}
