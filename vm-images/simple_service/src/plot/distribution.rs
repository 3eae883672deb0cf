//! The histogram, with the normal curve that fits the values.

use plotters::prelude::*;
use statrs::distribution::{Continuous, Normal};

use super::{
    PlotError,
    axis::{Axis, padded, short, span},
    canvas::{BLUE, Canvas, ORANGE, drawing, px},
};
use crate::Statistics;

/// Points that the curve is drawn through.
const CURVE_POINTS: usize = 150;

pub(super) fn draw(canvas: &mut Canvas, values: &[f64]) -> Result<(), PlotError> {
    let statistics = Statistics::of(values)?;
    let histogram = Histogram::of(values)?;
    let curve = histogram.fitted_curve(&statistics);

    let x = Axis::new(
        "observed value (units of the source)",
        padded(&histogram.range(), 0.04),
    );
    let highest = curve
        .iter()
        .map(|point| point.1)
        .fold(histogram.highest(), f64::max);
    let y = Axis::counting("observations in a bin (count)", highest);
    let title = match values.len() {
        1 => "Distribution of 1 observation".to_owned(),
        count => format!("Distribution of {count} observations"),
    };
    let fitted = if curve.is_empty() {
        "all values are the same".to_owned()
    } else {
        let (mean, deviation) = (statistics.mean, statistics.standard_deviation);
        format!(
            "the normal curve of mean {} and standard deviation {}",
            short(mean),
            short(deviation)
        )
    };
    let subtitle = format!("{}; {fitted}", histogram.describe());
    canvas.chart([&title, &subtitle], [&x, &y], |chart| {
        let bars = histogram.bars();
        chart
            .draw_series(bars.map(|corners| Rectangle::new(corners, BLUE.mix(0.8).filled())))
            .map_err(drawing)?;
        chart
            .draw_series(LineSeries::new(curve, ORANGE.stroke_width(px(2.5))))
            .map_err(drawing)?;
        Ok(())
    })
}

/// How many values lie in each of some bins of equal width.
#[derive(Debug, PartialEq)]
struct Histogram {
    start: f64,
    bin_width: f64,
    counts: Vec<usize>,
}

impl Histogram {
    /// About as many bins as the square root of the number of values: few values make no comb, many show the shape.
    fn of(values: &[f64]) -> Result<Self, PlotError> {
        let range = span(values.iter().copied())?;
        let bins = ((values.len() as f64).sqrt().ceil() as usize).clamp(1, 40);
        let bin_width = (range.end - range.start) / bins as f64;
        let mut counts = vec![0; bins];
        for value in values {
            // The greatest value is the end of the last bin.
            let bin = ((value - range.start) / bin_width) as usize;
            counts[bin.min(bins - 1)] += 1;
        }
        Ok(Self {
            start: range.start,
            bin_width,
            counts,
        })
    }

    fn range(&self) -> std::ops::Range<f64> {
        self.start..self.edge(self.counts.len())
    }

    fn edge(&self, bin: usize) -> f64 {
        self.start + self.bin_width * bin as f64
    }

    fn describe(&self) -> String {
        let width = short(self.bin_width);
        match self.counts.len() {
            1 => format!("1 bin of width {width}"),
            bins => format!("{bins} bins of width {width}"),
        }
    }

    fn highest(&self) -> f64 {
        self.counts.iter().copied().max().unwrap_or(0) as f64
    }

    /// Opposite corners of each bar, with a gap between neighbours.
    fn bars(&self) -> impl Iterator<Item = [(f64, f64); 2]> {
        let gap = self.bin_width * 0.03;
        self.counts.iter().enumerate().map(move |(bin, count)| {
            [
                (self.edge(bin) + gap, 0.0),
                (self.edge(bin + 1) - gap, *count as f64),
            ]
        })
    }

    /// The normal distribution of the same mean and deviation, in counts; none if all values are drawn as the same.
    fn fitted_curve(&self, statistics: &Statistics) -> Vec<(f64, f64)> {
        let all_the_same = self.start < statistics.min;
        let normal = match Normal::new(statistics.mean, statistics.standard_deviation) {
            Ok(normal) if !all_the_same => normal,
            _ => return Vec::new(),
        };
        let in_a_bin = statistics.size as f64 * self.bin_width;
        let range = padded(&self.range(), 0.04);
        (0..=CURVE_POINTS)
            .map(|point| {
                range.start + (range.end - range.start) * point as f64 / CURVE_POINTS as f64
            })
            .map(|x| (x, in_a_bin * normal.pdf(x)))
            .collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_value_is_in_one_bin() {
        let cases: [(&[f64], &[usize]); 4] = [
            (&[1.0], &[1]),
            (&[1.0, 1.0, 1.0], &[0, 3]),
            (&[0.0, 1.0, 2.0, 4.0], &[2, 2]),
            (&[-1.0, 0.0, 0.1, 0.9, 5.0], &[4, 0, 1]),
        ];
        for (values, counts) in cases {
            let histogram = Histogram::of(values).unwrap();
            assert_eq!(histogram.counts, counts, "{values:?}");
        }
    }
}
