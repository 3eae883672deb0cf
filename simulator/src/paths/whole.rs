//! Dijkstra's search from both ends where delays are small whole numbers.
//!
//! It gives what [`LeastDelay`](super::least_delay::LeastDelay) gives, without comparing distances in a heap: what is to
//! be looked at next stands in a queue for each distance. On large networks nearly all of a run's time goes here.

use super::joined;
use crate::arena::{Place, SwitchId};
use crate::model::Model;

/// The longest delay that a link may have.
const LONGEST: f64 = 255.0;

/// A search for ways with the least delay.
#[derive(Clone, Debug, Default)]
pub(super) struct WholeDelays {
    /// For each switch its neighbours, each as 256 times its place and the delay of the link to it; one switch after the
    /// other.
    edges: Vec<u32>,
    /// Where the neighbours of a switch begin.
    first: Vec<u32>,
    /// More than any distance.
    range: u32,
    sides: [Side; 2],
}

/// What a search knows from one of its ends.
#[derive(Clone, Debug, Default)]
struct Side {
    /// The distance of the end itself. It sinks from search to search by more than any distance, so that whatever an
    /// earlier search saw is farther away than anything can be now.
    base: u32,
    /// The distance of each switch, added to `base`.
    seen: Vec<u32>,
    /// The switch that it was seen from.
    from: Vec<u32>,
    /// The switches to be looked at next, by the last bits of their distance: the number of queues is a power of two.
    queues: Vec<Vec<u32>>,
    /// The distance that is being looked at, and which of its queue comes next.
    distance: u32,
    next: usize,
    /// How many switches all queues have.
    open: usize,
}

/// The best way so far: where the sides met, and where each came from.
#[derive(Clone, Copy)]
struct Meeting {
    distance: u32,
    met: u32,
    from: [u32; 2],
}

impl WholeDelays {
    /// A search, unless the delays of this model are not for it.
    pub(super) fn new(model: &Model) -> Option<Self> {
        let switches = model.topology.switches();
        if switches >= 1 << 24 {
            return None;
        }
        let mut search = Self::default();
        let mut longest = 0;
        for switch in model.switches.places() {
            search.first.push(search.edges.len() as u32);
            for (next, link) in model.topology.neighbours(switch) {
                let delay = model.links[*link].delay.value();
                if delay.fract() != 0.0 || delay > LONGEST {
                    return None;
                }
                longest = longest.max(delay as u32);
                search.edges.push((next.index() as u32) << 8 | delay as u32);
            }
        }
        search.first.push(search.edges.len() as u32);
        search.range = (switches as u32).checked_mul(longest)?.checked_add(1)?;
        for side in &mut search.sides {
            side.seen = vec![u32::MAX; switches];
            side.from = vec![0; switches];
            side.queues = vec![Vec::new(); (longest as usize + 1).next_power_of_two()];
        }
        Some(search)
    }

    /// The switches on the way from one to another, if there is one.
    pub(super) fn find(&mut self, from: SwitchId, to: SwitchId) -> Option<Vec<SwitchId>> {
        if from == to {
            return Some(vec![from]);
        }
        for (side, end) in self.sides.iter_mut().zip([from, to]) {
            side.begin(end, self.range);
        }
        let mut best: Option<Meeting> = None;
        let mut side = 0;
        while self.sides.iter().all(|side| side.open > 0) {
            self.turn(side, &mut best);
            // From here on, nothing shorter can be found.
            let [one, two] = &self.sides;
            if best.is_some_and(|best| best.distance <= one.distance + two.distance) {
                break;
            }
            side = 1 - side;
        }
        let place = |switch: u32| SwitchId::new(switch as usize);
        let before = |side: usize, at: SwitchId| place(self.sides[side].from[at.index()]);
        best.map(|meeting| joined(place(meeting.met), meeting.from.map(place), before))
    }

    /// Looks at the neighbours of one side's nearest switch.
    fn turn(&mut self, side: usize, best: &mut Option<Meeting>) {
        let [one, two] = &mut self.sides;
        let (here, there) = if side == 0 { (one, two) } else { (two, one) };
        let switch = here.pop();
        if here.seen[switch as usize] != here.base + here.distance {
            // It was nearer than this, and has been looked at.
            return;
        }
        let edges = self.first[switch as usize] as usize..self.first[switch as usize + 1] as usize;
        for edge in &self.edges[edges] {
            let (next, distance) = (edge >> 8, here.distance + (edge & 255));
            if here.base + distance >= here.seen[next as usize] {
                continue;
            }
            here.push(next, distance, switch);
            let other = there.seen[next as usize].wrapping_sub(there.base);
            if other < self.range && best.is_none_or(|best| best.distance > distance + other) {
                // How the other side reached it can still change, and would not change this way.
                let mut from = [switch, there.from[next as usize]];
                if side == 1 {
                    from.reverse();
                }
                *best = Some(Meeting {
                    distance: distance + other,
                    met: next,
                    from,
                });
            }
        }
    }
}

impl Side {
    fn begin(&mut self, end: SwitchId, range: u32) {
        if self.base < range {
            self.seen.fill(u32::MAX);
            self.base = u32::MAX;
        }
        self.base -= range;
        self.queues.iter_mut().for_each(Vec::clear);
        (self.distance, self.next, self.open) = (0, 0, 0);
        let end = end.index() as u32;
        self.push(end, 0, end);
    }

    fn push(&mut self, switch: u32, distance: u32, from: u32) {
        self.seen[switch as usize] = self.base + distance;
        self.from[switch as usize] = from;
        let queue = distance as usize & (self.queues.len() - 1);
        self.queues[queue].push(switch);
        self.open += 1;
    }

    /// The nearest switch, of those as near the one that came first. There must be one.
    fn pop(&mut self) -> u32 {
        loop {
            let queue = self.distance as usize & (self.queues.len() - 1);
            let queue = &mut self.queues[queue];
            if let Some(switch) = queue.get(self.next) {
                self.next += 1;
                self.open -= 1;
                return *switch;
            }
            queue.clear();
            self.next = 0;
            self.distance += 1;
        }
    }
}
