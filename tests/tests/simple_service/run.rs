//! One run of the example, in folders of its own.

use std::{
    collections::BTreeSet,
    env, fs,
    io::{self, BufRead, BufReader, Read},
    os::fd::OwnedFd,
    path::{Path, PathBuf},
    process::{Child, Command, ExitStatus, Stdio},
    sync::LazyLock,
    thread::{self, JoinHandle},
};

use rustix::{
    event::{PollFd, PollFlags, Timespec, poll},
    process::{Pid, PidfdFlags, Signal, kill_process, pidfd_open, pidfd_send_signal},
};
use tempfile::TempDir;

/// How the names of variables begin that change what the example does.
const OF_THE_EXAMPLE: [&[u8]; 5] = [b"YAGNA_", b"XDG_", b"NO_COLOR", b"CLICOLOR", b"RUST_"];

/// A run of the example that is under way. It is killed when it is dropped.
pub(crate) struct Run {
    child: Child,
    stdout: Box<dyn BufRead + Send>,
    stderr: Option<JoinHandle<String>>,
    seen: String,
    folders: TempDir,
}

/// A run that has ended.
pub(crate) struct Ended {
    pub(crate) status: ExitStatus,
    pub(crate) stdout: String,
    pub(crate) stderr: String,
    folders: TempDir,
}

impl Run {
    /// Starts the example with these options.
    pub(crate) fn start(options: &[&str]) -> Self {
        Self::start_with(options, |_| {})
    }

    /// Starts the example with these options, in other surroundings than usual.
    pub(crate) fn start_with(options: &[&str], change: impl FnOnce(&mut Command)) -> Self {
        let folders = tempfile::tempdir().expect("a folder");
        Self::start_in(folders, Command::new(&*EXAMPLE), options, change)
    }

    /// Starts the example where another run has left its files.
    pub(crate) fn start_after(ended: Ended, options: &[&str]) -> Self {
        Self::start_in(ended.folders, Command::new(&*EXAMPLE), options, |_| {})
    }

    /// Starts the example where no user namespace can be made, as an administrator may have it. By an ordinary user,
    /// since root would go about it differently.
    pub(crate) fn start_without_user_namespaces() -> Self {
        let mut command = Command::new("unshare");
        let forbid = "echo 0 > /proc/sys/user/max_user_namespaces && exec \"$0\" \"$@\"";
        command
            .args([
                "--user",
                "--map-user=1000",
                "--map-group=1000",
                "--keep-caps",
            ])
            .args(["sh", "-c", forbid])
            .arg(&*EXAMPLE);
        let folders = tempfile::tempdir().expect("a folder");
        Self::start_in(folders, command, &[], |_| {})
    }

