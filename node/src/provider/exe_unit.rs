//! An exe-unit as a process: started, ended, and buried.

use std::{
    ffi::OsStr,
    fmt,
    fs::{self, File},
    io::{self, Read, Seek, SeekFrom},
    path::{Path, PathBuf},
    process::{ExitStatus, Stdio},
    sync::Arc,
    time::{Duration, Instant},
};

use exeunit::Program;
use rustix::process::Signal;
use serde_json::Value;
use tokio::process::Command;
use tokio_util::sync::CancellationToken;
use ya_client_model::market::Agreement;

use super::{
    process::{self, Process},
    spec::{Faults, Runtime},
};
use crate::{
    folder::{self, Folder},
    id::ActivityId,
};

/// How exe-units are started.
#[derive(Clone, Debug)]
pub(crate) struct Workshop {
    /// What becomes an exe-unit.
    pub(crate) program: Program,
    /// Where they find the bus.
    pub(crate) bus_url: String,
    /// Where they plug sandboxes into networks.
    pub(crate) network_socket: PathBuf,
    /// Where they keep images.
    pub(crate) cache: PathBuf,
    /// Where each has a folder of its own.
    pub(crate) activities: PathBuf,
    /// Which limits hold for all of an activity together, by what their templates say of runtimes.
    pub(crate) limits: Vec<(Runtime, Value)>,
    /// For how long they outlive a node that does not end in order.
    pub(crate) outlive_node: Duration,
    /// The node's folder, in which all of that is.
    pub(crate) node: Arc<Folder>,
}

/// A running exe-unit. One that is dropped is killed first.
#[derive(Debug)]
pub(super) struct ExeUnit {
    process: Process,
    place: Place,
    /// The node's folder goes after the process.
    _node: Arc<Folder>,
}

/// Where an exe-unit has its files.
#[derive(Clone, Debug)]
struct Place {
    root: PathBuf,
}

/// Why there is no exe-unit.
#[derive(Debug, thiserror::Error)]
pub(super) enum StartError {
    /// It has no place for its files.
    #[error("cannot prepare {path}")]
    Place {
        /// The file or folder.
        path: PathBuf,
        /// Why not.
        source: io::Error,
    },
    /// The program does not start.
    #[error("cannot start {program}")]
    Program {
        /// The program.
        program: PathBuf,
        /// Why not.
        source: io::Error,
    },
}

/// How an exe-unit ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Ended {
    how: String,
    /// The last thing that it said on its standard error, if it ended otherwise than it should.
    last_words: Option<String>,
}

/// What of the node's environment is an exe-unit's business.
const ENVIRONMENT: [&str; 3] = ["RUST_BACKTRACE", "RUST_LOG", "TMPDIR"];

/// How long an exe-unit may take to end in order.
const GRACE: Duration = Duration::from_secs(8);

/// How long it may take to die of SIGKILL.
const DYING: Duration = Duration::from_secs(2);

/// How much of its last words is kept, in bytes.
const LAST_WORDS: u64 = 1000;

impl Workshop {
    /// Starts the exe-unit of an activity under an agreement.
    pub(super) fn start(
        &self,
        activity: &ActivityId,
        agreement: &Agreement,
        runtime: &Runtime,
        faults: &Faults,
    ) -> Result<ExeUnit, StartError> {
        let place = self.place(activity);
        let stderr = place.prepare(agreement)?;
        let mut command = Command::from(self.program.exe_unit());
        command
            .args([OsStr::new("-b"), binary(runtime), OsStr::new("service-bus")])
            .args([&activity.to_string(), "/local/activity"])
            .args([Path::new("-a"), &place.agreement()])
            .args([Path::new("-w"), &place.work()])
            .args([Path::new("-c"), &self.cache(&place, faults)])
            .args(arguments(
                "--outlive-node",
                Some(self.outlive_node.as_secs()).filter(|seconds| *seconds > 0),
            ))
            .args(arguments(
                "--die-at-command",
                faults.exe_unit_dies_at_command,
            ))
            .args(arguments(
                "--image-bytes-per-second",
                faults.image_bytes_per_second,
            ))
            .env_clear()
            .env("GSB_URL", &self.bus_url)
            .env(exeunit::network::SOCKET_VARIABLE, &self.network_socket)
            .envs(
                ENVIRONMENT
                    .iter()
                    .filter_map(|name| Some((name, std::env::var_os(name)?))),
            )
            .current_dir(place.work())
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(stderr)
            .process_group(0)
            .kill_on_drop(true);
        let child = command.spawn().map_err(|source| StartError::Program {
            program: self.program.path().to_owned(),
            source,
        })?;
        place.mark(child.id());
        Ok(ExeUnit {
            process: Process::Child(child),
            place,
            _node: Arc::clone(&self.node),
        })
    }

    /// The exe-unit of an activity that a node before this one has started, if it runs.
    pub(super) fn find(&self, activity: &ActivityId) -> Option<ExeUnit> {
        let place = self.place(activity);
        let found = Process::find(&place.process());
        let found = found.unwrap_or_else(|error| {
            tracing::warn!(%activity, %error, "it is not known which process it has");
            None
        });
        Some(ExeUnit {
            process: found?,
            place,
            _node: Arc::clone(&self.node),
        })
    }

    /// What the exe-unit of an activity said last that has ended unseen; and removes its files.
    pub(super) fn bury(&self, activity: &ActivityId) -> Ended {
        let place = self.place(activity);
        let ended = Ended {
            how: describe(None),
            last_words: place.last_words(),
        };
        place.clear();
        ended
    }

    /// Which limits hold for all of an activity together, if that is known of a runtime.
    pub(super) fn limits(&self, runtime: &Runtime) -> Option<&Value> {
        let known = self.limits.iter().find(|(known, _)| known == runtime);
        known.map(|(_, limits)| limits)
    }

