//! What a provider asks: linear prices.

use std::time::Duration;

use rust_decimal::prelude::FromPrimitive;

use crate::yagna::{Amount, Properties};

/// Counters of the standard, in seconds.
const DURATION: &str = "golem.usage.duration_sec";
const CPU: &str = "golem.usage.cpu_sec";

/// Decimals of an amount of GLM.
const DECIMALS: u32 = 18;

/// A price that is linear in usage: so much at the start, and so much for each unit of each counter.
#[derive(Clone, Debug, PartialEq)]
pub struct LinearPrice {
    /// GLM for the start of an activity.
    pub start: f64,
    /// Each usage counter's name, and GLM for one unit of it; in the order in which usage is reported.
    pub coefficients: Vec<(String, f64)>,
}

impl LinearPrice {
    /// The price that an offer asks; none if it is of another model, or malformed.
    pub fn of(offer: &Properties) -> Option<Self> {
        if offer.text("golem.com.pricing.model")? != "linear" {
            return None;
        }
        let counters = offer.texts("golem.com.usage.vector")?;
        let mut coefficients = offer.numbers("golem.com.pricing.model.linear.coeffs")?;
        let start = coefficients.pop()?;
        if counters.len() != coefficients.len() {
            return None;
        }
        let counters = counters.into_iter().map(String::from);
        Some(Self {
            start,
            coefficients: counters.zip(coefficients).collect(),
        })
    }

    /// GLM for one unit of a counter; 0 if it has no price.
    pub fn per_unit(&self, counter: &str) -> f64 {
        let priced = self.coefficients.iter().find(|(name, _)| name == counter);
        priced.map_or(0.0, |(_, price)| *price)
    }

    /// What an activity costs that lives as long as `time`, and uses the processor as long as `cpu`, but nothing else that
    /// has a price; none if that is no amount.
    pub fn cost_of_time(&self, time: Duration, cpu: Duration) -> Option<Amount> {
        let used = self
            .coefficients
            .iter()
            .map(|(name, _)| match name.as_str() {
                DURATION => time.as_secs_f64(),
                CPU => cpu.as_secs_f64(),
                _ => 0.0,
            });
        self.cost(&used.collect::<Vec<_>>())
    }

    /// What a usage costs, rounded to 18 places; none if it is no usage for this price.
    pub fn cost(&self, usage: &[f64]) -> Option<Amount> {
        if usage.len() != self.coefficients.len() {
            return None;
        }
        let prices = self.coefficients.iter().map(|(_, price)| *price);
        let terms = prices
            .zip(usage)
            .map(|(price, used)| Some((decimal(price)?, decimal(*used)?)));
        let cost = terms
            .into_iter()
            .try_fold(decimal(self.start)?, |sum, term| {
                let (price, used) = term?;
                sum.checked_add(price.checked_mul(used)?)
            })?;
        Some(cost.round_dp(DECIMALS).normalize())
    }
}

fn decimal(number: f64) -> Option<Amount> {
    Amount::from_f64(number)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn offer(model: &str, counters: &[&str], coefficients: &[f64]) -> Properties {
        Properties::from_json(json!({
            "golem.com.pricing.model": model,
            "golem.com.usage.vector": counters,
            "golem.com.pricing.model.linear.coeffs": coefficients,
        }))
    }

    #[test]
    fn a_price_is_read_from_an_offer() {
        let offered = offer(
            "linear",
            &["golem.usage.cpu_sec", "golem.usage.duration_sec"],
            &[0.25, 0.5, 2.0],
        );
        let price = LinearPrice::of(&offered).unwrap();
        assert_eq!(
            (price.start, price.per_unit("golem.usage.duration_sec")),
            (2.0, 0.5)
        );
        assert_eq!(price.per_unit("golem.usage.gib"), 0.0);
        assert_eq!(price.cost(&[4.0, 10.0]).unwrap().to_string(), "8");
        let time = price.cost_of_time(Duration::from_secs(10), Duration::from_secs(4));
        assert_eq!(time.unwrap().to_string(), "8");
        assert_eq!(price.cost(&[4.0]), None);
        assert_eq!(price.cost(&[4.0, f64::NAN]), None);
    }

    #[test]
    fn a_malformed_price_is_none() {
        for offered in [
            offer("exponential", &["a"], &[1.0, 1.0]),
            offer("linear", &["a", "b"], &[1.0, 1.0]),
            offer("linear", &[], &[]),
            Properties::default(),
        ] {
            assert_eq!(LinearPrice::of(&offered), None);
        }
    }
}
