//! The service's calls, side by side with the same calls of a Python program with numpy and matplotlib.
//!
//! `cargo bench -p simple_service` makes a virtual environment in the target folder, once. Whole processes are
//! measured, as the service's instances start them.

use std::{
    env, fs, io,
    path::{Path, PathBuf},
    process::{Command, Stdio},
    time::{Duration, Instant},
};

use chrono::{SecondsFormat, TimeDelta, Utc};
use observations::{Database, daemon::simulated_values};
use rand::{SeedableRng, rngs::StdRng};
use rusqlite::Connection;

const PROGRAM: &str = env!("CARGO_BIN_EXE_simple_service");
const SCRIPT: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/benches/simple_service.py");

/// How many observations there are, and how often each call is measured; the median counts.
const SIZES: [(usize, usize); 2] = [(10_000, 11), (1_000_000, 3)];

const CALLS: [&[&str]; 5] = [
    &["--add", "14"],
    &["--stats"],
    &["--plot", "dist"],
    &["--plot", "time"],
    &["--dump"],
];

fn main() -> anyhow::Result<()> {
    let python = environment()?;
    println!(
        "| observations | call | Kiln, ms | Python, ms | ratio | Python that imports what it needs, ms | ratio |"
    );
    println!("|---|---|---|---|---|---|---|");
    for (size, rounds) in SIZES {
        let place = tempfile::tempdir()?;
        observe(&place.path().join("service.db"), size)?;
        for call in CALLS {
            let mut ours = Vec::new();
            let mut theirs = Vec::new();
            let mut lazy = Vec::new();
            // In turns, so that both meet the same machine.
            for _ in 0..rounds {
                ours.push(time(Command::new(PROGRAM).args(call), place.path())?);
                let mut script = Command::new(&python);
                script.arg(SCRIPT).args(call);
                lazy.push(time(&mut script, place.path())?);
                theirs.push(time(script.env("IMPORT_FIRST", "1"), place.path())?);
            }
            let [ours, theirs, lazy] = [ours, theirs, lazy].map(median);
            println!(
                "| {size} | `{}` | {:.1} | {:.0} | {:.0} | {:.0} | {:.0} |",
                call.join(" "),
                ours * 1e3,
                theirs * 1e3,
                theirs / ours,
                lazy * 1e3,
                lazy / ours
            );
        }
    }
    Ok(())
}

/// A Python with numpy and matplotlib.
fn environment() -> anyhow::Result<PathBuf> {
    let folder = Path::new(PROGRAM)
        .ancestors()
        .nth(2)
        .unwrap_or(Path::new("."))
        .join("python-of-benches");
    let python = folder.join("bin/python");
    let complete = folder.join("complete");
    if !complete.exists() {
        done(Command::new("python3").args(["-m", "venv"]).arg(&folder))?;
        let install = ["-m", "pip", "install", "--quiet", "numpy", "matplotlib"];
        done(Command::new(&python).args(install))?;
        // matplotlib writes its cache of fonts when it is first used.
        done(Command::new(&python).args(["-c", "import matplotlib.pyplot"]))?;
        fs::write(complete, "")?;
    }
    Ok(python)
}

/// A database with `size` observations, a second apart, until now: what a call adds is the next.
fn observe(path: &Path, size: usize) -> anyhow::Result<()> {
    Database::init(path)?;
    let mut connection = Connection::open(path)?;
    let transaction = connection.transaction()?;
    {
        let mut insert = transaction.prepare("INSERT INTO observations VALUES (?1, ?2)")?;
        let values = simulated_values(StdRng::seed_from_u64(1));
        let first = Utc::now() - TimeDelta::seconds(size as i64);
        for (second, value) in (0..).zip(values).take(size) {
            let time = first + TimeDelta::seconds(second);
            insert.execute((value, time.to_rfc3339_opts(SecondsFormat::Millis, true)))?;
        }
    }
    Ok(transaction.commit()?)
}

/// Seconds that a command takes.
fn time(command: &mut Command, place: &Path) -> io::Result<f64> {
    command
        .env("SIMPLE_SERVICE_DB", place.join("service.db"))
        .env("SIMPLE_SERVICE_PLOTS", place);
    let begun = Instant::now();
    done(command)?;
    Ok(Duration::as_secs_f64(&begun.elapsed()))
}

fn done(command: &mut Command) -> io::Result<()> {
    let status = command.stdout(Stdio::null()).status()?;
    match status.success() {
        true => Ok(()),
        false => Err(io::Error::other(format!("{command:?}: {status}"))),
    }
}

fn median(mut times: Vec<f64>) -> f64 {
    times.sort_by(f64::total_cmp);
    times[times.len() / 2]
}
