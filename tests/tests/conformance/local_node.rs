//! `kiln node`, as somebody starts it who knows no more than a client.

use std::{
    env,
    io::{BufRead, BufReader, Read},
    path::{Path, PathBuf},
    process::{Child, ChildStdout, Command, Stdio},
    sync::LazyLock,
    thread::{self, JoinHandle},
};

use rustix::process::{Pid, Signal, kill_process};

/// A node with the simple service's image in its registry. It is ended when it is dropped.
pub(crate) struct LocalNode {
    child: Child,
    stdout: BufReader<ChildStdout>,
    stderr: Option<JoinHandle<String>>,
}

/// The simple service's image is found there by this tag.
const TAG: &str = "kiln/simple_service";

impl LocalNode {
    pub(crate) fn start() -> Self {
        let mut child = Command::new(&*KILN)
            .args(["node", "--port", "0", "--log", "node=debug", "--image"])
            .arg(format!("{TAG}={}", IMAGE.display()))
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .expect("a node");
        let mut errors = child.stderr.take().expect("piped");
        let stderr = thread::spawn(move || {
            let mut text = String::new();
            errors.read_to_string(&mut text).expect("text");
            text
        });
        Self {
            stdout: BufReader::new(child.stdout.take().expect("piped")),
            stderr: Some(stderr),
            child,
        }
    }

    /// What it says that is to be exported, the search path at last.
    pub(crate) fn environment(&mut self) -> Vec<(String, String)> {
        let mut exports = Vec::new();
        while exports.last().is_none_or(|(name, _)| name != "PATH") {
            let mut line = String::new();
            let read = self.stdout.read_line(&mut line).expect("text");
            assert_ne!(read, 0, "the node has ended:\n{}", self.stop());
            if let Some(export) = line.trim_end().strip_prefix("export ") {
                let (name, value) = export.split_once('=').expect("NAME=VALUE");
                let path = env::var("PATH").expect("a search path");
                exports.push((name.to_owned(), value.replace("\"$PATH\"", &path)));
            }
        }
        exports
    }

    /// Ends it in order; what it has said on standard error.
    pub(crate) fn stop(&mut self) -> String {
        let pid = i32::try_from(self.child.id()).ok().and_then(Pid::from_raw);
        // It may have ended by itself.
        let _ = kill_process(pid.expect("an id"), Signal::INT);
        self.child.wait().expect("it ends");
        let stderr = self.stderr.take().map(JoinHandle::join);
        stderr.map_or_else(String::new, |text| text.expect("text"))
    }
}

impl Drop for LocalNode {
    fn drop(&mut self) {
        if self.stderr.is_some() {
            self.stop();
        }
    }
}

/// Where cargo puts what it makes.
pub(crate) fn target() -> &'static Path {
    profile().parent().expect("target/PROFILE")
}

fn profile() -> &'static Path {
    static THIS: LazyLock<PathBuf> = LazyLock::new(|| env::current_exe().expect("a path"));
    THIS.ancestors().nth(2).expect("target/PROFILE/deps/TEST")
}

/// The command, built as the tests are.
static KILN: LazyLock<PathBuf> = LazyLock::new(|| {
    let mut build = Command::new(env!("CARGO"));
    build.args(["build", "--quiet", "--workspace", "--bin", "kiln"]);
    if !cfg!(debug_assertions) {
        build.arg("--release");
    }
    assert!(
        build.status().expect("cargo").success(),
        "kiln cannot be built"
    );
    profile().join("kiln")
});

/// The simple service's image, built by the command.
static IMAGE: LazyLock<PathBuf> = LazyLock::new(|| {
    let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/../vm-images/simple_service");
    let built = Command::new(&*KILN)
        .args(["image", "build", folder, "--programs"])
        .arg(format!("programs={folder}"))
        .env("CARGO", env!("CARGO"))
        .output()
        .expect("it starts");
    let said = String::from_utf8_lossy(&built.stdout);
    let place = said.trim_end().split_once(' ').map(|(_, path)| path.into());
    place.unwrap_or_else(|| panic!("no image: {}", String::from_utf8_lossy(&built.stderr)))
});
