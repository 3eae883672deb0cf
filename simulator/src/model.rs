//! The infrastructure and what runs on it, as plain data.

use std::sync::Arc;

use rustc_hash::FxHashMap;

use crate::access::AccessPattern;
use crate::arena::{
    ApplicationId, Arena, FlowId, ImageId, LayerId, LinkId, PatternId, RegistryId, ServerId,
    ServiceId, StationId, SwitchId, Symbol, UserId,
};
use crate::flow::Flow;
use crate::image::{Image, Layer};
use crate::position::Positions;
use crate::registry::Registry;
use crate::server::Server;
use crate::service::{Application, Service};
use crate::symbol::Symbols;
use crate::topology::{BaseStation, Link, Switch, Topology};
use crate::user::User;

/// A class of a dataset.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub enum Class {
    /// Network switches.
    NetworkSwitch,
    /// Network links.
    NetworkLink,
    /// Base stations.
    BaseStation,
    /// Users.
    User,
    /// Copies of layers.
    ContainerLayer,
    /// Copies of images.
    ContainerImage,
    /// Services.
    Service,
    /// Registries of images.
    ContainerRegistry,
    /// Applications.
    Application,
    /// Edge servers.
    EdgeServer,
    /// Access patterns that draw durations and intervals.
    RandomDurationAndIntervalAccessPattern,
    /// Access patterns that repeat durations and intervals.
    CircularDurationAndIntervalAccessPattern,
    /// Network flows. They come to be in a run; a dataset has none.
    NetworkFlow,
}

impl Class {
    /// The classes that a dataset can have.
    pub const OF_DATASETS: [Self; 12] = [
        Self::NetworkSwitch,
        Self::NetworkLink,
        Self::BaseStation,
        Self::User,
        Self::ContainerLayer,
        Self::ContainerImage,
        Self::Service,
        Self::ContainerRegistry,
        Self::Application,
        Self::EdgeServer,
        Self::RandomDurationAndIntervalAccessPattern,
        Self::CircularDurationAndIntervalAccessPattern,
    ];

    /// Its name in datasets and metrics.
    pub fn name(self) -> &'static str {
        match self {
            Self::NetworkSwitch => "NetworkSwitch",
            Self::NetworkLink => "NetworkLink",
            Self::BaseStation => "BaseStation",
            Self::User => "User",
            Self::ContainerLayer => "ContainerLayer",
            Self::ContainerImage => "ContainerImage",
            Self::Service => "Service",
            Self::ContainerRegistry => "ContainerRegistry",
            Self::Application => "Application",
            Self::EdgeServer => "EdgeServer",
            Self::RandomDurationAndIntervalAccessPattern => {
                "RandomDurationAndIntervalAccessPattern"
            }
            Self::CircularDurationAndIntervalAccessPattern => {
                "CircularDurationAndIntervalAccessPattern"
            }
            Self::NetworkFlow => "NetworkFlow",
        }
    }

    /// The class of a dataset with this name.
    pub fn named(name: &str) -> Option<Self> {
        Self::OF_DATASETS
            .into_iter()
            .find(|class| class.name() == name)
    }
}

impl std::fmt::Display for Class {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.write_str(self.name())
    }
}

/// The infrastructure and what runs on it.
///
/// Every class is an [`Arena`] in the order of the dataset; objects name each other by their places in it.
#[derive(Clone, Debug, Default)]
#[expect(missing_docs, reason = "each class is described where it is defined")]
pub struct Model {
    pub switches: Arena<SwitchId, Switch>,
    pub links: Arena<LinkId, Link>,
    pub stations: Arena<StationId, BaseStation>,
    pub users: Arena<UserId, User>,
    pub layers: Arena<LayerId, Layer>,
    pub images: Arena<ImageId, Image>,
    pub services: Arena<ServiceId, Service>,
    pub registries: Arena<RegistryId, Registry>,
    pub applications: Arena<ApplicationId, Application>,
    pub servers: Arena<ServerId, Server>,
    pub patterns: Arena<PatternId, AccessPattern>,
    pub flows: Arena<FlowId, Flow>,
    /// Which switches are linked, and how.
    pub topology: Topology,
    /// The texts that objects share.
    pub symbols: Symbols,
    /// The coordinates of objects.
    pub positions: Positions,
    /// The classes in the order in which the dataset has them.
    pub classes: Vec<Class>,
    servers_by_id: FxHashMap<i64, ServerId>,
    services_by_id: FxHashMap<i64, ServiceId>,
    pub(crate) first_layers: FxHashMap<Symbol, LayerId>,
    pub(crate) first_images: FxHashMap<Symbol, (ImageId, Arc<[Symbol]>)>,
    /// The `unique_id` that the latest object got; the topology has 1.
    pub(crate) unique_ids: u64,
    /// The steps done.
    pub(crate) steps: u32,
}

impl Model {
    /// The steps done so far.
    pub fn steps(&self) -> u32 {
        self.steps
    }

    /// The step that is being done, or comes next: what `start` and `end` of migrations and flows say.
    pub fn current_step(&self) -> u32 {
        self.steps + 1
    }

    /// The first server with this id.
    pub fn server(&self, id: i64) -> Option<ServerId> {
        self.servers_by_id.get(&id).copied()
    }

    /// The first service with this id.
    pub fn service(&self, id: i64) -> Option<ServiceId> {
        self.services_by_id.get(&id).copied()
    }

    /// The first registry with this id that was not removed.
    pub fn registry(&self, id: i64) -> Option<RegistryId> {
        find(&self.registries, |registry| {
            registry.id == id && !registry.removed
        })
    }

    /// The switch that a server's base station is at: where its transfers begin and end.
    pub fn switch_of(&self, server: ServerId) -> SwitchId {
        self.stations[self.servers[server].station].switch
    }

    /// Remembers which servers and services have which ids.
    pub(crate) fn index_ids(&mut self) {
        for (place, server) in self.servers.entries() {
            self.servers_by_id.entry(server.id).or_insert(place);
        }
        for (place, service) in self.services.entries() {
            self.services_by_id.entry(service.id).or_insert(place);
        }
    }

    /// Gives out the next `unique_id`.
    pub(crate) fn unique_id(&mut self) -> u64 {
        self.unique_ids += 1;
        self.unique_ids
    }

    pub(crate) fn begin_step(&mut self) {
        let step = self.current_step();
        self.switches.begin(step);
        self.links.begin(step);
        self.stations.begin(step);
        self.users.begin(step);
        self.layers.begin(step);
        self.images.begin(step);
        self.services.begin(step);
        self.registries.begin(step);
        self.applications.begin(step);
        self.servers.begin(step);
        self.patterns.begin(step);
        self.flows.begin(step);
    }
}

pub(crate) fn find<P: crate::arena::Place, T>(
    arena: &Arena<P, T>,
    matches: impl Fn(&T) -> bool,
) -> Option<P> {
    arena.iter().position(matches).map(P::new)
}
