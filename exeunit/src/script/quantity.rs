//! Sizes and times as they are written in scripts.

use std::{fmt, time::Duration};

use serde::{Deserialize, Deserializer, Serialize, Serializer, de::Error};

/// A number of bytes, written as `"1024MiB"`, `"1.5 GB"`, or as a mere number.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Size(pub u64);

/// A time, written as `"300ms"`, `"1m 30s"`, or as a number of seconds.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Period(pub Duration);

#[derive(Deserialize)]
#[serde(untagged)]
enum Written<'a> {
    Whole(u64),
    Fraction(f64),
    #[serde(borrow)]
    Borrowed(&'a str),
    Text(String),
}

impl Size {
    fn parse(written: Written<'_>) -> Result<Self, String> {
        let text = match written {
            Written::Whole(bytes) => return Ok(Self(bytes)),
            Written::Fraction(number) => number.to_string(),
            Written::Borrowed(text) => text.to_owned(),
            Written::Text(text) => text,
        };
        match text.parse::<bytesize::ByteSize>() {
            Ok(size) => Ok(Self(size.as_u64())),
            Err(_) => Err(format!("{text:?} is no size such as \"512MiB\"")),
        }
    }
}

impl Period {
    fn parse(written: Written<'_>) -> Result<Self, String> {
        let parse = |text: &str| {
            let period = humantime::parse_duration(text);
            period.map_err(|error| format!("{text:?} is no time such as \"1m 30s\": {error}"))
        };
        let period = match written {
            Written::Whole(seconds) => Duration::from_secs(seconds),
            Written::Fraction(seconds) => Duration::try_from_secs_f64(seconds)
                .map_err(|error| format!("{seconds} s is no time: {error}"))?,
            Written::Borrowed(text) => parse(text)?,
            Written::Text(text) => parse(&text)?,
        };
        Ok(Self(period))
    }
}

impl fmt::Display for Size {
    /// Exact, so that it can be read again.
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{}B", self.0)
    }
}

impl fmt::Display for Period {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        humantime::format_duration(self.0).fmt(formatter)
    }
}

impl Serialize for Size {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl Serialize for Period {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Size {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Self::parse(Written::deserialize(deserializer)?).map_err(D::Error::custom)
    }
}

impl<'de> Deserialize<'de> for Period {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Self::parse(Written::deserialize(deserializer)?).map_err(D::Error::custom)
    }
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    #[test]
    fn sizes_are_read_in_all_units_and_written_exactly() {
        for (written, bytes) in [
            (json!(5), 5),
            (json!("5"), 5),
            (json!("1024MiB"), 1 << 30),
            (json!("10GiB"), 10 << 30),
            (json!("1 kB"), 1000),
            (json!("1.5 KiB"), 1536),
            (json!("1234567891B"), 1_234_567_891),
        ] {
            let size: Size = serde_json::from_value(written.clone()).expect("a size");
            assert_eq!(size, Size(bytes), "{written}");
            assert_eq!(
                serde_json::from_value::<Size>(json!(size)).expect("a size"),
                size
            );
        }
    }

    #[test]
    fn periods_are_read_in_all_units_and_written_exactly() {
        for (written, millis) in [
            (json!(2), 2000),
            (json!(0.25), 250),
            (json!("300ms"), 300),
            (json!("1m 30s"), 90_000),
        ] {
            let period: Period = serde_json::from_value(written.clone()).expect("a period");
            assert_eq!(period, Period(Duration::from_millis(millis)), "{written}");
            assert_eq!(
                serde_json::from_value::<Period>(json!(period)).expect("a period"),
                period
            );
        }
    }

    #[test]
    fn what_is_no_quantity_is_named() {
        let error = |written: Value| {
            let size = serde_json::from_value::<Size>(written.clone()).map(|_| ());
            let period = serde_json::from_value::<Period>(written).map(|_| ());
            (
                size.expect_err("no size").to_string(),
                period.expect_err("no period").to_string(),
            )
        };
        let (size, period) = error(json!("much"));
        assert_eq!(size, "\"much\" is no size such as \"512MiB\"");
        assert!(
            period.starts_with("\"much\" is no time such as \"1m 30s\": "),
            "{period}"
        );
        error(json!(-1));
        error(json!({}));
        error(json!("-5s"));
    }
}
