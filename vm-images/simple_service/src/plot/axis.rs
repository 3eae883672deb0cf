//! What an axis spans and says, and how numbers are written.

use std::ops::Range;

use super::PlotError;

/// Values that differ by less than this part of their size are drawn as equal.
const SAME: f64 = 1e-9;

/// As many ticks as are easily read.
const MOST_TICKS: usize = 11;

/// An axis: what is written beside it, and what it spans.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Axis {
    title: String,
    range: Range<f64>,
    most_ticks: usize,
}

impl Axis {
    pub(super) fn new(title: impl Into<String>, range: Range<f64>) -> Self {
        Self {
            title: title.into(),
            range,
            most_ticks: MOST_TICKS,
        }
    }

    /// An axis from 0 to a little above `highest`, with ticks at whole numbers.
    pub(super) fn counting(title: impl Into<String>, highest: f64) -> Self {
        Self {
            title: title.into(),
            range: 0.0..highest * 1.08,
            most_ticks: (highest as usize + 1).min(MOST_TICKS),
        }
    }

    pub(super) fn title(&self) -> &str {
        &self.title
    }

    pub(super) fn range(&self) -> Range<f64> {
        self.range.clone()
    }

    pub(super) fn most_ticks(&self) -> usize {
        self.most_ticks
    }

    /// What is written at a tick.
    pub(super) fn label(&self, tick: f64) -> String {
        number(tick, (self.range.end - self.range.start) / 100.0)
    }
}

/// A range that begins at the least of `values` and ends at the greatest, or surrounds them if they are all the same.
/// It is finite and never empty.
pub(super) fn span(values: impl IntoIterator<Item = f64>) -> Result<Range<f64>, PlotError> {
    let (min, max) = values
        .into_iter()
        .fold((f64::INFINITY, f64::NEG_INFINITY), |(min, max), value| {
            (min.min(value), max.max(value))
        });
    let size = min.abs().max(max.abs());
    let range = if max - min > size * SAME {
        min..max
    } else {
        let around = if size == 0.0 { 0.5 } else { size * 0.05 };
        min - around..max + around
    };
    // Twice the range must be finite as well: what is drawn has room around it.
    if (2.0 * (range.end - range.start)).is_finite() && range.start.is_finite() {
        Ok(range)
    } else {
        Err(PlotError::Overflow)
    }
}

/// `range` and a part of it on either side.
pub(super) fn padded(range: &Range<f64>, part: f64) -> Range<f64> {
    let padding = (range.end - range.start) * part;
    range.start - padding..range.end + padding
}

/// A number in five digits.
pub(super) fn short(value: f64) -> String {
    number(value, value.abs() / 1e4)
}

/// A number in as few digits as show differences of `resolution`.
fn number(value: f64, resolution: f64) -> String {
    // A tick at zero is often computed as not quite zero.
    if value.abs() <= resolution / 2.0 {
        return "0".to_owned();
    }
    let exponent = value.abs().log10().floor() as i32;
    let finest = resolution.log10().floor() as i32;
    if (-5..9).contains(&exponent) {
        let decimals = finest.clamp(-15, 0).unsigned_abs() as usize;
        return without_zeros(&format!("{value:.decimals$}")).to_owned();
    }
    let digits = (exponent - finest).clamp(0, 15) as usize;
    let text = format!("{value:.digits$e}");
    match text.split_once('e') {
        Some((mantissa, exponent)) => format!("{}e{exponent}", without_zeros(mantissa)),
        None => text,
    }
}

fn without_zeros(decimal: &str) -> &str {
    if decimal.contains('.') {
        decimal.trim_end_matches('0').trim_end_matches('.')
    } else {
        decimal
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_as_long_as_they_must_be() {
        let cases = [
            (0.0, "0"),
            (14.0, "14"),
            (14.3179, "14.318"),
            (-0.00012345, "-0.00012345"),
            (399_999.000_001, "399999"),
            (1e153, "1e153"),
            (-1.5e-300, "-1.5e-300"),
        ];
        for (value, text) in cases {
            assert_eq!(short(value), text);
        }
    }

    #[test]
    fn ticks_are_told_apart() {
        let cases = [
            (-0.5..0.5, -1.1e-16, "0"),
            (-0.5..0.5, 0.1 + 0.2, "0.3"),
            (0.0..25.0, 20.0, "20"),
            (14.0..14.0002, 14.00005, "14.00005"),
            (1e16..1.1e16, 1.05e16, "1.05e16"),
        ];
        for (range, tick, text) in cases {
            assert_eq!(Axis::new("", range).label(tick), text);
        }
    }

    #[test]
    fn a_span_is_never_empty_nor_infinite() {
        assert_eq!(span([1.0, -2.0]).unwrap(), -2.0..1.0);
        assert_eq!(span([0.0]).unwrap(), -0.5..0.5);
        assert_eq!(span([100.0]).unwrap(), 95.0..105.0);
        let almost_equal = span([100.0, 100.0 + 1e-12]).unwrap();
        assert!(almost_equal.end - almost_equal.start > 9.0);
        assert!(span([f64::MAX, f64::MIN]).is_err());
        assert!(span([]).is_err());
    }
}
