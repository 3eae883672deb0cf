//! What happens in a batch, as subscribers hear it.

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};
use ya_client_model::activity::CommandOutput;

use crate::script::Command;

/// Something that happened to a command of a batch.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct RuntimeEvent {
    /// The batch.
    pub batch_id: String,
    /// The command's place in it, from 0.
    pub index: usize,
    /// When, in UTC; written without a zone.
    #[serde(with = "naive")]
    pub timestamp: DateTime<Utc>,
    /// What.
    pub kind: RuntimeEventKind,
}

/// What happened to a command.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum RuntimeEventKind {
    /// It began.
    Started {
        /// The command as it was sent.
        command: Command,
    },
    /// It ended.
    Finished {
        /// Its exit code; -1 if there is none.
        return_code: i32,
        /// Why it failed.
        message: Option<String>,
    },
    /// It wrote to its standard output, and its capture is a stream.
    StdOut(CommandOutput),
    /// It wrote to its standard error, and its capture is a stream.
    StdErr(CommandOutput),
}

/// A UTC time without its zone.
mod naive {
    use chrono::{DateTime, NaiveDateTime, Utc};
    use serde::{Deserialize, Deserializer, Serialize, Serializer};

    pub(super) fn serialize<S: Serializer>(
        time: &DateTime<Utc>,
        serializer: S,
    ) -> Result<S::Ok, S::Error> {
        time.naive_utc().serialize(serializer)
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(
        deserializer: D,
    ) -> Result<DateTime<Utc>, D::Error> {
        NaiveDateTime::deserialize(deserializer).map(|time| time.and_utc())
    }
}
