//! The static programs of a package, compiled by cargo.

use std::{
    env, fmt, io,
    path::{Path, PathBuf},
    process::{ExitStatus, Stdio},
};

use rustix::process::{Pid, Signal, kill_process_group};
use serde::Deserialize;
use tokio::{
    io::{AsyncBufReadExt, AsyncRead, AsyncReadExt, BufReader},
    process::{Child, Command},
};

use crate::progress::{Event, Progress};

/// What the programs run on.
const TARGET: &str = "x86_64-unknown-linux-gnu";

/// The profile for programs of images, in the workspace's `Cargo.toml`.
const PROFILE: &str = "image";

/// Flags of rustc, between them the character that cargo wants there.
const STATIC: &str = "-C\u{1f}target-feature=+crt-static";

/// Lines of cargo's output that an error repeats: enough for any one complaint.
const MOST_LINES: usize = 200;

/// Why there are no programs.
#[derive(Debug, thiserror::Error)]
pub enum CargoError {
    /// Cargo cannot be run.
    #[error("cannot run {}, which compiles the programs of images: is Rust installed?", cargo.display())]
    Start {
        /// The program.
        cargo: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// Cargo does not say what was asked.
    #[error("cannot understand what cargo says about {}", package.display())]
    Talk {
        /// The package's folder.
        package: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// Cargo could not compile the package, and says why.
    #[error("cargo cannot compile the programs of {} ({status}):\n{complaint}", package.display())]
    Failed {
        /// The package's folder.
        package: PathBuf,
        /// How cargo ended.
        status: ExitStatus,
        /// What it said.
        complaint: Complaint,
    },
    /// The package has libraries at most.
    #[error("the package {} has no programs", .0.display())]
    NoPrograms(PathBuf),
}

/// What cargo says when it fails.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Complaint(String);

impl fmt::Display for Complaint {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(&self.0)?;
        if self.0.contains("cannot find -lc") || self.0.contains("unable to find library -lc") {
            let advice = "the C library for static programs is missing; on Fedora it is in the package glibc-static";
            write!(formatter, "\n{advice}")?;
        }
        Ok(())
    }
}

/// Compiles the programs of the package in the folder `package` so that they need nothing but the kernel, and
/// returns the folder that they are in.
///
/// That folder lies below the workspace's target folder, in one of its own: the flags disturb no other build.
/// Nothing is done, and little time passes, when nothing has changed. When this future is dropped, cargo ends.
///
/// Cargo is what the variable `CARGO` names, as it does in what `cargo run` runs, or else `cargo` on the `PATH`.
///
/// # Errors
/// If cargo cannot be run or fails, or if the package has no programs.
pub async fn static_programs(
    package: impl AsRef<Path>,
    progress: &dyn Progress,
) -> Result<PathBuf, CargoError> {
    let cargo = Cargo {
        package: package.as_ref().to_owned(),
        progress,
    };
    let built = cargo.build().await;
    progress.report(match &built {
        Ok(_) => Event::Compiled {
            package: cargo.name(),
        },
        Err(_) => Event::Failed,
    });
    built
}

struct Cargo<'a> {
    package: PathBuf,
    progress: &'a dyn Progress,
}

/// The one thing that is wanted of `cargo metadata`.
#[derive(Deserialize)]
struct Metadata {
    target_directory: PathBuf,
}

/// The one thing that is wanted of a message of `cargo build`.
#[derive(Deserialize)]
struct Message {
    executable: Option<PathBuf>,
}

