//! How long runs on generated datasets take, and how much memory: a table.
//!
//! `cargo bench -p simulator` measures up to 1000 servers, and how time grows with the steps. `cargo bench -p simulator --
//! 10000 100000:50 off` measures 10 000 servers for 100 steps and 100 000 for 50, without metrics; with `corrected`, all
//! corrections are on. Every case runs in a process of its own, so that its memory is its own, five times (with `once`,
//! once): the figures are medians.

use std::fs::File;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use rustix::time::{ClockId, clock_gettime};
use simulator::dataset::{self, Limits};
use simulator::generate::Mesh;
use simulator::metrics::{MsgPack, Recorder};
use simulator::scenario::Scenario;
use simulator::settings::{Corrections, Settings};
use simulator::simulation::{Abort, Simulation};

/// What is done with metrics.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Metrics {
    Off,
    /// Encoded and thrown away.
    Collected,
    /// Written to files.
    Written,
}

impl Metrics {
    const ALL: [(&str, Self); 3] = [
        ("off", Self::Off),
        ("collected", Self::Collected),
        ("written", Self::Written),
    ];
}

/// How often each case is run.
const RUNS: usize = 5;
/// What is measured of a case, with how many digits after the point.
const FIGURES: [(&str, usize); 6] = [
    ("load s", 2),
    ("steps s", 3),
    ("CPU s", 3),
    ("peak MB", 0),
    (" flows", 0),
    ("rows MB", 0),
];

/// With this on the command line, every case is run once.
const ONCE: &str = "once";
/// With this on the command line, all corrections are on.
const CORRECTED: &str = "corrected";

fn main() {
    let arguments: Vec<String> = std::env::args()
        .skip(1)
        .filter(|at| at != "--bench")
        .collect();
    if arguments.first().is_some_and(|first| first == "case") {
        let number = |at: usize| arguments[at].parse().expect("a number");
        let corrected = arguments.iter().any(|at| at == CORRECTED);
        run(number(1), number(2), &arguments[3], corrected);
        return;
    }
    let names = FIGURES.map(|(name, _)| name);
    println!("servers | steps | metrics   | {}", names.join(" | "));
    let runs = if arguments.iter().any(|at| at == ONCE) {
        1
    } else {
        RUNS
    };
    for (servers, steps) in cases(&arguments) {
        for name in kinds(&arguments) {
            let case = ["case", &servers.to_string(), &steps.to_string(), name];
            let measured: Vec<Vec<f64>> = (0..runs).map(|_| measure(case, &arguments)).collect();
            let figures: Vec<String> = FIGURES
                .iter()
                .enumerate()
                .map(|(at, (name, digits))| {
                    let median = median(measured.iter().map(|figures| figures[at]).collect());
                    format!("{median:width$.digits$}", width = name.len())
                })
                .collect();
            println!(
                "{servers:7} | {steps:5} | {name:9} | {}",
                figures.join(" | ")
            );
        }
    }
}

/// The figures of a case that is run in a process of its own.
fn measure(case: [&str; 4], arguments: &[String]) -> Vec<f64> {
    let program = std::env::current_exe().expect("this program");
    let output = Command::new(program)
        .args(case)
        .args(arguments.iter().filter(|at| *at == CORRECTED))
        .stderr(Stdio::inherit())
        .output()
        .expect("a case starts");
    assert!(output.status.success());
    let figures = String::from_utf8(output.stdout).expect("text");
    let figure = |text: &str| text.parse().expect("a figure");
    figures.split_whitespace().map(figure).collect()
}

fn median(mut values: Vec<f64>) -> f64 {
    values.sort_by(f64::total_cmp);
    values[values.len() / 2]
}

/// The kinds of metrics that the command line names, or all.
fn kinds(arguments: &[String]) -> Vec<&'static str> {
    let all = Metrics::ALL.map(|(name, _)| name);
    let given = all
        .iter()
        .filter(|name| arguments.iter().any(|at| at == *name));
    let given: Vec<_> = given.copied().collect();
    if given.is_empty() {
        all.to_vec()
    } else {
        given
    }
}

