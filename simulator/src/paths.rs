//! Ways through the network: with the fewest hops, and with the least delay.
//!
//! Of ways that are as good, the one is taken that a search from both ends meets first, as the Python library networkx
//! does it: the order in which switches are looked at is part of the result.

mod from_one;
mod least_delay;
mod whole;

use std::sync::Arc;

use rustc_hash::FxHashMap;

use crate::arena::{LinkId, Place, SwitchId};
use crate::model::Model;
use crate::number::Number;
use crate::topology::Topology;
use from_one::DelaysFrom;
use least_delay::LeastDelay;
use whole::WholeDelays;

/// A way through the network.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Route {
    /// The switches on it, both ends included. None at all: user and service are at the same base station.
    pub switches: Box<[SwitchId]>,
    /// The links between them.
    pub links: Box<[LinkId]>,
    /// The delay of all links, as it was when the way was found.
    pub delay: Number,
}

impl Route {
    /// A way that a dataset gives: its switches need not be linked, and its delay is not looked at.
    pub(crate) fn given(model: &Model, switches: Vec<SwitchId>) -> Self {
        let links: Option<Box<[LinkId]>> = switches
            .windows(2)
            .map(|ends| model.topology.link(ends[0], ends[1]))
            .collect();
        Self {
            switches: switches.into(),
            links: links.unwrap_or_default(),
            delay: Number::ZERO,
        }
    }

    fn new(model: &Model, switches: Vec<SwitchId>) -> Self {
        let links: Box<[LinkId]> = switches
            .windows(2)
            .map(|ends| {
                (model.topology.link(ends[0], ends[1])).expect("a way leads over neighbours")
            })
            .collect();
        let delay = (links.iter()).fold(Number::ZERO, |sum, link| sum + model.links[*link].delay);
        Self {
            switches: switches.into(),
            links,
            delay,
        }
    }
}

/// Finds ways, and remembers those that it found.
#[derive(Clone, Debug, Default)]
pub(crate) struct Paths {
    hops: Known,
    delays: Known,
    search: Search,
    /// Searches that can go on at the same time.
    delay_searches: Vec<DelaySearch>,
    delays_from: DelaysFrom,
}

/// So many ways are found before another thread would have begun.
const FEW: usize = 32;

/// A search for ways with the least delay, for delays of this kind.
#[derive(Clone, Debug)]
enum DelaySearch {
    Whole(WholeDelays),
    Any(LeastDelay),
}

impl DelaySearch {
    fn new(model: &Model) -> Self {
        match WholeDelays::new(model) {
            Some(search) => Self::Whole(search),
            None => Self::Any(LeastDelay::new(model)),
        }
    }

    fn find(&mut self, model: &Model, from: SwitchId, to: SwitchId) -> Option<Arc<Route>> {
        let switches = match self {
            Self::Whole(search) => search.find(from, to),
            Self::Any(search) => search.find(from, to),
        };
        switches.map(|switches| Arc::new(Route::new(model, switches)))
    }
}

/// Ways that were found, up to a limit of what they take of memory.
#[derive(Clone, Debug, Default)]
struct Known {
    routes: FxHashMap<(SwitchId, SwitchId), Option<Arc<Route>>>,
    switches: usize,
}

/// How many switches all remembered ways together may have: some 64 MB.
const REMEMBERED_SWITCHES: usize = 4 << 20;

impl Known {
    fn get(&self, ends: (SwitchId, SwitchId)) -> Option<Option<Arc<Route>>> {
        self.routes.get(&ends).cloned()
    }

    fn insert(&mut self, ends: (SwitchId, SwitchId), route: Option<Arc<Route>>) {
        if self.switches > REMEMBERED_SWITCHES {
            self.routes.clear();
            self.switches = 0;
        }
        self.switches += route.as_ref().map_or(0, |route| route.switches.len()) + 4;
        self.routes.insert(ends, route);
    }
}

