//! Max-min fairness over all links at once.

use std::cmp::Reverse;
use std::collections::BinaryHeap;

use rustc_hash::FxHashMap;

use super::{Traffic, Wanted};
use crate::arena::{FlowId, LinkId};
use crate::model::Model;
use crate::number::Number;

/// A link while bandwidth is given out.
struct Open {
    left: f64,
    flows: usize,
}

impl Open {
    fn share(&self) -> f64 {
        (self.left / self.flows as f64).max(0.0)
    }
}

/// Grants every flow the most that it can have without one that has less getting even less: again and again, the link
/// that has the least for each of its flows settles theirs, and leaves the rest to the others.
pub(super) fn share(model: &mut Model, traffic: &mut Traffic, active: &[FlowId], wanted: Wanted) {
    let mut links: FxHashMap<LinkId, Open> = FxHashMap::default();
    let mut settled: FxHashMap<FlowId, bool> = FxHashMap::default();
    // The least comes first; of equals the flow, then the first.
    let mut next: BinaryHeap<Reverse<(u64, Limit)>> = BinaryHeap::new();
    for flow in active {
        let asks = &model.flows[*flow];
        if asks.route.links.is_empty() {
            continue;
        }
        settled.insert(*flow, false);
        if wanted == Wanted::Remaining {
            next.push(Reverse((bits(asks.remaining.value()), Limit::Flow(*flow))));
        }
        for link in &asks.route.links {
            links
                .entry(*link)
                .or_insert_with(|| Open {
                    left: model.links[*link].bandwidth.value(),
                    flows: 0,
                })
                .flows += 1;
            traffic.change(*link);
        }
    }
    for (link, open) in &links {
        next.push(Reverse((bits(open.share()), Limit::Link(*link))));
    }
    while let Some(Reverse((share, limit))) = next.pop() {
        match limit {
            Limit::Flow(flow) => settle(flow, share, model, &mut links, &mut settled),
            Limit::Link(link) => {
                let open = &links[&link];
                if open.flows == 0 {
                    continue;
                }
                // Others were settled since: what is left for each has only grown.
                if bits(open.share()) > share {
                    next.push(Reverse((bits(open.share()), limit)));
                    continue;
                }
                for flow in traffic.link(link).flows() {
                    settle(flow, share, model, &mut links, &mut settled);
                }
            }
        }
    }
    for flow in active {
        traffic.note_share(*flow, &model.flows[*flow]);
    }
    for link in std::mem::take(&mut traffic.changed) {
        traffic.links[crate::arena::Place::index(link)].changed = false;
    }
}

#[derive(PartialEq, Eq, PartialOrd, Ord)]
enum Limit {
    Flow(FlowId),
    Link(LinkId),
}

fn settle(
    flow: FlowId,
    share: u64,
    model: &mut Model,
    links: &mut FxHashMap<LinkId, Open>,
    settled: &mut FxHashMap<FlowId, bool>,
) {
    let Some(known) = settled.get_mut(&flow).filter(|settled| !**settled) else {
        return;
    };
    *known = true;
    let share = f64::from_bits(share);
    let granted = &mut model.flows[flow];
    granted.shares.fill(Some(Number::Float(share)));
    for link in &granted.route.links {
        let open = links.get_mut(link).expect("all its links were opened");
        open.left -= share;
        open.flows -= 1;
    }
}

/// Shares are not negative, so their bits are in their order.
fn bits(share: f64) -> u64 {
    (share + 0.0).to_bits()
}
