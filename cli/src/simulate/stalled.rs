//! Runs in which nothing happens any more.

use simulator::scenario::{Algorithm, Scenario};
use simulator::simulation::Simulation;

/// After so many steps in which nothing happens, nothing is waited for any longer.
pub(super) const STALLED_STEPS: u32 = 100;

/// Finds out that nothing happens any more: no flow is under way, and nothing is decided.
pub(super) struct Stalled {
    /// The last step in which something happened, or will as far as is known.
    since: u32,
    /// How many flows there had been.
    flows: usize,
}

impl Stalled {
    /// For a run that has not begun. Events of a scenario that are to come are waited for.
    pub(super) fn new(scenario: Option<&Scenario>) -> Self {
        let since = match scenario.map(|scenario| &scenario.algorithm) {
            Some(Algorithm::Scripted(script)) => script.last_step().unwrap_or_default(),
            _ => 0,
        };
        Self { since, flows: 0 }
    }

    /// If nothing has happened for a long time.
    pub(super) fn observe(&mut self, simulation: &Simulation) -> bool {
        let model = simulation.model();
        let idle = simulation.active_flows().is_empty()
            && simulation.decisions().is_empty()
            && model.flows.len() == self.flows;
        self.flows = model.flows.len();
        if !idle {
            self.since = self.since.max(model.steps());
        }
        model.steps().saturating_sub(self.since) >= STALLED_STEPS
    }
}
