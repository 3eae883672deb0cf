//! The runtime that is there by default: an image, its volumes, and a sandbox over both.

use std::{os::fd::OwnedFd, path::PathBuf};

use async_trait::async_trait;
use tokio::sync::watch;

use super::{Outlet, Room, Run, Runtime, deployment, deployment::Deployed, out_of_order, volumes};
use crate::{
    Program,
    activity::Failure,
    image::Images,
    network::{self, Plug, PlugError, Plugged},
    sandbox::{self, Interface, Monitor, Network, Process, RunError, Sandbox, SandboxGone},
    script::Deployment,
    transfer::Volumes,
};

/// What a sandbox runtime is made of.
#[derive(Clone, Debug)]
pub(crate) struct SandboxRuntimeConfig {
    /// What becomes the sandbox's processes.
    pub(crate) program: Program,
    /// The folder that volumes are created in.
    pub(crate) work: PathBuf,
    /// Where the agreement says that the image is.
    pub(crate) task_package: Option<String>,
    /// The sandbox's host name, unless `deploy` asks for another.
    pub(crate) hostname: String,
    /// What the sandbox may take.
    pub(crate) room: Room,
    /// Whose sandbox it is.
    pub(crate) activity_id: String,
    /// Where the node is that carries networks.
    pub(crate) network_socket: Option<PathBuf>,
}

/// Runs commands in namespaces of this kernel.
#[derive(Debug)]
pub(crate) struct SandboxRuntime {
    config: SandboxRuntimeConfig,
    images: Images,
    /// None before `deploy`.
    deployed: Option<Deployed>,
    /// What `deploy` has asked for.
    wanted: Deployment,
    /// The networks that the sandbox is part of.
    networks: Vec<Plugged>,
    /// Where its volumes in memory are.
    memory_volumes: Vec<OwnedFd>,
    /// None before `start`.
    sandbox: Option<Sandbox>,
    /// The sandbox that runs at this moment, for those who watch it.
    monitor: watch::Sender<Option<Monitor>>,
}

impl SandboxRuntime {
    pub(crate) fn new(config: SandboxRuntimeConfig, images: Images) -> Self {
        Self {
            config,
            images,
            deployed: None,
            wanted: Deployment::default(),
            networks: Vec::new(),
            memory_volumes: Vec::new(),
            sandbox: None,
            monitor: watch::Sender::new(None),
        }
    }
}

impl SandboxRuntime {
    /// Plugs the ports in, each in the network that it is for.
    async fn join_networks(&self, ports: Vec<OwnedFd>) -> Result<Vec<Plugged>, PlugError> {
        let mut plugged = Vec::with_capacity(ports.len());
        let interfaces = interfaces(&self.wanted).unwrap_or_default();
        for ((network, interface), port) in self.wanted.net.iter().zip(interfaces).zip(ports) {
            let Some(socket) = &self.config.network_socket else {
                return Err(PlugError::no_node(&network.id));
            };
            let plug = Plug {
                activity_id: self.config.activity_id.clone(),
                network_id: network.id.clone(),
                address: interface.address,
                mac: interface.mac,
            };
            plugged.push(network::plug_in(socket, &plug, port).await?);
        }
        Ok(plugged)
    }
}

/// The network interfaces that a deployment needs.
fn interfaces(deployment: &Deployment) -> Result<Vec<Interface>, Failure> {
    let interface = |wanted| network::interface(wanted).map_err(|error| Failure::of(&error));
    deployment.net.iter().map(interface).collect()
}

#[async_trait]
impl Runtime for SandboxRuntime {
    async fn deploy(&mut self, deployment: Deployment, _: &Outlet<'_>) -> Result<String, Failure> {
        interfaces(&deployment)?;
        if let (Some(network), None) = (deployment.net.first(), &self.config.network_socket) {
            return Err(Failure::of(&PlugError::no_node(&network.id)));
        }
        volumes::check(&deployment.volumes, &self.config.room)
            .and_then(|()| volumes::check_none_preallocated(&deployment.volumes))
            .map_err(|error| Failure::of(&error))?;
        let package = self.config.task_package.as_deref();
        let image = self.images.get(package).await;
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
        let SandboxRuntimeConfig {
            program,
            hostname,
            room,
            ..
        } = self.config.clone();
        let hostname = self.wanted.hostname.clone().unwrap_or(hostname);
        let config = deployed.sandbox(program, hostname, room.scratch_bytes);
        let network = Network {
            hosts: self.wanted.hosts.clone(),
            interfaces: interfaces(&self.wanted)?,
        };
        let in_memory = volumes::in_memory(&self.wanted.volumes);
        let sandbox = Sandbox::start_with(config, room.limits, &network, &in_memory).await;
        let mut sandbox = sandbox.map_err(|error| Failure::of(&error))?;
        match self.join_networks(sandbox.take_ports()).await {
            Ok(networks) => self.networks = networks,
            Err(error) => {
                sandbox.stop().await;
                return Err(Failure::of(&error));
            }
        }
        let sized = volumes::sized(&self.wanted.volumes, deployed);
        self.memory_volumes = sandbox.take_memory_volumes();
        if let Some(deployed) = &mut self.deployed {
            deployed.move_volumes(&in_memory, &self.memory_volumes);
        }
        let monitor = sandbox.monitor().with_sized_folders(sized);
        self.monitor.send_replace(Some(monitor));
        self.sandbox = Some(sandbox);
        Ok(())
    }

    async fn run(&self, run: Run) -> Result<Process, RunError> {
        let (Some(deployed), Some(sandbox)) = (&self.deployed, &self.sandbox) else {
            return Err(SandboxGone.into());
        };
        let command = sandbox::Command {
            program: run.program,
            args: run.args,
            env: deployed.environment(run.env),
            working_dir: deployed.working_dir(),
        };
        sandbox.run(command).await
    }

    fn volumes(&self) -> Option<&Volumes> {
        self.deployed.as_ref().map(|deployed| &deployed.volumes)
    }

    fn monitor(&self) -> watch::Receiver<Option<Monitor>> {
        self.monitor.subscribe()
    }

    async fn clear(&mut self) {
        self.monitor.send_replace(None);
        self.networks.clear();
        if let Some(sandbox) = self.sandbox.take() {
            sandbox.stop().await;
        }
        self.deployed = None;
        self.memory_volumes.clear();
        deployment::remove_volumes(&self.config.work).await;
    }
}
