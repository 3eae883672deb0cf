//! A row a line, as JSON.

use std::io::Write;

use super::encode::Stretches;
use super::{Encode, Format};
use crate::access::Stretch;
use crate::json::{write_number, write_text_quoted};
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
#[derive(Clone, Debug)]
pub struct JsonEncoder {
    pub(super) text: String,
    /// How many maps and lists are begun and not ended.
    pub(super) depth: usize,
    /// What stands around texts: a quotation mark, or two of them within another text.
    quote: &'static str,
    stretches: Stretches,
}

impl Default for JsonEncoder {
    fn default() -> Self {
        Self::with_quote("\"")
    }
}

impl JsonEncoder {
    pub(super) fn with_quote(quote: &'static str) -> Self {
        Self {
            text: String::new(),
            depth: 0,
            quote,
            stretches: Stretches::default(),
        }
    }

    /// What was written.
    pub(crate) fn into_text(self) -> String {
        self.text
    }

    fn separate(&mut self) {
        if !matches!(self.text.as_bytes().last(), Some(b'{' | b'[')) {
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
        write_text_quoted(key, self.quote, &mut self.text);
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
        write_text_quoted(text, self.quote, &mut self.text);
    }

    fn bytes(&self) -> &[u8] {
        self.text.as_bytes()
    }

    fn clear(&mut self) {
        self.text.clear();
    }

    fn resume(&mut self) {
        self.depth = 1;
    }

    fn stretch(&mut self, stretch: Stretch) {
        let quote = self.quote;
        let pairs = self.stretches.pairs(stretch, |step, requesting, pairs| {
            write!(pairs, ",{quote}{step}{quote}:{requesting}").expect("a vector takes all");
        });
        let pairs = std::str::from_utf8(pairs).expect("JSON is text");
        let first = usize::from(self.text.ends_with('{'));
        self.text.push_str(&pairs[first..]);
    }

    fn write_step(step: u32, bytes: &mut Vec<u8>) {
        bytes.extend_from_slice(step.to_string().as_bytes());
    }
}
