//! The exe-unit as a process: from its command line to its exit code.
//!
//! ```text
//! bus ──calls──▶ service ──▶ supervisor ──jobs──▶ runner ── owns ──▶ executor ──▶ runtime
//!                               │  ▲──────news──────┘                   │
//!                             states                                 monitor
//! bus ◀──calls── reporter ◀─────┴────────────usage──── meter ◀──────────┘
//! ```
//!
//! It ends when it is told to by a signal, when its sandbox is gone, and when the node is, for good: then what runs is
//! stopped, whoever waits gets an answer, the last usage is reported, and after it the state Terminated.

mod command_line;
mod logs;
mod offer;
mod runtime;

use std::{
    fs, io,
    os::unix::fs::PermissionsExt,
    path::{Path, PathBuf},
    sync::Arc,
    time::{Duration, Instant},
};

use clap::Parser;
use tokio::{
    signal::unix::{Signal, SignalKind, signal},
    sync::{mpsc, oneshot, watch},
    task::JoinHandle,
    time::timeout,
};
use tokio_util::{sync::CancellationToken, task::TaskTracker};

use self::{
    command_line::{CommandLine, Mode, ServiceBus},
    logs::LogError,
};
use crate::{
    Program,
    agreement::{Agreement, AgreementError},
    cause::in_one_line,
    gsb::{Bus, ConnectError, RegisterError},
    image::{self, Images},
    program::NotEntered,
    report::{ReportError, Reporter},
    runtime::{Executor, run_jobs},
    sandbox::Monitor,
    service,
    spool::{Disk, Spool},
    supervisor::{Connections, Supervisor},
    threads::Threads,
    transfer::Transfers,
    usage::{Exceeded, Measured, Meter, UsageLimits},
    windows::Windows,
};

/// How long the end may take once nothing runs any more.
const FAREWELL: Duration = Duration::from_secs(5);
/// The disk space of an agreement that does not say, in bytes.
const STORAGE: u64 = 1 << 30;

/// What a program does that is started as an exe-unit: the code that it exits with.
pub(crate) fn main() -> u8 {
    let started = Instant::now();
    let command_line = CommandLine::parse();
    let failed = match &command_line.mode {
        Mode::ServiceBus(settings) => serve(&command_line, settings, started)
            .err()
            .map(|error| in_one_line(&error)),
        Mode::OfferTemplate => offer::print(&command_line)
            .err()
            .map(|error| in_one_line(&error)),
        Mode::Test => offer::test(&command_line)
            .err()
            .map(|error| in_one_line(&error)),
    };
    let Some(error) = failed else { return 0 };
    tracing::error!("{error}");
    eprintln!("exe-unit: {error}");
    1
}

