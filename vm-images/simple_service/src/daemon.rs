//! The daemon that simulates observations, and how it is started and stopped.
//!
//! ```text
//! simulate_observations_ctl --start            simulate_observations --detached
//!     spawn ──────────────────────────────────▶ locks the pid file, adds a first observation to the database
//!     reads its output until that ends ◀─────── "ready", then leaves session and stdio
//!     ends                                      adds an observation each second
//! ```

use std::{
    fs::{File, OpenOptions},
    io::{self, Read, Write},
    path::{Path, PathBuf},
    process::{Command, Stdio},
    thread,
    time::{Duration, Instant},
};

use chrono::Utc;
use rand::{RngExt, distr::Open01};
use statrs::distribution::{ContinuousCDF, Normal};

use crate::{
    Database,
    database::DatabaseError,
    pid_file::{Holder, PidFile, PidFileError},
    place,
};

/// Mean of the simulated observations.
pub const MEAN: f64 = 14.0;

/// Standard deviation of the simulated observations.
pub const STANDARD_DEVIATION: f64 = 3.0;

/// One observation is made in each.
const INTERVAL: Duration = Duration::from_secs(1);

/// What the daemon says when it is about to detach.
const READY: &[u8] = b"ready\n";

/// Why the daemon does not run, or not as it should.
#[derive(Debug, thiserror::Error)]
pub enum DaemonError {
    /// The pid file is of no use, or another daemon has it.
    #[error(transparent)]
    PidFile(#[from] PidFileError),
    /// The database is of no use.
    #[error(transparent)]
    Database(#[from] DatabaseError),
    /// The program cannot be run.
    #[error("cannot run {}", program.display())]
    Run {
        /// The program.
        program: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// The daemon ended before it was ready. It has said why itself.
    #[error("simulate_observations did not start ({0})")]
    NotReady(std::process::ExitStatus),
    /// The daemon cannot leave the session and the output of whoever started it.
    #[error("cannot detach, with {} for complaints", log.display())]
    Detach {
        /// Where its complaints were to go.
        log: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// The daemon cannot be ended.
    #[error("cannot stop simulate_observations (pid {pid})")]
    Stop {
        /// Its process id.
        pid: u32,
        /// Why.
        source: io::Error,
    },
}

/// What [`start`] found or did.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Started {
    /// The daemon runs from now on.
    Now {
        /// Its process id.
        pid: u32,
    },
    /// It ran already.
    Before {
        /// Its process id.
        pid: u32,
    },
}

/// Starts `program`, which is `simulate_observations`, in the background, for the database at `database`.
/// It is at work when this returns.
///
/// # Errors
/// If it cannot be started, or ends at once.
pub fn start(program: &Path, database: &Path) -> Result<Started, DaemonError> {
    if let Some(holder) = Holder::of(&place::pid_file(database))? {
        return Ok(Started::Before { pid: holder.pid() });
    }
    let failed = |source| DaemonError::Run {
        program: program.into(),
        source,
    };
    let mut daemon = Command::new(program)
        .arg("--detached")
        .env(place::DATABASE_VARIABLE, database)
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .spawn()
        .map_err(failed)?;
    let mut said = Vec::new();
    if let Some(output) = &mut daemon.stdout {
        output.read_to_end(&mut said).map_err(failed)?;
    }
    if said == READY {
        return Ok(Started::Now { pid: daemon.id() });
    }
    Err(DaemonError::NotReady(daemon.wait().map_err(failed)?))
}

/// Stops the daemon of the database at `database`, and returns its process id when it has ended; `None` if there
/// is none.
///
/// # Errors
/// If it cannot be found out whether there is one, or if it cannot be stopped.
pub fn stop(database: &Path) -> Result<Option<u32>, DaemonError> {
    let Some(holder) = Holder::of(&place::pid_file(database))? else {
        return Ok(None);
    };
    let pid = holder.pid();
    holder
        .stop()
        .map_err(|source| DaemonError::Stop { pid, source })?;
    Ok(Some(pid))
}

/// Is the daemon: adds simulated observations to the database at `path` until the process ends. With `detached`, as
/// [`start`] wants it, it first says that it is ready, and then leaves the session and the output of its parent.
///
/// # Errors
/// If there is a daemon of this database already, or if it cannot begin.
pub fn run(path: &Path, detached: bool, rng: impl RngExt) -> Result<(), DaemonError> {
    let _held = PidFile::take(&place::pid_file(path))?;
    // It adds to the database itself and runs no `simple_service --add`, as a shell would: a process for each
    // observation costs more than the observation, and its failure would be an exit code without a reason.
    let database = Database::open(path)?;
    let mut values = simulated_values(rng);
    let mut next = Instant::now();
    // Before anybody hears that it is ready: statistics of no observations are an error.
    if let Some(first) = values.next() {
        database.add(first, Utc::now())?;
    }
    if detached {
        let log = place::log_file(path);
        detach(&log).map_err(|source| DaemonError::Detach { log, source })?;
    }
    for value in values {
        // After a pause of the whole machine, what was missed is not made up for.
        next = Instant::now().max(next + INTERVAL);
        thread::sleep(next.saturating_duration_since(Instant::now()));
        // Whatever is wrong with the database may pass; an observation is lost, the service is not.
        if let Err(error) = database.add(value, Utc::now()) {
            let _ = writeln!(
                io::stderr(),
                "{}: {:#}",
                Utc::now(),
                anyhow::Error::from(error)
            );
        }
    }
    Ok(())
}

/// Values of the normal distribution with [`MEAN`] and [`STANDARD_DEVIATION`], without end.
pub fn simulated_values(rng: impl RngExt) -> impl Iterator<Item = f64> {
    let normal = Normal::new(MEAN, STANDARD_DEVIATION)
        .expect("both are finite and the deviation is positive");
    rng.sample_iter(Open01)
        .map(move |part| normal.inverse_cdf(part))
}

fn detach(log: &Path) -> io::Result<()> {
    let log = File::create(log)?;
    let nothing = OpenOptions::new()
        .read(true)
        .write(true)
        .open("/dev/null")?;
    rustix::process::setsid()?;
    rustix::process::chdir("/")?;
    io::stdout().write_all(READY)?;
    io::stdout().flush()?;
    rustix::stdio::dup2_stdin(&nothing)?;
    rustix::stdio::dup2_stderr(&log)?;
    // The last: whoever starts it reads up to the end of this.
    rustix::stdio::dup2_stdout(&nothing)?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use rand::{SeedableRng, rngs::StdRng};

    use super::*;
    use crate::Statistics;

    #[test]
    fn simulated_values_are_normal() {
        let values: Vec<f64> = simulated_values(StdRng::seed_from_u64(7))
            .take(20_000)
            .collect();
        let statistics = Statistics::of(&values).unwrap();
        assert!((statistics.mean - MEAN).abs() < 0.1, "{statistics:?}");
        assert!(
            (statistics.standard_deviation - STANDARD_DEVIATION).abs() < 0.1,
            "{statistics:?}"
        );
        let within = values
            .iter()
            .filter(|value| (*value - MEAN).abs() < STANDARD_DEVIATION)
            .count();
        assert!(
            (13_200..14_100).contains(&within),
            "{within} of 20000 within one deviation"
        );
    }
}
