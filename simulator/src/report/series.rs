//! Values over time.

use serde::{Deserialize, Serialize};

/// Values over time, in at most [`Series::BINS`] bins: when they are full, each two become one.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Series {
    /// The steps of a bin.
    steps: u32,
    bins: Vec<Bin>,
}

/// Written as its four numbers: there are many.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(from = "(f64, f64, u32, u32)", into = "(f64, f64, u32, u32)")]
struct Bin {
    sum: f64,
    /// The highest value; of no meaning where there is none.
    highest: f64,
    values: u32,
    steps: u32,
}

impl From<(f64, f64, u32, u32)> for Bin {
    fn from((sum, highest, values, steps): (f64, f64, u32, u32)) -> Self {
        Self {
            sum,
            highest,
            values,
            steps,
        }
    }
}

impl From<Bin> for (f64, f64, u32, u32) {
    fn from(bin: Bin) -> Self {
        (bin.sum, bin.highest, bin.values, bin.steps)
    }
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

/// A value that holds for some steps: from half a step before the first to half a step after the last.
#[derive(Clone, Copy, Debug, PartialEq)]
#[expect(missing_docs, reason = "each field is what its name says")]
pub struct Span {
    pub from: f64,
    pub to: f64,
    pub value: Option<f64>,
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

    /// For each bin the mean of its values, if it has any.
    pub fn means(&self) -> impl Iterator<Item = Span> {
        self.spans(|bin| bin.sum / f64::from(bin.values))
    }

    /// For each bin the highest of its values, if it has any.
    pub fn peaks(&self) -> impl Iterator<Item = Span> {
        self.spans(|bin| bin.highest)
    }

    fn spans(&self, value: impl Fn(&Bin) -> f64) -> impl Iterator<Item = Span> {
        self.bins.iter().enumerate().map(move |(at, bin)| {
            let from = at as f64 * f64::from(self.steps) - 0.5;
            Span {
                from,
                to: from + f64::from(bin.steps),
                value: (bin.values > 0).then(|| value(bin)),
            }
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
            .filter_map(|span| span.value)
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
    use super::{Series, Span};

    fn span(from: f64, to: f64, value: Option<f64>) -> Span {
        Span { from, to, value }
    }

    #[test]
    fn many_steps_take_few_bins() {
        let mut series = Series::new();
        for step in 0..10_000 {
            series.push((step % 2 == 0).then_some(f64::from(step)));
        }
        let points: Vec<_> = series.means().collect();
        assert!(points.len() <= Series::BINS);
        assert_eq!(points[0], span(-0.5, 31.5, Some(15.0)));
        assert_eq!(series.mean(), Some(4999.0));
        assert_eq!(points.last(), Some(&span(9983.5, 9999.5, Some(9991.0))));
    }

    #[test]
    fn a_peak_is_seen_however_many_steps_follow_it() {
        let mut series = Series::new();
        for step in 0..50_000 {
            series.push((step != 3).then_some(if step == 5 { 150.0 } else { 75.0 }));
        }
        assert_eq!(series.highest(), Some(150.0));
        assert_eq!(series.peaks().next().unwrap().value, Some(150.0));
        assert!(series.means().next().unwrap().value.unwrap() < 80.0);
    }

    #[test]
    fn nothing_and_infinities_are_gaps() {
        let mut series = Series::new();
        series.push(None);
        series.push(Some(f64::INFINITY));
        series.push(Some(2.0));
        let points: Vec<_> = series.means().collect();
        let expected = [
            span(-0.5, 0.5, None),
            span(0.5, 1.5, None),
            span(1.5, 2.5, Some(2.0)),
        ];
        assert_eq!(points, expected);
        assert_eq!(series.highest(), Some(2.0));
    }
}
