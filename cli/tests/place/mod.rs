//! Where a user calls the command, and what it says.

use std::{
    fs,
    path::{Path, PathBuf},
    process::Command,
};

use tempfile::TempDir;

/// A folder of a user's.
pub(crate) struct Place(TempDir);

/// What a command said.
#[derive(Debug)]
pub(crate) struct Said {
    pub(crate) code: Option<i32>,
    pub(crate) out: String,
    pub(crate) err: String,
}

impl Place {
    pub(crate) fn new() -> Self {
        Self(tempfile::tempdir().unwrap())
    }

    pub(crate) fn folder(&self) -> &Path {
        self.0.path()
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.folder().join(name)
    }

    pub(crate) fn write(&self, name: &str, contents: impl AsRef<[u8]>) {
        let path = self.path(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, contents).unwrap();
    }

    /// The command, called in this folder, which keeps its files there and knows of no daemon.
    pub(crate) fn kiln(&self) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_kiln"));
        command
            .current_dir(self.folder())
            .env("XDG_CACHE_HOME", self.path("cache"))
            .env("XDG_DATA_HOME", self.path("data"))
            .env("RUST_BACKTRACE", "0")
            .env_remove("YAGNA_APPKEY")
            .env_remove("YAGNA_API_URL");
        command
    }

    /// What one of its subcommands says, when it has ended.
    pub(crate) fn ask(&self, subcommand: &str, arguments: &[&str]) -> Said {
        let mut command = self.kiln();
        let output = command.arg(subcommand).args(arguments).output().unwrap();
        let text = |bytes| String::from_utf8(bytes).unwrap();
        Said {
            code: output.status.code(),
            out: text(output.stdout),
            err: text(output.stderr),
        }
    }
}

impl Said {
    /// The one error of a command that has failed, in one line.
    #[track_caller]
    pub(crate) fn error(&self) -> String {
        assert_eq!(self.code, Some(1), "{self:?}");
        let error = self.err.strip_prefix("error: ");
        let error = error.unwrap_or_else(|| panic!("{self:?}"));
        assert_eq!(error.lines().count(), 1, "{error}");
        error.trim_end().to_owned()
    }
}
