//! Amounts of money, exact.

use std::{fmt, iter::Sum, ops, str::FromStr};

use rust_decimal::Decimal;
use serde::{Deserialize, Deserializer, Serialize, Serializer, de::Error as _};

/// An amount of GLM, from 0 to 10 000 000 000, exact to 18 decimal places.
///
/// In JSON it is a string, as a binary fraction could not hold it; a number is understood as well.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Amount(Decimal);

/// Why something is no amount.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum AmountError {
    /// It is no number.
    #[error("`{0}` is no amount")]
    Malformed(String),
    /// It is negative, or more money than there is.
    #[error("{0} is not between 0 and {LARGEST}")]
    OutOfRange(Decimal),
}

/// How many decimal places an amount has, as the token has on the chain.
const PLACES: u32 = 18;

/// More than there is of the token; with all decimal places it still fits.
const LARGEST: Decimal = Decimal::from_parts(1_410_065_408, 2, 0, false, 0);

impl Amount {
    /// Nothing.
    pub(crate) const ZERO: Self = Self(Decimal::ZERO);

    /// An amount, rounded to the decimal places it can have.
    pub(crate) fn new(amount: Decimal) -> Result<Self, AmountError> {
        if amount.is_sign_negative() && !amount.is_zero() || amount > LARGEST {
            return Err(AmountError::OutOfRange(amount));
        }
        Ok(Self(amount.abs().round_dp(PLACES)))
    }

    /// The same amount, written with all its decimal places.
    pub(crate) fn in_full(self) -> Self {
        let mut amount = self.0;
        amount.rescale(PLACES);
        Self(amount)
    }

    /// This much less, but never less than nothing.
    pub(crate) fn less(self, other: Self) -> Self {
        Self((self.0 - other.0).max(Decimal::ZERO))
    }
}

impl ops::Add for Amount {
    type Output = Self;

    fn add(self, other: Self) -> Self {
        Self(self.0 + other.0)
    }
}

impl ops::AddAssign for Amount {
    fn add_assign(&mut self, other: Self) {
        *self = *self + other;
    }
}

impl Sum for Amount {
    fn sum<I: Iterator<Item = Self>>(amounts: I) -> Self {
        amounts.fold(Self::ZERO, ops::Add::add)
    }
}

impl fmt::Display for Amount {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(formatter)
    }
}

impl FromStr for Amount {
    type Err = AmountError;

    fn from_str(text: &str) -> Result<Self, AmountError> {
        let amount = Decimal::from_str(text)
            .or_else(|_| Decimal::from_scientific(text))
            .map_err(|_| AmountError::Malformed(text.to_owned()))?;
        Self::new(amount)
    }
}

impl Serialize for Amount {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Amount {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        #[derive(Deserialize)]
        #[serde(untagged)]
        enum Written {
            Text(String),
            Number(serde_json::Number),
        }
        let text = match Written::deserialize(deserializer)? {
            Written::Text(text) => text,
            Written::Number(number) => number.to_string(),
        };
        text.parse().map_err(D::Error::custom)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn amounts_are_read_as_clients_write_them() {
        for (json, written) in [
            ("\"11\"", "11"),
            ("\"0.003230278241000000\"", "0.003230278241000000"),
            ("\"0E-18\"", "0.000000000000000000"),
            ("\"1.5e-3\"", "0.0015"),
            ("0.002", "0.002"),
            ("7", "7"),
            ("\"10000000000\"", "10000000000"),
            ("\"-0\"", "0"),
            ("\"0.0000000000000000019\"", "0.000000000000000002"),
        ] {
            let amount: Amount = serde_json::from_str(json).unwrap();
            assert_eq!(amount.to_string(), written, "{json}");
        }
        for json in ["\"\"", "\"x\"", "\"-1\"", "\"10000000000.1\"", "null", "[]"] {
            assert!(serde_json::from_str::<Amount>(json).is_err(), "{json}");
        }
    }

    #[test]
    fn in_full_an_amount_has_eighteen_places() {
        for (amount, full) in [
            ("11", "11.000000000000000000"),
            ("10000000000", "10000000000.000000000000000000"),
            ("0", "0.000000000000000000"),
        ] {
            let amount: Amount = amount.parse().unwrap();
            assert_eq!(amount.in_full().to_string(), full);
        }
    }

    proptest! {
        /// Adding and taking away is exact to the last place.
        #[test]
        fn arithmetic_is_exact(a in 0u64..1 << 60, b in 0u64..1 << 60) {
            let amount = |units: u64| Amount::new(Decimal::from_i128_with_scale(units.into(), PLACES)).unwrap();
            let sum = amount(a) + amount(b);
            prop_assert_eq!(sum.less(amount(b)), amount(a));
            prop_assert_eq!(amount(a).less(sum), Amount::ZERO);
            prop_assert_eq!(sum.to_string().parse::<Amount>().unwrap(), sum);
        }
    }
}
