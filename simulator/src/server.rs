//! Edge servers: what they host, and how they fetch layers.

use std::collections::VecDeque;

use crate::arena::{
    FlowId, ImageId, LayerId, RegistryId, ServerId, ServiceId, StationId, SwitchId, Symbol,
};
use crate::flow::{Cargo, NewFlow};
use crate::json::Extra;
use crate::model::Model;
use crate::number::Number;
use crate::position::Position;
use crate::power::ServerPower;
use crate::simulation::{Reason, Simulation};

/// An edge server.
#[derive(Clone, Debug)]
pub struct Server {
    /// The dataset's id.
    pub id: i64,
    /// Where it stands.
    pub coordinates: Position,
    /// If it can be used. Only metrics show it.
    pub available: bool,
    /// If it is on: one that is off draws no power.
    pub active: bool,
    /// Its model.
    pub model_name: Symbol,
    /// Its CPU. This, its memory and its disk can be infinite.
    pub cpu: Number,
    /// Its memory in MB.
    pub memory: Number,
    /// Its disk in MB.
    pub disk: Number,
    /// The CPU that is asked of it.
    pub cpu_demand: Number,
    /// The memory that is asked of it.
    pub memory_demand: Number,
    /// The room on disk that layers take or will take.
    pub disk_demand: Number,
    /// How many layers it downloads at once: a whole number, or infinite.
    pub max_concurrent_layer_downloads: Number,
    /// What it draws.
    pub power: ServerPower,
    /// The base station that it is at.
    pub station: StationId,
    /// The switch that it is behind.
    pub switch: Option<SwitchId>,
    /// The services that run here.
    pub services: Vec<ServiceId>,
    /// The layers on its disk, in the order in which they came.
    pub layers: Vec<LayerId>,
    /// Their digests.
    pub(crate) digests: Vec<Symbol>,
    /// The images on its disk.
    pub images: Vec<ImageId>,
    /// The registries that run here.
    pub registries: Vec<RegistryId>,
    /// The layers to be downloaded, the next first.
    pub waiting: VecDeque<LayerId>,
    /// The downloads that are under way.
    pub downloads: Vec<FlowId>,
    /// The migrations from and to it that are under way.
    pub ongoing_migrations: i64,
    /// The step in which layers or downloads last changed.
    pub(crate) layers_changed: u32,
    /// What else the dataset says.
    pub extra: Extra,
}

impl Server {
    /// If a layer with this digest is on its disk.
    pub fn has_layer(&self, digest: Symbol) -> bool {
        self.digests.contains(&digest)
    }

    /// The CPU that nothing asks for.
    pub fn free_cpu(&self) -> Number {
        self.cpu - self.cpu_demand
    }

    /// The memory that nothing asks for.
    pub fn free_memory(&self) -> Number {
        self.memory - self.memory_demand
    }

    /// The room on disk that no layer takes.
    pub fn free_disk(&self) -> Number {
        self.disk - self.disk_demand
    }
}

impl Model {
    /// If a layer with this digest is on a server's way: being downloaded to it.
    pub(crate) fn is_downloading(&self, server: ServerId, digest: Symbol) -> bool {
        (self.servers[server].downloads.iter()).any(|flow| self.flow_digest(*flow) == Some(digest))
    }

    /// If a layer with this digest waits to be downloaded to a server.
    pub(crate) fn is_waiting(&self, server: ServerId, digest: Symbol) -> bool {
        (self.servers[server].waiting.iter()).any(|layer| self.layers[*layer].digest == digest)
    }