impl Cargo<'_> {
    async fn build(&self) -> Result<PathBuf, CargoError> {
        let mut command = self.command("build");
        command
            .args(["--bins", "--profile", PROFILE, "--target", TARGET])
            .args(["--message-format", "json-render-diagnostics"])
            .arg("--target-dir")
            .arg(self.target_folder().await?.join("static"))
            .env("CARGO_ENCODED_RUSTFLAGS", STATIC)
            .env("CARGO_TERM_PROGRESS_WHEN", "always")
            .env("CARGO_TERM_PROGRESS_WIDTH", "120");
        let mut folder = None;
        self.run(command, |line| {
            // Other lines are of build scripts' making.
            let message = serde_json::from_str::<Message>(line).ok();
            let program = message.and_then(|message| message.executable);
            folder = program
                .as_deref()
                .and_then(Path::parent)
                .map(Path::to_owned)
                .or(folder.take());
        })
        .await?;
        folder.ok_or_else(|| CargoError::NoPrograms(self.package.clone()))
    }

    async fn target_folder(&self) -> Result<PathBuf, CargoError> {
        let mut command = self.command("metadata");
        command.args(["--no-deps", "--format-version", "1"]);
        let mut text = String::new();
        self.run(command, |line| text.push_str(line)).await?;
        let metadata: Metadata =
            serde_json::from_str(&text).map_err(|error| self.talk(error.into()))?;
        Ok(metadata.target_directory)
    }

    fn command(&self, name: &str) -> Command {
        let cargo = env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
        let mut command = Command::new(cargo);
        command
            .arg(name)
            .arg("--manifest-path")
            .arg(self.package.join("Cargo.toml"))
            .env("CARGO_TERM_COLOR", "never")
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .process_group(0)
            .kill_on_drop(true);
        command
    }

    /// Runs cargo to its end, and hands the lines of its standard output to `on_line`.
    async fn run(&self, mut command: Command, on_line: impl FnMut(&str)) -> Result<(), CargoError> {
        let cargo = PathBuf::from(command.as_std().get_program());
        let mut cargo = Group(
            command
                .spawn()
                .map_err(|source| CargoError::Start { cargo, source })?,
        );
        let talk = |source| self.talk(source);
        let (stdout, stderr) = (cargo.0.stdout.take(), cargo.0.stderr.take());
        let (_, complaint) =
            tokio::try_join!(each_line(stdout, on_line), self.listen(stderr)).map_err(talk)?;
        let status = cargo.0.wait().await.map_err(talk)?;
        if status.success() {
            Ok(())
        } else {
            Err(CargoError::Failed {
                package: self.package.clone(),
                status,
                complaint,
            })
        }
    }

    /// Reports what cargo is at, and returns the rest of what it says.
    async fn listen(&self, stderr: Option<impl AsyncRead + Unpin>) -> io::Result<Complaint> {
        let mut complaint = Vec::new();
        let Some(stderr) = stderr else {
            return Ok(Complaint(String::new()));
        };
        each_piece(stderr, |piece| match Status::of(piece) {
            Status::Building {
                done,
                total,
                current,
            } => self.report(done, total, current),
            Status::Waiting(what) => self.report(0, 0, what),
            Status::Known => {}
            Status::Other(line) => complaint.push(line.to_owned()),
        })
        .await?;
        complaint.truncate(MOST_LINES);
        Ok(Complaint(complaint.join("\n")))
    }

    fn report(&self, done: u32, total: u32, current: &str) {
        let current = current.to_owned();
        self.progress.report(Event::Compiling {
            package: self.name(),
            done,
            total,
            current,
        });
    }

    fn name(&self) -> String {
        let folder = self.package.file_name().unwrap_or(self.package.as_os_str());
        folder.to_string_lossy().into_owned()
    }

    fn talk(&self, source: io::Error) -> CargoError {
        CargoError::Talk {
            package: self.package.clone(),
            source,
        }
    }
}

