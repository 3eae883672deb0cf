//! The database in a node's folder.

use std::{
    fmt::{self, Display},
    path::{Path, PathBuf},
    str::FromStr,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use chrono::{DateTime, Utc};
use rusqlite::{Connection, OptionalExtension, Transaction, params};
use tokio_util::sync::CancellationToken;

use super::{Entity, Happening};
use crate::{folder::Folder, log::KEPT};

/// A node's database. Clones are the same one.
#[derive(Clone)]
pub(crate) struct Store {
    path: Arc<Path>,
    /// Held for as long as anything may be written here, so that no other node does.
    _folder: Arc<Folder>,
    connection: Arc<Mutex<Connection>>,
    /// Cancelled as soon as something cannot be written: nothing may be acknowledged any more.
    failed: CancellationToken,
}

/// Why what a node keeps cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum StateError {
    /// The database cannot be read or written.
    #[error("the database {path} cannot be used")]
    #[expect(missing_docs, reason = "the message says it")]
    Database {
        path: PathBuf,
        source: rusqlite::Error,
    },
    /// It is of a version of this program that is not known to this one.
    #[error(
        "the database {path} has version {version}, this program knows versions up to {VERSION}"
    )]
    #[expect(missing_docs, reason = "the message says it")]
    Version { path: PathBuf, version: u32 },
    /// Something in it makes no sense.
    #[error("the database {path} holds nonsense: {what}")]
    #[expect(missing_docs, reason = "the message says it")]
    Nonsense { path: PathBuf, what: String },
}

/// Something to be written down.
#[derive(Debug)]
pub(crate) enum Record {
    /// What an entry of a table is now.
    Entry {
        /// The table.
        table: &'static str,
        /// The entry's id.
        id: String,
        /// The entry, as JSON; or why it has none.
        body: Result<String, serde_json::Error>,
    },
    /// Something that has happened.
    Happening {
        /// In which log.
        log: &'static str,
        /// Whom it concerns.
        whom: String,
        /// When, in microseconds since 1970.
        time: i64,
        /// What, as JSON; or why it has none.
        body: Result<String, serde_json::Error>,
    },
}

impl Record {
    pub(super) fn entry<V: Entity>(id: &impl Display, entry: &V) -> Self {
        Self::Entry {
            table: V::TABLE,
            id: id.to_string(),
            body: entry.to_json(),
        }
    }

    pub(super) fn happening<E: Happening>(
        whom: &impl Display,
        time: DateTime<Utc>,
        event: &E,
    ) -> Self {
        Self::Happening {
            log: E::LOG,
            whom: whom.to_string(),
            time: time.timestamp_micros(),
            body: serde_json::to_string(event),
        }
    }
}

/// The database, in a node's folder.
const DATABASE: &str = "node.db";

/// What is in the database, as this program writes it.
const VERSION: u32 = 1;
const SCHEMA: &str = "
CREATE TABLE settings (id TEXT PRIMARY KEY, body TEXT NOT NULL) STRICT;
CREATE TABLE agreements (id TEXT PRIMARY KEY, body TEXT NOT NULL) STRICT;
CREATE TABLE activities (id TEXT PRIMARY KEY, body TEXT NOT NULL) STRICT;
CREATE TABLE allocations (id TEXT PRIMARY KEY, body TEXT NOT NULL) STRICT;
CREATE TABLE bills (id TEXT PRIMARY KEY, body TEXT NOT NULL) STRICT;
CREATE TABLE tabs (id TEXT PRIMARY KEY, body TEXT NOT NULL) STRICT;
CREATE TABLE happenings (
    log TEXT NOT NULL, whom TEXT NOT NULL, time INTEGER NOT NULL, body TEXT NOT NULL,
    PRIMARY KEY (log, whom, time)
) STRICT, WITHOUT ROWID;
";

/// How long another program that reads the database may hold it.
const BUSY: Duration = Duration::from_secs(15);

impl Store {
    /// Opens the database in a folder, and makes it if it is not there. `failed` is cancelled when it cannot be written.
    pub(crate) fn open(folder: Arc<Folder>, failed: CancellationToken) -> Result<Self, StateError> {
        let path = folder.path().join(DATABASE);
        let at = |source| StateError::Database {
            path: path.clone(),
            source,
        };
        let mut connection = Connection::open(&path).map_err(at)?;
        connection.busy_timeout(BUSY).map_err(at)?;
        // A killed process loses nothing so; when the machine loses its power, the last moments may be lost.
        for (name, value) in [("journal_mode", "WAL"), ("synchronous", "NORMAL")] {
            connection
                .pragma_update_and_check(None, name, value, |_| Ok(()))
                .optional()
                .map_err(at)?;
        }
        let version = connection.pragma_query_value(None, "user_version", |row| row.get(0));
        match version.map_err(at)? {
            VERSION => {}
            0 => {
                let transaction = connection.transaction().map_err(at)?;
                create(&transaction).map_err(at)?;
                transaction.commit().map_err(at)?;
            }
            version => return Err(StateError::Version { path, version }),
        }
        Ok(Self {
            path: path.into(),
            _folder: folder,
            connection: Arc::new(Mutex::new(connection)),
            failed,
        })
    }

