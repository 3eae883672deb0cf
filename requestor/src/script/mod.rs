//! Scripts: what a service wants done on a provider, and the handles through which results arrive.
//!
//! A script is a draft until its handler yields it. From then on it runs, and the handler may await the
//! results of its commands, even of the first while the second runs.

mod command;
mod handle;
mod outcome;

use std::path::PathBuf;

use serde::{Serialize, de::DeserializeOwned};

pub(crate) use command::{Command, Destination, Origin};
pub use handle::Handle;
use handle::Progress;
pub(crate) use handle::Results;
pub use outcome::{CommandError, Output};
pub(crate) use outcome::{CommandOutcome, Outcome};
use tokio::sync::oneshot;

/// Commands to run in order, as one batch. When one fails, the rest is not run.
#[derive(Debug, Default)]
#[must_use = "a script does nothing until it is yielded"]
pub struct Script {
    commands: Vec<Command>,
    sinks: Vec<oneshot::Sender<CommandOutcome>>,
    progress: Progress,
}

impl Script {
    /// A script without commands.
    pub fn new() -> Self {
        Self::default()
    }

    /// Has the provider fetch the image.
    pub fn deploy(&mut self) -> Handle<()> {
        self.push(Command::Deploy, |_| Ok(()))
    }

    /// Has the provider start the runtime.
    pub fn start(&mut self) -> Handle<()> {
        self.push(Command::Start, |_| Ok(()))
    }

    /// Has the provider stop the runtime; after that the image may be deployed again.
    pub fn terminate(&mut self) -> Handle<()> {
        self.push(Command::Terminate, |_| Ok(()))
    }

    /// Runs a program of the image. It fails if its exit code is not 0.
    pub fn run<A: Into<String>>(
        &mut self,
        program: impl Into<String>,
        args: impl IntoIterator<Item = A>,
    ) -> Handle<Output> {
        let args = args.into_iter().map(Into::into).collect();
        self.push(
            Command::Run {
                program: program.into(),
                args,
            },
            |outcome| Ok(outcome.output),
        )
    }

    /// Copies a file to the provider. `to` is an absolute path in a volume of the image.
    pub fn upload_file(&mut self, file: impl Into<PathBuf>, to: impl Into<String>) -> Handle<()> {
        self.upload(Origin::File(file.into()), to)
    }

    /// Writes bytes to a file at the provider.
    pub fn upload_bytes(&mut self, bytes: impl Into<Vec<u8>>, to: impl Into<String>) -> Handle<()> {
        self.upload(Origin::Bytes(bytes.into()), to)
    }

    /// Writes a value as JSON to a file at the provider.
    pub fn upload_json(
        &mut self,
        value: &impl Serialize,
        to: impl Into<String>,
    ) -> serde_json::Result<Handle<()>> {
        Ok(self.upload_bytes(serde_json::to_vec(value)?, to))
    }

    /// Copies a file from the provider. `from` is an absolute path in a volume of the image; the folder of
    /// `file` must exist. The file has its name only once it is whole. There is no limit to its size but
    /// the disk's.
    pub fn download_file(
        &mut self,
        from: impl Into<String>,
        file: impl Into<PathBuf>,
    ) -> Handle<()> {
        self.download(from, Destination::File(file.into()), |_| Ok(()))
    }

    /// Reads a file at the provider into memory, 256 MiB at the most.
    pub fn download_bytes(&mut self, from: impl Into<String>) -> Handle<Vec<u8>> {
        self.download(from, Destination::Memory, |outcome| Ok(outcome.received))
    }

    /// Reads a file at the provider as JSON, 256 MiB at the most.
    pub fn download_json<T: DeserializeOwned>(&mut self, from: impl Into<String>) -> Handle<T> {
        self.download(from, Destination::Memory, |outcome| {
            serde_json::from_slice(&outcome.received).map_err(CommandError::not_json)
        })
    }

    fn upload(&mut self, from: Origin, to: impl Into<String>) -> Handle<()> {
        self.push(
            Command::Upload {
                from,
                to: to.into(),
            },
            |_| Ok(()),
        )
    }

    fn download<T>(
        &mut self,
        from: impl Into<String>,
        to: Destination,
        convert: fn(Outcome) -> Result<T, CommandError>,
    ) -> Handle<T> {
        self.push(
            Command::Download {
                from: from.into(),
                to,
            },
            convert,
        )
    }

    fn push<T>(
        &mut self,
        command: Command,
        convert: fn(Outcome) -> Result<T, CommandError>,
    ) -> Handle<T> {
        let (sink, source) = oneshot::channel();
        self.commands.push(command);
        self.sinks.push(sink);
        Handle::new(source, self.progress.clone(), convert)
    }

    /// Takes the script apart; from here on its handles may be awaited.
    pub(crate) fn send(self) -> (Vec<Command>, Results) {
        (self.commands, Results::new(self.sinks, self.progress))
    }
}
