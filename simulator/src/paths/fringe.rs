//! What a search is to look at next: the nearest first, of those as near the one that came first.

use std::cmp::Reverse;
use std::collections::{BinaryHeap, VecDeque};

use crate::arena::SwitchId;

/// What a search is to look at next.
#[derive(Clone, Debug)]
pub(super) enum Fringe {
    /// For distances of any kind.
    Heap {
        heap: BinaryHeap<Reverse<(u64, u32, SwitchId)>>,
        pushed: u32,
    },
    /// For distances that are whole numbers and grow by little: a queue for each, used again when it is empty. It gives
    /// the same order as a heap, without comparing anything.
    Buckets {
        buckets: Vec<VecDeque<SwitchId>>,
        nearest: usize,
        length: usize,
    },
}

/// The longest step for which buckets are kept.
const MOST_BUCKETS: f64 = 1024.0;

impl Fringe {
    /// One for steps of these lengths.
    pub(super) fn new(steps: impl Iterator<Item = f64>) -> Self {
        let mut longest = 0.0;
        for step in steps {
            if step.fract() != 0.0 || step > MOST_BUCKETS {
                return Self::default();
            }
            longest = f64::max(longest, step);
        }
        Self::Buckets {
            buckets: vec![VecDeque::new(); longest as usize + 1],
            nearest: 0,
            length: 0,
        }
    }

    pub(super) fn push(&mut self, distance: f64, switch: SwitchId) {
        match self {
            Self::Heap { heap, pushed } => {
                *pushed += 1;
                // Distances are not negative, so their bits are in their order.
                heap.push(Reverse((distance.to_bits(), *pushed, switch)));
            }
            Self::Buckets {
                buckets, length, ..
            } => {
                let at = distance as usize % buckets.len();
                buckets[at].push_back(switch);
                *length += 1;
            }
        }
    }

    pub(super) fn pop(&mut self) -> Option<SwitchId> {
        match self {
            Self::Heap { heap, .. } => heap.pop().map(|Reverse((_, _, switch))| switch),
            Self::Buckets {
                buckets,
                nearest,
                length,
            } => {
                if *length == 0 {
                    return None;
                }
                *length -= 1;
                loop {
                    if let Some(switch) = buckets[*nearest].pop_front() {
                        return Some(switch);
                    }
                    *nearest = (*nearest + 1) % buckets.len();
                }
            }
        }
    }

    pub(super) fn is_empty(&self) -> bool {
        match self {
            Self::Heap { heap, .. } => heap.is_empty(),
            Self::Buckets { length, .. } => *length == 0,
        }
    }

    pub(super) fn clear(&mut self) {
        match self {
            Self::Heap { heap, pushed } => {
                heap.clear();
                *pushed = 0;
            }
            Self::Buckets {
                buckets,
                nearest,
                length,
            } => {
                if *length > 0 {
                    buckets.iter_mut().for_each(VecDeque::clear);
                }
                *nearest = 0;
                *length = 0;
            }
        }
    }
}

impl Default for Fringe {
    fn default() -> Self {
        Self::Heap {
            heap: BinaryHeap::new(),
            pushed: 0,
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::Fringe;
    use crate::arena::{Place, SwitchId};

    proptest! {
        #[test]
        fn buckets_give_the_order_of_a_heap(steps in prop::collection::vec((0..6u32, any::<bool>()), 0..60)) {
            let mut heap = Fringe::default();
            let mut buckets = Fringe::new([5.0].into_iter());
            let mut nearest = 0;
            let mut distances = Vec::new();
            for (at, (step, pop)) in steps.into_iter().enumerate() {
                let distance = nearest + step;
                distances.push(distance);
                for fringe in [&mut heap, &mut buckets] {
                    fringe.push(f64::from(distance), SwitchId::new(at));
                }
                if pop {
                    let popped = heap.pop();
                    prop_assert_eq!(popped, buckets.pop());
                    nearest = popped.map_or(nearest, |popped| distances[popped.index()]);
                }
            }
            while let Some(popped) = heap.pop() {
                prop_assert_eq!(Some(popped), buckets.pop());
            }
            prop_assert!(buckets.is_empty());
        }
    }
}
