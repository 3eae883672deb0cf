//! Values over time.

use serde::{Deserialize, Serialize};

/// Values over time, in at most [`Series::BINS`] bins: when they are full, each two become one.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Series {
    /// The steps of a bin.
    steps: u32,
    bins: Vec<Bin>,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
struct Bin {
    sum: f64,
    /// The highest value; of no meaning where there is none.
    highest: f64,
    values: u32,
    steps: u32,
}

impl Bin {
    /// Both together, over as many steps as this one.
    fn add(&mut self, other: &Self) {
        if other.values > 0 {
            self.highest = match self.values {
                0 => other.highest,
                _ => self.highest.max(other.highest),
            };
        }
        self.sum += other.sum;
        self.values += other.values;
    }
}

impl Series {
    /// The most bins.
    pub const BINS: usize = 512;

    /// Nothing yet.
    pub fn new() -> Self {
        Self {
            steps: 1,
            bins: Vec::new(),
        }
    }

    /// Appends the value of the next step; `None` or an infinity is a gap.
    pub fn push(&mut self, value: Option<f64>) {
        let full = self.bins.last().is_none_or(|last| last.steps == self.steps);
        if full && self.bins.len() == Self::BINS {
            self.bins = (self.bins.chunks(2))
                .map(|pair| {
                    let mut both = pair[0];
                    for second in &pair[1..] {
                        both.add(second);
                        both.steps += second.steps;
                    }
                    both
                })
                .collect();
            self.steps *= 2;
        }
        if full {
            self.bins.push(Bin::default());
        }
        let last = self.bins.last_mut().expect("there is one now");
        last.steps += 1;
        if let Some(value) = value.filter(|value| value.is_finite()) {
            last.add(&Bin {
                sum: value,
                highest: value,
                values: 1,
                steps: 0,
            });
        }
    }

    /// The middle of each bin, as a step, and the mean of its values if it has any.
    pub fn points(&self) -> impl Iterator<Item = (f64, Option<f64>)> {
        self.of_bins(|bin| bin.sum / f64::from(bin.values))
    }

    /// The middle of each bin, as a step, and the highest of its values if it has any.
    pub fn peaks(&self) -> impl Iterator<Item = (f64, Option<f64>)> {
        self.of_bins(|bin| bin.highest)
    }

    fn of_bins(&self, value: impl Fn(&Bin) -> f64) -> impl Iterator<Item = (f64, Option<f64>)> {
        self.bins.iter().enumerate().map(move |(at, bin)| {
            let first = at as f64 * f64::from(self.steps);
            let middle = first + f64::from(bin.steps - 1) / 2.0;
            (middle, (bin.values > 0).then(|| value(bin)))
        })
    }

    /// The mean of all values.
    pub fn mean(&self) -> Option<f64> {
        let values: u32 = self.bins.iter().map(|bin| bin.values).sum();
        let sum: f64 = self.bins.iter().map(|bin| bin.sum).sum();
        (values > 0).then(|| sum / f64::from(values))
    }

    /// The mean of several series over the same steps.
    pub fn mean_of<'s>(all: impl Iterator<Item = &'s Self>) -> Self {
        let mut mean = Self::new();
        for (at, series) in all.enumerate() {
            if at == 0 {
                mean = series.clone();
                continue;
            }
            for (sum, bin) in mean.bins.iter_mut().zip(&series.bins) {
                sum.add(bin);
            }
        }
        mean
    }

    /// The highest of all values.
    pub fn highest(&self) -> Option<f64> {
        (self.peaks())
            .filter_map(|(_, highest)| highest)
            .max_by(f64::total_cmp)
    }
}

impl Default for Series {
    fn default() -> Self {
        Self::new()
    }
}

#[cfg(test)]
mod tests {
    use super::Series;

    #[test]
    fn many_steps_take_few_bins() {
        let mut series = Series::new();
        for step in 0..10_000 {
            series.push((step % 2 == 0).then_some(f64::from(step)));
        }
        let points: Vec<_> = series.points().collect();
        assert!(points.len() <= Series::BINS);
        assert_eq!(points[0], (15.5, Some(15.0)));
        assert_eq!(series.mean(), Some(4999.0));
        assert_eq!(points.last(), Some(&(9991.5, Some(9991.0))));
    }

    #[test]
    fn a_peak_is_seen_however_many_steps_follow_it() {
        let mut series = Series::new();
        for step in 0..50_000 {
            series.push((step != 3).then_some(if step == 5 { 150.0 } else { 75.0 }));
        }
        assert_eq!(series.highest(), Some(150.0));
        assert_eq!(series.peaks().next().unwrap().1, Some(150.0));
        assert!(series.points().next().unwrap().1.unwrap() < 80.0);
    }

    #[test]
    fn nothing_and_infinities_are_gaps() {
        let mut series = Series::new();
        series.push(None);
        series.push(Some(f64::INFINITY));
        series.push(Some(2.0));
        let points: Vec<_> = series.points().collect();
        assert_eq!(points, [(0.0, None), (1.0, None), (2.0, Some(2.0))]);
        assert_eq!(series.highest(), Some(2.0));
    }
}
