//! How a runtime program is called.

use std::{collections::BTreeMap, path::PathBuf};

use clap::{Args, Parser, Subcommand, ValueEnum};
use serde::Deserialize;

use crate::script::Mount;

/// Runs commands in an image, for an exe-unit that has no runtime of its own.
#[derive(Debug, Parser)]
#[command(name = "kiln-runtime", version)]
pub(super) struct CommandLine {
    /// What commands are run in
    #[arg(long = "in", value_enum, default_value = "sandbox")]
    pub(super) place: PlaceKind,

    /// The folder of the kernel for virtual machines, which `kiln vm setup` fills
    #[arg(long, value_name = "FOLDER", env = "KILN_VM")]
    pub(super) vm_folder: Option<PathBuf>,

    #[command(flatten)]
    pub(super) common: Common,

    #[command(subcommand)]
    pub(super) mode: Mode,
}

/// What commands can be run in.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(super) enum PlaceKind {
    /// Namespaces of the host's kernel
    Sandbox,
    /// A virtual machine
    Vm,
}

#[derive(Debug, Args)]
pub(super) struct Common {
    /// The folder of the activity, for volumes
    #[arg(long)]
    pub(super) workdir: Option<PathBuf>,

    /// The image, a .gvmi file
    #[arg(long)]
    pub(super) task_package: Option<PathBuf>,

    /// Processor threads that may be used
    #[arg(long)]
    pub(super) cpu_cores: Option<u64>,

    /// Memory that may be used, in GiB
    #[arg(long)]
    pub(super) mem_gib: Option<f64>,

    /// Disk space that may be used, in GiB
    #[arg(long)]
    pub(super) storage_gib: Option<f64>,

    /// Volumes besides the image's, as JSON: {"/path": {"host": {}}}
    #[arg(long, value_parser = parse_volumes)]
    pub(super) volume_override: Option<Override>,

    /// The host name that commands see
    #[arg(long)]
    pub(super) hostname: Option<String>,

    /// Refused: commands are in no network of a foreign exe-unit's
    #[arg(long, value_name = "URL")]
    pub(super) vpn_endpoint: Option<String>,

    /// Refused: commands have no way to the internet
    #[arg(long, value_name = "URL")]
    pub(super) inet_endpoint: Option<String>,
}

impl Common {
    /// The option that asks for what there is not.
    pub(super) fn network(&self) -> Option<&'static str> {
        match (&self.vpn_endpoint, &self.inet_endpoint) {
            (Some(_), _) => Some("--vpn-endpoint"),
            (None, Some(_)) => Some("--inet-endpoint"),
            (None, None) => None,
        }
    }
}

/// Volumes by their paths in the image.
#[derive(Clone, Debug, Default, PartialEq, Deserialize)]
pub(super) struct Override(pub(super) BTreeMap<String, Mount>);

fn parse_volumes(text: &str) -> Result<Override, String> {
    serde_json::from_str(text).map_err(|error| error.to_string())
}

#[derive(Debug, Subcommand)]
pub(super) enum Mode {
    /// Prepare the image and its volumes, and print what was prepared
    Deploy {
        /// Ignored
        #[arg(trailing_var_arg = true, allow_hyphen_values = true)]
        arguments: Vec<String>,
    },
    /// Run commands as they are asked for on the standard streams
    Start {
        /// Ignored
        #[arg(trailing_var_arg = true, allow_hyphen_values = true)]
        arguments: Vec<String>,
    },
    /// Check that commands can be run on this machine
    Test,
    /// Print what an offer says of the runtime, as JSON
    OfferTemplate,
}

#[cfg(test)]
mod tests {
    use serde_json::Value;

    use super::*;
    use crate::script::Size;

    #[test]
    fn exe_units_call_it_as_they_do() {
        let recording = include_str!("../../tests/vectors/exe-unit-to-runtime.jsonl");
        let mut modes = Vec::new();
        for line in recording.lines() {
            let line: Value = serde_json::from_str(line).expect("JSON");
            let Some(arguments) = line["argv"].as_array() else {
                continue;
            };
            let arguments = arguments.iter().filter_map(Value::as_str);
            let line = ["kiln-runtime"].into_iter().chain(arguments);
            let parsed = CommandLine::try_parse_from(line).expect("a call");
            modes.push(match parsed.mode {
                Mode::Deploy { .. } => {
                    assert_eq!(parsed.common.hostname.as_deref(), Some("hh"));
                    let volumes = parsed.common.volume_override.expect("volumes");
                    assert!(volumes.0.contains_key("/golem/x"));
                    "deploy"
                }
                Mode::Start { arguments } => {
                    assert_eq!(arguments, ["foo"]);
                    assert_eq!(parsed.common.mem_gib, Some(0.5));
                    "start"
                }
                Mode::Test => "test",
                Mode::OfferTemplate => "offer-template",
            });
        }
        assert_eq!(modes, ["deploy", "start", "offer-template", "test"]);
    }

    #[test]
    fn volumes_are_as_in_a_script() {
        let parse = |volumes| {
            CommandLine::try_parse_from(["kiln-runtime", "--volume-override", volumes, "test"])
        };
        let parsed = parse(r#"{"/a": {"ram": {"size": "1GiB"}}, "/b": {"host": {}}}"#);
        let volumes = parsed.expect("volumes").common.volume_override;
        let size = Size(1 << 30);
        let expected = [
            ("/a".to_owned(), Mount::Ram { size }),
            ("/b".to_owned(), Mount::Host {}),
        ];
        assert_eq!(volumes, Some(Override(expected.into())));
        assert!(parse(r#"{"/a": {"cloud": {}}}"#).is_err());
    }
}
