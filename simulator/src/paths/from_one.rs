//! The least delays from one switch to all others: Dijkstra's search.

use std::cmp::Reverse;
use std::collections::BinaryHeap;
use std::sync::Arc;

use rustc_hash::FxHashMap;

use crate::arena::{Place, SwitchId};
use crate::model::Model;
use crate::number::Number;

/// How many delays are remembered: some 64 MB.
const REMEMBERED: usize = 4 << 20;

/// The least delays from those switches that were asked for.
#[derive(Clone, Debug, Default)]
pub(super) struct DelaysFrom {
    known: FxHashMap<SwitchId, Arc<[Option<Number>]>>,
}

impl DelaysFrom {
    /// The least delay from a switch to every switch, by its place; `None` where no way leads.
    pub(super) fn find(&mut self, model: &Model, from: SwitchId) -> Arc<[Option<Number>]> {
        if let Some(known) = self.known.get(&from) {
            return Arc::clone(known);
        }
        let found: Arc<[Option<Number>]> = search(model, from).into();
        if (self.known.len() + 1) * found.len() > REMEMBERED {
            self.known.clear();
        }
        self.known.insert(from, Arc::clone(&found));
        found
    }
}

fn search(model: &Model, from: SwitchId) -> Vec<Option<Number>> {
    let mut delays: Vec<Option<Number>> = vec![None; model.topology.switches()];
    delays[from.index()] = Some(Number::ZERO);
    let mut next = BinaryHeap::from([Reverse((0, from))]);
    while let Some(Reverse((delay, switch))) = next.pop() {
        let reached = delays[switch.index()].expect("it was reached");
        if bits(reached) < delay {
            // It was nearer than this, and has been looked at.
            continue;
        }
        for (neighbour, link) in model.topology.neighbours(switch) {
            let delay = reached + model.links[*link].delay;
            let known = &mut delays[neighbour.index()];
            if known.is_none_or(|known| delay < known) {
                *known = Some(delay);
                next.push(Reverse((bits(delay), *neighbour)));
            }
        }
    }
    delays
}

/// Delays are not negative, so their bits are in their order.
fn bits(delay: Number) -> u64 {
    (delay.value() + 0.0).to_bits()
}
