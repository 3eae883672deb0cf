//! Events that are written down beforehand.

use super::{Policy, Turn};
use crate::json::Value;
use crate::number::Number;
use crate::simulation::Reason;

/// What happens in which step. Events of a step happen in the order in which they are written.
#[derive(Clone, Debug, Default)]
pub struct Script {
    events: Vec<Event>,
    next: usize,
    queries: Vec<Query>,
}

/// What happens in a step. Ids are the dataset's; the first object with an id is meant.
#[derive(Clone, Debug, PartialEq)]
pub struct Event {
    /// The step, from 1.
    pub step: u32,
    /// What happens.
    pub operation: Operation,
}

/// What can happen.
#[derive(Clone, Debug, PartialEq)]
#[expect(
    missing_docs,
    reason = "each field is the id or the value that its name says"
)]
pub enum Operation {
    /// A service is brought to a server.
    Provision { service: i64, server: i64 },
    /// The same, unless it is on its way or there already.
    ProvisionIfIdle { service: i64, server: i64 },
    /// It is asked if a server has room for a service.
    QueryCapacity { service: i64, server: i64 },
    /// A registry is started on a server.
    ProvisionRegistry {
        server: i64,
        cpu_demand: Option<Number>,
        memory_demand: Option<Number>,
    },
    /// A registry is taken away.
    DeprovisionRegistry { registry: i64 },
    /// An attribute is set.
    Set {
        class: String,
        id: i64,
        attribute: String,
        value: Value,
    },
}

/// The answer to an [`Operation::QueryCapacity`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[expect(missing_docs, reason = "each field is what its name says")]
pub struct Query {
    pub step: u32,
    pub service: i64,
    pub server: i64,
    pub result: bool,
}

impl Script {
    /// A script of these events.
    pub fn new(mut events: Vec<Event>) -> Self {
        events.sort_by_key(|event| event.step);
        Self {
            events,
            next: 0,
            queries: Vec::new(),
        }
    }

    /// The step of its last event; none if it has none.
    pub fn last_step(&self) -> Option<u32> {
        self.events.last().map(|event| event.step)
    }

    /// The answers so far.
    pub fn queries(&self) -> &[Query] {
        &self.queries
    }
}

impl Policy for Script {
    fn decide(&mut self, turn: &mut Turn<'_>) -> Result<(), Reason> {
        while let Some(event) = self.events.get(self.next) {
            if event.step > turn.step() {
                break;
            }
            self.next += 1;
            if event.step == turn.step()
                && let Some(query) = event.operation.perform(turn)?
            {
                self.queries.push(query);
            }
        }
        Ok(())
    }
}

impl Operation {
    /// Has it happen in this turn.
    ///
    /// # Errors
    /// If it names what is not there, or what it does cannot be done.
    pub fn perform(&self, turn: &mut Turn<'_>) -> Result<Option<Query>, Reason> {
        match self {
            Self::Provision { service, server } => {
                let (service, server) = places(turn, *service, *server)?;
                turn.provision(service, server)?;
            }
            Self::ProvisionIfIdle { service, server } => {
                let (service, server) = places(turn, *service, *server)?;
                let idle = !turn.services[service].being_provisioned;
                if idle && turn.services[service].server != Some(server) {
                    turn.provision(service, server)?;
                }
            }
            Self::QueryCapacity { service, server } => {
                let there = places(turn, *service, *server)?;
                return Ok(Some(Query {
                    step: turn.step(),
                    service: *service,
                    server: *server,
                    result: turn.has_capacity_to_host(there.1, there.0),
                }));
            }
            Self::ProvisionRegistry {
                server,
                cpu_demand,
                memory_demand,
            } => {
                let server = turn
                    .server(*server)
                    .ok_or_else(|| unknown("EdgeServer", *server))?;
                turn.provision_registry(server, *cpu_demand, *memory_demand)?;
            }
            Self::DeprovisionRegistry { registry } => {
                let registry = turn
                    .registry(*registry)
                    .ok_or_else(|| unknown("ContainerRegistry", *registry))?;
                turn.deprovision_registry(registry)?;
            }
            Self::Set {
                class,
                id,
                attribute,
                value,
            } => turn.set(class, *id, attribute, value)?,
        }
        Ok(None)
    }
}

fn places(
    turn: &Turn<'_>,
    service: i64,
    server: i64,
) -> Result<(crate::arena::ServiceId, crate::arena::ServerId), Reason> {
    Ok((
        (turn.service(service)).ok_or_else(|| unknown("Service", service))?,
        (turn.server(server)).ok_or_else(|| unknown("EdgeServer", server))?,
    ))
}

fn unknown(class: &str, id: i64) -> Reason {
    Reason::NoSuchObject {
        class: class.to_owned(),
        id,
    }
}