impl Paths {
    /// The way with the fewest hops.
    pub(crate) fn fewest_hops(
        &mut self,
        model: &Model,
        from: SwitchId,
        to: SwitchId,
    ) -> Option<Arc<Route>> {
        if let Some(known) = self.hops.get((from, to)) {
            return known;
        }
        let found = (self.search.fewest_hops(&model.topology, from, to))
            .map(|switches| Arc::new(Route::new(model, switches)));
        self.hops.insert((from, to), found.clone());
        found
    }

    /// The way with the least delay.
    pub(crate) fn least_delay(
        &mut self,
        model: &Model,
        from: SwitchId,
        to: SwitchId,
    ) -> Option<Arc<Route>> {
        if let Some(known) = self.delays.get((from, to)) {
            return known;
        }
        let found = if model.topology.connected(from, to) {
            self.prepare(model, 1);
            self.delay_searches[0].find(model, from, to)
        } else {
            None
        };
        self.delays.insert((from, to), found.clone());
        found
    }

    /// The least delay from a switch to every switch, by its place; `None` where no way leads.
    pub(crate) fn delays_from(&mut self, model: &Model, from: SwitchId) -> Arc<[Option<Number>]> {
        self.delays_from.find(model, from)
    }

    /// Finds ways with the least delay that will be asked for, on several threads at once.
    ///
    /// What is found does not depend on how many there are: every way is found by itself.
    pub(crate) fn look_ahead(
        &mut self,
        model: &Model,
        mut ends: Vec<(SwitchId, SwitchId)>,
        threads: usize,
    ) {
        ends.sort_unstable();
        ends.dedup();
        ends.retain(|ends| {
            self.delays.get(*ends).is_none() && model.topology.connected(ends.0, ends.1)
        });
        if threads < 2 || ends.len() < FEW {
            return;
        }
        self.prepare(model, threads);
        let parts = ends.chunks(ends.len().div_ceil(threads));
        let found: Vec<_> = std::thread::scope(|scope| {
            let searching: Vec<_> = (parts.zip(&mut self.delay_searches))
                .map(|(ends, search)| {
                    let find = |(from, to): &_| search.find(model, *from, *to);
                    scope.spawn(move || ends.iter().map(find).collect::<Vec<_>>())
                })
                .collect();
            (searching.into_iter())
                .flat_map(|thread| thread.join().expect("a search ends"))
                .collect()
        });
        for (ends, route) in ends.into_iter().zip(found) {
            self.delays.insert(ends, route);
        }
    }

    fn prepare(&mut self, model: &Model, searches: usize) {
        while self.delay_searches.len() < searches {
            let another = match self.delay_searches.first() {
                Some(search) => search.clone(),
                None => DelaySearch::new(model),
            };
            self.delay_searches.push(another);
        }
    }

    /// A link's delay has changed. Ways with the fewest hops stay what they are.
    pub(crate) fn forget_delays(&mut self) {
        self.delays = Known::default();
        self.delay_searches.clear();
        self.delays_from = DelaysFrom::default();
    }
}

/// A search over hops from both ends.
#[derive(Clone, Debug, Default)]
struct Search {
    /// For each switch and side: the search that saw it, and the switch that it was seen from.
    seen: Vec<[(u32, SwitchId); 2]>,
    number: u32,
    fringe: [Vec<SwitchId>; 2],
}

impl Search {
    fn fewest_hops(
        &mut self,
        topology: &Topology,
        from: SwitchId,
        to: SwitchId,
    ) -> Option<Vec<SwitchId>> {
        if from == to {
            return Some(vec![from]);
        }
        if !topology.connected(from, to) {
            return None;
        }
        self.begin(topology.switches());
        for (side, end) in [(0, from), (1, to)] {
            self.fringe[side].clear();
            self.fringe[side].push(end);
            self.seen[end.index()][side] = (self.number, end);
        }
        loop {
            let side = usize::from(self.fringe[0].len() > self.fringe[1].len());
            let level = std::mem::take(&mut self.fringe[side]);
            if level.is_empty() {
                return None;
            }
            for switch in &level {
                for (next, _) in topology.neighbours(*switch) {
                    let seen = &mut self.seen[next.index()];
                    if seen[side].0 != self.number {
                        seen[side] = (self.number, *switch);
                        self.fringe[side].push(*next);
                    }
                    if seen[1 - side].0 == self.number {
                        return Some(self.route(*next));
                    }
                }
            }
        }
    }

