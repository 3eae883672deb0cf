//! Strategies: which offer is better.

use std::time::Duration;

use rust_decimal::prelude::ToPrimitive;

use super::LinearPrice;
use crate::yagna::{Amount, Proposal};

/// Scores offers. A requestor makes an agreement of the one with the highest score.
pub trait Strategy: Send + Sync + 'static {
    /// What an offer is worth, on a scale of the strategy's own, or why it will not do.
    fn score(&self, offer: &Proposal) -> Result<f64, String>;
}

/// Prefers what costs least, for a usage that is expected.
#[derive(Clone, Debug)]
pub struct LeastExpensive {
    time: Duration,
    cpu: Duration,
    most: Option<Amount>,
}

impl LeastExpensive {
    /// For activities that live about as long as `time`, and use the processor all the while.
    pub fn new(time: Duration) -> Self {
        Self {
            time,
            cpu: time,
            most: None,
        }
    }

    /// For activities that use about as much processor time as `cpu`.
    pub fn cpu_time(mut self, cpu: Duration) -> Self {
        self.cpu = cpu;
        self
    }

    /// Turns down what is expected to cost more than this, in GLM.
    pub fn at_most(mut self, glm: Amount) -> Self {
        self.most = Some(glm);
        self
    }
}

impl Default for LeastExpensive {
    /// For an hour.
    fn default() -> Self {
        Self::new(Duration::from_secs(3600))
    }
}

impl Strategy for LeastExpensive {
    fn score(&self, offer: &Proposal) -> Result<f64, String> {
        let price = LinearPrice::of(&offer.properties).ok_or("its price is not linear")?;
        let prices = price
            .coefficients
            .iter()
            .map(|(_, price)| *price)
            .chain([price.start]);
        if prices
            .into_iter()
            .any(|price| !price.is_finite() || price < 0.0)
        {
            return Err("its price is negative, or no number".into());
        }
        let cost = price.cost_of_time(self.time, self.cpu);
        let cost = cost.ok_or("what it would cost is no amount")?;
        match self.most {
            Some(most) if cost > most => {
                let most = most.normalize();
                Err(format!("it would cost {cost} GLM, more than {most}"))
            }
            _ => Ok(-cost.to_f64().unwrap_or(f64::INFINITY)),
        }
    }
}
