//! A runtime that somebody else has written: any program that takes the command line of runtimes, and their protocol.
//!
//! ```text
//! RUNTIME --workdir W --task-package IMAGE … deploy --          prints what it has deployed, as JSON
//! RUNTIME … start ARGS                                          stays, and speaks the protocol; or
//! RUNTIME … start -- ARGS;  RUNTIME … run --entrypoint E -- ARGS      a call for each command
//! ```

mod answer;
mod ledger;
mod one_shot;
mod service;

use std::{
    ffi::OsString,
    fs::{self, File, OpenOptions},
    io,
    path::{Path, PathBuf},
    process::Stdio,
    sync::atomic::{AtomicU64, Ordering},
    time::Duration,
};

use async_trait::async_trait;
use tokio::{io::AsyncReadExt, sync::watch};
use tokio_util::task::TaskTracker;

use self::{
    answer::{Answer, StartMode},
    service::{Service, Streams},
};
use super::{Outlet, Run, Runtime, out_of_order};
use crate::{
    Program,
    activity::Failure,
    image::Images,
    sandbox::{self, ExitStatus, Monitor, Process, RunError, SandboxGone, wire},
    script::Deployment,
    tied::{Call, Tied},
    transfer::Volumes,
};

/// The most that a runtime may say to one call, in bytes.
const MOST_SAID: u64 = 1 << 20;
/// How much of a runtime's log an error repeats, in bytes.
const LAST_WORDS: u64 = 2 << 10;

/// What an external runtime is called with.
#[derive(Clone, Debug)]
pub(crate) struct ExternalConfig {
    /// What becomes the warden of its processes.
    pub(crate) program: Program,
    /// The runtime.
    pub(crate) path: PathBuf,
    /// Arguments of its own, before the subcommand.
    pub(crate) arguments: Vec<String>,
    /// The folder that it works in.
    pub(crate) work: PathBuf,
    /// Where the agreement says that the image is; none if the runtime gets it by itself.
    pub(crate) task_package: Option<String>,
    /// Whether the runtime is told what of the machine it may use.
    pub(crate) hardware: Option<Hardware>,
}

/// What of the machine was agreed on.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub(crate) struct Hardware {
    pub(crate) cpu_threads: Option<u64>,
    pub(crate) memory_gib: Option<f64>,
    pub(crate) storage_gib: Option<f64>,
}

/// Runs commands by a program of somebody else's.
#[derive(Debug)]
pub(crate) struct ExternalRuntime {
    config: ExternalConfig,
    images: Images,
    /// None before `deploy`.
    deployed: Option<Deployed>,
    /// None before `start`.
    started: Option<Started>,
    /// A call that has not ended, or has not said hello.
    calling: Option<Tied>,
    monitor: watch::Sender<Option<Monitor>>,
}

#[derive(Debug)]
struct Deployed {
    image: Option<PathBuf>,
    answer: Answer,
}

#[derive(Debug)]
enum Started {
    Service(Box<Service>, AtomicU64),
    OneShot(TaskTracker),
}

impl ExternalRuntime {
    pub(crate) fn new(config: ExternalConfig, images: Images) -> Self {
        Self {
            config,
            images,
            deployed: None,
            started: None,
            calling: None,
            monitor: watch::Sender::new(None),
        }
    }

    /// The call of a subcommand.
    fn call(&self, image: Option<&Path>, rest: &[&str]) -> Vec<OsString> {
        let config = &self.config;
        let mut line: Vec<OsString> = vec![config.path.clone().into()];
        line.extend(["--workdir".into(), config.work.clone().into()]);
        if let Some(image) = image {
            line.extend(["--task-package".into(), image.into()]);
        }
        if let Some(hardware) = config.hardware {
            let numbers = [
                ("--cpu-cores", hardware.cpu_threads.map(|n| n.to_string())),
                ("--mem-gib", hardware.memory_gib.map(|n| n.to_string())),
                ("--storage-gib", hardware.storage_gib.map(|n| n.to_string())),
            ];
            let given =
                |(name, number): (&str, Option<String>)| Some([name.into(), number?.into()]);
            line.extend(numbers.into_iter().filter_map(given).flatten());
        }
        line.extend(config.arguments.iter().map(OsString::from));
        line.extend(rest.iter().map(OsString::from));
        line
    }

