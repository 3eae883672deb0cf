//! What passes over links.

use crate::arena::{FlowId, LinkId, Place};
use crate::model::Model;

/// What passes over each link in a step.
///
/// What links grant tells less: at the end of a step, those flows are no longer counted that ended in it.
#[derive(Clone, Debug)]
pub(super) struct Load {
    /// The flows that were under way after the step before, and what each had left.
    under_way: Vec<(FlowId, f64)>,
    /// How many flows there were then.
    flows: usize,
    /// By link, in MB.
    passed: Vec<f64>,
}

impl Load {
    pub(super) fn new(model: &Model) -> Self {
        Self {
            under_way: Vec::new(),
            flows: 0,
            passed: vec![0.0; model.links.len()],
        }
    }

    /// Finds what has passed since it was called before.
    pub(super) fn observe(&mut self, model: &Model) {
        self.passed.fill(0.0);
        let begun = (self.flows..model.flows.len()).map(FlowId::new);
        let begun = begun.map(|flow| (flow, model.flows[flow].size.value()));
        self.under_way.extend(begun);
        self.flows = model.flows.len();
        let passed = &mut self.passed;
        self.under_way.retain_mut(|(flow, left)| {
            let flow = &model.flows[*flow];
            let moved = *left - flow.remaining.value();
            *left = flow.remaining.value();
            for link in &flow.route.links {
                passed[link.index()] += moved;
            }
            flow.is_active()
        });
    }

    /// What passed over a link, in percent of its bandwidth; `None` for one that lets nothing pass.
    pub(super) fn percent(&self, model: &Model, link: LinkId) -> Option<f64> {
        let bandwidth = model.links[link].bandwidth.value();
        (bandwidth > 0.0).then(|| self.passed[link.index()] / bandwidth * 100.0)
    }
}
