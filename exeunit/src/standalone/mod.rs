//! Our runtimes as a program of their own, `kiln-runtime`, for exe-units and providers that are not ours.
//!
//! ```text
//! kiln-runtime --workdir W --task-package IMAGE deploy --     prints what it has deployed, as JSON
//! kiln-runtime --workdir W --task-package IMAGE start         speaks the protocol on its standard streams
//! kiln-runtime test | offer-template
//! ```

mod command_line;
mod place;
mod record;
mod serve;

use std::{
    io,
    path::{Path, PathBuf},
};

use clap::Parser;
use tokio::signal::unix::{SignalKind, signal};

use self::{
    command_line::{CommandLine, Common, Mode, PlaceKind},
    place::{Place, PlaceError},
    record::{Record, RecordError},
    serve::{ServeError, serve},
};
use crate::{
    cause::in_one_line,
    image::{self, ImageError},
    runtime::{self, Deployed, SelfTestError, VolumeError},
};

/// What commands may write outside of volumes if nobody says, in bytes.
const SCRATCH: u64 = 1 << 30;
const GIB: f64 = (1u64 << 30) as f64;
const HOSTNAME: &str = "kiln";

/// What a program does that is started as a runtime: the code that it exits with.
pub(crate) fn main() -> u8 {
    let command_line = CommandLine::parse();
    match run(command_line) {
        Ok(()) => 0,
        Err(error) => {
            eprintln!("kiln-runtime: {}", in_one_line(&error));
            1
        }
    }
}

/// Why a runtime does not do what it is called for.
#[derive(Debug, thiserror::Error)]
enum RuntimeError {
    #[error("{0} is needed, and was not given")]
    Missing(&'static str),
    #[error("cannot find the folder {}", .path.display())]
    Folder { path: PathBuf, source: io::Error },
    #[error(transparent)]
    Image(#[from] ImageError),
    #[error(transparent)]
    Volume(#[from] VolumeError),
    #[error(transparent)]
    Record(#[from] RecordError),
    #[error(transparent)]
    SelfTest(#[from] SelfTestError),
    #[error("cannot start the async runtime, or listen to signals")]
    Tokio(#[source] io::Error),
    #[error(transparent)]
    Place(#[from] PlaceError),
    #[error(transparent)]
    Serve(#[from] ServeError),
}

fn run(command_line: CommandLine) -> Result<(), RuntimeError> {
    let CommandLine {
        place,
        common,
        mode,
    } = command_line;
    match (mode, place) {
        (Mode::Deploy { .. }, _) => deploy(common),
        (Mode::Start { .. }, place) => start(place, &common),
        (Mode::Test, PlaceKind::Sandbox) => Ok(runtime::test_sandbox()?),
        (Mode::OfferTemplate, PlaceKind::Sandbox) => {
            println!("{}", runtime::sandbox_template());
            Ok(())
        }
    }
}

fn work(common: &Common) -> Result<PathBuf, RuntimeError> {
    let work = common.workdir.as_deref();
    let path = work.ok_or(RuntimeError::Missing("--workdir"))?;
    path.canonicalize().map_err(|source| RuntimeError::Folder {
        path: path.to_owned(),
        source,
    })
}

fn deploy(common: Common) -> Result<(), RuntimeError> {
    let work = work(&common)?;
    let package = common.task_package.as_deref();
    let package = package.ok_or(RuntimeError::Missing("--task-package"))?;
    let cache = match package.parent() {
        Some(folder) if folder != Path::new("") => folder,
        _ => Path::new("."),
    };
    let mut image = image::unpack_beside(package, cache)?;
    let wanted = common.volume_override.unwrap_or_default().0.into_keys();
    let volumes = wanted.map(|path| (path, Default::default()));
    image.configuration.volumes.extend(volumes);
    let deployed = Deployed::create(image, &work)?;
    Record::new(&deployed, common.hostname).write(&work)?;
    println!("{}", deployed.answer());
    Ok(())
}

fn start(kind: PlaceKind, common: &Common) -> Result<(), RuntimeError> {
    let record = Record::read(&work(common)?)?;
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .map_err(RuntimeError::Tokio)?;
    let served = runtime.block_on(async {
        let mut terminate = signal(SignalKind::terminate()).map_err(RuntimeError::Tokio)?;
        let hostname = record.hostname.clone().unwrap_or(HOSTNAME.to_owned());
        let place = match kind {
            PlaceKind::Sandbox => Place::sandbox(record.deployed(), hostname, scratch(common)),
        };
        let place = place.await?;
        let served = tokio::select! {
            served = serve(&place, tokio::io::stdin(), tokio::io::stdout()) => served,
            _ = terminate.recv() => Ok(()),
        };
        place.stop().await;
        Ok(served?)
    });
    // A thread that still reads the standard input is not waited for.
    runtime.shutdown_background();
    served
}

/// What may be written outside of volumes: it is in memory, so that neither limit may be exceeded by it.
fn scratch(common: &Common) -> u64 {
    let limits = [common.mem_gib, common.storage_gib];
    let bytes = limits.into_iter().flatten().map(|gib| (gib * GIB) as u64);
    bytes.min().unwrap_or(SCRATCH)
}
