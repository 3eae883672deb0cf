//! A row a line, as JSON.

use std::io::Write;

use super::encode::Stretches;
use super::{Encode, Format};
use crate::access::Stretch;
use crate::json::{write_number, write_text};
use crate::number::Number;

/// JSON lines: a map a line. Infinities stand as the bare word `Infinity`, as Python writes and reads them.
#[derive(Clone, Copy, Debug, Default)]
pub struct JsonLines;

impl Format for JsonLines {
    type Encoder = JsonEncoder;

    const EXTENSION: &'static str = "jsonl";

    fn head(_rows: u64) -> Vec<u8> {
        Vec::new()
    }
}

/// Writes a row as JSON without spaces.
#[derive(Clone, Debug, Default)]
pub struct JsonEncoder {
    pub(super) text: String,
    depth: usize,
    stretches: Stretches,
}

impl JsonEncoder {
    fn separate(&mut self) {
        if !self.text.ends_with(['{', '[']) {
            self.text.push(',');
        }
    }
}

impl Encode for JsonEncoder {
    fn begin_map(&mut self, _length: usize) {
        self.text.push('{');
        self.depth += 1;
    }

    fn key(&mut self, key: &str) {
        self.separate();
        write_text(key, &mut self.text);
        self.text.push(':');
    }

    fn end_map(&mut self) {
        self.text.push('}');
        self.depth -= 1;
        if self.depth == 0 {
            self.text.push('\n');
        }
    }

    fn begin_list(&mut self, _length: usize) {
        self.text.push('[');
        self.depth += 1;
    }

    fn item(&mut self) {
        self.separate();
    }

    fn end_list(&mut self) {
        self.text.push(']');
        self.depth -= 1;
    }

    fn null(&mut self) {
        self.text.push_str("null");
    }

    fn flag(&mut self, flag: bool) {
        self.text.push_str(if flag { "true" } else { "false" });
    }

    fn number(&mut self, number: Number) {
        write_number(number, &mut self.text);
    }

    fn text(&mut self, text: &str) {
        write_text(text, &mut self.text);
    }

    fn len(&self) -> usize {
        self.text.len()
    }

    fn append_to(&mut self, bytes: &mut Vec<u8>) {
        bytes.extend_from_slice(self.text.as_bytes());
        self.text.clear();
    }

    fn resume(&mut self) {
        self.depth = 1;
    }

    fn stretch(&mut self, stretch: Stretch) {
        let pairs = self.stretches.pairs(stretch, |step, requesting, pairs| {
            write!(pairs, ",\"{step}\":{requesting}").expect("a vector takes all");
        });
        let pairs = std::str::from_utf8(pairs).expect("JSON is text");
        let first = usize::from(self.text.ends_with('{'));
        self.text.push_str(&pairs[first..]);
    }

    fn write_step(step: u32, bytes: &mut Vec<u8>) {
        bytes.extend_from_slice(step.to_string().as_bytes());
    }
}
