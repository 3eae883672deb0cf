//! Where a user is in each step.

use crate::position::Position;

/// Where a user is in each step, as far as it is known. However long it stays at a place, that takes no more room.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Trace {
    stays: Vec<Stay>,
}

#[derive(Clone, Copy, Debug, PartialEq)]
struct Stay {
    place: Position,
    /// The step in which it is elsewhere.
    end: u32,
}

impl Trace {
    /// How many steps are known.
    pub fn len(&self) -> u32 {
        self.stays.last().map_or(0, |last| last.end)
    }

    /// If none is.
    pub fn is_empty(&self) -> bool {
        self.stays.is_empty()
    }

    /// How often it goes to another place.
    pub(crate) fn stays(&self) -> usize {
        self.stays.len()
    }

    /// Where it is in a step, from 0.
    pub fn get(&self, step: u32) -> Option<Position> {
        let at = self.stays.partition_point(|stay| stay.end <= step);
        self.stays.get(at).map(|stay| stay.place)
    }

    /// All places, step by step.
    pub fn iter(&self) -> impl Iterator<Item = Position> {
        let starts = [0]
            .into_iter()
            .chain(self.stays.iter().map(|stay| stay.end));
        (self.stays.iter().zip(starts))
            .flat_map(|(stay, start)| (start..stay.end).map(|_| stay.place))
    }

    /// Appends a place for some steps. There are no steps after the last that can be counted.
    pub(crate) fn push(&mut self, place: Position, steps: u32) {
        let start = self.len();
        let end = start.saturating_add(steps);
        match self.stays.last_mut() {
            Some(last) if last.place == place => last.end = end,
            _ if end > start => self.stays.push(Stay { place, end }),
            _ => {}
        }
    }
}

#[cfg(test)]
mod tests {
    use super::Trace;
    use crate::number::Number;
    use crate::position::Positions;

    #[test]
    fn places_are_where_they_were_put() {
        let mut positions = Positions::default();
        let [one, two] = [1, 2].map(|at| positions.intern(&[Number::Int(at), Number::Int(0)]));
        let mut trace = Trace::default();
        assert!(trace.is_empty() && trace.get(0).is_none());
        for (place, steps) in [(one, 1), (one, 2), (two, 1), (one, 0), (one, 3)] {
            trace.push(place, steps);
        }
        let expected = [one, one, one, two, one, one, one];
        assert_eq!(trace.iter().collect::<Vec<_>>(), expected);
        assert_eq!((trace.len(), trace.stays()), (7, 3));
        for (step, place) in (0..).zip(expected) {
            assert_eq!(trace.get(step), Some(place));
        }
        trace.push(two, u32::MAX);
        assert_eq!(trace.len(), u32::MAX);
        trace.push(one, u32::MAX);
        assert_eq!(trace.get(u32::MAX - 1), Some(two));
    }
}
