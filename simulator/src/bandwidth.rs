//! How the flows on a link share its bandwidth.

mod fluid;
mod global;

use crate::arena::{FlowId, LinkId, Place};
use crate::flow::Flow;
use crate::model::Model;
use crate::number::Number;
use crate::settings::FlowScheduling;
use crate::simulation::Simulation;

pub(crate) use fluid::Fluid;

/// The flows on each link.
///
/// A link's shares are found anew only when they can have changed: a flow came, one went, or one needs less than its
/// share. This gives the same shares as finding all of them in every step.
#[derive(Clone, Debug, Default)]
pub struct Traffic {
    links: Vec<LinkTraffic>,
    changed: Vec<LinkId>,
    /// Links whose demand has to be summed up again at the end of the step.
    uncounted: Vec<LinkId>,
    /// Links that have flows that are to be taken off.
    unswept: Vec<LinkId>,
    /// By flow: if it is to be taken off.
    ended: Vec<bool>,
    /// The flows that may have been granted something else, some of them several times.
    regranted: Vec<FlowId>,
    room: Room,
    fair: global::Fair,
}

/// The flows on one link.
#[derive(Clone, Debug, Default)]
pub struct LinkTraffic {
    flows: Vec<Entry>,
    demand: Number,
    changed: bool,
    uncounted: bool,
    unswept: bool,
}

/// A flow on a link.
#[derive(Clone, Copy, Debug)]
struct Entry {
    flow: FlowId,
    /// Which of the flow's links this one is.
    at: u32,
    share: Option<Number>,
}

impl LinkTraffic {
    /// The active flows, in the order in which they came.
    pub fn flows(&self) -> impl ExactSizeIterator<Item = FlowId> {
        self.flows.iter().map(|entry| entry.flow)
    }

    /// What it granted to those of its flows that are still active, in MB a step.
    pub fn demand(&self) -> Number {
        self.demand
    }
}

impl Traffic {
    pub(crate) fn new(links: usize) -> Self {
        Self {
            links: vec![LinkTraffic::default(); links],
            ..Self::default()
        }
    }

    /// The flows on a link.
    pub fn link(&self, link: LinkId) -> &LinkTraffic {
        &self.links[link.index()]
    }

    pub(crate) fn begin(&mut self, place: FlowId, flow: &Flow) {
        for (at, link) in flow.route.links.iter().enumerate() {
            self.links[link.index()].flows.push(Entry {
                flow: place,
                at: at as u32,
                share: None,
            });
            self.change(*link);
        }
    }

    /// Notes that a flow has ended. It is on its links until [`Traffic::sweep`].
    pub(crate) fn end(&mut self, place: FlowId, flow: &Flow) {
        if self.ended.len() <= place.index() {
            self.ended.resize(place.index() + 1, false);
        }
        self.ended[place.index()] = true;
        for link in &flow.route.links {
            let traffic = &mut self.links[link.index()];
            if !traffic.unswept {
                traffic.unswept = true;
                self.unswept.push(*link);
            }
            self.change(*link);
        }
    }

    /// Takes flows that have ended off their links.
    pub(crate) fn sweep(&mut self) {
        for link in self.unswept.drain(..) {
            let traffic = &mut self.links[link.index()];
            traffic.unswept = false;
            let ended = |flow: FlowId| self.ended.get(flow.index()).is_some_and(|ended| *ended);
            traffic.flows.retain(|entry| !ended(entry.flow));
        }
    }

    /// A flow that needs less than a link grants it leaves something to others.
    pub(crate) fn note_progress(&mut self, flow: &Flow) {
        for (link, share) in flow.route.links.iter().zip(&flow.shares) {
            if share.is_some_and(|share| flow.remaining < share) {
                self.change(*link);
            }
        }
    }

    pub(crate) fn change(&mut self, link: LinkId) {
        let traffic = &mut self.links[link.index()];
        if !traffic.changed {
            traffic.changed = true;
            self.changed.push(link);
        }
        self.recount(link);
    }

    /// What a link grants may be another sum.
    fn recount(&mut self, link: LinkId) {
        let traffic = &mut self.links[link.index()];
        if !traffic.uncounted {
            traffic.uncounted = true;
            self.uncounted.push(link);
        }
    }

