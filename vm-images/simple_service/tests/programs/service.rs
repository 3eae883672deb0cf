//! A service of its own for each test.

use std::{
    fs,
    os::unix::{fs::PermissionsExt, process::CommandExt},
    path::{Path, PathBuf},
    process::{Command, Output},
};

use serde_json::Value;
use tempfile::TempDir;

const SIMPLE_SERVICE: &str = env!("CARGO_BIN_EXE_simple_service");
const CONTROL: &str = env!("CARGO_BIN_EXE_simulate_observations_ctl");

/// A folder with a database and room for plots. When it is dropped, its daemon is stopped.
pub(crate) struct Service {
    folder: TempDir,
}

/// What a program did.
#[derive(Debug)]
pub(crate) struct Run {
    pub(crate) code: Option<i32>,
    pub(crate) stdout: String,
    pub(crate) stderr: String,
}

impl Service {
    /// A service with an empty database.
    pub(crate) fn new() -> Self {
        let service = Self::uninitialised();
        service.run(&["--init"]).succeeds();
        service
    }

    pub(crate) fn uninitialised() -> Self {
        let service = Self {
            folder: tempfile::tempdir().unwrap(),
        };
        fs::create_dir(service.plots()).unwrap();
        service
    }

    pub(crate) fn folder(&self) -> &Path {
        self.folder.path()
    }

    pub(crate) fn database(&self) -> PathBuf {
        self.folder().join("service.db")
    }

    pub(crate) fn plots(&self) -> PathBuf {
        self.folder().join("plots")
    }

    pub(crate) fn pid_file(&self) -> PathBuf {
        self.folder().join("simulate_observations.pid")
    }

    /// Runs `simple_service`.
    pub(crate) fn run(&self, arguments: &[&str]) -> Run {
        self.run_program(SIMPLE_SERVICE, arguments)
    }

    /// Runs `simulate_observations_ctl`.
    pub(crate) fn control(&self, argument: &str) -> Run {
        self.run_program(CONTROL, &[argument])
    }

    pub(crate) fn add(&self, values: &[f64]) {
        for value in values {
            self.run(&["--add", &value.to_string()]).succeeds();
        }
    }

    /// The number of observations.
    pub(crate) fn size(&self) -> u64 {
        let dump = self.run(&["--dump"]).json();
        dump.as_array().unwrap().len() as u64
    }

    fn run_program(&self, program: &str, arguments: &[&str]) -> Run {
        // Nothing but what it is told: in an image there is no more.
        let output = Command::new(program)
            .args(arguments)
            .env_clear()
            .env("SIMPLE_SERVICE_DB", self.database())
            .env("SIMPLE_SERVICE_PLOTS", self.plots())
            .output();
        Run::from(output.unwrap())
    }

    /// Runs `simple_service` as somebody who may not write what this service's owner has: whoever runs the tests
    /// if that is no superuser, else nobody.
    pub(crate) fn run_restricted(&self, arguments: &[&str]) -> Run {
        // Where the tests are built, nobody may look.
        let program = self.folder().join("simple_service");
        copy(SIMPLE_SERVICE, &program);
        fs::set_permissions(self.folder(), PermissionsExt::from_mode(0o755)).unwrap();
        let mut command = Command::new(program);
        if rustix::process::geteuid().is_root() {
            command.uid(65534).gid(65534);
        }
        let output = command
            .args(arguments)
            .env_clear()
            .env("SIMPLE_SERVICE_DB", self.database())
            .output();
        Run::from(output.unwrap())
    }
}

/// Copies a program that is to be run.
pub(crate) fn copy(program: &str, to: &Path) {
    // By another process: one that this process forks meanwhile would hold it open for writing, so that it is busy.
    let copied = Command::new("cp").arg(program).arg(to).status().unwrap();
    assert!(copied.success(), "{program}");
}

impl Drop for Service {
    fn drop(&mut self) {
        self.control("--stop");
    }
}

impl From<Output> for Run {
    fn from(output: Output) -> Self {
        let text = |bytes| String::from_utf8(bytes).expect("programs write UTF-8");
        Self {
            code: output.status.code(),
            stdout: text(output.stdout),
            stderr: text(output.stderr),
        }
    }
}

impl Run {
    /// What it printed, without the end of the line; nothing went wrong.
    #[track_caller]
    pub(crate) fn succeeds(&self) -> &str {
        assert_eq!(self.code, Some(0), "{self:?}");
        assert_eq!(self.stderr, "", "{self:?}");
        self.stdout.trim_end()
    }

    #[track_caller]
    pub(crate) fn json(&self) -> Value {
        serde_json::from_str(self.succeeds()).unwrap()
    }

    /// It ended with exit code 1, said `why` in its only line, and printed nothing else.
    #[track_caller]
    pub(crate) fn fails(&self, why: &str) {
        assert_eq!(self.code, Some(1), "{self:?}");
        assert_eq!(self.stdout, "", "{self:?}");
        assert_eq!(self.stderr.lines().count(), 1, "{self:?}");
        assert!(self.stderr.contains(why), "{why:?} is not in {self:?}");
    }
}
