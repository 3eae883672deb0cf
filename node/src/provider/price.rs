//! What usage costs.

use rust_decimal::Decimal;

use super::offer::{COEFFICIENTS, USAGE_VECTOR};
use crate::{market::property::Properties, payment::amount::Amount};

/// A linear price: so much for each unit of each counter, and so much for the start.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Price {
    coefficients: Vec<Decimal>,
    start: Decimal,
}

impl Price {
    /// The price that an offer, or a demand, names.
    pub(super) fn of(properties: &Properties) -> Option<Self> {
        let numbers = properties.get(COEFFICIENTS)?.as_array()?;
        let numbers: Option<Vec<_>> = numbers.iter().map(|one| exact(one.as_f64()?)).collect();
        let mut coefficients = numbers?;
        let start = coefficients.pop()?;
        Some(Self {
            coefficients,
            start,
        })
    }

    /// How many counters there are.
    pub(super) fn counters(&self) -> usize {
        self.coefficients.len()
    }

    /// Whether this is as much as another price, or more, in each part.
    pub(super) fn covers(&self, other: &Self) -> bool {
        self.start >= other.start
            && self.coefficients.len() == other.coefficients.len()
            && self
                .coefficients
                .iter()
                .zip(&other.coefficients)
                .all(|(own, other)| own >= other)
    }

    /// Whether there is money enough for what an activity may well use: some years of each counter.
    pub(super) fn is_payable(&self) -> bool {
        const MUCH: f64 = 1e8;
        self.cost(&vec![MUCH; self.counters()]).is_some()
    }

    /// What an activity costs that has used so much; nothing if those are no numbers that can be.
    pub(super) fn cost(&self, usage: &[f64]) -> Option<Amount> {
        let mut cost = self.start;
        for (coefficient, used) in self.coefficients.iter().zip(usage) {
            let part = coefficient.checked_mul(exact(*used)?)?;
            cost = cost.checked_add(part)?;
        }
        Amount::new(cost).ok()
    }
}

/// What an activity costs under terms that name a price, having used so much.
pub(crate) fn cost(offer: &Properties, usage: &[f64]) -> Option<Amount> {
    let price = Price::of(offer)?;
    let mut usage = usage.to_vec();
    usage.resize(price.counters(), 0.0);
    price.cost(&usage)
}

/// What is counted under terms.
pub(crate) fn counters(offer: &Properties) -> Vec<String> {
    let names = offer.get(USAGE_VECTOR).and_then(|names| names.as_array());
    let name = |name: &serde_json::Value| name.as_str().unwrap_or_default().to_owned();
    names.into_iter().flatten().map(name).collect()
}

/// The decimal number that is shown for a float.
fn exact(number: f64) -> Option<Decimal> {
    number.to_string().parse().ok()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::json;

    use super::*;

    fn price(coefficients: serde_json::Value) -> Option<Price> {
        let mut properties = Properties::default();
        properties.set(COEFFICIENTS, coefficients);
        Price::of(&properties)
    }

    #[test]
    fn recorded_usage_costs_what_was_recorded() {
        let price = price(json!([0.002, 0.001, 0.0])).unwrap();
        for (usage, cost) in [
            (vec![0.114185, 3.001908241], "0.003230278241000000"),
            (vec![0.827963, 359.001928456], "0.360657854456000000"),
            (vec![0.0, 0.0], "0.000000000000000000"),
            (vec![], "0.000000000000000000"),
        ] {
            assert_eq!(price.cost(&usage).unwrap().in_full().to_string(), cost);
        }
        for nonsense in [f64::NAN, f64::INFINITY, -1.0, 1e300] {
            assert_eq!(price.cost(&[0.0, nonsense]), None, "{nonsense}");
        }
    }

    #[test]
    fn the_start_costs_as_well_and_all_is_rounded_to_eighteen_places() {
        let third = price(json!([0.333_333_333_333_333_3, 0.5])).unwrap();
        let cost = third.cost(&[1.000_000_000_5]).unwrap();
        assert_eq!(cost.to_string(), "0.833333333499999967");
    }

    #[test]
    fn a_price_covers_another_in_each_part() {
        let offer = price(json!([0.2, 0.1, 1.0])).unwrap();
        for (demand, covers) in [
            (json!([0.2, 0.1, 1.0]), true),
            (json!([0.3, 0.1, 1]), true),
            (json!([0.3, 0.0, 1.0]), false),
            (json!([0.3, 0.1, 0.9]), false),
            (json!([0.3, 1.0]), false),
        ] {
            assert_eq!(
                price(demand.clone()).unwrap().covers(&offer),
                covers,
                "{demand}"
            );
        }
        for malformed in [json!([]), json!("x"), json!([1, "x"]), json!(null)] {
            assert_eq!(price(malformed), None);
        }
    }

    proptest! {
        /// More usage never costs less.
        #[test]
        fn cost_grows_with_usage(a in 0.0..1e6f64, b in 0.0..1e6f64, coefficient in 0.0..1.0f64) {
            let price = price(json!([coefficient, 0.5])).unwrap();
            let (less, more) = (a.min(b), a.max(b));
            prop_assert!(price.cost(&[less]).unwrap() <= price.cost(&[more]).unwrap());
        }
    }
}