    fn place(&self, activity: &ActivityId) -> Place {
        Place {
            root: self.activities.join(activity.to_string()),
        }
    }

    /// Where an exe-unit keeps images: where others do, unless it is to get them slowly.
    fn cache(&self, place: &Place, faults: &Faults) -> PathBuf {
        match faults.image_bytes_per_second {
            Some(_) => place.root.join("cache"),
            None => self.cache.clone(),
        }
    }
}

/// What the exe-unit calls a runtime.
pub(super) fn binary(runtime: &Runtime) -> &OsStr {
    match runtime {
        Runtime::Sandbox => OsStr::new("sandbox"),
        Runtime::Vm => OsStr::new("vm"),
        Runtime::External(path) => path.as_os_str(),
    }
}

/// An option of the command line, if it is set.
fn arguments(name: &str, value: Option<u64>) -> impl Iterator<Item = String> {
    let arguments = value.map(|value| [name.to_owned(), value.to_string()]);
    arguments.into_iter().flatten()
}

impl Place {
    fn agreement(&self) -> PathBuf {
        self.root.join("agreement.json")
    }

    fn work(&self) -> PathBuf {
        self.root.join("work")
    }

    fn process(&self) -> PathBuf {
        self.root.join("process")
    }

    /// Notes which process the exe-unit is, for a node after this one.
    fn mark(&self, pid: Option<u32>) {
        let Some(pid) = pid else {
            return;
        };
        let noted = process::mark(pid).and_then(|mark| fs::write(self.process(), mark));
        if let Err(error) = noted {
            // It may have ended already.
            tracing::debug!(pid, %error, "an exe-unit would not be found again");
        }
    }

    fn stderr(&self) -> PathBuf {
        self.root.join("stderr")
    }

    /// Makes everything that an exe-unit expects to find; the file for its standard error.
    fn prepare(&self, agreement: &Agreement) -> Result<File, StartError> {
        let at = |path: PathBuf| move |source| StartError::Place { path, source };
        let work = self.work();
        fs::create_dir_all(&work).map_err(at(work))?;
        let json = serde_json::to_vec_pretty(agreement).map_err(io::Error::from);
        let written = json.and_then(|json| fs::write(self.agreement(), json));
        written.map_err(at(self.agreement()))?;
        File::create(self.stderr()).map_err(at(self.stderr()))
    }

    /// Removes all of it.
    fn clear(&self) {
        match folder::remove(&self.root) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => {
                // The node's folder goes with all that is in it.
                let path = self.root.display();
                tracing::warn!(%path, %error, "cannot remove an exe-unit's files now");
            }
            _ => {}
        }
    }

    /// The last line that it said, if it said any.
    fn last_words(&self) -> Option<String> {
        let mut file = File::open(self.stderr()).ok()?;
        let length = file.seek(SeekFrom::End(0)).ok()?;
        file.seek(SeekFrom::Start(length.saturating_sub(LAST_WORDS)))
            .ok()?;
        let mut end = Vec::new();
        file.read_to_end(&mut end).ok()?;
        let end = String::from_utf8_lossy(&end);
        let last = end.lines().rev().find(|line| !line.trim().is_empty())?;
        Some(last.trim().to_owned())
    }
}

impl ExeUnit {
    /// Waits until it ends, in order once `stop` is cancelled; and removes its files.
    pub(super) async fn run(mut self, stop: CancellationToken) -> Ended {
        let status = match stop.run_until_cancelled(self.process.wait()).await {
            Some(status) => status,
            None => self.end().await,
        };
        let place = self.place.clone();
        let clear = move || {
            let in_order = matches!(&status, Some(Ok(status)) if status.success());
            let ended = Ended {
                how: describe(status.as_ref()),
                last_words: (!in_order).then(|| place.last_words()).flatten(),
            };
            place.clear();
            ended
        };
        let cleared = tokio::task::spawn_blocking(clear).await;
        // When the runtime ends, it may not come to that.
        cleared.unwrap_or_else(|error| Ended {
            how: format!("ended with the node: {error}"),
            last_words: None,
        })
    }

    async fn end(&mut self) -> Option<io::Result<ExitStatus>> {
        self.process.signal(Signal::TERM);
        if let Ok(status) = tokio::time::timeout(GRACE, self.process.wait()).await {
            return status;
        }
        tracing::warn!(place = %self.place.root.display(), "an exe-unit does not end, and is killed");
        self.process.signal(Signal::KILL);
        self.process.wait().await
    }
}

impl Drop for ExeUnit {
    /// Nobody waits for it any more, so it must be gone before its files are.
    fn drop(&mut self) {
        if self.process.is_known_to_have_ended() {
            // It has ended, and all is done.
            return;
        }
        self.process.signal(Signal::KILL);
        let deadline = Instant::now() + DYING;
        while self.process.runs() && Instant::now() < deadline {
            std::thread::sleep(Duration::from_millis(1));
        }
        self.place.clear();
    }
}

fn describe(status: Option<&io::Result<ExitStatus>>) -> String {
    use std::os::unix::process::ExitStatusExt;
    let Some(status) = status else {
        return "ended, nobody saw how: it was started by a node before this one".to_owned();
    };
    match status {
        Ok(status) if status.success() => "ended".to_owned(),
        Ok(status) if status.signal().is_some() => format!("was killed, {status}"),
        Ok(status) => format!("failed, {status}"),
        Err(error) => format!("ended, nobody knows how: {error}"),
    }
}

impl fmt::Display for Ended {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(&self.how)?;
        match &self.last_words {
            Some(words) => write!(formatter, "; its last words: {words}"),
            None => Ok(()),
        }
    }
}
