//! How an exe-unit is called.

use std::path::PathBuf;

use clap::{Args, Parser, Subcommand};

use crate::network::SOCKET_VARIABLE;

/// The largest image, in bytes, unless something else is said.
const IMAGE: u64 = 16 << 30;

/// Runs a requestor's scripts.
#[derive(Debug, Parser)]
#[command(name = "exe-unit", version)]
pub(super) struct CommandLine {
    /// What runs commands: `sandbox`, namespaces of this kernel; `vm`, a virtual machine; or the path of a runtime program
    #[arg(short, long, value_name = "RUNTIME", value_parser = parse_runtime)]
    pub(super) binary: RuntimeKind,

    /// An argument for a runtime program, before its subcommand; can be given more than once
    #[arg(
        short = 'r',
        long = "runtime-arg",
        value_name = "ARGUMENT",
        allow_hyphen_values = true
    )]
    pub(super) runtime_arguments: Vec<String>,

    /// Let a runtime program limit what is used, and tell it the limits; the other runtimes limit it in any case
    #[arg(long, alias = "cap-handoff")]
    pub(super) runtime_managed_hardware: bool,

    /// Let a runtime program get the image by itself
    #[arg(long)]
    pub(super) runtime_managed_image: bool,

    /// The folder of the kernel for virtual machines, which `kiln vm setup` fills
    #[arg(long, value_name = "FOLDER", env = "KILN_VM")]
    pub(super) vm_folder: Option<PathBuf>,

    #[command(subcommand)]
    pub(super) mode: Mode,
}

/// The runtimes that there are.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum RuntimeKind {
    /// Namespaces of the host's kernel
    Sandbox,
    /// A virtual machine
    Vm,
    /// A program of somebody else's
    External(PathBuf),
}

fn parse_runtime(name: &str) -> Result<RuntimeKind, String> {
    match name {
        "sandbox" => Ok(RuntimeKind::Sandbox),
        "vm" => Ok(RuntimeKind::Vm),
        path if path.contains('/') => Ok(RuntimeKind::External(PathBuf::from(path))),
        _ => Err(
            "there are `sandbox` and `vm`; a runtime program is given by a path with a slash"
                .to_owned(),
        ),
    }
}

#[derive(Debug, Subcommand)]
pub(super) enum Mode {
    /// Take scripts from the service bus at $GSB_URL
    ServiceBus(Box<ServiceBus>),
    /// Print what an offer says of the runtime, as JSON
    OfferTemplate,
    /// Check that the runtime can work on this machine
    Test,
}

#[derive(Debug, Args)]
pub(super) struct ServiceBus {
    /// The activity whose scripts are run; the service is /public/exeunit/<ACTIVITY_ID>
    pub(super) activity_id: String,

    /// The service that states and usage are reported to
    pub(super) report_url: String,

    /// The agreement, as JSON
    #[arg(short, long)]
    pub(super) agreement: PathBuf,

    /// The folder for volumes and logs
    #[arg(short, long)]
    pub(super) work_dir: PathBuf,

    /// The folder for images, shared with other exe-units
    #[arg(short, long)]
    pub(super) cache_dir: PathBuf,

    /// The socket of the bus, as unix:PATH
    #[arg(long, env = "GSB_URL", default_value = "unix:/tmp/yagna.sock", value_parser = parse_socket)]
    pub(super) gsb_url: PathBuf,

    /// The socket of the node that carries networks between sandboxes; without it, none can be joined
    #[arg(long, env = SOCKET_VARIABLE, value_name = "PATH")]
    pub(super) network_socket: Option<PathBuf>,

    /// For how many seconds to look for a bus that was lost, before ending with it
    #[arg(long, value_name = "SECONDS", default_value_t = 0)]
    pub(super) outlive_node: u64,

    /// The largest file that is fetched as an image
    #[arg(long, env = "KILN_MAX_IMAGE_BYTES", value_name = "BYTES", default_value_t = IMAGE)]
    pub(super) max_image_bytes: u64,

    /// For tests of requestors: die when this command begins, counted from 1 over all scripts
    #[arg(long, value_name = "NUMBER")]
    pub(super) die_at_command: Option<u64>,

    /// For tests of requestors: get the image no faster than this
    #[arg(long, value_name = "BYTES", value_parser = clap::value_parser!(u64).range(1..))]
    pub(super) image_bytes_per_second: Option<u64>,
}

fn parse_socket(url: &str) -> Result<PathBuf, String> {
    match url.strip_prefix("unix:") {
        Some(path) if !path.is_empty() => Ok(PathBuf::from(path)),
        _ => Err("only unix:<path> is supported".to_owned()),
    }
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;

    fn parse(line: &str) -> Result<CommandLine, clap::Error> {
        CommandLine::try_parse_from(line.split_whitespace())
    }

    #[test]
    fn providers_call_it_as_they_do() {
        for line in [
            "exe-unit -b sandbox service-bus 79ac /local/activity -a a.json -w work -c cache",
            "exe-unit -b sandbox --cap-handoff service-bus 79ac /local/activity -c cache -w work -a a.json",
            "exe-unit -b ./runtime -r --flag -r value service-bus 79ac /local/activity -c cache -w work -a a.json",
            "exe-unit -b /r --runtime-managed-image service-bus 79ac /local/activity -c cache -w work -a a.json",
            "exe-unit --binary sandbox --runtime-managed-hardware service-bus -a a.json -w work -c cache 79ac /local/activity",
        ] {
            let Mode::ServiceBus(bus) = parse(line).expect(line).mode else {
                panic!("{line}");
            };
            assert_eq!(
                (&*bus.activity_id, &*bus.report_url),
                ("79ac", "/local/activity")
            );
            let paths = [&bus.agreement, &bus.work_dir, &bus.cache_dir];
            assert_eq!(paths, ["a.json", "work", "cache"].map(Path::new));
        }
    }

    #[test]
    fn what_it_cannot_do_it_refuses() {
        for (line, reason) in [
            ("exe-unit service-bus 79ac /r -a a -w w -c c", "--binary"),
            (
                "exe-unit -b wasmtime service-bus 79ac /r -a a -w w -c c",
                "there are `sandbox` and `vm`",
            ),
            ("exe-unit -b sandbox from-file script.json", "from-file"),
            (
                "exe-unit -b sandbox service-bus 79ac /r -w w -c c",
                "--agreement",
            ),
            (
                "exe-unit -b sandbox service-bus 79ac /r -a a -w w -c c --gsb-url tcp://127.0.0.1:7464",
                "only unix:<path>",
            ),
        ] {
            let error = parse(line).expect_err(line).to_string();
            assert!(error.contains(reason), "{error}");
        }
    }
}
