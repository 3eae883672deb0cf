//! Coordinates on the map, each written once.

use rustc_hash::FxHashMap;

use crate::number::Number;

/// Coordinates, by their place in [`Positions`].
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub struct Position(u32);

/// All coordinates of a model.
#[derive(Clone, Debug, Default)]
pub struct Positions {
    written: Vec<Box<[Number]>>,
    /// The first position that is equal to this one: `[1, 2]` and `[1.0, 2]` are the same place.
    place: Vec<u32>,
    known: FxHashMap<Box<[(bool, u64)]>, Position>,
    places: FxHashMap<Box<[u64]>, u32>,
}

impl Positions {
    /// The position of these coordinates.
    pub fn intern(&mut self, coordinates: &[Number]) -> Position {
        // Maps have two coordinates: these are looked up without keeping anything.
        if let &[x, y] = coordinates
            && let Some(position) = self.known.get(&[exact(x), exact(y)][..])
        {
            return *position;
        }
        let exact: Box<[(bool, u64)]> = coordinates.iter().copied().map(exact).collect();
        if let Some(position) = self.known.get(&exact) {
            return *position;
        }
        let index = u32::try_from(self.written.len()).expect("fewer than four thousand million");
        let equal = coordinates.iter().map(|number| bits(*number)).collect();
        self.place.push(*self.places.entry(equal).or_insert(index));
        self.written.push(coordinates.into());
        self.known.insert(exact, Position(index));
        Position(index)
    }

    /// The coordinates as they were given.
    pub fn coordinates(&self, position: Position) -> &[Number] {
        &self.written[position.0 as usize]
    }

    /// If two positions are the same place.
    pub fn equal(&self, one: Position, two: Position) -> bool {
        self.place(one) == self.place(two)
    }

    /// A number that all positions of one place share, and no others.
    pub(crate) fn place(&self, position: Position) -> u32 {
        self.place[position.0 as usize]
    }

    /// As Python prints them: `[2, 0.5]`.
    pub(crate) fn write_python(&self, position: Position, text: &mut String) {
        text.push('[');
        for (at, number) in self.coordinates(position).iter().enumerate() {
            if at > 0 {
                text.push_str(", ");
            }
            number.write_python(text);
        }
        text.push(']');
    }
}

/// What tells a number from all that are written otherwise.
fn exact(number: Number) -> (bool, u64) {
    (matches!(number, Number::Int(_)), bits(number))
}

fn bits(number: Number) -> u64 {
    // Both zeros are the same place.
    (number.value() + 0.0).to_bits()
}