    /// Finds the shares of all links that have changed.
    fn share_by_link(&mut self, model: &mut Model, scheduling: FlowScheduling, wanted: Wanted) {
        let mut demands = Vec::new();
        let mut shares = Vec::new();
        for link in std::mem::take(&mut self.changed) {
            let traffic = &mut self.links[link.index()];
            traffic.changed = false;
            if traffic.flows.is_empty() {
                continue;
            }
            demands.clear();
            demands.extend((traffic.flows.iter()).map(|entry| match wanted {
                Wanted::Remaining => model.flows[entry.flow].remaining,
                Wanted::Everything => Number::Float(f64::INFINITY),
            }));
            if demands.iter().all(|demand| demand.is_zero()) {
                // Quirk `nothing-asked`: what nothing asks of keeps the shares that it had, if any.
                continue;
            }
            let bandwidth = model.links[link].bandwidth;
            shares.clear();
            let equal = Number::Float(bandwidth.value() / demands.len() as f64);
            shares.resize(demands.len(), equal);
            if scheduling == FlowScheduling::MaxMinFairness {
                self.room.share_fairly(&demands, &mut shares);
            }
            for (entry, share) in traffic.flows.iter_mut().zip(&shares) {
                if !entry.share.is_some_and(|known| known.same(*share)) {
                    entry.share = Some(*share);
                    self.regranted.push(entry.flow);
                    model.flows[entry.flow].shares[entry.at as usize] = Some(*share);
                }
            }
        }
    }

    /// Sums up what links grant, where it can have changed.
    pub(crate) fn count_demand(&mut self) {
        for link in std::mem::take(&mut self.uncounted) {
            let traffic = &mut self.links[link.index()];
            // What is granted changes once more when the shares of a changed link are found.
            traffic.uncounted = traffic.changed;
            if traffic.changed {
                self.uncounted.push(link);
            }
            traffic.demand = (traffic.flows.iter())
                .filter_map(|entry| entry.share)
                .fold(Number::ZERO, |sum, share| sum + share);
        }
    }
}

/// What flows ask of a link.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Wanted {
    /// What they have left to transfer.
    Remaining,
    /// All that can be had.
    Everything,
}

/// What is needed to share a link, kept from one to the next.
#[derive(Clone, Debug, Default)]
struct Room {
    /// The flows that are not content with what they have.
    wanting: Vec<usize>,
}

impl Room {
    /// Changes equal shares: what one flow does not need goes to the others.
    ///
    /// Quirk `idle-bandwidth`: where all are content with an equal share, each keeps it, also what it does not need.
    fn share_fairly(&mut self, demands: &[Number], shares: &mut [Number]) {
        self.wanting.clear();
        self.wanting.extend(0..demands.len());
        loop {
            // What those leave that became content; those that were content before have just what they need.
            let (mut left, mut still) = (0.0, self.wanting.len());
            for at in &self.wanting {
                if shares[*at] >= demands[*at] {
                    left += (shares[*at] - demands[*at]).value();
                    still -= 1;
                }
            }
            if left <= 0.0 || still == 0 {
                return;
            }
            let more = Number::Float(left / still as f64);
            self.wanting.retain(|at| {
                if shares[*at] >= demands[*at] {
                    shares[*at] = demands[*at];
                    false
                } else {
                    shares[*at] = shares[*at] + more;
                    true
                }
            });
        }
    }
}

impl Simulation {
    /// Grants bandwidth to the flows.
    pub(crate) fn step_bandwidth(&mut self) {
        if !self.settings.corrections.bandwidth {
            self.grant(Wanted::Remaining);
            self.traffic.regranted.clear();
        }
    }

    fn grant(&mut self, wanted: Wanted) {
        let scheduling = self.settings.flow_scheduling;
        if self.settings.corrections.fairness && scheduling == FlowScheduling::MaxMinFairness {
            self.traffic.share_by_path(&mut self.model, wanted);
        } else {
            (self.traffic).share_by_link(&mut self.model, scheduling, wanted);
        }
    }
}