    /// Writes all of the records down, or none; none means that the node has failed.
    pub(crate) fn write(&self, records: &[Record]) {
        if records.is_empty() {
            return;
        }
        if let Err(error) = self.try_write(records) {
            let cause = std::error::Error::source(&error).map(ToString::to_string);
            tracing::error!(%error, cause, "what has happened cannot be kept: the node ends");
            self.failed.cancel();
        }
    }

    fn try_write(&self, records: &[Record]) -> Result<(), StateError> {
        let at = |source| self.unusable(source);
        let mut connection = self
            .connection
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        let transaction = connection.transaction().map_err(at)?;
        for record in records {
            match record {
                Record::Entry { table, id, body } => {
                    let body = body
                        .as_ref()
                        .map_err(|error| self.nonsense(table, id, error))?;
                    let sql = format!("INSERT OR REPLACE INTO {table} (id, body) VALUES (?1, ?2)");
                    let mut insert = transaction.prepare_cached(&sql).map_err(at)?;
                    insert.execute(params![id, body]).map_err(at)?;
                }
                Record::Happening {
                    log,
                    whom,
                    time,
                    body,
                } => {
                    let body = body
                        .as_ref()
                        .map_err(|error| self.nonsense(log, whom, error))?;
                    let sql = "INSERT OR REPLACE INTO happenings (log, whom, time, body) VALUES (?1, ?2, ?3, ?4)";
                    let mut insert = transaction.prepare_cached(sql).map_err(at)?;
                    insert.execute(params![log, whom, time, body]).map_err(at)?;
                }
            }
        }
        transaction.commit().map_err(at)
    }

    /// What a setting is, if it is set.
    pub(crate) fn setting(&self, name: &str) -> Result<Option<String>, StateError> {
        let connection = self
            .connection
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        connection
            .query_row("SELECT body FROM settings WHERE id = ?1", [name], |row| {
                row.get(0)
            })
            .optional()
            .map_err(|source| self.unusable(source))
    }

    /// Sets it.
    pub(crate) fn set(&self, name: &str, value: &str) -> Result<(), StateError> {
        self.try_write(&[Record::Entry {
            table: "settings",
            id: name.to_owned(),
            body: Ok(value.to_owned()),
        }])
    }

    /// All entries of a table, with their ids.
    pub(super) fn entries<V: Entity>(&self) -> Result<Vec<(String, V)>, StateError> {
        let sql = format!("SELECT id, body FROM {}", V::TABLE);
        self.read(
            &sql,
            [],
            |row| Ok((row.get(0)?, row.get(1)?)),
            |(id, body): (String, String)| {
                let entry =
                    V::from_json(&body).map_err(|error| self.nonsense(V::TABLE, &id, error))?;
                Ok((id, entry))
            },
        )
    }

    /// What is in a log, in its order: the last [`KEPT`] of whom each concerns.
    pub(super) fn happenings<K: FromStr, E: Happening>(
        &self,
    ) -> Result<Vec<(K, DateTime<Utc>, E)>, StateError> {
        let sql = "SELECT whom, time, body FROM (SELECT whom, time, body,
                row_number() OVER (PARTITION BY whom ORDER BY time DESC) AS age FROM happenings WHERE log = ?1)
            WHERE age <= ?2 ORDER BY whom, time";
        let kept = i64::try_from(KEPT).unwrap_or(i64::MAX);
        let row = |row: &rusqlite::Row<'_>| Ok((row.get(0)?, row.get(1)?, row.get(2)?));
        self.read(
            sql,
            params![E::LOG, kept],
            row,
            |(whom, time, body): (String, i64, String)| {
                let read = serde_json::from_str(&body);
                let event = read.map_err(|error| self.nonsense(E::LOG, &whom, error))?;
                let known = whom.parse().ok().zip(DateTime::from_timestamp_micros(time));
                let (whom, time) =
                    known.ok_or_else(|| self.nonsense(E::LOG, &whom, "nobody, or never"))?;
                Ok((whom, time, event))
            },
        )
    }

    fn read<P: rusqlite::Params, R, T>(
        &self,
        sql: &str,
        parameters: P,
        row: impl FnMut(&rusqlite::Row<'_>) -> rusqlite::Result<R>,
        mut read: impl FnMut(R) -> Result<T, StateError>,
    ) -> Result<Vec<T>, StateError> {
        let at = |source| self.unusable(source);
        let connection = self
            .connection
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        let mut select = connection.prepare(sql).map_err(at)?;
        let rows = select.query_map(parameters, row).map_err(at)?;
        rows.map(|row| read(row.map_err(at)?)).collect()
    }

    fn unusable(&self, source: rusqlite::Error) -> StateError {
        StateError::Database {
            path: self.path.to_path_buf(),
            source,
        }
    }

    fn nonsense(&self, of: &str, id: &str, why: impl Display) -> StateError {
        StateError::Nonsense {
            path: self.path.to_path_buf(),
            what: format!("{of} {id}: {why}"),
        }
    }
}

fn create(transaction: &Transaction<'_>) -> rusqlite::Result<()> {
    transaction.execute_batch(SCHEMA)?;
    transaction.pragma_update(None, "user_version", VERSION)
}

impl fmt::Debug for Store {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_tuple("Store").field(&self.path).finish()
    }
}