/// Why an exe-unit does not start, or ends before it is told to.
#[derive(Debug, thiserror::Error)]
enum ExeUnitError {
    #[error(transparent)]
    Log(#[from] LogError),
    #[error(transparent)]
    Agreement(#[from] AgreementError),
    #[error(transparent)]
    Program(#[from] NotEntered),
    #[error("cannot start the async runtime, or listen to signals")]
    Tokio(#[source] io::Error),
    #[error(transparent)]
    Connect(#[from] ConnectError),
    #[error(transparent)]
    Register(#[from] RegisterError),
    #[error("cannot keep others out of the work folder {}", .path.display())]
    Work { path: PathBuf, source: io::Error },
    #[error("the exe-unit has ended")]
    Ended(#[source] End),
}

/// Why an exe-unit ends.
#[derive(Debug, thiserror::Error)]
enum End {
    #[error("it was told to by {0}")]
    Signal(&'static str),
    #[error("the bus is gone")]
    Bus,
    #[error("{}", in_one_line(.0))]
    Node(ReportError),
    #[error("its runtime has ended")]
    Sandbox,
    #[error(transparent)]
    Limit(Exceeded),
}

/// What a program writes to volumes may be a set-user-id program of this user: nobody else is to get at it.
fn keep_to_this_user(work: &Path) -> Result<(), ExeUnitError> {
    let kept = fs::set_permissions(work, fs::Permissions::from_mode(0o700));
    kept.map_err(|source| ExeUnitError::Work {
        path: work.to_owned(),
        source,
    })
}

fn serve(
    command_line: &CommandLine,
    settings: &ServiceBus,
    started: Instant,
) -> Result<(), ExeUnitError> {
    logs::begin(&settings.work_dir)?;
    keep_to_this_user(&settings.work_dir)?;
    tracing::info!(activity = settings.activity_id, "an exe-unit starts");
    let agreement = Agreement::read(&settings.agreement)?;
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .map_err(ExeUnitError::Tokio)?;
    let end = runtime.block_on(async {
        let mut exe_unit = ExeUnit::start(command_line, settings, agreement, started).await?;
        let end = exe_unit.end().await;
        tracing::info!("the exe-unit ends: {end}");
        exe_unit.stop(end.to_string()).await;
        Ok::<_, ExeUnitError>(end)
    });
    // A thread that unpacks an image is not waited for; what it leaves is removed when the image is fetched again.
    runtime.shutdown_background();
    match end? {
        End::Signal(_) => Ok(()),
        end => Err(ExeUnitError::Ended(end)),
    }
}

/// An exe-unit at work.
struct ExeUnit {
    signals: Signals,
    bus: Bus,
    supervisor: Supervisor,
    runner: JoinHandle<()>,
    monitor: watch::Receiver<Option<Monitor>>,
    meter: JoinHandle<Meter>,
    end_of_usage: CancellationToken,
    reporter: JoinHandle<()>,
    node_gone: oneshot::Receiver<ReportError>,
    exceeded: oneshot::Receiver<Exceeded>,
    answering: TaskTracker,
}

impl ExeUnit {
    async fn start(
        command_line: &CommandLine,
        settings: &ServiceBus,
        agreement: Agreement,
        started: Instant,
    ) -> Result<Self, ExeUnitError> {
        let signals = Signals::listen().map_err(ExeUnitError::Tokio)?;
        let patience = Duration::from_secs(settings.outlive_node);
        let bus = Bus::connect_for_long(&settings.gsb_url, "exe-unit", patience).await?;
        let threads = Threads::default();
        let transfers = Transfers::new(bus.clone(), storage_bytes(&agreement), threads.clone());
        let program = Program::this()?;
        let images = Images::new(program, settings.cache_dir.clone(), transfers.clone())
            .most_bytes(settings.max_image_bytes)
            .bytes_per_second(settings.image_bytes_per_second);
        let cache = settings.cache_dir.clone();
        threads.start(move || image::remove_abandoned(&cache));
        let runtime = runtime::choose(command_line, settings, &agreement, images, &threads)?;
        let executor = Executor::new(runtime, transfers, threads);
        let monitor = executor.monitor();
        let (activity_id, report_url) = (&settings.activity_id, &settings.report_url);
        let calls = bus
            .register(&format!("/public/exeunit/{activity_id}"))
            .await?;

        let (jobs, received_jobs) = mpsc::channel(1);
        let (news, received_news) = mpsc::channel(16);
        let (states, received_states) = mpsc::unbounded_channel();
        let (usage, received_usage) = mpsc::channel(1);
        let runner = tokio::spawn(run_jobs(executor, received_jobs, news));
        let connections = Connections {
            jobs,
            news: received_news,
            states,
            die_at_command: settings.die_at_command,
        };
        let disk = Arc::new(Disk::new(storage_bytes(&agreement)));
        let spool = Spool::new(settings.work_dir.clone(), Arc::clone(&disk));
        let supervisor = Supervisor::start(connections, spool);
        let answering = TaskTracker::new();
        let windows = Windows::new(bus.outlook());
        let serving = service::serve(calls, supervisor.clone(), windows, answering.clone());
        tokio::spawn(serving);
        let end_of_usage = CancellationToken::new();
        let hardware_is_ours = !command_line.runtime_managed_hardware;
        let limits = UsageLimits {
            memory_bytes: agreement.memory_bytes.filter(|_| hardware_is_ours),
            storage_bytes: agreement.storage_bytes.filter(|_| hardware_is_ours),
        };
        let (exceeds, exceeded) = oneshot::channel();
        let measured = Measured {
            started,
            work: settings.work_dir.clone(),
            disk,
            sandbox: monitor.clone(),
            names: agreement.usage_vector,
            limits,
        };
        let meter = Meter::new(measured, usage, exceeds);
        let reporter = Reporter::new(bus.clone(), activity_id.clone(), report_url.clone());
        let (gone, node_gone) = oneshot::channel();
        let reporter = async move {
            if let Err(error) = reporter.run(received_states, received_usage).await {
                // Who is on the way to the end for another reason has no use for this one.
                let _ = gone.send(error);
            }
        };
        Ok(Self {
            signals,
            bus,
            supervisor,
            runner,
            monitor,
            meter: tokio::spawn(meter.run(end_of_usage.clone())),
            end_of_usage,
            reporter: tokio::spawn(reporter),
            node_gone,
            exceeded,
            answering,
        })
    }

    /// Waits for a reason to end.
    async fn end(&mut self) -> End {
        tokio::select! {
            signal = self.signals.next() => End::Signal(signal),
            () = self.bus.closed() => End::Bus,
            Ok(error) = &mut self.node_gone => End::Node(error),
            Ok(exceeded) = &mut self.exceeded => End::Limit(exceeded),
            () = sandbox_gone(&mut self.monitor) => End::Sandbox,
        }
    }

    /// Ends in order.
    async fn stop(self, reason: String) {
        self.bus.give_up();
        // Measured before the sandbox goes, and with its memory what it has used of it.
        self.end_of_usage.cancel();
        let meter = self.meter.await;
        self.supervisor.shut_down(reason).await;
        // A task that has panicked has ended as well.
        let _ = self.runner.await;
        if let Ok(mut meter) = meter {
            meter.report().await;
        }
        self.supervisor.terminated().await;
        self.answering.close();
        let farewell = async {
            let _ = self.reporter.await;
            self.answering.wait().await;
        };
        if timeout(FAREWELL, farewell).await.is_err() {
            tracing::warn!("somebody on the bus has not listened to the end");
        }
    }
}

/// What there is of the disk, in bytes.
fn storage_bytes(agreement: &Agreement) -> u64 {
    agreement.storage_bytes.unwrap_or(STORAGE)
}

/// Waits until a sandbox has ended that was not stopped.
async fn sandbox_gone(monitor: &mut watch::Receiver<Option<Monitor>>) {
    loop {
        let current = monitor.borrow_and_update().clone();
        let gone = async {
            match current {
                Some(sandbox) => sandbox.gone().await,
                None => std::future::pending().await,
            }
        };
        tokio::select! {
            // A sandbox that is stopped is given up first.
            biased;
            changed = monitor.changed() => if changed.is_err() {
                std::future::pending().await
            },
            () = gone => return,
        }
    }
}

/// The signals that tell an exe-unit to end.
struct Signals {
    terminate: Signal,
    interrupt: Signal,
    quit: Signal,
}

impl Signals {
    fn listen() -> io::Result<Self> {
        Ok(Self {
            terminate: signal(SignalKind::terminate())?,
            interrupt: signal(SignalKind::interrupt())?,
            quit: signal(SignalKind::quit())?,
        })
    }

    /// The name of the next.
    async fn next(&mut self) -> &'static str {
        tokio::select! {
            _ = self.terminate.recv() => "SIGTERM",
            _ = self.interrupt.recv() => "SIGINT",
            _ = self.quit.recv() => "SIGQUIT",
        }
    }
}
