//! Where the programs keep what they write.

use std::{
    env, io,
    path::{Path, PathBuf},
};

/// Names another database than the default.
pub const DATABASE_VARIABLE: &str = "SIMPLE_SERVICE_DB";

/// Names another folder for plots than the default.
pub const PLOTS_VARIABLE: &str = "SIMPLE_SERVICE_PLOTS";

/// The database: what `SIMPLE_SERVICE_DB` says, or `service.db` beside the program.
///
/// Beside the program, since every image that has it has that folder, and no volume hides what is there.
///
/// # Errors
/// If the program cannot find out where it is itself.
pub fn database() -> io::Result<PathBuf> {
    match env::var_os(DATABASE_VARIABLE) {
        Some(path) => Ok(path.into()),
        None => beside_this_program("service.db"),
    }
}

/// The folder for plots: what `SIMPLE_SERVICE_PLOTS` says, or the volume `/golem/out`.
pub fn plots() -> PathBuf {
    env::var_os(PLOTS_VARIABLE).map_or_else(|| PathBuf::from("/golem/out"), PathBuf::from)
}

/// The pid file of the daemon that adds to the database at `database`; one daemon for each database.
pub fn pid_file(database: &Path) -> PathBuf {
    database.with_file_name("simulate_observations.pid")
}

/// Where that daemon complains.
pub fn log_file(database: &Path) -> PathBuf {
    database.with_file_name("simulate_observations.log")
}

/// The path of `name` in the folder of the program that runs; a link to the program does not count.
///
/// # Errors
/// If the program cannot find out where it is itself.
pub fn beside_this_program(name: &str) -> io::Result<PathBuf> {
    Ok(env::current_exe()?.with_file_name(name))
}
