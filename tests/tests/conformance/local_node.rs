//! `kiln node`, as somebody starts it who knows no more than a client.

use std::{
    env, fs,
    io::{BufRead, BufReader, Read},
    path::{Path, PathBuf},
    process::{Child, ChildStdout, Command, Stdio},
    sync::LazyLock,
    thread::{self, JoinHandle},
    time::{Duration, Instant},
};

use rustix::process::{Pid, Signal, kill_process};
use serde_json::Value;
use tempfile::TempDir;

/// How long last requests may be on their way.
const PATIENCE: Duration = Duration::from_secs(20);

/// A node with images in its registry. It is ended when it is dropped.
pub(crate) struct LocalNode {
    child: Child,
    stdout: BufReader<ChildStdout>,
    stderr: Option<JoinHandle<String>>,
    exports: Vec<(String, String)>,
    _folder: TempDir,
}

/// What a node is to have.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Settings<'a> {
    /// Its images, by their tags.
    pub(crate) images: &'a [Image],
    /// Its providers, as a file describes them, if they are not to be the usual ones.
    pub(crate) providers: Option<&'a str>,
}

/// An image that is built of this repository.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Image {
    SimpleService,
    Peer,
}

impl Image {
    /// Built by the command, which does nothing if that was done before.
    pub(crate) fn path(self) -> &'static Path {
        static SIMPLE_SERVICE: LazyLock<PathBuf> =
            LazyLock::new(|| build("../vm-images/simple_service"));
        static PEER: LazyLock<PathBuf> = LazyLock::new(|| build("conformance/peer"));
        match self {
            Self::SimpleService => &SIMPLE_SERVICE,
            Self::Peer => &PEER,
        }
    }

    fn tag(self) -> &'static str {
        match self {
            Self::SimpleService => "kiln/simple_service",
            Self::Peer => "kiln/peer",
        }
    }
}

impl LocalNode {
    pub(crate) fn start(settings: Settings<'_>) -> Self {
        let folder = tempfile::tempdir().expect("a folder");
        let mut command = Command::new(&*KILN);
        command.args(["node", "--port", "0", "--log", "node=debug"]);
        for image in settings.images {
            let named = format!("{}={}", image.tag(), image.path().display());
            command.args(["--image", &named]);
        }
        if settings.images.is_empty() {
            // No image that is there from another time is to be taken for one that was transferred.
            command.env("XDG_CACHE_HOME", folder.path());
        }
        if let Some(providers) = settings.providers {
            let path = folder.path().join("providers.toml");
            fs::write(&path, providers).expect("a file");
            command.arg("--providers").arg(path);
        }
        let mut child = command
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
        let mut node = Self {
            stdout: BufReader::new(child.stdout.take().expect("piped")),
            stderr: Some(stderr),
            child,
            exports: Vec::new(),
            _folder: folder,
        };
        node.exports = node.read_exports();
        node
    }

    /// What it says that is to be exported, the search path at last.
    pub(crate) fn exports(&self) -> &[(String, String)] {
        &self.exports
    }

    fn read_exports(&mut self) -> Vec<(String, String)> {
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

    /// What clients have left on it that they should have ended, released or paid. Not all of them wait for the answers to
    /// their last requests.
    pub(crate) fn leftovers(&self) -> Vec<String> {
        let deadline = Instant::now() + PATIENCE;
        loop {
            let left = self.left();
            if left.is_empty() || Instant::now() > deadline {
                return left;
            }
            thread::sleep(Duration::from_millis(50));
        }
    }

    /// What is left now, as `kiln node` shows it.
    fn left(&self) -> Vec<String> {
        let is_one_of = |value: &Value, states: &[&str]| {
            let state = value.as_str().expect("a state");
            states.iter().any(|one| state.eq_ignore_ascii_case(one))
        };
        let mut left = Vec::new();
        let mut note = |list: &Value, kind: &str, is_over: &dyn Fn(&Value) -> bool| {
            let open = list.as_array().expect("a list").iter();
            let open = open.filter(|one| !is_over(one));
            left.extend(open.map(|one| format!("{kind}: {one}")));
        };
        note(&self.shown("agreements"), "agreement", &|one| {
            is_one_of(&one["state"], &["Terminated", "Rejected", "Cancelled"])
        });
        note(&self.shown("activities"), "activity", &|one| {
            is_one_of(&one["state"], &["Terminated"])
        });
        let payments = self.shown("payments");
        note(&payments["allocations"], "allocation", &|one| {
            one["isReleased"] == true
        });
        note(&payments["bills"], "bill", &|one| {
            one["kind"] != "invoice" || is_one_of(&one["status"], &["Accepted", "Settled"])
        });
        left
    }

    fn shown(&self, what: &str) -> Value {
        let shown = Command::new(&*KILN)
            .args(["node", what, "--json"])
            .envs(self.exports.iter().cloned())
            .output()
            .expect("it starts");
        let errors = String::from_utf8_lossy(&shown.stderr);
        assert!(shown.status.success(), "{what}: {errors}");
        serde_json::from_slice(&shown.stdout).expect("JSON")
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
    let mut build = tests::cargo();
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

/// Builds the image of a folder, with the programs of the package there.
fn build(folder: &str) -> PathBuf {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join(folder);
    let built = Command::new(&*KILN)
        .args(["image", "build"])
        .arg(&folder)
        .arg("--programs")
        .arg(format!("programs={}", folder.display()))
        .env("CARGO", env!("CARGO"))
        .output()
        .expect("it starts");
    let said = String::from_utf8_lossy(&built.stdout);
    let place = said.trim_end().split_once(' ').map(|(_, path)| path.into());
    place.unwrap_or_else(|| panic!("no image: {}", String::from_utf8_lossy(&built.stderr)))
}
