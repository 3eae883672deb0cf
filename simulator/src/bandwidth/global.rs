//! Max-min fairness over all links at once.
//!
//! What a flow is granted depends on those that it shares a link with, on those that they share one with, and so on, and
//! on no others: only where something changed is bandwidth given out again.

use std::cmp::Reverse;
use std::collections::BinaryHeap;

use super::{Traffic, Wanted};
use crate::arena::{FlowId, LinkId, Place};
use crate::model::Model;
use crate::number::Number;

/// What is needed to give out bandwidth, kept from one time to the next.
#[derive(Clone, Debug, Default)]
pub(super) struct Fair {
    /// By link.
    open: Vec<Open>,
    /// By flow: the round in which it was last found.
    found: Vec<u32>,
    /// By flow: if it is settled.
    settled: Vec<bool>,
    round: u32,
    /// The links and flows that hang together.
    links: Vec<LinkId>,
    flows: Vec<FlowId>,
    /// The least comes first; of equals the flow, then the first.
    next: BinaryHeap<Reverse<(u64, Limit)>>,
}

/// A link while bandwidth is given out.
#[derive(Clone, Copy, Debug, Default)]
struct Open {
    /// The round in which it was last found.
    found: u32,
    left: f64,
    /// Those of its flows that are not settled.
    flows: usize,
}

#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
enum Limit {
    Flow(FlowId),
    Link(LinkId),
}

impl Open {
    fn share(&self) -> f64 {
        (self.left / self.flows as f64).max(0.0)
    }
}

impl Traffic {
    /// Grants every flow the most that it can have without one that has less getting even less: again and again, the
    /// link that has the least for each of its flows settles theirs, and leaves the rest to the others.
    pub(super) fn share_by_path(&mut self, model: &mut Model, wanted: Wanted) {
        let mut fair = std::mem::take(&mut self.fair);
        fair.begin(self, model);
        for link in std::mem::take(&mut self.changed) {
            self.links[link.index()].changed = false;
            fair.reach(self, model, link);
        }
        fair.settle_all(self, model, wanted);
        for link in &fair.links {
            for entry in &mut self.links[link.index()].flows {
                entry.share = model.flows[entry.flow].shares[entry.at as usize];
            }
            self.recount(*link);
        }
        self.regranted.extend_from_slice(&fair.flows);
        self.fair = fair;
    }
}

impl Fair {
    fn begin(&mut self, traffic: &Traffic, model: &Model) {
        if self.round == u32::MAX {
            *self = Self::default();
        }
        self.round += 1;
        self.open.resize(traffic.links.len(), Open::default());
        self.found.resize(model.flows.len(), 0);
        self.settled.resize(model.flows.len(), false);
        self.links.clear();
        self.flows.clear();
    }

    /// Finds all links and flows that hang together with a link.
    fn reach(&mut self, traffic: &Traffic, model: &Model, link: LinkId) {
        let (mut links, mut flows) = (self.links.len(), self.flows.len());
        self.find_link(traffic, model, link);
        while let Some(link) = self.links.get(links) {
            links += 1;
            for flow in traffic.link(*link).flows() {
                if self.found[flow.index()] != self.round {
                    self.found[flow.index()] = self.round;
                    self.settled[flow.index()] = false;
                    self.flows.push(flow);
                }
            }
            while let Some(flow) = self.flows.get(flows) {
                flows += 1;
                for link in &model.flows[*flow].route.links {
                    self.find_link(traffic, model, *link);
                }
            }
        }
    }

    fn find_link(&mut self, traffic: &Traffic, model: &Model, link: LinkId) {
        let open = &mut self.open[link.index()];
        if open.found != self.round {
            *open = Open {
                found: self.round,
                left: model.links[link].bandwidth.value(),
                flows: traffic.link(link).flows().len(),
            };
            self.links.push(link);
        }
    }

    fn settle_all(&mut self, traffic: &Traffic, model: &mut Model, wanted: Wanted) {
        if wanted == Wanted::Remaining {
            for flow in &self.flows {
                let asks = bits(model.flows[*flow].remaining.value());
                self.next.push(Reverse((asks, Limit::Flow(*flow))));
            }
        }
        for link in &self.links {
            let open = &self.open[link.index()];
            if open.flows > 0 {
                self.next
                    .push(Reverse((bits(open.share()), Limit::Link(*link))));
            }
        }
        while let Some(Reverse((share, limit))) = self.next.pop() {
            match limit {
                Limit::Flow(flow) => self.settle(flow, share, model),
                Limit::Link(link) => {
                    let open = &self.open[link.index()];
                    if open.flows == 0 {
                        continue;
                    }
                    // Others were settled since: what is left for each has only grown.
                    if bits(open.share()) > share {
                        self.next.push(Reverse((bits(open.share()), limit)));
                        continue;
                    }
                    for flow in traffic.link(link).flows() {
                        self.settle(flow, share, model);
                    }
                }
            }
        }
    }

    fn settle(&mut self, flow: FlowId, share: u64, model: &mut Model) {
        if std::mem::replace(&mut self.settled[flow.index()], true) {
            return;
        }
        let share = f64::from_bits(share);
        let granted = &mut model.flows[flow];
        granted.shares.fill(Some(Number::Float(share)));
        for link in &granted.route.links {
            let open = &mut self.open[link.index()];
            open.left -= share;
            open.flows -= 1;
        }
    }
}

/// Shares are not negative, so their bits are in their order.
fn bits(share: f64) -> u64 {
    (share + 0.0).to_bits()
}
