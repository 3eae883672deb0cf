//! The simulation: a model, moved on step by step.
//!
//! In each step the policy decides, and then, in this order: servers start downloads, services move their migrations on,
//! bandwidth is granted, flows move, users make requests and move, registries open, links count what they granted.

use std::sync::Arc;

use rustc_hash::FxHashMap;

use crate::arena::{FlowId, ServerId, ServiceId, StationId, SwitchId};
use crate::bandwidth::{Fluid, Traffic};
use crate::model::Model;
use crate::paths::{Paths, Route};
use crate::policy::{Policy, Turn};
use crate::random::PythonRandom;
use crate::registry::ByDistance;
use crate::settings::Settings;

pub use crate::abort::{Abort, Reason};

/// A model that is moved on step by step.
pub struct Simulation {
    pub(crate) model: Model,
    pub(crate) settings: Settings,
    pub(crate) random: PythonRandom,
    pub(crate) paths: Paths,
    pub(crate) traffic: Traffic,
    pub(crate) fluid: Fluid,
    /// The flows that are under way, in the order in which they began.
    pub(crate) active: Vec<FlowId>,
    pub(crate) registries_by_distance: ByDistance,
    /// The first base station at each position.
    pub(crate) station_at: FxHashMap<u32, StationId>,
    /// The way from a base station to itself.
    pub(crate) no_way: Arc<Route>,
    pub(crate) decisions: Vec<Decision>,
}

/// That a policy had a service provisioned.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Decision {
    /// In which step.
    pub step: u32,
    /// Which service.
    pub service: ServiceId,
    /// To which server.
    pub server: ServerId,
}

/// When a run ends.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Stop {
    /// After so many steps. There is always one.
    Steps(u32),
    /// When every service has a server; after so many steps if that does not come about.
    AllHosted {
        /// The most steps.
        at_most: u32,
    },
}

impl Simulation {
    /// A simulation that begins with `model`.
    pub fn new(model: Model, settings: Settings) -> Self {
        Self {
            random: PythonRandom::new(settings.seed),
            paths: Paths::default(),
            traffic: Traffic::new(model.links.len()),
            fluid: Fluid::default(),
            active: Vec::new(),
            registries_by_distance: ByDistance::default(),
            station_at: FxHashMap::default(),
            no_way: Arc::default(),
            decisions: Vec::new(),
            model,
            settings,
        }
    }

    /// The model as it is now.
    pub fn model(&self) -> &Model {
        &self.model
    }

    /// How the simulation runs.
    pub fn settings(&self) -> &Settings {
        &self.settings
    }

    /// The flows on links.
    pub fn traffic(&self) -> &Traffic {
        &self.traffic
    }

    /// The flows that are under way, in the order in which they began.
    pub fn active_flows(&self) -> &[FlowId] {
        &self.active
    }

    /// What was provisioned in the latest step, in order.
    pub fn decisions(&self) -> &[Decision] {
        &self.decisions
    }

    /// Does a step.
    ///
    /// # Errors
    /// Where EdgeSimPy aborts. The model is then somewhere within the step; nothing more can be done with it.
    pub fn step(&mut self, policy: &mut dyn Policy) -> Result<(), Abort> {
        let step = self.model.current_step();
        self.try_step(policy)
            .map_err(|reason| Abort { step, reason })
    }

    fn try_step(&mut self, policy: &mut dyn Policy) -> Result<(), Reason> {
        self.model.begin_step();
        self.decisions.clear();
        policy.decide(&mut Turn::new(self))?;
        // Classes are taken as they are: what comes to be in a step is stepped in it.
        for server in self.model.servers.places() {
            self.step_server(server)?;
        }
        for service in self.model.services.places() {
            self.step_service(service)?;
        }
        self.step_bandwidth();
        if self.settings.corrections.bandwidth {
            self.step_flows_fluidly();
        } else {
            self.step_flows();
        }
        self.look_ahead();
        for user in self.model.users.places() {
            self.step_user(user)?;
        }
        for registry in self.model.registries.places() {
            self.step_registry(registry)?;
        }
        self.traffic.count_demand();
        self.model.steps += 1;
        Ok(())
    }

    /// Steps until `stop`. `observe` sees the model before the first step and after each.
    ///
    /// # Errors
    /// Where EdgeSimPy aborts; `observe` has seen all steps before that one.
    pub fn run<E: From<Abort>>(
        &mut self,
        policy: &mut dyn Policy,
        stop: Stop,
        mut observe: impl FnMut(&Self) -> Result<(), E>,
    ) -> Result<(), E> {
        observe(self)?;
        loop {
            self.step(policy)?;
            observe(self)?;
            if self.reached(stop) {
                return Ok(());
            }
        }
    }

    /// If a run that is to end at `stop` has reached it.
    pub fn reached(&self, stop: Stop) -> bool {
        match stop {
            Stop::Steps(steps) => self.model.steps >= steps,
            Stop::AllHosted { at_most } => {
                self.model.steps >= at_most
                    || (self.model.services.iter()).all(|service| service.server.is_some())
            }
        }
    }

    pub(crate) fn no_path(&self, from: SwitchId, to: SwitchId) -> Reason {
        Reason::NoPath {
            from: self.model.switches[from].id,
            to: self.model.switches[to].id,
        }
    }
}
