//! What a provider is like.

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
}

/// What a provider wants, in GLM.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Prices {
    /// For starting an activity.
    pub start: f64,
    /// For each second of it.
    pub second: f64,
    /// For each second that it uses a processor.
    pub cpu_second: f64,
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

    /// What it is called.
    pub fn name(&self) -> &str {
        &self.name
    }

    pub(super) fn subnet_tag(&self) -> &str {
        self.subnet.as_deref().unwrap_or(DEFAULT_SUBNET)
    }
}
