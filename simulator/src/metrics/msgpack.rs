//! All rows in a list, as msgpack.

use rmp::encode;

use super::encode::Stretches;
use super::{Encode, Format};
use crate::access::Stretch;
use crate::number::Number;

/// EdgeSimPy's own layout: a file is one list of maps.
#[derive(Clone, Copy, Debug, Default)]
pub struct MsgPack;

impl Format for MsgPack {
    type Encoder = MsgPackEncoder;

    const EXTENSION: &'static str = "msgpack";

    fn head(rows: u64) -> Vec<u8> {
        // The long form whatever the number, so that it can be filled in at the end.
        let rows = u32::try_from(rows).unwrap_or(u32::MAX);
        let mut head = vec![0xdd];
        head.extend_from_slice(&rows.to_be_bytes());
        head
    }
}

/// Writes a row as a map.
#[derive(Clone, Debug, Default)]
pub struct MsgPackEncoder {
    bytes: Vec<u8>,
    stretches: Stretches,
}

const TAKES_ALL: &str = "a vector takes all";

fn length(length: usize) -> u32 {
    u32::try_from(length).expect("fewer than four thousand million in a row")
}

impl Encode for MsgPackEncoder {
    fn begin_map(&mut self, pairs: usize) {
        encode::write_map_len(&mut self.bytes, length(pairs)).expect(TAKES_ALL);
    }

    fn key(&mut self, key: &str) {
        encode::write_str(&mut self.bytes, key).expect(TAKES_ALL);
    }

    fn end_map(&mut self) {}

    fn begin_list(&mut self, items: usize) {
        encode::write_array_len(&mut self.bytes, length(items)).expect(TAKES_ALL);
    }

    fn item(&mut self) {}

    fn end_list(&mut self) {}

    fn null(&mut self) {
        encode::write_nil(&mut self.bytes).expect(TAKES_ALL);
    }

    fn flag(&mut self, flag: bool) {
        encode::write_bool(&mut self.bytes, flag).expect(TAKES_ALL);
    }

    fn number(&mut self, number: Number) {
        match number {
            Number::Int(whole) => {
                encode::write_sint(&mut self.bytes, whole).expect(TAKES_ALL);
            }
            Number::Float(value) => encode::write_f64(&mut self.bytes, value).expect(TAKES_ALL),
        }
    }

    fn text(&mut self, text: &str) {
        encode::write_str(&mut self.bytes, text).expect(TAKES_ALL);
    }

    fn bytes(&self) -> &[u8] {
        &self.bytes
    }

    fn clear(&mut self) {
        self.bytes.clear();
    }

    fn resume(&mut self) {}

    fn stretch(&mut self, stretch: Stretch) {
        let pairs = self.stretches.pairs(stretch, |step, requesting, pairs| {
            encode::write_str(pairs, &step.to_string()).expect(TAKES_ALL);
            encode::write_bool(pairs, requesting).expect(TAKES_ALL);
        });
        self.bytes.extend_from_slice(pairs);
    }

    fn write_step(step: u32, bytes: &mut Vec<u8>) {
        encode::write_uint(bytes, u64::from(step)).expect(TAKES_ALL);
    }
}