    /// If a server has what a service asks for: CPU, memory, and disk for the layers that it lacks.
    ///
    /// Quirk `charged-twice`, unless `disk` is corrected: layers that are being downloaded count as lacking, though
    /// their room is set aside already.
    pub(crate) fn fits(&self, server: ServerId, service: ServiceId, disk_once: bool) -> bool {
        let (host, asks) = (&self.servers[server], &self.services[service]);
        if host.free_cpu() < asks.cpu_demand || host.free_memory() < asks.memory_demand {
            return false;
        }
        let Some((_, layers)) = self.first_images.get(&asks.image) else {
            return false;
        };
        let mut lacking = Number::ZERO;
        for (at, digest) in layers.iter().enumerate() {
            let known = layers[..at].contains(digest)
                || host.has_layer(*digest)
                || self.is_waiting(server, *digest)
                || (disk_once && self.is_downloading(server, *digest));
            if !known {
                let Some(layer) = self.layer(*digest) else {
                    return false;
                };
                lacking = lacking + self.layers[layer].size;
            }
        }
        host.free_disk() >= lacking
    }

    /// Sets room aside on a server for a copy of `template`, to be downloaded after those that wait already.
    pub(crate) fn enqueue_layer(&mut self, server: ServerId, template: LayerId) {
        let mut layer = self.layers[template].clone();
        layer.id = crate::image::next_id(self.layers.len());
        layer.server = None;
        layer.extra = Extra::new();
        let size = layer.size;
        let layer = self.add_layer(layer);
        self.unique_id();
        let server = &mut self.servers[server];
        server.disk_demand = server.disk_demand + size;
        server.waiting.push_back(layer);
    }

    /// Notes that a layer has come.
    pub(crate) fn store_layer(&mut self, layer: LayerId, server: ServerId, flow: FlowId) {
        let step = self.current_step();
        let digest = self.layers[layer].digest;
        self.layers[layer].server = Some(server);
        let server = &mut self.servers[server];
        server.downloads.retain(|download| *download != flow);
        server.layers.push(layer);
        server.digests.push(digest);
        server.layers_changed = step;
    }
}

impl Simulation {
    /// Starts downloads of the layers that wait, as many as the server takes at once.
    pub(crate) fn step_server(&mut self, server: ServerId) -> Result<(), Reason> {
        loop {
            let host = &self.model.servers[server];
            let Some(&layer) = host.waiting.front() else {
                return Ok(());
            };
            let downloads = Number::Int(host.downloads.len() as i64);
            if downloads >= host.max_concurrent_layer_downloads {
                return Ok(());
            }
            let registry = self.nearest_registry(server, layer)?;
            let source = self.model.registries[registry]
                .server
                .expect("candidates have a server");
            let data = self.model.layers[layer].size;
            let flow = self.start_flow(NewFlow {
                cargo: Cargo::Layer(layer),
                registry: Some(registry),
                source,
                target: server,
                data,
            })?;
            let step = self.model.current_step();
            let host = &mut self.model.servers[server];
            host.waiting.pop_front();
            host.downloads.push(flow);
            host.layers_changed = step;
        }
    }

    /// The registry that `server` fetches a layer from: of those that have it, the one with the fewest hops, of those
    /// the first.
    fn nearest_registry(&mut self, server: ServerId, layer: LayerId) -> Result<RegistryId, Reason> {
        let digest = self.model.layers[layer].digest;
        let target = self.model.switch_of(server);
        let model = &self.model;
        let has_layer = |registry: RegistryId| {
            let registry = &model.registries[registry];
            registry.available
                && !registry.removed
                && (registry.server).is_some_and(|server| model.servers[server].has_layer(digest))
        };
        if !model.topology.is_whole() {
            // Ways are sought from every registry that has the layer: one without a way ends the simulation.
            for registry in model.registries.places().filter(|place| has_layer(*place)) {
                let source = model.registries[registry].server.expect("it has a layer");
                let from = model.switch_of(source);
                if !model.topology.connected(from, target) {
                    return Err(self.no_path(from, target));
                }
            }
        }
        self.registries_by_distance
            .first(model, target, has_layer)
            .ok_or_else(|| Reason::NoRegistryHasLayer {
                server: model.servers[server].id,
                layer: model.layers[layer].id,
                digest: model.symbols.text(digest).to_owned(),
            })
    }
}