/// How many servers, and for how many steps.
fn cases(arguments: &[String]) -> Vec<(u32, u32)> {
    let given = arguments.iter().filter_map(|at| match at.split_once(':') {
        Some((servers, steps)) => Some((servers.parse().ok()?, steps.parse().ok()?)),
        None => Some((at.parse().ok()?, 100)),
    });
    let given: Vec<(u32, u32)> = given.collect();
    if !given.is_empty() {
        return given;
    }
    let growth = [50, 100, 200, 400].map(|steps| (1000, steps));
    [(10, 100), (100, 100)].into_iter().chain(growth).collect()
}

fn run(servers: u32, steps: u32, metrics: &str, corrected: bool) {
    let (_, kind) = (Metrics::ALL.into_iter())
        .find(|(name, _)| *name == metrics)
        .expect("a kind of metrics");
    let mesh = Mesh {
        servers,
        steps,
        services_per_server: 2,
    };
    let folder = std::env::temp_dir().join(format!("kiln-bench-{}", std::process::id()));
    std::fs::create_dir_all(&folder).expect("a folder");
    let generated = mesh.generate();
    let path = folder.join("dataset.json");
    std::fs::write(&path, &generated.dataset).expect("the dataset");
    let mut scenario = Scenario::read(generated.scenario.as_bytes()).expect("a scenario");
    drop(generated);
    // What was taken to generate is not the run's.
    std::fs::write("/proc/self/clear_refs", "5").ok();

    let begun = Instant::now();
    let json = std::fs::read(&path).expect("the dataset");
    let limits = Limits { bytes: u64::MAX };
    let model = dataset::load(&json, &limits).expect("a dataset");
    drop(json);
    let loaded = begun.elapsed();
    let settings = Settings {
        corrections: match corrected {
            true => Corrections::ALL,
            false => Corrections::NONE,
        },
        link_applications: false,
        threads: std::thread::available_parallelism().map_or(1, usize::from),
        ..scenario.settings()
    };
    let mut simulation = Simulation::new(model, settings);
    let mut written = 0;
    let (begun, busy) = (Instant::now(), cpu_time());
    let stop = scenario.stop;
    let policy = scenario.algorithm.policy();
    match kind {
        Metrics::Off => simulation
            .run::<Abort>(policy, stop, |_| Ok(()))
            .expect("a run"),
        Metrics::Collected | Metrics::Written => {
            let mut recorder = Recorder::<MsgPack, _, _>::new(|class| {
                let path = match kind {
                    Metrics::Collected => "/dev/null".into(),
                    _ => folder.join(class.name()),
                };
                File::create(path)
            });
            (simulation.run(policy, stop, |simulation| {
                recorder.record(simulation.model())?;
                Ok::<(), Box<dyn std::error::Error>>(())
            }))
            .expect("a run");
            for (_, file) in recorder.finish().expect("files") {
                written += file.metadata().expect("a file").len();
            }
        }
    }
    let (stepped, busy) = (begun.elapsed(), cpu_time() - busy);
    std::fs::remove_dir_all(&folder).expect("the folder");
    println!(
        "{} {} {} {} {} {}",
        loaded.as_secs_f64(),
        stepped.as_secs_f64(),
        busy.as_secs_f64(),
        peak_memory(),
        simulation.model().flows.len(),
        written >> 20,
    );
}

/// The most memory that this process had, in MB.
fn peak_memory() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").expect("the process's status");
    let line = status.lines().find(|line| line.starts_with("VmHWM:"));
    let kilobytes: u64 = (line.expect("a peak").split_whitespace().nth(1))
        .and_then(|number| number.parse().ok())
        .expect("a number");
    kilobytes / 1024
}

/// What all threads of this process have had of processors so far: on a busy machine, less than the time that has passed.
fn cpu_time() -> Duration {
    let time = clock_gettime(ClockId::ProcessCPUTime);
    Duration::try_from(time).expect("time that has passed")
}
