//! What a set of values is like.

use serde::Serialize;
use statrs::statistics::{Data, OrderStatistics, Statistics as _};

/// The measures of a set of values; in JSON, the keys are in the order of the fields.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct Statistics {
    /// The least value.
    pub min: f64,
    /// The greatest value.
    pub max: f64,
    /// The middle value; of an even number of them, the mean of the middle two.
    pub median: f64,
    /// The arithmetic mean.
    pub mean: f64,
    /// The variance of the values themselves (the population's, not an estimate from a sample).
    pub variance: f64,
    /// The square root of the variance.
    #[serde(rename = "std dev")]
    pub standard_deviation: f64,
    /// How many values there are.
    pub size: usize,
}

/// Why a set of values has no statistics.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum StatisticsError {
    /// There are no values.
    #[error("there are no observations yet")]
    Empty,
    /// A measure is beyond what a number can hold, or a value is no number.
    #[error("the observations are too large for statistics")]
    Overflow,
}

impl Statistics {
    /// The statistics of `values`.
    ///
    /// # Errors
    /// If there are no values, or if their variance is not finite.
    pub fn of(values: &[f64]) -> Result<Self, StatisticsError> {
        if values.is_empty() {
            return Err(StatisticsError::Empty);
        }
        let variance = values.population_variance();
        let median = Data::new(values.to_vec()).median();
        if !(variance.is_finite() && median.is_finite()) {
            return Err(StatisticsError::Overflow);
        }
        Ok(Self {
            min: values.min(),
            max: values.max(),
            median,
            mean: values.mean(),
            variance,
            standard_deviation: variance.sqrt(),
            size: values.len(),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(values: &[f64], [min, max, median, mean, variance]: [f64; 5]) {
        let found = Statistics::of(values).unwrap();
        let expected = [min, max, median, mean, variance, variance.sqrt()];
        let measured = [
            found.min,
            found.max,
            found.median,
            found.mean,
            found.variance,
            found.standard_deviation,
        ];
        for (found, expected) in measured.into_iter().zip(expected) {
            assert!(
                (found - expected).abs() < 1e-12,
                "{measured:?} for {values:?}"
            );
        }
        assert_eq!(found.size, values.len());
    }

    #[test]
    fn measures_are_those_of_the_population() {
        check(&[5.0], [5.0, 5.0, 5.0, 5.0, 0.0]);
        check(&[1.0, 4.0], [1.0, 4.0, 2.5, 2.5, 2.25]);
        check(
            &[2.0, 4.0, 4.0, 4.0, 5.0, 5.0, 7.0, 9.0],
            [2.0, 9.0, 4.5, 5.0, 4.0],
        );
        check(&[0.0, -3.0, 3.0], [-3.0, 3.0, 0.0, 0.0, 6.0]);
    }

    #[test]
    fn what_has_no_measures_is_refused() {
        assert_eq!(Statistics::of(&[]), Err(StatisticsError::Empty));
        assert_eq!(
            Statistics::of(&[f64::MAX, f64::MIN]),
            Err(StatisticsError::Overflow)
        );
        assert_eq!(
            Statistics::of(&[1.0, f64::NAN]),
            Err(StatisticsError::Overflow)
        );
    }
}
