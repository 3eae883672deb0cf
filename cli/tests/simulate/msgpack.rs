//! Reading msgpack.

use std::io::Read;

use rmp::{Marker, decode};
use serde_json::{Map, Value};

/// The one value that `bytes` are.
pub(crate) fn read(mut bytes: &[u8]) -> Value {
    let value = next(&mut bytes);
    assert!(bytes.is_empty(), "{} bytes too many", bytes.len());
    value
}

fn next(bytes: &mut &[u8]) -> Value {
    let mut rest = *bytes;
    match decode::read_marker(&mut rest).unwrap() {
        Marker::Null => decode::read_nil(bytes).map(|()| Value::Null).unwrap(),
        Marker::True | Marker::False => decode::read_bool(bytes).unwrap().into(),
        Marker::F64 => {
            let value = decode::read_f64(bytes).unwrap();
            // As text stands for it where JSON has no number.
            if value.is_finite() {
                value.into()
            } else {
                "Infinity".into()
            }
        }
        Marker::FixStr(_) | Marker::Str8 | Marker::Str16 | Marker::Str32 => text(bytes).into(),
        Marker::FixArray(_) | Marker::Array16 | Marker::Array32 => {
            let length = decode::read_array_len(bytes).unwrap();
            (0..length).map(|_| next(bytes)).collect()
        }
        Marker::FixMap(_) | Marker::Map16 | Marker::Map32 => {
            let length = decode::read_map_len(bytes).unwrap();
            let pairs = (0..length).map(|_| (text(bytes), next(bytes)));
            Value::Object(pairs.collect::<Map<_, _>>())
        }
        _ => decode::read_int::<i64, _>(bytes).unwrap().into(),
    }
}

fn text(bytes: &mut &[u8]) -> String {
    let length = decode::read_str_len(bytes).unwrap();
    let mut text = vec![0; length as usize];
    bytes.read_exact(&mut text).unwrap();
    String::from_utf8(text).unwrap()
}
