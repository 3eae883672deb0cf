//! The database of observations: one SQLite file with one table.

use std::{
    path::{Path, PathBuf},
    time::Duration,
};

use chrono::{DateTime, SecondsFormat, Utc};
use rusqlite::{Connection, OpenFlags, Row, types::Type};
use serde::{Serialize, Serializer};

/// How long a program waits for others that write: longer than any of them needs.
const BUSY_TIMEOUT: Duration = Duration::from_secs(30);

/// An open database.
#[derive(Debug)]
pub struct Database {
    path: PathBuf,
    connection: Connection,
}

/// A value and when it was observed.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct Observation {
    /// What was observed; finite.
    pub value: f64,
    /// When, to the millisecond.
    #[serde(serialize_with = "as_text")]
    pub timestamp: DateTime<Utc>,
}

/// As chrono has it, but in one piece: sign by sign, as it does that, takes most of the time of a large dump.
fn as_text<S: Serializer>(time: &DateTime<Utc>, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_str(&time.to_rfc3339_opts(SecondsFormat::AutoSi, true))
}

/// Why a database does not do what is asked of it.
#[derive(Debug, thiserror::Error)]
pub enum DatabaseError {
    /// Nobody has created it.
    #[error("there is no database {}: create it with `simple_service --init`", .0.display())]
    Missing(PathBuf),
    /// It cannot be created or opened.
    #[error("cannot open the database {}", path.display())]
    Open {
        /// Where it is.
        path: PathBuf,
        /// What SQLite says.
        source: rusqlite::Error,
    },
    /// An observation cannot be added.
    #[error("cannot add to the database {}", path.display())]
    Add {
        /// Where it is.
        path: PathBuf,
        /// What SQLite says.
        source: rusqlite::Error,
    },
    /// The observations cannot be read.
    #[error("cannot read the database {}", path.display())]
    Read {
        /// Where it is.
        path: PathBuf,
        /// What SQLite says.
        source: rusqlite::Error,
    },
    /// A value is infinite or not a number.
    #[error("{0} is not a finite number")]
    NotFinite(f64),
}

impl Database {
    /// Creates the database at `path`, or opens the one that is there, which keeps its observations.
    ///
    /// # Errors
    /// If the file cannot be created, or is no database.
    pub fn init(path: &Path) -> Result<Self, DatabaseError> {
        let flags = OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_CREATE;
        connect(path, flags)
            .and_then(|connection| {
                // Readers and writers then do not wait for each other. It is the file's mode, set once for all.
                connection.pragma_update(None, "journal_mode", "wal")?;
                connection.execute_batch(
                    "CREATE TABLE IF NOT EXISTS observations (value REAL NOT NULL, timestamp TEXT NOT NULL) STRICT",
                )?;
                Ok(connection)
            })
            .map(|connection| Self { path: path.into(), connection })
            .map_err(|source| DatabaseError::Open { path: path.into(), source })
    }

    /// Opens the database at `path`.
    ///
    /// # Errors
    /// If there is none, or if it cannot be opened.
    pub fn open(path: &Path) -> Result<Self, DatabaseError> {
        let path = path.to_path_buf();
        match connect(&path, OpenFlags::SQLITE_OPEN_READ_WRITE) {
            Ok(connection) => Ok(Self { path, connection }),
            Err(_) if matches!(path.try_exists(), Ok(false)) => Err(DatabaseError::Missing(path)),
            Err(source) => Err(DatabaseError::Open { path, source }),
        }
    }

    /// Adds an observation made at `time`, and waits for others who write meanwhile.
    ///
    /// # Errors
    /// If `value` is not finite, or if the database cannot be written.
    pub fn add(&self, value: f64, time: DateTime<Utc>) -> Result<(), DatabaseError> {
        if !value.is_finite() {
            return Err(DatabaseError::NotFinite(value));
        }
        let timestamp = time.to_rfc3339_opts(SecondsFormat::Millis, true);
        self.connection
            .execute(
                "INSERT INTO observations VALUES (?1, ?2)",
                (value, timestamp),
            )
            .map(drop)
            .map_err(|source| DatabaseError::Add {
                path: self.path.clone(),
                source,
            })
    }

    /// All observations in the order of their time.
    ///
    /// # Errors
    /// If the database cannot be read, or has a row that is no observation.
    pub fn observations(&self) -> Result<Vec<Observation>, DatabaseError> {
        let query = "SELECT value, timestamp FROM observations ORDER BY rowid";
        let mut observations = self.read(query, Observation::from_row)?;
        // They are nearly in order; SQLite would sort them from scratch.
        observations.sort_by_key(|observation| observation.timestamp);
        Ok(observations)
    }

    /// The values of all observations, in no particular order.
    ///
    /// # Errors
    /// If the database cannot be read.
    pub fn values(&self) -> Result<Vec<f64>, DatabaseError> {
        self.read("SELECT value FROM observations", |row| row.get(0))
    }

    fn read<T>(
        &self,
        query: &str,
        from_row: impl FnMut(&Row<'_>) -> rusqlite::Result<T>,
    ) -> Result<Vec<T>, DatabaseError> {
        let rows = || -> rusqlite::Result<Vec<T>> {
            self.connection
                .prepare(query)?
                .query_map([], from_row)?
                .collect()
        };
        rows().map_err(|source| DatabaseError::Read {
            path: self.path.clone(),
            source,
        })
    }
}

impl Observation {
    /// Of a row of value and timestamp.
    fn from_row(row: &Row<'_>) -> rusqlite::Result<Self> {
        let timestamp = DateTime::parse_from_rfc3339(row.get_ref(1)?.as_str()?)
            .map_err(|error| {
                rusqlite::Error::FromSqlConversionFailure(1, Type::Text, error.into())
            })?
            .to_utc();
        Ok(Self {
            value: row.get(0)?,
            timestamp,
        })
    }
}

fn connect(path: &Path, flags: OpenFlags) -> rusqlite::Result<Connection> {
    let connection = Connection::open_with_flags(path, flags)?;
    connection.busy_timeout(BUSY_TIMEOUT)?;
    // Sorting may need room, and the image has no folder for temporary files.
    connection.pragma_update(None, "temp_store", "memory")?;
    Ok(connection)
}
