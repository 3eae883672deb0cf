//! What came of a run: a summary, and how things went over time.

mod load;
mod series;
mod summary;
mod timeline;

pub use series::{Series, Span};
pub use summary::{Distribution, Setup, Summary};
pub use timeline::{Bar, Line, Panel, Phase, PhaseKind, Timeline};

use crate::simulation::Simulation;
use load::Load;

/// Watches a run. What it takes of memory does not grow with the steps.
#[derive(Clone, Debug)]
pub struct Report {
    timeline: Timeline,
    load: Load,
    unavailable: u64,
    looked_at: u64,
}

impl Report {
    /// A report on a run that has not begun.
    pub fn new(simulation: &Simulation) -> Self {
        Self {
            timeline: Timeline::new(simulation.model()),
            load: Load::new(simulation.model()),
            unavailable: 0,
            looked_at: 0,
        }
    }

    /// Notes how the model is now. To be called before the first step and after each.
    pub fn observe(&mut self, simulation: &Simulation) {
        self.load.observe(simulation.model());
        self.timeline.observe(simulation, &self.load);
        for user in simulation.model().users.iter() {
            for application in &user.applications {
                self.looked_at += 1;
                self.unavailable += u64::from(!simulation.is_available(*application));
            }
        }
    }

    /// The summary, and how things went over time.
    pub fn finish(mut self, simulation: &Simulation) -> (Summary, Timeline) {
        let share = self.unavailable as f64 / self.looked_at.max(1) as f64;
        let summary = Summary::new(simulation, &self.timeline, share);
        self.timeline.finish();
        (summary, self.timeline)
    }
}