    fn start_in(
        folders: TempDir,
        mut command: Command,
        options: &[&str],
        change: impl FnOnce(&mut Command),
    ) -> Self {
        let folder = |name| {
            let path = folders.path().join(name);
            fs::create_dir_all(&path).expect("a folder");
            path
        };
        let home = env::var_os("HOME").map(PathBuf::from).unwrap_or_default();
        let of_rust = |name: &str, below: &str| {
            env::var_os(name).unwrap_or_else(|| home.join(below).into_os_string())
        };
        // What is set for cargo and rustup must hold for the compilation within the run as well.
        for (name, _) in env::vars_os() {
            if OF_THE_EXAMPLE
                .iter()
                .any(|prefix| name.as_encoded_bytes().starts_with(prefix))
            {
                command.env_remove(name);
            }
        }
        command
            .args(options)
            .current_dir(folder("plots"))
            .env("CARGO", env!("CARGO"))
            .env("CARGO_HOME", of_rust("CARGO_HOME", ".cargo"))
            .env("RUSTUP_HOME", of_rust("RUSTUP_HOME", ".rustup"))
            .env("HOME", folder("home"))
            .env("TMPDIR", folder("temporary"))
            .env("RUST_LOG", "requestor::event=info,node=info")
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped());
        change(&mut command);
        let mut child = command.spawn().expect("the example starts");
        let stdout = Box::new(BufReader::new(child.stdout.take().expect("piped")));
        // Unless the test reads it itself.
        let errors = child.stderr.take();
        let stderr = thread::spawn(move || {
            let mut text = String::new();
            if let Some(mut errors) = errors {
                errors.read_to_string(&mut text).expect("text");
            }
            text
        });
        Self {
            child,
            stdout,
            stderr: Some(stderr),
            seen: String::new(),
            folders,
        }
    }

    /// The sockets that it listens on, as the kernel numbers them.
    pub(crate) fn listeners(&self) -> BTreeSet<u64> {
        let own = format!("/proc/{}/fd", self.pid().as_raw_nonzero());
        let own: BTreeSet<_> = fs::read_dir(own)
            .expect("it lives")
            .filter_map(|file| fs::read_link(file.ok()?.path()).ok())
            .filter_map(|file| {
                let file = file.to_str()?.strip_prefix("socket:[")?;
                file.strip_suffix(']')?.parse().ok()
            })
            .collect();
        own.intersection(&listeners()).copied().collect()
    }

    /// Waits for a line of its standard output with this in it.
    pub(crate) fn wait_for(&mut self, part: &str) -> String {
        loop {
            let mut line = String::new();
            let read = self.stdout.read_line(&mut line).expect("text");
            self.seen.push_str(&line);
            if read == 0 {
                let stderr = self
                    .stderr
                    .take()
                    .map(|reader| reader.join().expect("text"));
                panic!(
                    "no line with {part:?} in\n{}\n{}",
                    self.seen,
                    stderr.unwrap_or_default()
                );
            }
            if line.contains(part) {
                return line;
            }
        }
    }

    /// Stops reading its standard output, as `head` does.
    pub(crate) fn stop_reading(&mut self) {
        self.stdout = Box::new(io::empty());
    }

    /// Presses Ctrl-C.
    pub(crate) fn interrupt(&self) {
        kill_process(self.pid(), Signal::INT).expect("it lives");
    }

    /// All processes below it.
    pub(crate) fn descendants(&self) -> Vec<Process> {
        descendants(self.pid())
    }

    pub(crate) fn pid(&self) -> Pid {
        Pid::from_child(&self.child)
    }

    /// Waits until it has ended.
    pub(crate) fn end(mut self) -> Ended {
        let mut stdout = std::mem::take(&mut self.seen);
        self.stdout.read_to_string(&mut stdout).expect("text");
        let stderr = self.stderr.take().expect("read once").join().expect("text");
        let status = self.child.wait().expect("it is ours");
        let folders = std::mem::replace(&mut self.folders, tempfile::tempdir().expect("a folder"));
        Ended {
            status,
            stdout,
            stderr,
            folders,
        }
    }
}

