//! What decides where services go.

mod best_fit;
mod first_fit;
mod follow_user;
mod least_delay;
mod least_energy;
mod script;
mod set;
mod view;
mod worst_fit;

use std::ops::Deref;
use std::sync::Arc;

use crate::arena::{RegistryId, ServerId, ServiceId, SwitchId};
use crate::json::Value;
use crate::model::Model;
use crate::number::Number;
use crate::settings::Settings;
use crate::simulation::{Reason, Simulation};

pub use best_fit::BestFit;
pub use first_fit::FirstFit;
pub use follow_user::FollowUser;
pub use least_delay::LeastDelay;
pub use least_energy::LeastEnergy;
pub use script::{Event, Operation, Query, Script};
pub use worst_fit::WorstFit;

/// Decides where services go.
pub trait Policy {
    /// Called once in each step, before anything moves. It looks at the model through `turn`, and acts through it; what
    /// it does takes effect at once.
    ///
    /// # Errors
    /// What the actions give, or [`Reason::Policy`] with an error of the policy's own. The run ends with it.
    fn decide(&mut self, turn: &mut Turn<'_>) -> Result<(), Reason>;
}

impl<F: FnMut(&mut Turn<'_>) -> Result<(), Reason>> Policy for F {
    fn decide(&mut self, turn: &mut Turn<'_>) -> Result<(), Reason> {
        self(turn)
    }
}

/// A policy's turn: it reads the [`Model`] that it derefs to, and acts on it.
pub struct Turn<'s> {
    simulation: &'s mut Simulation,
}

impl Deref for Turn<'_> {
    type Target = Model;

    fn deref(&self) -> &Model {
        &self.simulation.model
    }
}

impl<'s> Turn<'s> {
    pub(crate) fn new(simulation: &'s mut Simulation) -> Self {
        Self { simulation }
    }

    /// The step, from 1.
    pub fn step(&self) -> u32 {
        self.current_step()
    }

    /// How the simulation runs.
    pub fn settings(&self) -> &Settings {
        &self.simulation.settings
    }

    /// If a server has what a service asks for: CPU, memory, and disk for the layers that it lacks.
    pub fn has_capacity_to_host(&self, server: ServerId, service: ServiceId) -> bool {
        (self.simulation.model).fits(server, service, self.settings().corrections.disk)
    }

    /// Starts to bring a service to a server, whether it has room or not: a first placement, or a migration.
    ///
    /// # Errors
    /// If no image has the service's digest, or no layer has a digest that the image lists.
    pub fn provision(&mut self, service: ServiceId, server: ServerId) -> Result<(), Reason> {
        self.simulation.provision(service, server)
    }

    /// Starts a registry on a server. Demands that are not given are those of another registry, drawn at random.
    ///
    /// # Errors
    /// If there is no registry yet, or no image named `registry`.
    pub fn provision_registry(
        &mut self,
        server: ServerId,
        cpu_demand: Option<Number>,
        memory_demand: Option<Number>,
    ) -> Result<RegistryId, Reason> {
        (self.simulation).provision_registry(server, cpu_demand, memory_demand)
    }

    /// Takes a registry away. False, and nothing done, if a layer is being fetched from it.
    ///
    /// # Errors
    /// While a service's state is transferred, unless `release` is corrected.
    pub fn deprovision_registry(&mut self, registry: RegistryId) -> Result<bool, Reason> {
        self.simulation.deprovision_registry(registry)
    }

    /// Sets an attribute of an object, by the names that datasets use. An attribute that the simulation does not know is
    /// kept for those who read it.
    ///
    /// # Errors
    /// If there is no such object, or the attribute cannot have this value or be set at all.
    pub fn set(
        &mut self,
        class: &str,
        id: i64,
        attribute: &str,
        value: &Value,
    ) -> Result<(), Reason> {
        self.simulation.set(class, id, attribute, value)
    }

    /// The delay from one switch to another on the best way; `None` if there is none. Who needs many of them asks for
    /// [`Turn::delays_from`] one end.
    pub fn delay_between(&mut self, one: SwitchId, two: SwitchId) -> Option<Number> {
        let simulation = &mut *self.simulation;
        (simulation.paths.least_delay(&simulation.model, one, two)).map(|route| route.delay)
    }

    /// The delays from a switch to all switches, by their place, each on the best way; `None` where no way leads. They
    /// are found once, and again when the delay of a link was set.
    pub fn delays_from(&mut self, switch: SwitchId) -> Arc<[Option<Number>]> {
        let simulation = &mut *self.simulation;
        simulation.paths.delays_from(&simulation.model, switch)
    }
}

/// The services that are on no server, and on no way to one, in order.
fn homeless(model: &Model) -> Vec<ServiceId> {
    (model.services.entries())
        .filter(|(_, service)| service.server.is_none() && !service.being_provisioned)
        .map(|(place, _)| place)
        .collect()
}
