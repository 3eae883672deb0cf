//! Numbers as datasets have them: whole or fractional, and told apart to the last row of the metrics.
//!
//! Datasets are written and read by Python programs, where `5` and `5.0` are different things. What is computed from
//! whole numbers stays whole until a fraction comes in.

use std::cmp::Ordering;
use std::ops::{Add, Sub};

/// A whole number or a fraction.
#[derive(Clone, Copy, Debug)]
pub enum Number {
    /// A whole number.
    Int(i64),
    /// A fraction, or an infinity.
    Float(f64),
}

impl Number {
    /// Nothing.
    pub const ZERO: Self = Self::Int(0);

    /// Its value; exact for every whole number that a dataset may hold.
    pub fn value(self) -> f64 {
        match self {
            Self::Int(whole) => whole as f64,
            Self::Float(value) => value,
        }
    }

    /// If it is zero.
    pub fn is_zero(self) -> bool {
        self.value() == 0.0
    }

    /// As Python prints it: `5`, `5.0`, `1e-05`, `inf`.
    pub fn python(self) -> String {
        let mut text = String::new();
        self.write_python(&mut text);
        text
    }

    /// Appends [`Number::python`] to `text`.
    pub(crate) fn write_python(self, text: &mut String) {
        match self {
            Self::Int(whole) => write_whole(whole, text),
            Self::Float(value) => write_python_float(value, text),
        }
    }

    /// If both are of the same kind and value, as no program could tell them apart.
    pub fn same(self, other: Self) -> bool {
        match (self, other) {
            (Self::Int(one), Self::Int(two)) => one == two,
            (Self::Float(one), Self::Float(two)) => one.to_bits() == two.to_bits(),
            _ => false,
        }
    }
}

/// Digits without going through the formatter: metrics are whole numbers more than anything else.
fn write_whole(whole: i64, text: &mut String) {
    if whole < 0 {
        text.push('-');
    }
    let mut rest = whole.unsigned_abs();
    let mut digits = [0; 20];
    let mut first = digits.len();
    loop {
        first -= 1;
        digits[first] = b'0' + (rest % 10) as u8;
        rest /= 10;
        if rest == 0 {
            break;
        }
    }
    text.push_str(std::str::from_utf8(&digits[first..]).expect("digits are text"));
}

/// The shortest digits that read back as `value`; an exponent below 1e-4 and from 1e16 on.
fn write_python_float(value: f64, text: &mut String) {
    use std::fmt::Write;
    if !value.is_finite() {
        text.push_str(match value {
            f64::INFINITY => "inf",
            f64::NEG_INFINITY => "-inf",
            _ => "nan",
        });
        return;
    }
    let size = value.abs();
    if size != 0.0 && !(1e-4..1e16).contains(&size) {
        let shortest = format!("{value:e}");
        let (digits, exponent) = shortest.split_once('e').expect("an exponent was asked for");
        let (sign, exponent) = match exponent.strip_prefix('-') {
            Some(exponent) => ('-', exponent),
            None => ('+', exponent),
        };
        write!(text, "{digits}e{sign}{exponent:0>2}").expect("a string takes all");
    } else {
        write!(text, "{value:?}").expect("a string takes all");
    }
}

impl Default for Number {
    fn default() -> Self {
        Self::ZERO
    }
}

impl Add for Number {
    type Output = Self;

    fn add(self, other: Self) -> Self {
        match (self, other) {
            (Self::Int(one), Self::Int(two)) => one
                .checked_add(two)
                .map_or(Self::Float(one as f64 + two as f64), Self::Int),
            _ => Self::Float(self.value() + other.value()),
        }
    }
}

impl Sub for Number {
    type Output = Self;

    fn sub(self, other: Self) -> Self {
        match (self, other) {
            (Self::Int(one), Self::Int(two)) => one
                .checked_sub(two)
                .map_or(Self::Float(one as f64 - two as f64), Self::Int),
            _ => Self::Float(self.value() - other.value()),
        }
    }
}

impl PartialEq for Number {
    fn eq(&self, other: &Self) -> bool {
        self.value() == other.value()
    }
}

impl PartialOrd for Number {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        self.value().partial_cmp(&other.value())
    }
}

#[cfg(test)]
mod tests {
    use super::Number;

    #[test]
    fn prints_as_python_does() {
        let cases = [
            (5.0, "5.0"),
            (12.5, "12.5"),
            (1e-5, "1e-05"),
            (1.5e-7, "1.5e-07"),
            (0.0001, "0.0001"),
            (1e15, "1000000000000000.0"),
            (1e16, "1e+16"),
            (1.25e100, "1.25e+100"),
            (0.1 + 0.2, "0.30000000000000004"),
            (-0.0, "-0.0"),
            (f64::INFINITY, "inf"),
        ];
        for (value, text) in cases {
            assert_eq!(Number::Float(value).python(), text);
        }
        for whole in [0, 9, 10, -7, 1_234_567_890, i64::MAX, i64::MIN] {
            assert_eq!(Number::Int(whole).python(), whole.to_string());
        }
    }

    #[test]
    fn stays_whole_until_a_fraction_comes_in() {
        assert!((Number::Int(3) - Number::Int(3)).same(Number::Int(0)));
        assert!((Number::Int(3) - Number::Float(3.0)).same(Number::Float(0.0)));
        assert!(Number::Int(3) == Number::Float(3.0));
        assert!((Number::Int(i64::MAX) + Number::Int(1)).same(Number::Float(i64::MAX as f64)));
    }
}
