//! Looking at a flexbuffer before it is read.
//!
//! The reader goes wherever a buffer points to: some malformed ones make it panic, and small ones can be made in
//! which each vector has the one before it twice, so that to read them takes for ever. What passes here points only
//! into itself, and has not many more values than bytes.
//!
//! A value is a type and a place. Types are a byte, of which the upper six bits are the kind, and the lower two the
//! width of what the value refers to, as a power of two. A value that has no room in its place is an offset there,
//! which points back from it.

/// How deep values may lie in each other.
const DEEPEST: usize = 64;
/// How many values there may be, besides one for each byte.
const VALUES: usize = 1024;

/// Why bytes are no flexbuffer.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub(super) enum Malformed {
    #[error("malformed flexbuffer: it points out of itself")]
    Outside,
    #[error("malformed flexbuffer: it has an unknown type")]
    Type,
    #[error("malformed flexbuffer: its values lie too deep in each other")]
    Deep,
    #[error("malformed flexbuffer: it has more values than bytes")]
    Many,
    #[error("malformed flexbuffer: a text of it is no UTF-8")]
    Text,
}

/// Looks at all values of a flexbuffer.
pub(super) fn check(bytes: &[u8]) -> Result<(), Malformed> {
    let mut look = Look {
        bytes,
        left: bytes.len() + VALUES,
    };
    // The root is at the end: its value, its type, and the width of its value.
    let [rest @ .., kind, width] = bytes else {
        return Err(Malformed::Outside);
    };
    let width = match width {
        1 | 2 | 4 | 8 => usize::from(*width),
        _ => return Err(Malformed::Outside),
    };
    let place = rest.len().checked_sub(width).ok_or(Malformed::Outside)?;
    look.value(place, width, *kind, 0)
}

struct Look<'a> {
    bytes: &'a [u8],
    /// How many values may still be looked at.
    left: usize,
}

