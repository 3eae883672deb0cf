//! Services: where they run, and how they are provisioned and migrated.
//!
//! ```text
//! provision ─▶ waiting ─▶ pulling_layers ─┬─▶ finished
//!                                         └─▶ migrating_service_state ─▶ finished
//!                                             (hosted, and with a state)
//! ```

use std::sync::Arc;

use crate::arena::{ApplicationId, ServerId, ServiceId, Symbol, UserId};
use crate::flow::{Cargo, NewFlow};
use crate::json::Extra;
use crate::number::Number;
use crate::simulation::{Decision, Reason, Simulation};

/// A service.
#[derive(Clone, Debug)]
pub struct Service {
    /// The dataset's id.
    pub id: i64,
    /// Its label.
    pub label: Symbol,
    /// The size of its state in MB; zero for one that has none.
    pub state: Number,
    /// If users can use it.
    pub available: bool,
    /// The CPU that it asks for.
    pub cpu_demand: Number,
    /// The memory that it asks for.
    pub memory_demand: Number,
    /// The digest of its image.
    pub image: Symbol,
    /// The application that it is part of.
    pub application: ApplicationId,
    /// The server that it runs on.
    pub server: Option<ServerId>,
    /// If it is on its way to a server.
    pub being_provisioned: bool,
    /// How it came to where it is, the latest last.
    pub migrations: Vec<Migration>,
    /// What else the dataset says.
    pub extra: Extra,
}

impl Service {
    /// The latest migration that has not ended.
    pub fn ongoing(&self) -> Option<&Migration> {
        self.migrations
            .last()
            .filter(|migration| migration.end.is_none())
    }
}

/// An application: services that users use together.
#[derive(Clone, Debug)]
pub struct Application {
    /// The dataset's id.
    pub id: i64,
    /// The id as text, by which users keep account of it.
    pub key: Symbol,
    /// Its label.
    pub label: Symbol,
    /// Its services, in the order in which users' requests pass through them.
    pub services: Vec<ServiceId>,
    /// Its users.
    pub users: Vec<UserId>,
    /// What else the dataset says.
    pub extra: Extra,
}

/// How a service came to a server: its first placement, or a move.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Migration {
    /// How far it is.
    pub status: MigrationStatus,
    /// Where the service was.
    pub origin: Option<ServerId>,
    /// Where it goes.
    pub target: ServerId,
    /// The step in which it began.
    pub start: u32,
    /// The step in which it ended.
    pub end: Option<u32>,
    /// The steps in which no layer had come or was on its way.
    pub waiting_time: u32,
    /// The steps in which layers came.
    pub pulling_layers_time: u32,
    /// The steps in which the state came.
    pub migrating_service_state_time: u32,
}

/// How far a migration is.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum MigrationStatus {
    /// No layer has come or is on its way.
    Waiting,
    /// Layers come.
    PullingLayers,
    /// The state comes.
    MigratingServiceState,
    /// It is done.
    Finished,
    /// Another took its place. Only with `release` corrected.
    Superseded,
}

impl MigrationStatus {
    /// Its name in metrics.
    pub fn name(self) -> &'static str {
        match self {
            Self::Waiting => "waiting",
            Self::PullingLayers => "pulling_layers",
            Self::MigratingServiceState => "migrating_service_state",
            Self::Finished => "finished",
            Self::Superseded => "superseded",
        }
    }
}

impl Simulation {
    /// Starts to bring a service to a server: reserves what it asks for there, and queues the layers that lack.
    ///
    /// Nothing checks if there is room. Quirk `orphaned-migration`, unless `release` is corrected: a migration that is
    /// under way is forgotten, and what it reserved is never given back.
    pub(crate) fn provision(&mut self, service: ServiceId, target: ServerId) -> Result<(), Reason> {
        let moving = &self.model.services[service];
        let (cpu, memory, origin) = (moving.cpu_demand, moving.memory_demand, moving.server);
        let layers = self.layers_of(service)?;
        if self.settings.corrections.release {
            self.supersede(service)?;
        }
        self.enqueue_missing(target, &layers)?;
        if let Some(origin) = origin {
            self.model.servers[origin].ongoing_migrations += 1;
        }
        let host = &mut self.model.servers[target];
        host.ongoing_migrations += 1;
        host.cpu_demand = host.cpu_demand + cpu;
        host.memory_demand = host.memory_demand + memory;
        let start = self.model.current_step();
        let moving = &mut self.model.services[service];
        moving.being_provisioned = true;
        moving.migrations.push(Migration {
            status: MigrationStatus::Waiting,
            origin,
            target,
            start,
            end: None,
            waiting_time: 0,
            pulling_layers_time: 0,
            migrating_service_state_time: 0,
        });
        self.decisions.push(Decision {
            step: start,
            service,
            server: target,
        });
        Ok(())
    }