    /// Starts a call; what it says on its standard error goes to the log.
    fn spawn_logged(&self, line: &[OsString]) -> Result<Tied, Failure> {
        let log = self.log();
        let opened = open_log(&log);
        let stderr = opened.map_err(|error| failed("open the log", &log, &error))?;
        self.spawn(line, stderr.into())
    }

    fn spawn(&self, line: &[OsString], stderr: Stdio) -> Result<Tied, Failure> {
        let work = &self.config.work;
        let call = Call {
            line: line.to_vec(),
            ..Default::default()
        };
        let spawned = Tied::spawn(&self.config.program, &call, |command| {
            command
                .current_dir(work)
                .stdin(Stdio::piped())
                .stdout(Stdio::piped())
                .stderr(stderr);
        });
        spawned.map_err(|error| failed("start", &self.config.path, &error))
    }

    /// Makes a call that ends by itself, and returns what it has said.
    async fn finish(&mut self, name: &str, line: &[OsString]) -> Result<String, Failure> {
        let before = fs::metadata(self.log()).map_or(0, |log| log.len());
        let program = self.spawn_logged(line)?;
        let program = self.calling.insert(program);
        drop(program.child().stdin.take());
        let mut said = Vec::new();
        if let Some(stdout) = program.child().stdout.take() {
            let read = stdout.take(MOST_SAID).read_to_end(&mut said).await;
            read.map_err(|error| failed("listen to", &self.config.path, &error))?;
        }
        let status = program.wait().await;
        let status = status.map_err(|error| failed("wait for", &self.config.path, &error))?;
        self.calling = None;
        if status.success() {
            return Ok(String::from_utf8_lossy(&said).into_owned());
        }
        let words = last_words(&self.log(), before);
        let path = self.config.path.display();
        Err(Failure {
            code: ExitStatus::from(status).shell_code(),
            message: format!("the runtime {path} has failed to {name} ({status}){words}"),
        })
    }

    fn log(&self) -> PathBuf {
        self.config.work.join("logs/runtime.log")
    }

    async fn start_service(&mut self, line: &[OsString]) -> Result<Service, Failure> {
        let before = fs::metadata(self.log()).map_or(0, |log| log.len());
        let program = self.spawn_logged(line)?;
        let greeted = Streams::open(self.calling.insert(program)).await;
        let streams = greeted.map_err(|error| {
            let mut failure = Failure::of(&error);
            failure.message += &last_words(&self.log(), before);
            failure
        })?;
        let program = self.calling.take().ok_or_else(out_of_order)?;
        Ok(Service::begin(program, streams))
    }
}

#[async_trait]
impl Runtime for ExternalRuntime {
    async fn deploy(&mut self, deployment: Deployment, _: &Outlet<'_>) -> Result<String, Failure> {
        if let Some(network) = deployment.net.first() {
            let id = &network.id;
            return Err(Failure::new(format!(
                "external runtimes cannot be part of networks, and {id} is to be joined"
            )));
        }
        let image = match &self.config.task_package {
            Some(package) => {
                let file = self.images.file(package).await;
                Some(file.map_err(|error| Failure::of(&error))?)
            }
            None => None,
        };
        let mut rest = Vec::new();
        let volumes = serde_json::to_string(&deployment.volumes);
        let volumes = volumes.map_err(|error| Failure::of(&error))?;
        if !deployment.volumes.is_empty() {
            rest.extend(["--volume-override", &volumes]);
        }
        if let Some(hostname) = &deployment.hostname {
            rest.extend(["--hostname", hostname]);
        }
        rest.extend(["deploy", "--"]);
        let line = self.call(image.as_deref(), &rest);
        let said = self.finish("deploy", &line).await?;
        let answer = Answer::read(&said, &self.config.work);
        let answer = answer.map_err(|error| Failure::of(&error))?;
        // From here on, the folders are known to whoever clears up.
        let deployed = self.deployed.insert(Deployed { image, answer });
        let created = deployed.answer.create_folders();
        created.map_err(|error| Failure::of(&error))?;
        Ok(said)
    }