impl Look<'_> {
    /// Looks at the value of a type whose place begins there.
    fn value(
        &mut self,
        place: usize,
        width: usize,
        kind: u8,
        depth: usize,
    ) -> Result<(), Malformed> {
        self.left = self.left.checked_sub(1).ok_or(Malformed::Many)?;
        if depth > DEEPEST {
            return Err(Malformed::Deep);
        }
        let below = 1 << (kind & 3);
        match kind >> 2 {
            // Null, numbers and truth: in their place.
            0..=3 => self.range(place, width).map(drop),
            // The reader takes truth to be as wide as its type says, whatever room there is.
            26 => self.range(place, width.max(below)).map(drop),
            // A key: bytes up to a zero.
            4 => self.key(self.target(place, width)?),
            // A text.
            5 => {
                let (start, length) = self.sized(place, width, below)?;
                let text = self.range(start, length)?;
                std::str::from_utf8(text)
                    .map(drop)
                    .map_err(|_| Malformed::Text)
            }
            // A number elsewhere.
            6..=8 => {
                let target = self.target(place, width)?;
                self.range(target, below).map(drop)
            }
            9 => self.map(place, width, below, depth),
            10 => {
                let (start, length) = self.sized(place, width, below)?;
                self.elements(start, length, below, depth)
            }
            // Vectors of one type: numbers, keys, truth. Those of texts are not written any more, and have no widths.
            kind @ (11..=14 | 36) => {
                let (start, length) = self.sized(place, width, below)?;
                let element = if kind == 36 { 26 } else { kind - 10 };
                self.typed(start, length, below, element, depth)
            }
            // The same of two, three or four numbers.
            kind @ 16..=24 => {
                let start = self.target(place, width)?;
                let length = usize::from((kind - 16) / 3 + 2);
                self.typed(start, length, below, (kind - 16) % 3 + 1, depth)
            }
            // Bytes.
            25 => {
                let (start, length) = self.sized(place, width, below)?;
                self.range(start, length).map(drop)
            }
            _ => Err(Malformed::Type),
        }
    }

    /// A map: a vector of values, before which stand where its keys are and how wide they are.
    fn map(
        &mut self,
        place: usize,
        width: usize,
        below: usize,
        depth: usize,
    ) -> Result<(), Malformed> {
        let (start, length) = self.sized(place, width, below)?;
        let back = |words: usize| start.checked_sub(words * below).ok_or(Malformed::Outside);
        let keys = self.target(back(3)?, below)?;
        let width_of_keys = self.number(back(2)?, below)?;
        if !matches!(width_of_keys, 1 | 2 | 4 | 8) {
            return Err(Malformed::Outside);
        }
        let sized = keys.checked_sub(width_of_keys).ok_or(Malformed::Outside)?;
        let number_of_keys = self.number(sized, width_of_keys)?;
        if number_of_keys != length {
            return Err(Malformed::Outside);
        }
        self.typed(keys, number_of_keys, width_of_keys, 4, depth)?;
        self.elements(start, length, below, depth)
    }

    /// Values, after which their types stand.
    fn elements(
        &mut self,
        start: usize,
        length: usize,
        width: usize,
        depth: usize,
    ) -> Result<(), Malformed> {
        let size = length.checked_mul(width).ok_or(Malformed::Outside)?;
        let types = start.checked_add(size).ok_or(Malformed::Outside)?;
        self.range(start, size)?;
        self.range(types, length)?;
        for number in 0..length {
            let kind = self.bytes[types + number];
            self.value(start + number * width, width, kind, depth + 1)?;
        }
        Ok(())
    }

    /// Values of one type.
    fn typed(
        &mut self,
        start: usize,
        length: usize,
        width: usize,
        kind: u8,
        depth: usize,
    ) -> Result<(), Malformed> {
        let size = length.checked_mul(width).ok_or(Malformed::Outside)?;
        self.range(start, size)?;
        const KEY: u8 = 4;
        if kind != KEY {
            return Ok(());
        }
        for number in 0..length {
            self.value(start + number * width, width, KEY << 2, depth + 1)?;
        }
        Ok(())
    }

    /// Where the offset at a place points to.
    fn target(&self, place: usize, width: usize) -> Result<usize, Malformed> {
        let offset = self.number(place, width)?;
        place.checked_sub(offset).ok_or(Malformed::Outside)
    }

    /// Where something begins that its length stands before, and that length.
    fn sized(&self, place: usize, width: usize, below: usize) -> Result<(usize, usize), Malformed> {
        let start = self.target(place, width)?;
        let sized = start.checked_sub(below).ok_or(Malformed::Outside)?;
        Ok((start, self.number(sized, below)?))
    }

    fn key(&self, start: usize) -> Result<(), Malformed> {
        let rest = self.bytes.get(start..).ok_or(Malformed::Outside)?;
        let end = rest.iter().position(|byte| *byte == 0);
        let key = &rest[..end.ok_or(Malformed::Outside)?];
        std::str::from_utf8(key)
            .map(drop)
            .map_err(|_| Malformed::Text)
    }

    fn number(&self, place: usize, width: usize) -> Result<usize, Malformed> {
        let mut number = [0; 8];
        number[..width].copy_from_slice(self.range(place, width)?);
        usize::try_from(u64::from_le_bytes(number)).map_err(|_| Malformed::Outside)
    }

    fn range(&self, start: usize, length: usize) -> Result<&[u8], Malformed> {
        let end = start.checked_add(length).ok_or(Malformed::Outside)?;
        self.bytes.get(start..end).ok_or(Malformed::Outside)
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn what_is_written_passes() {
        for value in [
            json!(null),
            json!(true),
            json!(-5),
            json!(1u64 << 60),
            json!(1.5),
            json!("text"),
            json!("x".repeat(100_000)),
            json!([]),
            json!({}),
            json!([1, 2, 3]),
            json!([1, 300, 70_000, 1u64 << 40]),
            json!(["a", "b", [true, null, {"c": [1.5, -2.5]}]]),
            json!({"a": {"b": {"c": [{"d": "e"}, {"d": "f"}]}}, "long": "y".repeat(300)}),
        ] {
            let bytes = flexbuffers::to_vec(&value).expect("it is written");
            assert_eq!(check(&bytes), Ok(()), "{value}");
            let read: serde_json::Value = flexbuffers::from_slice(&bytes).expect("it is read");
            assert_eq!(read, value);
        }
        let mut builder = flexbuffers::Builder::default();
        let mut vector = builder.start_vector();
        vector.push(&[1u8, 2][..]);
        vector.push(&[1.5f64, 2.5, 3.5][..]);
        vector.push(flexbuffers::Blob(&[1u8, 2, 3][..]));
        vector.push(flexbuffers::IndirectUInt(5));
        vector.push(&[true, false][..]);
        vector.end_vector();
        assert_eq!(check(builder.view()), Ok(()));
    }

    #[test]
    fn truth_that_is_wider_than_its_place_is_refused() {
        const WIDE: u8 = 26 << 2 | 3;
        assert_eq!(check(&[0, 0, 0, 10, WIDE, 1]), Err(Malformed::Outside));
        assert_eq!(check(&[1, 26 << 2, 1]), Ok(()));
    }

    #[test]
    fn what_doubles_at_each_step_is_refused() {
        // Each vector has the one before it twice.
        let mut bytes = vec![0, 0];
        let mut last = 1;
        for _ in 0..60u8 {
            bytes.push(2);
            let start = bytes.len();
            bytes.extend([
                (start - last) as u8,
                (start + 1 - last) as u8,
                10 << 2,
                10 << 2,
            ]);
            last = start;
        }
        let root = bytes.len();
        bytes.extend([(root - last) as u8, 10 << 2, 1]);
        assert_eq!(check(&bytes), Err(Malformed::Many));
    }
}
