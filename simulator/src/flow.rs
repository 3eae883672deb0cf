//! Transfers over the network.

use std::sync::Arc;

use crate::arena::{FlowId, LayerId, RegistryId, ServerId, ServiceId, Symbol};
use crate::model::Model;
use crate::number::Number;
use crate::paths::Route;
use crate::service::MigrationStatus;
use crate::simulation::{Reason, Simulation};

/// A transfer from one server to another.
#[derive(Clone, Debug)]
pub struct Flow {
    /// Its id: 1 for the first.
    pub id: i64,
    /// Its number among all objects of the model.
    pub unique_id: u64,
    /// What is transferred.
    pub cargo: Cargo,
    /// The registry that it is fetched from.
    pub registry: Option<RegistryId>,
    /// The step in which it began.
    pub start: u32,
    /// The step in which it ended; none while it is active.
    pub end: Option<u32>,
    /// From where.
    pub source: ServerId,
    /// To where.
    pub target: ServerId,
    /// The way it takes.
    pub route: Arc<Route>,
    /// What each link of the way grants it, in MB a step.
    pub shares: Box<[Option<Number>]>,
    /// What there was to transfer at first, in MB.
    pub size: Number,
    /// What is left to transfer, in MB.
    pub remaining: Number,
}

/// What a flow transfers.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Cargo {
    /// A layer.
    Layer(LayerId),
    /// The state of a service.
    State(ServiceId),
}

impl Flow {
    /// If it is under way.
    pub fn is_active(&self) -> bool {
        self.end.is_none()
    }

    /// What it is granted: the least of its links' shares. `None` while a link has not granted any.
    pub fn bandwidth(&self) -> Option<Number> {
        self.least_and_highest_share().map(|(least, _)| least)
    }

    fn least_and_highest_share(&self) -> Option<(Number, Number)> {
        let mut range: Option<(Number, Number)> = None;
        for share in &self.shares {
            let share = (*share)?;
            let (least, highest) = range.unwrap_or((share, share));
            range = Some((
                if share < least { share } else { least },
                if share > highest { share } else { highest },
            ));
        }
        range
    }
}

pub(crate) struct NewFlow {
    pub(crate) cargo: Cargo,
    pub(crate) registry: Option<RegistryId>,
    pub(crate) source: ServerId,
    pub(crate) target: ServerId,
    pub(crate) data: Number,
}

impl Model {
    /// The digest of the layer that a flow transfers.
    pub(crate) fn flow_digest(&self, flow: FlowId) -> Option<Symbol> {
        match self.flows[flow].cargo {
            Cargo::Layer(layer) => Some(self.layers[layer].digest),
            Cargo::State(_) => None,
        }
    }
}

impl Simulation {
    /// Begins a transfer on the way with the fewest hops.
    pub(crate) fn start_flow(&mut self, new: NewFlow) -> Result<FlowId, Reason> {
        let from = self.model.switch_of(new.source);
        let to = self.model.switch_of(new.target);
        let route = self
            .paths
            .fewest_hops(&self.model, from, to)
            .ok_or_else(|| self.no_path(from, to))?;
        if route.links.is_empty() && !self.settings.corrections.colocation {
            // Quirk `one-switch-aborts`: a way without links has no least share.
            return Err(Reason::ServersShareSwitch {
                flow: self.model.flows.len() as i64 + 1,
                source_server: self.model.servers[new.source].id,
                target: self.model.servers[new.target].id,
                switch: self.model.switches[from].id,
            });
        }
        let unique_id = self.model.unique_id();
        let flow = self.model.flows.push(Flow {
            id: self.model.flows.len() as i64 + 1,
            unique_id,
            cargo: new.cargo,
            registry: new.registry,
            start: self.model.current_step(),
            end: None,
            source: new.source,
            target: new.target,
            shares: vec![None; route.links.len()].into(),
            route,
            size: new.data,
            remaining: new.data,
        });
        self.active.push(flow);
        self.traffic.begin(flow, &self.model.flows[flow]);
        Ok(flow)
    }

    /// Moves every active flow on by what it is granted.
    pub(crate) fn step_flows(&mut self) {
        let mut active = std::mem::take(&mut self.active);
        active.retain(|flow| {
            let moving = &mut self.model.flows[*flow];
            let shares = moving.least_and_highest_share();
            if moving.route.links.is_empty() {
                moving.remaining = Number::ZERO;
            } else if let Some((least, _)) = shares {
                moving.remaining = moving.remaining - least;
            }
            if moving.remaining > Number::ZERO {
                if shares.is_none_or(|(_, highest)| moving.remaining < highest) {
                    self.traffic.note_progress(moving);
                }
                return true;
            }
            self.finish_flow(*flow);
            false
        });
        self.active = active;
        self.traffic.sweep();
    }

    /// Ends a flow whose data have all come.
    pub(crate) fn finish_flow(&mut self, flow: FlowId) {
        let step = self.model.current_step();
        let finished = &mut self.model.flows[flow];
        finished.remaining = Number::ZERO;
        finished.end = Some(step);
        let (cargo, target) = (finished.cargo, finished.target);
        self.traffic.end(flow, finished);
        match cargo {
            Cargo::Layer(layer) => self.model.store_layer(layer, target, flow),
            Cargo::State(service) => {
                // Quirk `last-migration-finishes`: whichever migration the state was for.
                if let Some(migration) = self.model.services[service].migrations.last_mut() {
                    migration.status = MigrationStatus::Finished;
                }
            }
        }
    }
}