/// A piece of what cargo says on its standard error.
#[derive(Debug, PartialEq)]
enum Status<'a> {
    /// Its progress bar.
    Building {
        done: u32,
        total: u32,
        current: &'a str,
    },
    /// What it does before it compiles.
    Waiting(&'a str),
    /// What the progress bar says as well.
    Known,
    /// Anything else; above all errors.
    Other(&'a str),
}

impl<'a> Status<'a> {
    fn of(piece: &'a str) -> Self {
        let piece = piece.trim_end();
        let text = piece.trim_start();
        let verb = text.split(' ').next().unwrap_or_default();
        match verb {
            "Building" => Self::bar(text).unwrap_or(Self::Known),
            "Compiling" | "Fresh" | "Finished" | "" => Self::Known,
            "Blocking" | "Downloading" | "Downloaded" | "Updating" | "Locking" | "Adding" => {
                Self::Waiting(text)
            }
            _ => Self::Other(piece),
        }
    }

    /// `Building [==>   ] 8/108: syn, cc(build.rs)`
    fn bar(text: &'a str) -> Option<Self> {
        let (_, counts) = text.split_once("] ")?;
        let (counts, current) = counts.split_once(": ").unwrap_or((counts, ""));
        let (done, total) = counts.split_once('/')?;
        Some(Self::Building {
            done: done.parse().ok()?,
            total: total.parse().ok()?,
            current,
        })
    }
}

async fn each_line(
    from: Option<impl AsyncRead + Unpin>,
    mut take: impl FnMut(&str),
) -> io::Result<()> {
    let Some(from) = from else { return Ok(()) };
    let mut lines = BufReader::new(from).lines();
    while let Some(line) = lines.next_line().await? {
        take(&line);
    }
    Ok(())
}

/// Pieces end with lines, and where a progress bar goes back to its beginning.
async fn each_piece(
    mut from: impl AsyncRead + Unpin,
    mut take: impl FnMut(&str),
) -> io::Result<()> {
    let mut pending = Vec::new();
    let mut buffer = [0; 4096];
    loop {
        let count = from.read(&mut buffer).await?;
        for byte in &buffer[..count] {
            if matches!(byte, b'\r' | b'\n') {
                take(&String::from_utf8_lossy(&pending));
                pending.clear();
            } else {
                pending.push(*byte);
            }
        }
        if count == 0 {
            take(&String::from_utf8_lossy(&pending));
            return Ok(());
        }
    }
}

/// A process that leads a group, and takes the group with it when it is given up.
struct Group(Child);

impl Drop for Group {
    fn drop(&mut self) {
        // Without an id it has ended.
        let leader = self.0.id().and_then(|id| Pid::from_raw(id.cast_signed()));
        if let Some(leader) = leader {
            let _ = kill_process_group(leader, Signal::TERM);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_cargo_says_is_understood() {
        let building = |done, total, current| Status::Building {
            done,
            total,
            current,
        };
        let cases = [
            (
                "    Building [==>       ] 8/108: syn, cc(build.rs)     ",
                building(8, 108, "syn, cc(build.rs)"),
            ),
            ("    Building [=========>] 107/108", building(107, 108, "")),
            ("    Building [", Status::Known),
            ("   Compiling syn v3.0.9", Status::Known),
            ("", Status::Known),
            (
                "    Blocking waiting for file lock on build directory",
                Status::Waiting("Blocking waiting for file lock on build directory"),
            ),
            (
                "error[E0425]: cannot find value",
                Status::Other("error[E0425]: cannot find value"),
            ),
            (
                "  --> src/main.rs:1:1",
                Status::Other("  --> src/main.rs:1:1"),
            ),
        ];
        for (piece, status) in cases {
            assert_eq!(Status::of(piece), status, "{piece:?}");
        }
    }

    #[tokio::test]
    async fn pieces_end_with_lines_and_bars() {
        let mut pieces = Vec::new();
        each_piece(&b"one\ntwo\rthree \r\nfour"[..], |piece| {
            pieces.push(piece.to_owned())
        })
        .await
        .unwrap();
        assert_eq!(pieces, ["one", "two", "three ", "", "four"]);
    }

    #[test]
    fn a_missing_static_library_is_explained() {
        let text = |complaint: &str| Complaint(complaint.to_owned()).to_string();
        assert!(text("ld: cannot find -lc: No such file").contains("glibc-static"));
        assert_eq!(text("error: other"), "error: other");
    }
}