    async fn start(&mut self, args: Vec<String>, _: &Outlet<'_>) -> Result<(), Failure> {
        let deployed = self.deployed.as_ref().ok_or_else(out_of_order)?;
        let image = deployed.image.as_deref();
        let args = args.iter().map(String::as_str);
        let started = match deployed.answer.start_mode {
            StartMode::Blocking => {
                let rest: Vec<&str> = std::iter::once("start").chain(args).collect();
                let line = self.call(image, &rest);
                let service = self.start_service(&line).await?;
                let monitor = Monitor::new(service.orders.clone(), service.counters.clone());
                self.monitor.send_replace(Some(monitor));
                Started::Service(Box::new(service), AtomicU64::new(0))
            }
            StartMode::Empty => {
                let rest: Vec<&str> = ["start", "--"].into_iter().chain(args).collect();
                let line = self.call(image, &rest);
                self.finish("start", &line).await?;
                Started::OneShot(TaskTracker::new())
            }
        };
        self.started = Some(started);
        Ok(())
    }

    async fn run(&self, run: Run) -> Result<Process, RunError> {
        let (Some(deployed), Some(started)) = (&self.deployed, &self.started) else {
            return Err(SandboxGone.into());
        };
        match started {
            Started::Service(service, next_id) => {
                let run = wire::Run {
                    id: next_id.fetch_add(1, Ordering::Relaxed),
                    program: run.program,
                    args: run.args,
                    env: run.env,
                    working_dir: String::new(),
                    window: sandbox::WINDOW,
                    is_task: false,
                };
                sandbox::run_by(&service.orders, run).await
            }
            Started::OneShot(programs) => {
                let rest = ["run", "--entrypoint", &run.program, "--"];
                let args = run.args.iter().map(String::as_str);
                let rest: Vec<&str> = rest.into_iter().chain(args).collect();
                let line = self.call(deployed.image.as_deref(), &rest);
                let spawned = self.spawn(&line, Stdio::piped());
                let mut program = spawned.map_err(|failure| RunError::Refused {
                    code: 126,
                    reason: failure.message,
                })?;
                drop(program.child().stdin.take());
                Ok(one_shot::process(program, programs))
            }
        }
    }

    fn volumes(&self) -> Option<&Volumes> {
        let deployed = self.deployed.as_ref()?;
        Some(&deployed.answer.volumes)
    }

    fn monitor(&self) -> watch::Receiver<Option<Monitor>> {
        self.monitor.subscribe()
    }

    async fn clear(&mut self) {
        self.monitor.send_replace(None);
        match self.started.take() {
            Some(Started::Service(service, _)) => service.stop().await,
            // Nobody waits for any of them now, which ends it.
            Some(Started::OneShot(programs)) => {
                programs.close();
                programs.wait().await;
            }
            None => {}
        }
        // What was broken off writes to the folders until it has ended.
        if let Some(program) = self.calling.take() {
            program.wait_or_kill(Duration::ZERO).await;
        }
        if let Some(deployed) = self.deployed.take() {
            for volume in deployed.answer.volumes.0 {
                super::deployment::remove(volume.folder).await;
            }
        }
    }
}

/// Lets a runtime say something outside of any activity: `test` or `offer-template`.
pub(crate) fn say(
    path: &Path,
    arguments: &[String],
    subcommand: &str,
) -> io::Result<std::process::Output> {
    std::process::Command::new(path)
        .args(arguments)
        .arg(subcommand)
        .stdin(Stdio::null())
        .output()
}

fn open_log(path: &Path) -> io::Result<File> {
    if let Some(folder) = path.parent() {
        fs::create_dir_all(folder)?;
    }
    OpenOptions::new().create(true).append(true).open(path)
}

/// The end of what was logged since it had a length, to follow a message.
fn last_words(log: &Path, since: u64) -> String {
    use std::io::{Read, Seek, SeekFrom};
    let read = || -> io::Result<Vec<u8>> {
        let mut file = File::open(log)?;
        let begin = since.max(file.metadata()?.len().saturating_sub(LAST_WORDS));
        file.seek(SeekFrom::Start(begin))?;
        let mut words = Vec::new();
        file.read_to_end(&mut words)?;
        Ok(words)
    };
    let words = read().unwrap_or_default();
    match String::from_utf8_lossy(&words).trim() {
        "" => String::new(),
        words => format!(": {words}"),
    }
}

fn failed(what: &str, path: &Path, error: &io::Error) -> Failure {
    Failure::new(format!("cannot {what} {}: {error}", path.display()))
}
