//! Registries: where layers are fetched from.

use rustc_hash::FxHashMap;

use crate::arena::{Place, RegistryId, ServerId, SwitchId};
use crate::flow::Cargo;
use crate::json::Extra;
use crate::model::Model;
use crate::number::Number;
use crate::simulation::{Reason, Simulation};

/// A registry: it serves the layers on its server's disk.
///
/// Quirk `caches-do-not-serve`: servers without a registry never do, whatever they have.
#[derive(Clone, Debug)]
pub struct Registry {
    /// The dataset's id.
    pub id: i64,
    /// The CPU that it asks for.
    pub cpu_demand: Number,
    /// The memory that it asks for.
    pub memory_demand: Number,
    /// The server that it runs on.
    pub server: Option<ServerId>,
    /// If it serves. One that was provisioned in a run does as soon as its own image has come.
    pub available: bool,
    /// If it was taken away.
    pub removed: bool,
    /// What else the dataset says.
    pub extra: Extra,
}

/// The name of the image that registries run from.
const REGISTRY_IMAGE: &str = "registry";

impl Simulation {
    /// Starts a registry on a server, which fetches the registry's image first if need be. Its demands are those of
    /// another registry, drawn at random, where they are not given.
    pub(crate) fn provision_registry(
        &mut self,
        server: ServerId,
        cpu_demand: Option<Number>,
        memory_demand: Option<Number>,
    ) -> Result<RegistryId, Reason> {
        let there: Vec<RegistryId> = (self.model.registries.entries())
            .filter(|(_, registry)| !registry.removed)
            .map(|(place, _)| place)
            .collect();
        // Drawn whether it is needed or not: what is drawn later depends on it.
        let template = self.random.choice(there.len()).ok_or(Reason::NoRegistry)?;
        let template = self.model.registries[there[template]].clone();
        let registry = Registry {
            id: crate::image::next_id(self.model.registries.len()),
            cpu_demand: cpu_demand.unwrap_or(template.cpu_demand),
            memory_demand: memory_demand.unwrap_or(template.memory_demand),
            server: Some(server),
            available: false,
            removed: false,
            extra: Extra::new(),
        };
        let (cpu, memory) = (registry.cpu_demand, registry.memory_demand);
        let registry = self.model.registries.push(registry);
        self.model.unique_id();
        let host = &mut self.model.servers[server];
        host.registries.push(registry);
        host.cpu_demand = host.cpu_demand + cpu;
        host.memory_demand = host.memory_demand + memory;
        let image = self.registry_image()?;
        let layers = self.model.images[image].layers.clone();
        let digest = self.model.images[image].digest;
        if !self.model.has_image(server, digest) {
            self.enqueue_missing(server, &layers)?;
        }
        self.registries_by_distance.forget();
        Ok(registry)
    }

    /// Takes a registry away, unless a transfer from it is under way: then nothing happens.
    pub(crate) fn deprovision_registry(&mut self, registry: RegistryId) -> Result<bool, Reason> {
        for flow in &self.active {
            let flow = &self.model.flows[*flow];
            if !self.settings.corrections.release && matches!(flow.cargo, Cargo::State(_)) {
                // Quirk `state-flow-aborts`: a transfer of state does not say which registry it is from.
                return Err(Reason::StateFlowWhileDeprovisioning { flow: flow.id });
            }
            if flow.registry == Some(registry) {
                return Ok(false);
            }
        }
        let gone = &mut self.model.registries[registry];
        gone.removed = true;
        gone.available = false;
        let (cpu, memory) = (gone.cpu_demand, gone.memory_demand);
        if let Some(server) = gone.server.take() {
            let host = &mut self.model.servers[server];
            host.registries.retain(|other| *other != registry);
            host.cpu_demand = host.cpu_demand - cpu;
            host.memory_demand = host.memory_demand - memory;
        }
        self.registries_by_distance.forget();
        Ok(true)
    }

    /// Opens a registry whose image has come.
    pub(crate) fn step_registry(&mut self, registry: RegistryId) -> Result<(), Reason> {
        let waiting = &self.model.registries[registry];
        let (false, false, Some(server)) = (waiting.available, waiting.removed, waiting.server)
        else {
            return Ok(());
        };
        let image = self.registry_image()?;
        let has_all = (self.model.images[image].layers.iter())
            .all(|digest| self.model.servers[server].has_layer(*digest));
        if has_all {
            let digest = self.model.images[image].digest;
            if !self.model.has_image(server, digest) {
                self.model.copy_image(image, server);
                self.model.unique_id();
            }
            self.model.registries[registry].available = true;
            self.registries_by_distance.forget();
        }
        Ok(())
    }

    fn registry_image(&self) -> Result<crate::arena::ImageId, Reason> {
        (self.model.image_named(REGISTRY_IMAGE)).ok_or(Reason::NoRegistryImage)
    }
}

/// The registries in the order of their distance, for each switch that fetched from one.
///
/// Ways are found from the fetching switch outwards, and only as far as needed: on a large network most registries are
/// never looked at.
#[derive(Clone, Debug, Default)]
pub(crate) struct ByDistance {
    by_switch: FxHashMap<SwitchId, Nearest>,
    at_switch: FxHashMap<SwitchId, Vec<RegistryId>>,
    indexed: bool,
}

#[derive(Clone, Debug, Default)]
struct Nearest {
    registries: Vec<RegistryId>,
    hops: u32,
    complete: bool,
}

impl ByDistance {
    /// Registries have come, gone or moved.
    pub(crate) fn forget(&mut self) {
        *self = Self::default();
    }

    /// The nearest registry that `wanted` says yes to; of those as near, the first.
    pub(crate) fn first(
        &mut self,
        model: &Model,
        target: SwitchId,
        wanted: impl Fn(RegistryId) -> bool,
    ) -> Option<RegistryId> {
        if !self.indexed {
            self.index(model);
        }
        let at_switch = &self.at_switch;
        let nearest = self.by_switch.entry(target).or_default();
        loop {
            if let Some(found) = nearest.registries.iter().find(|place| wanted(**place)) {
                return Some(*found);
            }
            if nearest.complete {
                return None;
            }
            *nearest = look_around(model, at_switch, target, nearest.hops.max(1) * 2);
        }
    }

    fn index(&mut self, model: &Model) {
        for (place, registry) in model.registries.entries() {
            if let (false, Some(server)) = (registry.removed, registry.server) {
                let switch = model.switch_of(server);
                self.at_switch.entry(switch).or_default().push(place);
            }
        }
        self.indexed = true;
    }
}

/// The registries within `hops` of `target`, by distance and then by place; within the first distance at which there is
/// any, if that is further.
fn look_around(
    model: &Model,
    at_switch: &FxHashMap<SwitchId, Vec<RegistryId>>,
    target: SwitchId,
    hops: u32,
) -> Nearest {
    let mut found = Nearest::default();
    let mut seen = rustc_hash::FxHashSet::from_iter([target]);
    let mut level = vec![target];
    while !level.is_empty() {
        let mut here: Vec<RegistryId> = (level.iter())
            .filter_map(|switch| at_switch.get(switch))
            .flatten()
            .copied()
            .collect();
        here.sort_unstable_by_key(|place| place.index());
        found.registries.append(&mut here);
        if found.hops >= hops && !found.registries.is_empty() {
            return found;
        }
        let mut next = Vec::new();
        for switch in level {
            for (neighbour, _) in model.topology.neighbours(switch) {
                if seen.insert(*neighbour) {
                    next.push(*neighbour);
                }
            }
        }
        level = next;
        found.hops += 1;
    }
    found.complete = true;
    found
}
