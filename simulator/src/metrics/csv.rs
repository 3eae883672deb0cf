//! A row a line, its values separated by commas.

use super::json_lines::JsonEncoder;
use super::{Encode, Format};
use crate::access::Stretch;
use crate::number::Number;

/// Comma-separated values under a line of names. Lists and maps stand in their cells as JSON; nothing is an empty cell.
#[derive(Clone, Copy, Debug, Default)]
pub struct Csv;

impl Format for Csv {
    type Encoder = CsvEncoder;

    const EXTENSION: &'static str = "csv";

    fn head(_rows: u64) -> Vec<u8> {
        Vec::new()
    }

    fn names(names: &[&str]) -> Vec<u8> {
        let mut line = names.join(",").into_bytes();
        line.push(b'\n');
        line
    }
}

/// Writes a row as a line.
#[derive(Clone, Debug, Default)]
pub struct CsvEncoder {
    line: String,
    /// A list or map that is being written.
    cell: JsonEncoder,
    depth: usize,
    /// If no value has been written.
    first: bool,
}

impl CsvEncoder {
    fn push(&mut self, cell: &str) {
        if cell.contains([',', '"', '\n', '\r']) {
            self.line.push('"');
            self.line.push_str(&cell.replace('"', "\"\""));
            self.line.push('"');
        } else {
            self.line.push_str(cell);
        }
    }

    fn ended(&mut self) {
        self.depth -= 1;
        match self.depth {
            0 => self.line.push('\n'),
            1 => {
                let cell = std::mem::take(&mut self.cell.text);
                self.push(cell.trim_end());
            }
            _ => {}
        }
    }

    fn value(&mut self, text: &str, write: impl FnOnce(&mut JsonEncoder)) {
        if self.depth == 1 {
            self.push(text);
        } else {
            write(&mut self.cell);
        }
    }
}

impl Encode for CsvEncoder {
    fn begin_map(&mut self, length: usize) {
        if self.depth > 0 {
            self.cell.begin_map(length);
        } else {
            self.first = true;
        }
        self.depth += 1;
    }

    fn key(&mut self, key: &str) {
        if self.depth > 1 {
            self.cell.key(key);
        } else if !std::mem::take(&mut self.first) {
            self.line.push(',');
        }
    }

    fn end_map(&mut self) {
        if self.depth > 1 {
            self.cell.end_map();
        }
        self.ended();
    }

    fn begin_list(&mut self, length: usize) {
        self.cell.begin_list(length);
        self.depth += 1;
    }

    fn item(&mut self) {
        self.cell.item();
    }

    fn end_list(&mut self) {
        self.cell.end_list();
        self.ended();
    }

    fn null(&mut self) {
        self.value("", JsonEncoder::null);
    }

    fn flag(&mut self, flag: bool) {
        // As Python prints them, and as its CSV readers know them.
        self.value(if flag { "True" } else { "False" }, |cell| cell.flag(flag));
    }

    fn number(&mut self, number: Number) {
        self.value(&number.python(), |cell| cell.number(number));
    }

    fn text(&mut self, text: &str) {
        self.value(text, |cell| cell.text(text));
    }

    fn len(&self) -> usize {
        self.line.len()
    }

    fn append_to(&mut self, bytes: &mut Vec<u8>) {
        bytes.extend_from_slice(self.line.as_bytes());
        self.line.clear();
    }

    fn resume(&mut self) {
        self.depth = 1;
        self.first = false;
    }

    fn stretch(&mut self, stretch: Stretch) {
        self.cell.stretch(stretch);
    }

    fn write_step(step: u32, bytes: &mut Vec<u8>) {
        bytes.extend_from_slice(step.to_string().as_bytes());
    }
}
