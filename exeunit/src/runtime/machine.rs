//! The runtime behind a kernel of its own: an image as the disk of a virtual machine.

use std::{
    fs, io,
    path::{Path, PathBuf},
};

use async_trait::async_trait;
use tokio::sync::watch;

use super::{
    Outlet, Room, Run, Runtime,
    deployment::{self, Deployed},
    out_of_order, volumes,
};
use crate::{
    Program,
    activity::Failure,
    image::{Image, Images},
    sandbox::{Command, Monitor, Process, RunError, SandboxGone},
    script::{Deployment, Mount, OnError},
    threads::Threads,
    transfer::{Location, Source, Volume, Volumes},
    vm::{
        self, DiskError, Exchange, Machine, MachineConfig, MachineVolume, Medium, Parts,
        create_disk,
    },
};

/// The name of the disk for what is written, in the work folder.
const SCRATCH: &str = "scratch.img";
/// The least that a disk has room for, in bytes.
const LEAST_DISK: u64 = 16 << 20;

/// What a runtime in virtual machines is made of.
#[derive(Clone, Debug)]
pub(crate) struct MachineRuntimeConfig {
    /// What becomes the warden of QEMU.
    pub(crate) program: Program,
    /// The folder of the kernel; the usual one by default.
    pub(crate) parts: Option<PathBuf>,
    /// The folder that the disk is created in.
    pub(crate) work: PathBuf,
    /// Where the agreement says that the image is.
    pub(crate) task_package: Option<String>,
    /// The machine's host name, if a deployment does not say.
    pub(crate) hostname: String,
    pub(crate) memory_bytes: u64,
    pub(crate) processors: u64,
    /// The size of the disk; in memory without one.
    pub(crate) storage_bytes: Option<u64>,
}

/// Runs commands in a virtual machine.
#[derive(Debug)]
pub(crate) struct MachineRuntime {
    config: MachineRuntimeConfig,
    images: Images,
    threads: Threads,
    /// None before `deploy`. The image's tree is its file.
    deployed: Option<Deployed>,
    /// What `deploy` has asked for.
    wanted: Deployment,
    /// None before `start`.
    machine: Option<Machine>,
    monitor: watch::Sender<Option<Monitor>>,
}

impl MachineRuntime {
    pub(crate) fn new(config: MachineRuntimeConfig, images: Images, threads: Threads) -> Self {
        Self {
            config,
            images,
            threads,
            deployed: None,
            wanted: Deployment::default(),
            machine: None,
            monitor: watch::Sender::new(None),
        }
    }
}

impl MachineRuntime {
    /// The volume that a URL is in, and the path in it; none if it is elsewhere. What makes no sense, the transfer refuses.
    fn place(&self, url: &str) -> Option<(&Volume, String)> {
        let Location::Container(path) = Source::parse(url).ok()?.location else {
            return None;
        };
        let (volume, rest) = self.deployed.as_ref()?.volumes.find(&path).ok()?;
        Some((volume, rest.to_str()?.to_owned()))
    }
}

/// Boots a machine over a deployment whose image is a file.
pub(crate) async fn boot(
    config: &MachineRuntimeConfig,
    deployed: &Deployed,
    wanted: &Deployment,
) -> Result<Machine, Failure> {
    let failed = |error: &dyn std::error::Error| Failure::of(error);
    let parts = Parts::find(config.parts.as_deref()).map_err(|error| failed(&error))?;
    let choice = vm::choose(&config.program, &parts).await;
    if let Some(warning) = choice.warning() {
        tracing::warn!("{warning}");
    }
    let scratch = match scratch_bytes(config, wanted) {
        Some(bytes) => {
            let path = config.work.join(SCRATCH);
            let created = create_disk(&path, bytes, 0).await;
            created.map_err(|error| failed(&error))?;
            Some(path)
        }
        None => None,
    };
    let mut volumes = Vec::new();
    for volume in &deployed.volumes.0 {
        let medium = medium(volume, wanted.volumes.get(&volume.path)).await;
        volumes.push(MachineVolume {
            path: volume.path.clone(),
            medium: medium.map_err(|error| failed(&error))?,
        });
    }
    let hostname = wanted.hostname.as_ref().unwrap_or(&config.hostname);
    let machine = Machine::boot(MachineConfig {
        program: config.program.clone(),
        parts,
        accelerator: choice.accelerator,
        image: Some(deployed.image.tree.clone()),
        scratch,
        memory_mib: config.memory_bytes >> 20,
        processors: config.processors,
        volumes,
        hosts: wanted.hosts.clone(),
        hostname: hostname.clone(),
        console: config.work.join("logs/console.log"),
        patience: vm::PATIENCE,
    });
    machine.await.map_err(|error| failed(&error))
}

/// The size of the disk for what is written: what volumes with disks of their own leave. None where it is in memory.
fn scratch_bytes(config: &MachineRuntimeConfig, wanted: &Deployment) -> Option<u64> {
    let sizes = wanted.volumes.values().map(|mount| match mount {
        Mount::Storage { size, .. } => size.0,
        Mount::Host {} | Mount::Ram { .. } => 0,
    });
    let bytes = config.storage_bytes?.saturating_sub(sizes.sum());
    // Logs, and files on their way, take the rest of what was agreed on.
    Some((bytes - bytes / 16).max(LEAST_DISK))
}

