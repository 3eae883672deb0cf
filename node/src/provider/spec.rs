//! What a provider is like.

use std::path::PathBuf;

use chrono::TimeDelta;
use serde::Serialize;
use ya_client_model::NodeId;

use super::negotiation::Rules;
use crate::market::property::Properties;

/// A provider of a local node: what it is called, what it has, and what it wants for it.
///
/// ```
/// let big = node::Provider::new("big").cores(8).memory_gib(16.0).prices(node::Prices {
///     start: 0.01,
///     second: 0.0002,
///     cpu_second: 0.0001,
/// });
/// assert_eq!(big.name(), "big");
/// ```
#[derive(Clone, Debug, PartialEq)]
pub struct Provider {
    pub(super) name: String,
    pub(super) cores: u32,
    pub(super) memory_gib: f64,
    pub(super) storage_gib: f64,
    pub(super) prices: Prices,
    pub(super) subnet: Option<String>,
    pub(super) slots: usize,
    pub(crate) runtime: Runtime,
    /// What its offer says besides, or otherwise.
    pub(super) properties: Properties,
    pub(super) rules: Rules,
    pub(super) faults: Faults,
}

/// A provider as whoever runs the node sees it.
#[derive(Clone, Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct ProviderOverview {
    pub(crate) id: NodeId,
    pub(crate) name: String,
    subnet: String,
    runtime: String,
    cores: u32,
    memory_gib: f64,
    storage_gib: f64,
    slots: usize,
    prices: Prices,
    /// Whether it was told to misbehave.
    is_faulty: bool,
}

/// What a provider wants, in GLM.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Prices {
    /// For starting an activity.
    pub start: f64,
    /// For each second of it.
    pub second: f64,
    /// For each second that it uses a processor.
    pub cpu_second: f64,
}

/// What runs the commands of a provider's activities, and so how far they are kept apart from the machine.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum Runtime {
    /// Namespaces of the machine's kernel.
    #[default]
    Sandbox,
    /// A virtual machine for each activity.
    Vm,
    /// A runtime program of somebody else's, as ya-provider runs them.
    External(PathBuf),
}

/// How a provider misbehaves, so that it can be tested what a requestor does about it. It does not, unless told to.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Faults {
    /// What it never answers.
    pub never_answers: Option<Stage>,
    /// What it refuses.
    pub refuses: Option<Stage>,
    /// How long it takes to approve an agreement.
    pub approves_after: Option<TimeDelta>,
    /// How long after its approval it terminates an agreement, whatever runs.
    pub drops_agreement_after: Option<TimeDelta>,
    /// Which command its exe-units die at when it begins, counted from 1 over all scripts of an activity.
    pub exe_unit_dies_at_command: Option<u64>,
    /// How many bytes of an image its exe-units get in a second. They share no images with others then: each gets its
    /// own.
    pub image_bytes_per_second: Option<u64>,
    /// How long a debit note may be unaccepted before it terminates the agreement, whatever was agreed on.
    pub breaks_unaccepted_after: Option<TimeDelta>,
    /// How much later it believes that it is; less than nothing for earlier.
    pub clock_skew: TimeDelta,
}

/// How far two sides have come.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Stage {
    /// They negotiate.
    Proposals,
    /// They have, and are to be bound.
    Agreements,
}

/// The part of the network where offers and demands are unless they say otherwise.
const DEFAULT_SUBNET: &str = "public";

impl Default for Prices {
    /// Roughly what providers want on the real network.
    fn default() -> Self {
        Self {
            start: 0.0,
            second: 0.000_005,
            cpu_second: 0.000_025,
        }
    }
}

impl Provider {
    /// A provider with 2 cores, 4 GiB of memory, 20 GiB of storage, and room for one agreement at a time.
    pub fn new(name: impl Into<String>) -> Self {
        Self {
            name: name.into(),
            cores: 2,
            memory_gib: 4.0,
            storage_gib: 20.0,
            prices: Prices::default(),
            subnet: None,
            slots: 1,
            runtime: Runtime::default(),
            properties: Properties::default(),
            rules: Rules::default(),
            faults: Faults::default(),
        }
    }

    /// How many processors an activity may use.
    pub fn cores(self, cores: u32) -> Self {
        Self { cores, ..self }
    }

    /// How much memory an activity may use, in GiB.
    pub fn memory_gib(self, memory_gib: f64) -> Self {
        Self { memory_gib, ..self }
    }

    /// How much storage an activity may use, in GiB.
    pub fn storage_gib(self, storage_gib: f64) -> Self {
        Self {
            storage_gib,
            ..self
        }
    }

    /// What it wants.
    pub fn prices(self, prices: Prices) -> Self {
        Self { prices, ..self }
    }

    /// In which part of the network it is. It deals with demands from there alone then; without one it is in `public`,
    /// and deals with demands that name none as well.
    pub fn subnet(self, subnet: impl Into<Option<String>>) -> Self {
        Self {
            subnet: subnet.into(),
            ..self
        }
    }

    /// How many agreements it can have at a time, each with one activity at a time.
    pub fn slots(self, slots: usize) -> Self {
        Self { slots, ..self }
    }

    /// What runs its activities' commands.
    pub fn runtime(self, runtime: Runtime) -> Self {
        Self { runtime, ..self }
    }

    /// Lets its offer say something besides, or something else than it would: `golem.runtime.name`, for example.
    pub fn property(mut self, name: &str, value: impl Into<serde_json::Value>) -> Self {
        self.properties.set(name, value);
        self
    }

    /// What it insists on when it negotiates.
    pub fn rules(self, rules: Rules) -> Self {
        Self { rules, ..self }
    }

    /// How it misbehaves.
    pub fn faults(self, faults: Faults) -> Self {
        Self { faults, ..self }
    }

    /// What it is called.
    pub fn name(&self) -> &str {
        &self.name
    }

    pub(crate) fn overview(&self, id: NodeId) -> ProviderOverview {
        ProviderOverview {
            id,
            name: self.name.clone(),
            subnet: self.subnet_tag().to_owned(),
            runtime: match &self.runtime {
                Runtime::Sandbox => "sandbox".to_owned(),
                Runtime::Vm => "vm".to_owned(),
                Runtime::External(path) => path.display().to_string(),
            },
            cores: self.cores,
            memory_gib: self.memory_gib,
            storage_gib: self.storage_gib,
            slots: self.slots,
            prices: self.prices,
            is_faulty: self.faults != Faults::default(),
        }
    }

    pub(super) fn subnet_tag(&self) -> &str {
        self.subnet.as_deref().unwrap_or(DEFAULT_SUBNET)
    }
}