impl Drop for Run {
    fn drop(&mut self) {
        // It has ended already, unless the test has failed.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

impl Ended {
    /// The plots that it has downloaded.
    pub(crate) fn plots(&self) -> Vec<PathBuf> {
        files(&self.folders.path().join("plots"))
    }

    /// What it has left in the folder for temporary files.
    pub(crate) fn temporary(&self) -> Vec<PathBuf> {
        files(&self.folders.path().join("temporary"))
    }

    /// What it has left mounted.
    pub(crate) fn mounts(&self) -> Vec<String> {
        let own = self.folders.path().to_str().expect("text");
        let mounts = fs::read_to_string("/proc/self/mountinfo").expect("mounts");
        mounts
            .lines()
            .filter(|mount| mount.contains(own))
            .map(str::to_owned)
            .collect()
    }

    /// What it has left in its user's cache.
    pub(crate) fn cache(&self) -> Vec<PathBuf> {
        files(&self.folders.path().join("home/.cache/kiln"))
    }

    /// Everything that it has said, for a test that fails.
    pub(crate) fn said(&self) -> String {
        format!("{}\n{}", self.stdout, self.stderr)
    }
}

/// Whether a line tells a state with its provider, `told` up to the provider's number, and nothing that went wrong.
pub(crate) fn is_without_cause(line: &str, told: &str) -> bool {
    let number = line.trim_end().strip_prefix(told);
    number.is_some_and(|number| number.parse::<u32>().is_ok())
}

fn files(folder: &Path) -> Vec<PathBuf> {
    let entries = fs::read_dir(folder).expect("a folder");
    let mut files: Vec<_> = entries
        .map(|entry| entry.expect("an entry").path())
        .collect();
    files.sort();
    files
}

/// All sockets of this machine on which TCP is listened for, as the kernel numbers them. Ports are no use here: one that
/// is given back can be another test's at once.
pub(crate) fn listeners() -> BTreeSet<u64> {
    const LISTEN: &str = "0A";
    let table = fs::read_to_string("/proc/net/tcp").expect("sockets");
    let rows = table.lines().skip(1);
    rows.filter_map(|row| {
        let cells: Vec<_> = row.split_whitespace().collect();
        let socket = cells.get(9)?.parse().ok()?;
        (cells[3] == LISTEN).then_some(socket)
    })
    .collect()
}

/// A process, and no other that may get its id after it.
pub(crate) struct Process {
    pub(crate) name: String,
    handle: OwnedFd,
}

impl Process {
    pub(crate) fn kill(&self) {
        pidfd_send_signal(&self.handle, Signal::KILL).expect("it lives");
    }

    /// Has it do nothing more.
    pub(crate) fn freeze(&self) {
        pidfd_send_signal(&self.handle, Signal::STOP).expect("it lives");
    }

    /// Whether it ends, or has ended, within some seconds.
    pub(crate) fn ends_within(&self, seconds: i64) -> bool {
        let limit = Timespec {
            tv_sec: seconds,
            tv_nsec: 0,
        };
        let mut ended = [PollFd::new(&self.handle, PollFlags::IN)];
        poll(&mut ended, Some(&limit)).expect("it can be waited for") == 1
    }
}

fn descendants(of: Pid) -> Vec<Process> {
    let threads = fs::read_dir(format!("/proc/{}/task", of.as_raw_nonzero()));
    let children = threads.into_iter().flatten().flatten().flat_map(|thread| {
        let ids = fs::read_to_string(thread.path().join("children")).unwrap_or_default();
        let ids = ids
            .split_whitespace()
            .filter_map(|id| Pid::from_raw(id.parse().ok()?));
        ids.collect::<Vec<_>>()
    });
    let below = |pid: Pid| {
        let handle = pidfd_open(pid, PidfdFlags::empty()).ok()?;
        let name = fs::read_to_string(format!("/proc/{}/comm", pid.as_raw_nonzero())).ok()?;
        let child = Process {
            name: name.trim().to_owned(),
            handle,
        };
        Some([child].into_iter().chain(descendants(pid)))
    };
    children
        .collect::<Vec<_>>()
        .into_iter()
        .filter_map(below)
        .flatten()
        .collect()
}

/// The example, built as the tests are. With the whole workspace, as is usual: else its dependencies would have other
/// features, and be built twice.
static EXAMPLE: LazyLock<PathBuf> = LazyLock::new(|| {
    let mut build = tests::cargo();
    build.args([
        "build",
        "--quiet",
        "--workspace",
        "--example",
        "simple_service",
    ]);
    if !cfg!(debug_assertions) {
        build.arg("--release");
    }
    assert!(
        build.status().expect("cargo").success(),
        "the example cannot be built"
    );
    let this = env::current_exe().expect("a path");
    let profile = this.ancestors().nth(2).expect("target/PROFILE/deps/TEST");
    profile.join("examples/simple_service")
});
