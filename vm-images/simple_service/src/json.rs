//! JSON in one line, spaced as Python's is: `{"min": 8.1, "max": 22.8}`.

use std::io::{self, Write};

use serde::Serialize;
use serde_json::{
    Serializer,
    ser::{CompactFormatter, Formatter},
};

/// Writes `value` and the end of the line.
///
/// # Errors
/// If the line cannot be written.
pub fn write_line<T: Serialize>(mut out: impl Write, value: &T) -> io::Result<()> {
    value.serialize(&mut Serializer::with_formatter(&mut out, Spaced))?;
    writeln!(out)
}

struct Spaced;

impl Formatter for Spaced {
    fn begin_array_value<W: ?Sized + Write>(&mut self, out: &mut W, first: bool) -> io::Result<()> {
        separate(out, first)
    }

    fn begin_object_key<W: ?Sized + Write>(&mut self, out: &mut W, first: bool) -> io::Result<()> {
        separate(out, first)
    }

    fn begin_object_value<W: ?Sized + Write>(&mut self, out: &mut W) -> io::Result<()> {
        CompactFormatter.begin_object_value(out)?;
        out.write_all(b" ")
    }
}

fn separate<W: ?Sized + Write>(out: &mut W, first: bool) -> io::Result<()> {
    out.write_all(if first { b"" } else { b", " })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_are_spaced_and_text_is_not() {
        let mut line = Vec::new();
        write_line(&mut line, &serde_json::json!([{"a:b,c": 1}, [], 2.5])).unwrap();
        assert_eq!(line, b"[{\"a:b,c\": 1}, [], 2.5]\n");
    }
}
