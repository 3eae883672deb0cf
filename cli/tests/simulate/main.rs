//! `kiln simulate`, as a user meets it.

mod errors;
mod msgpack;
mod outputs;
mod policies;

use std::{
    fs,
    path::{Path, PathBuf},
    process::Command,
};

use serde_json::Value;
use tempfile::TempDir;

/// A folder of a user's.
struct Place(TempDir);

/// What a command said.
#[derive(Debug)]
struct Said {
    code: Option<i32>,
    out: String,
    err: String,
}

impl Place {
    fn new() -> Self {
        Self(tempfile::tempdir().unwrap())
    }

    fn path(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }

    fn write(&self, name: &str, contents: impl AsRef<[u8]>) {
        fs::write(self.path(name), contents).unwrap();
    }

    fn json(&self, name: &str) -> Value {
        serde_json::from_slice(&fs::read(self.path(name)).unwrap()).unwrap()
    }

    fn kiln(&self) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_kiln"));
        command
            .current_dir(self.0.path())
            .env("RUST_BACKTRACE", "0");
        command
    }

    fn simulate(&self, arguments: &[&str]) -> Said {
        let mut command = self.kiln();
        let output = command.arg("simulate").args(arguments).output().unwrap();
        let text = |bytes| String::from_utf8(bytes).unwrap();
        Said {
            code: output.status.code(),
            out: text(output.stdout),
            err: text(output.stderr),
        }
    }

    /// What a command prints that succeeds.
    #[track_caller]
    fn done(&self, arguments: &[&str]) -> String {
        let said = self.simulate(arguments);
        assert_eq!(
            (said.code, said.err.as_str()),
            (Some(0), ""),
            "{arguments:?}: {said:?}"
        );
        said.out
    }

    /// The one error of a command that fails, in one line.
    #[track_caller]
    fn error(&self, arguments: &[&str]) -> String {
        let said = self.simulate(arguments);
        assert_eq!(said.code, Some(1), "{arguments:?}: {said:?}");
        let error = said.err.strip_prefix("error: ");
        let error = error.unwrap_or_else(|| panic!("{said:?}"));
        assert_eq!(error.lines().count(), 1, "{error}");
        error.trim_end().to_owned()
    }
}

/// A file of what EdgeSimPy was given and what it gave.
fn vector(name: &str, file: &str) -> String {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../simulator/tests/vectors");
    let path = folder.join(name).join(file);
    assert!(path.is_file(), "{}", path.display());
    path.to_str().unwrap().to_owned()
}
