//! Flows within a step: bandwidth is granted anew whenever one of them ends.

use std::cmp::Reverse;
use std::collections::BinaryHeap;

use super::Wanted;
use crate::arena::{FlowId, Place};
use crate::flow::Flow;
use crate::number::Number;
use crate::simulation::Simulation;

/// How far flows are within a step. Times are parts of it, from 0 to 1.
#[derive(Clone, Debug, Default)]
pub(crate) struct Fluid {
    /// By flow; of no meaning for those that have ended.
    paces: Vec<Pace>,
    /// When flows end, the first first. An end that is not its flow's any more is passed over.
    ends: BinaryHeap<Reverse<(u64, FlowId)>>,
}

/// What ends by no more than this part of a step after it ends in it: what was left is what sums were rounded by.
const ROUNDING: f64 = 1e-9;

/// How a flow moves, since it was last looked at.
#[derive(Clone, Copy, Debug, Default)]
struct Pace {
    since: f64,
    rate: f64,
    end: f64,
}

impl Pace {
    fn new(flow: &Flow, since: f64) -> Self {
        let rate = flow.bandwidth().map_or(0.0, Number::value);
        let lasts = if flow.route.links.is_empty() || flow.remaining.is_zero() {
            0.0
        } else {
            flow.remaining.value() / rate
        };
        let mut end = since + lasts;
        if end > 1.0 && end <= 1.0 + ROUNDING {
            end = 1.0;
        }
        Self { since, rate, end }
    }

    /// Moves its flow on to a time.
    fn advance(&self, flow: &mut Flow, now: f64) {
        let left = flow.remaining.value() - self.rate * (now - self.since);
        flow.remaining = Number::Float(left.max(0.0));
    }
}

impl Fluid {
    /// Takes up a flow as it is at a time.
    fn follow(&mut self, place: FlowId, flow: &Flow, now: f64) {
        let pace = Pace::new(flow, now);
        self.paces[place.index()] = pace;
        if pace.end <= 1.0 {
            self.ends.push(Reverse((pace.end.to_bits(), place)));
        }
    }

    /// The next end.
    fn next(&mut self) -> Option<f64> {
        while let Some(Reverse((end, flow))) = self.ends.peek() {
            let end = f64::from_bits(*end);
            if self.paces[flow.index()].end == end {
                return Some(end);
            }
            self.ends.pop();
        }
        None
    }

    /// Takes out a flow that ends at a time.
    fn take(&mut self, time: f64) -> Option<FlowId> {
        if self.next() != Some(time) {
            return None;
        }
        let Reverse((_, flow)) = self.ends.pop()?;
        self.paces[flow.index()].end = f64::INFINITY;
        Some(flow)
    }
}

impl Simulation {
    /// Moves flows on through a step.
    pub(crate) fn step_flows_fluidly(&mut self) {
        self.grant(Wanted::Everything);
        self.traffic.regranted.clear();
        let mut fluid = std::mem::take(&mut self.fluid);
        fluid.ends.clear();
        fluid.paces.resize(self.model.flows.len(), Pace::default());
        for flow in &self.active {
            fluid.follow(*flow, &self.model.flows[*flow], 0.0);
        }
        while let Some(now) = fluid.next() {
            while let Some(flow) = fluid.take(now) {
                self.finish_flow(flow);
            }
            self.traffic.sweep();
            self.grant(Wanted::Everything);
            for place in std::mem::take(&mut self.traffic.regranted) {
                let pace = fluid.paces[place.index()];
                // One that was taken up at this time already, or another that ended.
                let flow = &mut self.model.flows[place];
                if flow.is_active() {
                    pace.advance(flow, now);
                    fluid.follow(place, flow, now);
                }
            }
        }
        self.active.retain(|place| {
            let flow = &mut self.model.flows[*place];
            if flow.is_active() {
                fluid.paces[place.index()].advance(flow, 1.0);
            }
            flow.is_active()
        });
        self.fluid = fluid;
    }
}
