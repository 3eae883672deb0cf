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
    Program,
    cause::in_one_line,
    image::{self, ImageError},
    runtime::{self, Deployed, MachineRuntimeConfig, Room, SelfTestError, VolumeError},
    script::{Deployment, Mount},
};

/// The memory of a virtual machine if nobody says, in bytes.
const MEMORY: u64 = 512 << 20;
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
    #[error(
        "{0} was given, and there are no networks here: nobody would be reached by what is sent there"
    )]
    Network(&'static str),
    #[error(
        "the volume {0} is none of the host's: sandboxes have no volumes of a given size here, and virtual machines do"
    )]
    Sized(String),
    #[error("cannot find the folder {}", .path.display())]
    Folder { path: PathBuf, source: io::Error },
    #[error(transparent)]
    Image(#[from] ImageError),
    #[error(transparent)]
    Open(#[from] gvmi::OpenError),
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
    if let Some(option) = command_line.common.network() {
        return Err(RuntimeError::Network(option));
    }
    match (&command_line.mode, command_line.place) {
        (Mode::Deploy { .. }, _) => deploy(command_line),
        (Mode::Start { .. }, _) => start(&command_line),
        (Mode::Test, PlaceKind::Sandbox) => {
            runtime::test_sandbox()?;
            Ok(())
        }
        (Mode::Test, PlaceKind::Vm) => {
            if let Some(warning) = runtime::test_machine(command_line.vm_folder.as_deref())? {
                eprintln!("kiln-runtime: {warning}");
            }
            Ok(())
        }
        (Mode::OfferTemplate, PlaceKind::Sandbox) => {
            println!("{}", runtime::sandbox_template());
            Ok(())
        }
        (Mode::OfferTemplate, PlaceKind::Vm) => {
            println!("{}", runtime::machine_template());
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

fn deploy(command_line: CommandLine) -> Result<(), RuntimeError> {
    let CommandLine { place, common, .. } = command_line;
    let work = work(&common)?;
    let package = common.task_package.as_deref();
    let package = package.ok_or(RuntimeError::Missing("--task-package"))?;
    let cache = match package.parent() {
        Some(folder) if folder != Path::new("") => folder,
        _ => Path::new("."),
    };
    let mut image = match place {
        PlaceKind::Sandbox => {
            let program = Program::this().map_err(PlaceError::from)?;
            image::unpack_beside(&program, package, cache)?
        }
        PlaceKind::Vm => runtime::open_image(package)?,
    };
    let wanted = Deployment {
        hostname: common.hostname,
        volumes: common.volume_override.unwrap_or_default().0,
        ..Deployment::default()
    };
    let is_sized = |mount: &Mount| !matches!(mount, Mount::Host {});
    let sized = wanted.volumes.iter().find(|(_, mount)| is_sized(mount));
    if let (PlaceKind::Sandbox, Some((path, _))) = (place, sized) {
        return Err(RuntimeError::Sized(path.clone()));
    }
    let volumes = wanted.volumes.keys().cloned();
    let volumes = volumes.map(|path| (path, Default::default()));
    image.configuration.volumes.extend(volumes);
    let deployed = Deployed::create(image, &work)?;
    Record::new(&deployed, wanted).write(&work)?;
    println!("{}", deployed.answer());
    Ok(())
}

fn start(command_line: &CommandLine) -> Result<(), RuntimeError> {
    let common = &command_line.common;
    let work = work(common)?;
    let record = Record::read(&work)?;
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .map_err(RuntimeError::Tokio)?;
    let served = runtime.block_on(async {
        let mut terminate = signal(SignalKind::terminate()).map_err(RuntimeError::Tokio)?;
        let wanted = &record.wanted;
        let hostname = wanted.hostname.clone().unwrap_or(HOSTNAME.to_owned());
        let deployed = record.deployed();
        let place = match command_line.place {
            PlaceKind::Sandbox => Place::sandbox(deployed, hostname, room(common)).await?,
            PlaceKind::Vm => {
                let config = machine(command_line, work.clone(), hostname)?;
                Place::machine(deployed, &config, wanted).await?
            }
        };
        let served = tokio::select! {
            served = serve(&place, tokio::io::stdin(), tokio::io::stdout()) => served,
            _ = terminate.recv() => Ok(()),
        };
        place.stop().await;
        runtime::remove_disk(&work);
        Ok(served?)
    });
    // A thread that still reads the standard input is not waited for.
    runtime.shutdown_background();
    served
}

fn machine(
    command_line: &CommandLine,
    work: PathBuf,
    hostname: String,
) -> Result<MachineRuntimeConfig, RuntimeError> {
    let common = &command_line.common;
    let bytes = |gib: Option<f64>| gib.map(|gib| (gib * GIB) as u64);
    Ok(MachineRuntimeConfig {
        program: Program::this().map_err(PlaceError::from)?,
        parts: command_line.vm_folder.clone(),
        work,
        task_package: None,
        hostname,
        memory_bytes: bytes(common.mem_gib).unwrap_or(MEMORY),
        processors: common.cpu_cores.unwrap_or(1),
        storage_bytes: bytes(common.storage_gib),
    })
}

/// What was agreed on, as far as whoever calls has said it.
fn room(common: &Common) -> Room {
    let bytes = |gib: Option<f64>| gib.map(|gib| (gib * GIB) as u64);
    Room::new(
        common.cpu_cores,
        bytes(common.mem_gib),
        bytes(common.storage_gib),
    )
}