/// What a volume is in, as it is asked for; a disk of its own is made.
async fn medium(volume: &Volume, wanted: Option<&Mount>) -> Result<Medium, DiskError> {
    let (size, preallocate, errors) = match wanted {
        None | Some(Mount::Host {}) => return Ok(Medium::Scratch),
        Some(Mount::Ram { size }) => return Ok(Medium::Memory(size.0)),
        Some(Mount::Storage {
            size,
            preallocate,
            errors,
        }) => (size, preallocate, errors),
    };
    // Removed with the folder.
    let file = volume.folder.with_extension("img");
    let preallocated = preallocate.as_ref().map_or(0, |size| size.0);
    create_disk(&file, size.0, preallocated).await?;
    let errors = match errors {
        None | Some(OnError::Continue) => "continue",
        Some(OnError::RemountRo) => "remount-ro",
        Some(OnError::Panic) => "panic",
    };
    let options = format!("errors={errors}");
    Ok(Medium::Disk { file, options })
}

/// Reads what an image says of itself.
pub(crate) fn open(file: &Path) -> Result<Image, gvmi::OpenError> {
    let image = gvmi::Image::open(file)?;
    Ok(Image {
        tree: file.to_owned(),
        configuration: image.configuration().clone(),
    })
}

/// Removes the disk that a machine has left in its work folder.
pub(crate) fn remove_disk(work: &Path) {
    if let Err(error) = fs::remove_file(work.join(SCRATCH))
        && error.kind() != io::ErrorKind::NotFound
    {
        tracing::warn!(%error, "cannot remove the disk of a machine");
    }
}

#[async_trait]
impl Runtime for MachineRuntime {
    async fn deploy(&mut self, deployment: Deployment, _: &Outlet<'_>) -> Result<String, Failure> {
        if let Some(network) = deployment.net.first() {
            let id = &network.id;
            return Err(Failure::new(format!(
                "virtual machines cannot be part of networks, and {id} is to be joined"
            )));
        }
        let MachineRuntimeConfig {
            memory_bytes,
            storage_bytes,
            ..
        } = self.config;
        let room = Room::new(None, Some(memory_bytes), storage_bytes);
        volumes::check(&deployment.volumes, &room).map_err(|error| Failure::of(&error))?;
        let package = self.config.task_package.as_deref();
        let package = package.ok_or_else(|| Failure::of(&crate::image::ImageError::Unnamed))?;
        let file = self.images.file(package).await;
        let image = open(&file.map_err(|error| Failure::of(&error))?);
        let mut image = image.map_err(|error| Failure::of(&error))?;
        let wanted = deployment.volumes.keys();
        let wanted = wanted.map(|path| (path.clone(), Default::default()));
        image.configuration.volumes.extend(wanted);
        let deployed = Deployed::create(image, &self.config.work);
        let deployed = deployed.map_err(|error| Failure::of(&error))?;
        let answer = deployed.answer();
        self.deployed = Some(deployed);
        self.wanted = deployment;
        Ok(answer)
    }

    async fn start(&mut self, _: Vec<String>, _: &Outlet<'_>) -> Result<(), Failure> {
        let deployed = self.deployed.as_ref().ok_or_else(out_of_order)?;
        let machine = boot(&self.config, deployed, &self.wanted).await?;
        let volumes = deployed.volumes.0.iter();
        let copies = volumes.map(|volume| volume.folder.clone()).collect();
        self.monitor
            .send_replace(Some(machine.monitor().with_copies(copies)));
        self.machine = Some(machine);
        Ok(())
    }

    async fn run(&self, run: Run) -> Result<Process, RunError> {
        let (Some(deployed), Some(machine)) = (&self.deployed, &self.machine) else {
            return Err(SandboxGone.into());
        };
        let command = Command {
            program: run.program,
            args: run.args,
            env: deployed.environment(run.env),
            working_dir: deployed.working_dir(),
        };
        machine.run(command).await
    }

    fn volumes(&self) -> Option<&Volumes> {
        self.deployed.as_ref().map(|deployed| &deployed.volumes)
    }

    async fn before_transfer(&self, from: &str) -> Result<(), Failure> {
        let (Some((volume, path)), Some(machine)) = (self.place(from), &self.machine) else {
            return Ok(());
        };
        let most = self
            .config
            .storage_bytes
            .unwrap_or(self.config.memory_bytes);
        let files = Exchange::new(machine, &self.threads);
        let got = files.get(&volume.path, &path, &volume.folder, most).await;
        got.map_err(|error| Failure::of(&error))
    }

    async fn after_transfer(&self, to: &str) -> Result<(), Failure> {
        let (Some((volume, _)), Some(machine)) = (self.place(to), &self.machine) else {
            return Ok(());
        };
        let files = Exchange::new(machine, &self.threads);
        let taken = files.take(&volume.folder, &volume.path).await;
        taken.map_err(|error| Failure::of(&error))
    }

    fn monitor(&self) -> watch::Receiver<Option<Monitor>> {
        self.monitor.subscribe()
    }

    async fn clear(&mut self) {
        self.monitor.send_replace(None);
        if let Some(machine) = self.machine.take() {
            machine.stop().await;
        }
        self.deployed = None;
        remove_disk(&self.config.work);
        deployment::remove_volumes(&self.config.work).await;
    }
}
