//! The commands of a script.

mod deployment;
mod quantity;

use std::{collections::BTreeMap, fmt, time::Duration};

use serde::{
    Deserialize, Deserializer, Serialize,
    de::{Error, SeqAccess, Visitor},
};
use ya_client_model::activity::exe_script_command::Capture;

pub use self::{
    deployment::{Deployment, Mount, OnError},
    quantity::{Period, Size},
};
pub use ya_client_model::activity::exe_script_command::{FileSet, Network, SetEntry, SetObject};

/// One command of a script, as it is written in JSON: `{"run": {"entry_point": "/bin/date", "args": ["-u"]}}`.
///
/// Fields that are not known are ignored.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum Command {
    /// Fetches the image and prepares the volumes.
    Deploy(Deployment),
    /// Starts the runtime.
    Start {
        /// Arguments for the runtime.
        #[serde(default)]
        args: Vec<String>,
    },
    /// Runs a program of the image.
    Run {
        /// The program's absolute path.
        entry_point: String,
        /// Its arguments.
        #[serde(default)]
        args: Vec<String>,
        /// Its environment, besides the image's and that of `deploy`.
        #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
        env: BTreeMap<String, String>,
        /// What becomes of its output; discarded by default.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        capture: Option<Capture>,
        /// How long it may take before it and its descendants are killed; for ever by default.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        timeout: Option<Period>,
    },
    /// Copies a file, or the files of an archive, in or out of the sandbox.
    Transfer(Transfer),
    /// Stops the runtime, and begins anew.
    Terminate {},
    /// Asks for a signed record of what was run; only exe-units in an enclave have a key for that.
    Sign {},
}

/// What a `transfer` copies. What it does not say is written as null, as exe-units of others do.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Transfer {
    /// Where it is.
    pub from: String,
    /// Where it goes.
    pub to: String,
    /// The kind of archive that is packed or unpacked on the way; the place in the sandbox is a folder then.
    pub format: Option<ArchiveFormat>,
    /// How many folders below the one that is packed are packed too; all by default.
    pub depth: Option<usize>,
    /// Which files of the archive or of the folder are copied; all by default.
    pub fileset: Option<FileSet>,
    /// Whether subscribers hear how far it is.
    pub progress: Option<ProgressInterval>,
}

/// The kinds of archives.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum ArchiveFormat {
    /// A tape archive.
    #[serde(rename = "tar")]
    Tar,
    /// One compressed with gzip.
    #[serde(rename = "tar.gz", alias = "tgz")]
    TarGz,
    /// One compressed with bzip2.
    #[serde(rename = "tar.bz2")]
    TarBz2,
    /// One compressed with xz.
    #[serde(rename = "tar.xz")]
    TarXz,
    /// A zip archive with compressed entries.
    #[serde(rename = "zip")]
    Zip,
    /// A zip archive with entries as they are.
    #[serde(rename = "zip.0")]
    ZipStored,
}

/// How often subscribers hear how far a command is: whenever either is exceeded.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct ProgressInterval {
    /// After some time; 1 s if neither is given.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub update_interval: Option<Period>,
    /// After so many bytes.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub update_step: Option<u64>,
}

impl ProgressInterval {
    /// The time after which something is to be heard; none if only bytes count.
    pub fn interval(&self) -> Option<Duration> {
        const DEFAULT: Duration = Duration::from_secs(1);
        match (self.update_interval, self.update_step) {
            (Some(Period(interval)), _) => Some(interval),
            (None, Some(_)) => None,
            (None, None) => Some(DEFAULT),
        }
    }
}

/// Parses the JSON text of a script, `[{"deploy": {}}, …]`. An error names the command that it is about by its index.
pub fn parse(text: &str) -> Result<Vec<Command>, serde_json::Error> {
    let mut json = serde_json::Deserializer::from_str(text);
    let script = commands(&mut json)?;
    json.end()?;
    Ok(script)
}

/// Reads a script so that errors name the command that they are about.
pub(crate) fn commands<'de, D: Deserializer<'de>>(
    deserializer: D,
) -> Result<Vec<Command>, D::Error> {
    struct Commands;
    impl<'de> Visitor<'de> for Commands {
        type Value = Vec<Command>;

        fn expecting(&self, formatter: &mut fmt::Formatter) -> fmt::Result {
            formatter.write_str("a list of commands")
        }
        fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<Vec<Command>, A::Error> {
            let mut commands = Vec::new();
            loop {
                let command = list.next_element().map_err(|error| {
                    A::Error::custom(format_args!("command {}: {error}", commands.len()))
                })?;
                match command {
                    Some(command) => commands.push(command),
                    None => return Ok(commands),
                }
            }
        }
    }
    deserializer.deserialize_seq(Commands)
}

#[cfg(test)]
mod tests;
