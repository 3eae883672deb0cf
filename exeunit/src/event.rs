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
    /// It has come so far, and its progress is asked for.
    Progress(Progress),
}

/// How far a command has come.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Progress {
    /// Which step it is at, from 0, and how many there are.
    pub step: (usize, usize),
    /// What it does.
    pub message: Option<String>,
    /// How much of the step is done, and how much it is in all, if that is known.
    pub progress: (u64, Option<u64>),
    /// What that is counted in.
    pub unit: Option<String>,
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