    /// Gives back what an unfinished migration reserved. A service that had left its origin is up there again.
    fn supersede(&mut self, service: ServiceId) -> Result<(), Reason> {
        let step = self.model.current_step();
        let moving = &mut self.model.services[service];
        let (cpu, memory, origin) = (moving.cpu_demand, moving.memory_demand, moving.server);
        let Some(migration) = moving
            .migrations
            .last_mut()
            .filter(|last| last.end.is_none())
        else {
            return Ok(());
        };
        let left_origin = matches!(
            migration.status,
            MigrationStatus::MigratingServiceState | MigrationStatus::Finished
        );
        let target = migration.target;
        migration.status = MigrationStatus::Superseded;
        migration.end = Some(step);
        let host = &mut self.model.servers[target];
        host.ongoing_migrations -= 1;
        host.cpu_demand = host.cpu_demand - cpu;
        host.memory_demand = host.memory_demand - memory;
        if let Some(origin) = origin {
            let host = &mut self.model.servers[origin];
            host.ongoing_migrations -= 1;
            if left_origin {
                // It is still there, and asks for what it did.
                host.cpu_demand = host.cpu_demand + cpu;
                host.memory_demand = host.memory_demand + memory;
            }
        }
        self.cancel_state_flow(service);
        if left_origin {
            // Also where its state has come already, so that no flow is left.
            self.model.services[service].available = true;
            self.refresh_users(service)?;
        }
        Ok(())
    }

    fn cancel_state_flow(&mut self, service: ServiceId) {
        let state_flow = (self.active.iter().copied())
            .find(|flow| self.model.flows[*flow].cargo == Cargo::State(service));
        if let Some(flow) = state_flow {
            let step = self.model.current_step();
            let cancelled = &mut self.model.flows[flow];
            cancelled.end = Some(step);
            self.traffic.end(flow, cancelled);
            self.traffic.sweep();
            self.active.retain(|other| *other != flow);
        }
    }

    /// Queues copies of the layers that a server neither has nor fetches.
    ///
    /// Quirk `listed-twice`, unless `disk` is corrected: what the server has is looked up once, so a digest that an
    /// image lists twice is fetched twice.
    pub(crate) fn enqueue_missing(
        &mut self,
        target: ServerId,
        layers: &[Symbol],
    ) -> Result<(), Reason> {
        let mut missing: Vec<Symbol> = Vec::new();
        for digest in layers {
            let has = self.model.servers[target].has_layer(*digest)
                || self.model.is_downloading(target, *digest)
                || self.model.is_waiting(target, *digest)
                || (self.settings.corrections.disk && missing.contains(digest));
            if !has {
                missing.push(*digest);
            }
        }
        for digest in missing {
            let template = (self.model.layer(digest)).ok_or_else(|| Reason::UnknownLayer {
                digest: self.model.symbols.text(digest).to_owned(),
            })?;
            self.model.enqueue_layer(target, template);
        }
        Ok(())
    }

    /// Moves a migration that is under way on.
    pub(crate) fn step_service(&mut self, service: ServiceId) -> Result<(), Reason> {
        let Some(mut migration) = self.model.services[service].ongoing().copied() else {
            return Ok(());
        };
        if self.nothing_came(&migration) {
            let counted = self.model.services[service]
                .migrations
                .last_mut()
                .expect("one is under way");
            counted.count();
            return Ok(());
        }
        let target = migration.target;
        if matches!(
            migration.status,
            MigrationStatus::Waiting | MigrationStatus::PullingLayers
        ) {
            let layers = self.layers_of(service)?;
            let come = self.layers_come(target, &layers);
            if migration.status == MigrationStatus::Waiting
                && (come > 0
                    || layers
                        .iter()
                        .any(|digest| self.model.is_downloading(target, *digest)))
            {
                migration.status = MigrationStatus::PullingLayers;
            }
            if migration.status == MigrationStatus::PullingLayers
                && self.is_complete(target, come, &layers)
            {
                migration.status = self.pulled(service, target)?;
            }
        }
        let step = self.model.current_step();
        migration.count();
        if migration.status == MigrationStatus::Finished {
            migration.end = Some(step);
        }
        *(self.model.services[service].migrations.last_mut()).expect("one is under way") =
            migration;
        if migration.end.is_some() {
            self.arrive(service, target)?;
        } else if migration.status == MigrationStatus::MigratingServiceState
            && self.settings.corrections.outages
        {
            self.refresh_users(service)?;
        }
        Ok(())
    }

