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
#[derive(Clone, Debug)]
pub struct CsvEncoder {
    /// The line. What is a list or a map in a cell is written as if the cell were in quotation marks.
    line: JsonEncoder,
    /// Where the cell begins that is being written.
    cell: usize,
    /// If no value has been written.
    first: bool,
}

impl Default for CsvEncoder {
    fn default() -> Self {
        Self {
            line: JsonEncoder::with_quote("\"\""),
            cell: 0,
            first: false,
        }
    }
}

/// If a cell has to be in quotation marks.
fn is_quoted(cell: &str) -> bool {
    cell.contains([',', '"', '\n', '\r'])
}

impl CsvEncoder {
    /// If what comes next is the value of a cell, and not of a list or a map in one.
    fn is_cell(&self) -> bool {
        self.line.depth == 1
    }

    fn begin_cell(&mut self) {
        if self.is_cell() {
            self.cell = self.line.text.len();
            self.line.text.push('"');
        }
    }

    fn end_cell(&mut self) {
        if !self.is_cell() {
            return;
        }
        if is_quoted(&self.line.text[self.cell + 1..]) {
            self.line.text.push('"');
        } else {
            self.line.text.remove(self.cell);
        }
    }
}

impl Encode for CsvEncoder {
    fn begin_map(&mut self, length: usize) {
        if self.line.depth == 0 {
            self.line.depth = 1;
            self.first = true;
        } else {
            self.begin_cell();
            self.line.begin_map(length);
        }
    }

    fn key(&mut self, key: &str) {
        if !self.is_cell() {
            self.line.key(key);
        } else if !std::mem::take(&mut self.first) {
            self.line.text.push(',');
        }
    }

    fn end_map(&mut self) {
        if self.is_cell() {
            self.line.depth = 0;
            self.line.text.push('\n');
        } else {
            self.line.end_map();
            self.end_cell();
        }
    }

    fn begin_list(&mut self, length: usize) {
        self.begin_cell();
        self.line.begin_list(length);
    }

    fn item(&mut self) {
        self.line.item();
    }

    fn end_list(&mut self) {
        self.line.end_list();
        self.end_cell();
    }

    fn null(&mut self) {
        if !self.is_cell() {
            self.line.null();
        }
    }

    fn flag(&mut self, flag: bool) {
        if self.is_cell() {
            // As Python prints them, and as its CSV readers know them.
            self.line.text.push_str(if flag { "True" } else { "False" });
        } else {
            self.line.flag(flag);
        }
    }

    fn number(&mut self, number: Number) {
        if self.is_cell() {
            number.write_python(&mut self.line.text);
        } else {
            self.line.number(number);
        }
    }

    fn text(&mut self, text: &str) {
        if !self.is_cell() {
            self.line.text(text);
        } else if is_quoted(text) {
            self.line.text.push('"');
            for (at, part) in text.split('"').enumerate() {
                if at > 0 {
                    self.line.text.push_str("\"\"");
                }
                self.line.text.push_str(part);
            }
            self.line.text.push('"');
        } else {
            self.line.text.push_str(text);
        }
    }

    fn bytes(&self) -> &[u8] {
        self.line.bytes()
    }

    fn clear(&mut self) {
        self.line.clear();
    }

    fn resume(&mut self) {
        self.line.resume();
        self.first = false;
    }

    fn stretch(&mut self, stretch: Stretch) {
        self.line.stretch(stretch);
    }

    fn write_step(step: u32, bytes: &mut Vec<u8>) {
        bytes.extend_from_slice(step.to_string().as_bytes());
    }
}
