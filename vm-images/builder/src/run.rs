//! Runs programs of an image while it is built, in the sandbox in which it will run.

use std::{
    collections::{BTreeMap, VecDeque},
    fmt,
    fs::{self, File, Permissions},
    io,
    os::unix::fs::PermissionsExt,
    path::{Path, PathBuf},
    time::Duration,
};

use exeunit::{
    NotEntered, Program,
    sandbox::{
        self, Command, ExitStatus, Output, Root, Sandbox, SandboxConfig, SandboxError, SandboxGone,
    },
};
use futures::StreamExt;
use tokio_util::sync::CancellationToken;
use walkdir::WalkDir;

/// Lines of output that an error repeats.
const LAST_LINES: usize = 20;

/// The longest line that is kept, in bytes.
const LONGEST_LINE: usize = 1000;

/// The setuid and setgid bits.
const SET_ID: u32 = 0o6000;
/// The bits of a program.
const EXECUTABLE: u32 = 0o111;

/// How long somebody may hold a program open that this process has written: until they become another program themselves.
const MOST_HELD: Duration = Duration::from_secs(10);

/// What runs, and in what.
pub(crate) struct Task {
    /// The program that becomes the sandbox; the one that runs if none is named.
    pub(crate) launcher: Option<Program>,
    /// The image's file system.
    pub(crate) tree: PathBuf,
    /// Path or name of the program in it, and its arguments.
    pub(crate) command: Vec<String>,
    pub(crate) env: BTreeMap<String, String>,
    pub(crate) working_dir: String,
}

