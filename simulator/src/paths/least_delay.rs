//! Dijkstra's search from both ends, in turns, for delays of any kind.

use std::cmp::Reverse;
use std::collections::BinaryHeap;

use super::joined;
use crate::arena::{Place, SwitchId};
use crate::model::Model;

/// What a search knows of a switch from one side.
#[derive(Clone, Copy, Debug)]
struct Seen {
    /// Twice the number of the search that saw it; one more when it is settled.
    mark: u32,
    distance: f64,
    from: SwitchId,
}

/// A search for ways with the least delay.
#[derive(Clone, Debug)]
pub(super) struct LeastDelay {
    /// For each switch, what is known from either side.
    seen: Vec<[Seen; 2]>,
    /// Neighbours with the delay of the link to them, one after the other, and where those of a switch begin.
    edges: Vec<(SwitchId, f64)>,
    first: Vec<u32>,
    /// What is to be looked at next from either side: distances, and when each was found.
    fringe: [BinaryHeap<Reverse<(u64, u32, SwitchId)>>; 2],
    pushed: u32,
    number: u32,
}

/// The best way so far: where the sides met, and where each came from.
#[derive(Clone, Copy)]
struct Meeting {
    distance: f64,
    met: SwitchId,
    from: [SwitchId; 2],
}

impl LeastDelay {
    pub(super) fn new(model: &Model) -> Self {
        let unseen = Seen {
            mark: 0,
            distance: 0.0,
            from: SwitchId::new(0),
        };
        let mut search = Self {
            seen: vec![[unseen; 2]; model.topology.switches()],
            edges: Vec::new(),
            first: Vec::new(),
            fringe: Default::default(),
            pushed: 0,
            number: 0,
        };
        for switch in model.switches.places() {
            search.first.push(search.edges.len() as u32);
            for (next, link) in model.topology.neighbours(switch) {
                // A zero of either sign is the same delay, and has the same bits from here on.
                let delay = model.links[*link].delay.value() + 0.0;
                search.edges.push((*next, delay));
            }
        }
        search.first.push(search.edges.len() as u32);
        search
    }

    /// The switches on the way from one to another, if there is one.
    pub(super) fn find(&mut self, from: SwitchId, to: SwitchId) -> Option<Vec<SwitchId>> {
        if from == to {
            return Some(vec![from]);
        }
        self.begin();
        self.push(0, from, 0.0, from);
        self.push(1, to, 0.0, to);
        let mut best: Option<Meeting> = None;
        let mut side = 1;
        while !self.fringe[0].is_empty() && !self.fringe[1].is_empty() {
            side = 1 - side;
            let Some(Reverse((_, _, switch))) = self.fringe[side].pop() else {
                break;
            };
            let settled = self.settled();
            let here = &mut self.seen[switch.index()][side];
            if here.mark == settled {
                continue;
            }
            here.mark = settled;
            let distance = here.distance;
            if self.seen[switch.index()][1 - side].mark == settled {
                break;
            }
            self.expand(side, switch, distance, &mut best);
        }
        let before = |side: usize, at: SwitchId| self.seen[at.index()][side].from;
        best.map(|meeting| joined(meeting.met, meeting.from, before))
    }

    /// The mark of what this search has seen.
    fn open(&self) -> u32 {
        self.number * 2
    }

    /// The mark of what this search has settled.
    fn settled(&self) -> u32 {
        self.number * 2 + 1
    }

    fn expand(&mut self, side: usize, switch: SwitchId, distance: f64, best: &mut Option<Meeting>) {
        let edges = self.first[switch.index()] as usize..self.first[switch.index() + 1] as usize;
        for edge in edges {
            let (next, delay) = self.edges[edge];
            let reached = distance + delay;
            let seen = &self.seen[next.index()][side];
            let settled = seen.mark == self.settled();
            if settled || (seen.mark == self.open() && reached >= seen.distance) {
                continue;
            }
            self.push(side, next, reached, switch);
            let ends = &self.seen[next.index()];
            if ends.iter().all(|end| end.mark >= self.open()) {
                let total = ends[0].distance + ends[1].distance;
                if best.is_none_or(|best| best.distance > total) {
                    // How the other side reached it can still change, and would not change this way.
                    *best = Some(Meeting {
                        distance: total,
                        met: next,
                        from: [ends[0].from, ends[1].from],
                    });
                }
            }
        }
    }

    fn push(&mut self, side: usize, switch: SwitchId, distance: f64, from: SwitchId) {
        self.seen[switch.index()][side] = Seen {
            mark: self.open(),
            distance,
            from,
        };
        self.pushed += 1;
        // Distances are not negative, so their bits are in their order.
        self.fringe[side].push(Reverse((distance.to_bits(), self.pushed, switch)));
    }

    fn begin(&mut self) {
        if self.number == u32::MAX / 2 - 1 {
            self.seen.iter_mut().flatten().for_each(|end| end.mark = 0);
            self.number = 0;
        }
        self.number += 1;
        self.pushed = 0;
        self.fringe[0].clear();
        self.fringe[1].clear();
    }
}
