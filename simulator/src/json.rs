//! JSON as Python writes it: with `Infinity`, and with whole numbers told from fractions.

use crate::number::Number;

/// A value that the simulation itself has no use for, kept for those who do.
#[derive(Clone, Debug, PartialEq)]
pub enum Value {
    /// `null`.
    Null,
    /// `true` or `false`.
    Bool(bool),
    /// A number.
    Number(Number),
    /// A text.
    Text(String),
    /// A list.
    List(Vec<Value>),
    /// A map, in the order of the file.
    Map(Vec<(String, Value)>),
}

/// Attributes that the simulation has no use for: a dataset can say more of its objects than is simulated.
pub type Extra = Vec<(String, Value)>;

impl From<&jiter::JsonValue<'_>> for Value {
    fn from(value: &jiter::JsonValue<'_>) -> Self {
        use jiter::JsonValue;
        match value {
            JsonValue::Null => Self::Null,
            JsonValue::Bool(value) => Self::Bool(*value),
            JsonValue::Int(whole) => Self::Number(Number::Int(*whole)),
            JsonValue::Float(value) => Self::Number(Number::Float(*value)),
            JsonValue::Str(text) => Self::Text(text.to_string()),
            JsonValue::Array(list) => Self::List(list.iter().map(Self::from).collect()),
            JsonValue::Object(map) => Self::Map(
                map.iter()
                    .map(|(key, value)| (key.to_string(), Self::from(value)))
                    .collect(),
            ),
        }
    }
}

/// Appends `text` in quotes, all but ASCII escaped, as Python's `json` does.
pub(crate) fn write_text(text: &str, out: &mut String) {
    write_text_quoted(text, "\"", out);
}

/// Appends `text` as [`write_text`] does, with `quote` for every quotation mark: two of them where all this stands within
/// quotation marks itself.
pub(crate) fn write_text_quoted(text: &str, quote: &str, out: &mut String) {
    let plain = |byte: u8| (b' '..=b'~').contains(&byte) && byte != b'"' && byte != b'\\';
    out.push_str(quote);
    if text.bytes().all(plain) {
        out.push_str(text);
    } else {
        write_escaped(text, quote, out);
    }
    out.push_str(quote);
}

fn write_escaped(text: &str, quote: &str, out: &mut String) {
    use std::fmt::Write;
    for character in text.chars() {
        match character {
            '"' => {
                out.push('\\');
                out.push_str(quote);
            }
            '\\' => out.push_str("\\\\"),
            '\n' => out.push_str("\\n"),
            '\r' => out.push_str("\\r"),
            '\t' => out.push_str("\\t"),
            '\u{8}' => out.push_str("\\b"),
            '\u{c}' => out.push_str("\\f"),
            ' '..='~' => out.push(character),
            _ => {
                for unit in character.encode_utf16(&mut [0; 2]) {
                    write!(out, "\\u{unit:04x}").expect("a string takes all");
                }
            }
        }
    }
}

/// Appends a number; infinities as the bare words that Python writes and reads.
pub(crate) fn write_number(number: Number, out: &mut String) {
    match number {
        Number::Float(f64::INFINITY) => out.push_str("Infinity"),
        Number::Float(f64::NEG_INFINITY) => out.push_str("-Infinity"),
        Number::Float(value) if value.is_nan() => out.push_str("NaN"),
        _ => number.write_python(out),
    }
}

impl Value {
    /// Appends it as JSON without spaces.
    pub(crate) fn write(&self, out: &mut String) {
        match self {
            Self::Null => out.push_str("null"),
            Self::Bool(true) => out.push_str("true"),
            Self::Bool(false) => out.push_str("false"),
            Self::Number(number) => write_number(*number, out),
            Self::Text(text) => write_text(text, out),
            Self::List(list) => {
                out.push('[');
                for (at, value) in list.iter().enumerate() {
                    if at > 0 {
                        out.push(',');
                    }
                    value.write(out);
                }
                out.push(']');
            }
            Self::Map(map) => {
                out.push('{');
                for (at, (key, value)) in map.iter().enumerate() {
                    if at > 0 {
                        out.push(',');
                    }
                    write_text(key, out);
                    out.push(':');
                    value.write(out);
                }
                out.push('}');
            }
        }
    }
}