    fn begin(&mut self, switches: usize) {
        if self.seen.len() != switches || self.number == u32::MAX {
            self.seen = vec![[(0, SwitchId::new(0)); 2]; switches];
            self.number = 0;
        }
        self.number += 1;
    }

    /// The way over `met`, back to both ends.
    fn route(&self, met: SwitchId) -> Vec<SwitchId> {
        let mut route = vec![met];
        self.follow(met, 0, &mut route);
        route.reverse();
        self.follow(met, 1, &mut route);
        route
    }

    fn follow(&self, met: SwitchId, side: usize, route: &mut Vec<SwitchId>) {
        let mut at = met;
        loop {
            let before = self.seen[at.index()][side].1;
            if before == at {
                return;
            }
            route.push(before);
            at = before;
        }
    }
}

/// The way through the switch at which the two sides of a search met. `from` is where each of them came there from, and
/// `before` tells where a side came to any other switch from; an end came from itself.
fn joined(
    met: SwitchId,
    from: [SwitchId; 2],
    before: impl Fn(usize, SwitchId) -> SwitchId,
) -> Vec<SwitchId> {
    let mut route = vec![met];
    for (side, mut next) in from.into_iter().enumerate() {
        let mut at = met;
        while next != at {
            route.push(next);
            at = next;
            next = before(side, at);
        }
        if side == 0 {
            route.reverse();
        }
    }
    route
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::Paths;
    use super::least_delay::LeastDelay;
    use super::whole::WholeDelays;
    use crate::arena::{Place, SwitchId};
    use crate::dataset::{self, Limits};
    use crate::generate::Mesh;
    use crate::model::Model;
    use crate::number::Number;

    fn mesh() -> Model {
        let mesh = Mesh {
            servers: 40,
            steps: 1,
            services_per_server: 1,
        };
        dataset::load(mesh.generate().dataset.as_bytes(), &Limits::default()).unwrap()
    }

    #[test]
    fn ways_that_are_found_ahead_are_those_that_are_found_alone() {
        let model = mesh();
        let (mut ahead, mut alone) = (Paths::default(), Paths::default());
        let ends: Vec<_> = (0..400)
            .map(|at| (SwitchId::new(at / 10), SwitchId::new(at * 7 % 40)))
            .collect();
        ahead.look_ahead(&model, ends.clone(), 3);
        for (from, to) in ends {
            let found = ahead.delays.get((from, to)).expect("it was asked for");
            assert_eq!(found, alone.least_delay(&model, from, to));
        }
    }

    proptest! {
        #[test]
        fn delays_to_all_switches_are_those_of_the_ways_to_each(
            delays in prop::collection::vec(0..9u8, 200),
            from in 0..40usize,
            halves: bool,
        ) {
            let mut model = mesh();
            for (link, delay) in model.links.places().zip(delays) {
                model.links[link].delay = match halves {
                    true => Number::Float(f64::from(delay) / 2.0),
                    false => Number::Int(delay.into()),
                };
            }
            let mut paths = Paths::default();
            let from = SwitchId::new(from);
            let all = paths.delays_from(&model, from);
            for (to, delay) in model.switches.places().zip(&all[..]) {
                let route = paths.least_delay(&model, from, to).unwrap();
                prop_assert!(delay.unwrap().same(route.delay));
            }
        }

        #[test]
        fn both_searches_for_the_least_delay_find_the_same_way(
            delays in prop::collection::vec(0..4i64, 200),
            ends in prop::collection::vec((0..40usize, 0..40usize), 1..30),
        ) {
            let mut model = mesh();
            for (link, delay) in model.links.places().zip(delays) {
                model.links[link].delay = Number::Int(delay);
            }
            let mut whole = WholeDelays::new(&model).unwrap();
            let mut any = LeastDelay::new(&model);
            for (from, to) in ends {
                let (from, to) = (SwitchId::new(from), SwitchId::new(to));
                prop_assert_eq!(whole.find(from, to), any.find(from, to));
            }
        }
    }
}
