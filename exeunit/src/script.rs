//! The commands of a script.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use ya_client_model::activity::exe_script_command::Capture;

/// One command of a script, as it is written in JSON: `{"run": {"entry_point": "/bin/date", "args": ["-u"]}}`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum Command {
    /// Fetches the image and prepares the volumes.
    Deploy {},
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
        /// Its environment, besides the image's.
        #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
        env: BTreeMap<String, String>,
        /// What becomes of its output; discarded by default.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        capture: Option<Capture>,
    },
    /// Copies a file, in or out of the sandbox.
    Transfer {
        /// Where it is.
        from: String,
        /// Where it goes.
        to: String,
        /// The kind of archive that is to be packed or unpacked on the way.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        format: Option<String>,
    },
    /// Stops the runtime, and begins anew.
    Terminate {},
}