/// Why a `RUN` failed.
#[derive(Debug, thiserror::Error)]
pub enum RunError {
    /// The program that builds the image cannot start a sandbox.
    #[error(transparent)]
    NotEntered(#[from] NotEntered),
    /// The sandbox did not start.
    #[error(transparent)]
    Sandbox(#[from] SandboxError),
    /// The files of the image cannot be given to the sandbox.
    #[error("cannot give the files of the image to the sandbox")]
    Adopt(#[source] io::Error),
    /// The program did not start.
    #[error(transparent)]
    Start(#[from] sandbox::RunError),
    /// The sandbox was killed.
    #[error(transparent)]
    Gone(#[from] SandboxGone),
    /// The program failed.
    #[error("it {}{output}", Ending(*.status))]
    Failed {
        /// How it ended.
        status: ExitStatus,
        /// What it wrote last.
        output: LastLines,
    },
    /// Nobody waits for the build any more.
    #[error("the build was given up")]
    Abandoned,
}

/// Runs a program to its end, and hands what it writes to `on_line`. When this returns, nothing runs any more.
pub(crate) async fn run(
    task: Task,
    abandoned: &CancellationToken,
    on_line: impl FnMut(&str),
) -> Result<(), RunError> {
    let program = task.launcher.map_or_else(Program::this, Ok)?;
    let tree = task.tree.clone();
    let adopted = tokio::task::spawn_blocking(move || adopt(&tree)).await;
    adopted
        .map_err(io::Error::other)
        .flatten()
        .map_err(RunError::Adopt)?;
    let sandbox = Sandbox::start(SandboxConfig {
        program,
        root: Root::InPlace(task.tree),
        volumes: Vec::new(),
        hostname: "build".to_owned(),
    })
    .await?;
    let mut words = task.command.into_iter();
    let mut command = Command::new(words.next().unwrap_or_default());
    command.args = words.collect();
    command.env = task.env;
    command.working_dir = task.working_dir;
    let outcome = tokio::select! {
        outcome = run_in(&sandbox, command, on_line) => outcome,
        () = abandoned.cancelled() => Err(RunError::Abandoned),
    };
    // What the program has left running must not write to the image any more.
    sandbox.stop().await;
    outcome
}

async fn run_in(
    sandbox: &Sandbox,
    command: Command,
    mut on_line: impl FnMut(&str),
) -> Result<(), RunError> {
    let mut process = sandbox.run(command).await?;
    let mut last = LastLines::default();
    let (mut out, mut err) = (Lines::default(), Lines::default());
    let mut take = |line: &str| {
        last.add(line);
        on_line(line);
    };
    while let Some(output) = process.next().await {
        match output {
            Output::Stdout(bytes) => out.add(&bytes, &mut take),
            Output::Stderr(bytes) => err.add(&bytes, &mut take),
        }
    }
    out.end(&mut take);
    err.end(&mut take);
    match process.wait().await? {
        status if status.is_success() => Ok(()),
        status => Err(RunError::Failed {
            status,
            output: last,
        }),
    }
}

/// Makes the files the sandbox's, and its programs ones that can be run. Those of root would lose their setuid bits on the
/// way, which Docker keeps.
fn adopt(tree: &Path) -> io::Result<()> {
    let mut special = Vec::new();
    for entry in WalkDir::new(tree) {
        let entry = entry?;
        let mode = entry.metadata()?.permissions().mode();
        if !entry.file_type().is_file() {
            continue;
        }
        if mode & EXECUTABLE != 0
            && let Ok(program) = File::open(entry.path())
        {
            sandbox::wait_for_writers(&program, MOST_HELD)?;
        }
        if mode & SET_ID != 0 {
            special.push((entry.into_path(), mode));
        }
    }
    sandbox::adopt(tree)?;
    special
        .into_iter()
        .try_for_each(|(path, mode)| fs::set_permissions(path, Permissions::from_mode(mode)))
}

/// Cuts output into lines.
#[derive(Default)]
struct Lines(Vec<u8>);

impl Lines {
    fn add(&mut self, bytes: &[u8], take: &mut impl FnMut(&str)) {
        for piece in bytes.split_inclusive(|byte| *byte == b'\n') {
            self.0.extend_from_slice(piece);
            if piece.ends_with(b"\n") || self.0.len() > LONGEST_LINE {
                self.end(take);
            }
        }
    }

    /// Hands on what is there of a line.
    fn end(&mut self, take: &mut impl FnMut(&str)) {
        if !self.0.is_empty() {
            // Control characters would do to a terminal what no message should.
            let line = String::from_utf8_lossy(&self.0).replace(char::is_control, " ");
            take(line.trim_end());
            self.0.clear();
        }
    }
}

/// The end of a program's output.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct LastLines {
    lines: VecDeque<String>,
    left_out: bool,
}

impl LastLines {
    fn add(&mut self, line: &str) {
        self.lines.push_back(line.to_owned());
        if self.lines.len() > LAST_LINES {
            self.lines.pop_front();
            self.left_out = true;
        }
    }
}

/// Each line in a line of its own, behind what introduces them.
impl fmt::Display for LastLines {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.lines.is_empty() {
            return formatter.write_str(" and has written nothing");
        }
        let part = if self.left_out {
            "the last lines of its output"
        } else {
            "its output"
        };
        write!(formatter, "; {part}:")?;
        self.lines
            .iter()
            .try_for_each(|line| write!(formatter, "\n    {line}"))
    }
}

struct Ending(ExitStatus);

impl fmt::Display for Ending {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0 {
            ExitStatus::Code(code) => write!(formatter, "ended with exit code {code}"),
            ExitStatus::Signal(signal) => write!(formatter, "was killed by signal {signal}"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn output_is_cut_into_lines() {
        let mut lines = Vec::new();
        let mut take = |line: &str| lines.push(line.to_owned());
        let mut output = Lines::default();
        for piece in ["one\ntw", "o\n\nthr", "ee\r\n", "\u{1b}[31mfour \u{f6}"] {
            output.add(piece.as_bytes(), &mut take);
        }
        output.add(&[0xff], &mut take);
        output.end(&mut take);
        output.end(&mut take);
        assert_eq!(
            lines,
            ["one", "two", "", "three", " [31mfour \u{f6}\u{fffd}"]
        );
    }

    #[test]
    fn a_line_without_end_is_cut() {
        let mut lengths = Vec::new();
        let mut output = Lines::default();
        (0..30).for_each(|_| output.add(&[b'x'; 100], &mut |line: &str| lengths.push(line.len())));
        assert_eq!(lengths, [1100, 1100]);
    }

    #[test]
    fn only_the_last_lines_are_repeated() {
        let mut last = LastLines::default();
        assert_eq!(last.to_string(), " and has written nothing");
        last.add("one");
        assert_eq!(last.to_string(), "; its output:\n    one");
        (2..=22).for_each(|line| last.add(&line.to_string()));
        let text = last.to_string();
        assert!(
            text.starts_with("; the last lines of its output:\n    3\n    4\n"),
            "{text}"
        );
        assert!(text.ends_with("\n    22"), "{text}");
    }
}