    /// If the target's layers are as they were when the migration was last looked at, so that only time has passed.
    fn nothing_came(&self, migration: &Migration) -> bool {
        let step = self.model.current_step();
        match migration.status {
            MigrationStatus::PullingLayers => {
                // Layers come after services have been looked at: what came in the step before has not been seen.
                let changed = self.model.servers[migration.target].layers_changed;
                changed + 1 < step && migration.start < step
            }
            MigrationStatus::MigratingServiceState => true,
            _ => false,
        }
    }

    /// How many of the target's layers are of these digests; copies count.
    fn layers_come(&self, target: ServerId, layers: &[Symbol]) -> usize {
        let come = |digest: &&Symbol| layers.contains(digest);
        self.model.servers[target]
            .digests
            .iter()
            .filter(come)
            .count()
    }

    /// If all layers have come; `come` of the target's are of these digests.
    ///
    /// Quirk `exact-count`, unless `disk` is corrected: there must be exactly as many as the image lists, so a copy too
    /// many or a digest that is listed twice and fetched once keeps a service waiting for ever.
    fn is_complete(&self, target: ServerId, come: usize, layers: &[Symbol]) -> bool {
        if !self.settings.corrections.disk {
            return come == layers.len();
        }
        let host = &self.model.servers[target];
        layers.iter().all(|digest| host.has_layer(*digest))
    }

    /// All layers have come: the service leaves its origin, and its state follows if it has any.
    fn pulled(&mut self, service: ServiceId, target: ServerId) -> Result<MigrationStatus, Reason> {
        let moving = &self.model.services[service];
        let (cpu, memory) = (moving.cpu_demand, moving.memory_demand);
        let (origin, state, digest) = (moving.server, moving.state, moving.image);
        if let Some(origin) = origin {
            let host = &mut self.model.servers[origin];
            host.cpu_demand = host.cpu_demand - cpu;
            host.memory_demand = host.memory_demand - memory;
        }
        if !self.model.has_image(target, digest) {
            let template = self.model.image(digest).expect("its layers were listed");
            self.model.copy_image(template, target);
        }
        let Some(origin) = origin.filter(|_| !state.is_zero()) else {
            return Ok(MigrationStatus::Finished);
        };
        self.model.services[service].available = false;
        self.start_flow(NewFlow {
            cargo: Cargo::State(service),
            registry: None,
            source: origin,
            target,
            data: state,
        })?;
        Ok(MigrationStatus::MigratingServiceState)
    }

    /// A service has come to its server.
    fn arrive(&mut self, service: ServiceId, target: ServerId) -> Result<(), Reason> {
        let moved = &mut self.model.services[service];
        let origin = moved.server.replace(target);
        moved.available = true;
        moved.being_provisioned = false;
        if let Some(origin) = origin {
            let host = &mut self.model.servers[origin];
            host.services.retain(|other| *other != service);
            host.ongoing_migrations -= 1;
        }
        let host = &mut self.model.servers[target];
        host.services.push(service);
        host.ongoing_migrations -= 1;
        self.refresh_users(service)
    }

    /// Finds the paths of all users of a service's application anew.
    pub(crate) fn refresh_users(&mut self, service: ServiceId) -> Result<(), Reason> {
        let application = self.model.services[service].application;
        for at in 0..self.model.applications[application].users.len() {
            let user = self.model.applications[application].users[at];
            self.set_communication_path(user, application)?;
        }
        Ok(())
    }

    fn layers_of(&self, service: ServiceId) -> Result<Arc<[Symbol]>, Reason> {
        let wanted = &self.model.services[service];
        match self.model.first_images.get(&wanted.image) {
            Some((_, layers)) => Ok(Arc::clone(layers)),
            None => Err(Reason::UnknownImage {
                service: wanted.id,
                digest: self.model.symbols.text(wanted.image).to_owned(),
            }),
        }
    }
}

impl Migration {
    fn count(&mut self) {
        match self.status {
            MigrationStatus::Waiting => self.waiting_time += 1,
            MigrationStatus::PullingLayers => self.pulling_layers_time += 1,
            MigrationStatus::MigratingServiceState => self.migrating_service_state_time += 1,
            MigrationStatus::Finished | MigrationStatus::Superseded => {}
        }
    }
}
