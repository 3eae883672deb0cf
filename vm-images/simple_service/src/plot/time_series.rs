//! The values over time.

use chrono::{DateTime, Utc};
use plotters::prelude::*;

use super::{
    PlotError,
    axis::{Axis, padded, span},
    canvas::{BLUE, Canvas, drawing, px},
};
use crate::{Observation, statistics::StatisticsError};

/// With more observations than this, their dots would hide the line.
const MOST_DOTS: usize = 150;

/// Stretches of time that can be told apart in a plot.
const COLUMNS: usize = 900;

pub(super) fn draw(canvas: &mut Canvas, observations: &[Observation]) -> Result<(), PlotError> {
    let (Some(first), Some(last)) = (observations.first(), observations.last()) else {
        return Err(StatisticsError::Empty.into());
    };
    let unit = Unit::for_span(seconds_between(first.timestamp, last.timestamp));
    let time = |of: &Observation| seconds_between(first.timestamp, of.timestamp) / unit.seconds;
    let points: Vec<_> = observations.iter().map(|of| (time(of), of.value)).collect();

    let end = if time(last) > 0.0 { time(last) } else { 1.0 };
    let x = Axis::new(
        format!("time since the first observation ({})", unit.name),
        padded(&(0.0..end), 0.03),
    );
    let y = Axis::new(
        "observed value (units of the source)",
        padded(&span(points.iter().map(|point| point.1))?, 0.06),
    );
    let title = match points.len() {
        1 => "1 observation".to_owned(),
        count => format!("{count} observations over time"),
    };
    let date = |of: &Observation| of.timestamp.format("%Y-%m-%d %H:%M:%S");
    let subtitle = format!("from {} to {} UTC", date(first), date(last));
    canvas.chart([&title, &subtitle], [&x, &y], |chart| {
        // Piece by piece: where a wide line turns sharply, plotters lets it jut out far beyond the point.
        let line = thinned(&points);
        let pieces = line.windows(2);
        chart
            .draw_series(pieces.map(|piece| PathElement::new(piece, BLUE.stroke_width(px(2.0)))))
            .map_err(drawing)?;
        let dots = points.iter().filter(|_| points.len() <= MOST_DOTS);
        chart
            .draw_series(dots.map(|point| Circle::new(*point, px(3.0), BLUE.filled())))
            .map_err(drawing)?;
        Ok(())
    })
}

/// Few enough of `points` to be drawn quickly, which look the same: the least and the greatest of each column.
fn thinned(points: &[(f64, f64)]) -> Vec<(f64, f64)> {
    if points.len() <= 2 * COLUMNS {
        return points.to_vec();
    }
    let end = points[points.len() - 1].0;
    let column = |point: &(f64, f64)| (point.0 / end * COLUMNS as f64) as usize;
    let extremes = |of_column: &[(f64, f64)]| {
        let by_value = |a: &&(f64, f64), b: &&(f64, f64)| a.1.total_cmp(&b.1);
        let least = of_column.iter().min_by(by_value).copied();
        let greatest = of_column.iter().max_by(by_value).copied();
        if least.map(|point| point.0) <= greatest.map(|point| point.0) {
            [least, greatest]
        } else {
            [greatest, least]
        }
    };
    points
        .chunk_by(|a, b| column(a) == column(b))
        .flat_map(extremes)
        .flatten()
        .collect()
}

/// What time is counted in.
#[derive(Debug, PartialEq)]
struct Unit {
    name: &'static str,
    seconds: f64,
}

impl Unit {
    const ALL: [Self; 4] = [
        Self {
            name: "seconds",
            seconds: 1.0,
        },
        Self {
            name: "minutes",
            seconds: 60.0,
        },
        Self {
            name: "hours",
            seconds: 3600.0,
        },
        Self {
            name: "days",
            seconds: 86400.0,
        },
    ];

    /// The largest unit of which `seconds` are at least three.
    fn for_span(seconds: f64) -> Self {
        let [smallest, ..] = Self::ALL;
        let fitting = Self::ALL
            .into_iter()
            .rev()
            .find(|unit| seconds >= 3.0 * unit.seconds);
        fitting.unwrap_or(smallest)
    }
}

fn seconds_between(first: DateTime<Utc>, second: DateTime<Utc>) -> f64 {
    (second - first).as_seconds_f64()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn thinning_keeps_order_and_extremes() {
        let few = vec![(0.0, 1.0), (1.0, 3.0), (1.0, 2.0)];
        assert_eq!(thinned(&few), few);

        let mut many: Vec<_> = (0..50_000)
            .map(|i| (f64::from(i), f64::from(i % 7)))
            .collect();
        many[12_345].1 = -50.0;
        many[40_000].1 = 90.0;
        let thinned = thinned(&many);
        assert!(thinned.len() <= 2 * (COLUMNS + 1), "{}", thinned.len());
        assert!(thinned.is_sorted_by(|a, b| a.0 <= b.0));
        assert!(thinned.contains(&(12_345.0, -50.0)) && thinned.contains(&(40_000.0, 90.0)));
    }

    #[test]
    fn time_is_counted_in_what_gives_readable_numbers() {
        let cases = [
            (0.0, "seconds"),
            (179.0, "seconds"),
            (180.0, "minutes"),
            (3.0 * 3600.0, "hours"),
            (1e9, "days"),
        ];
        for (seconds, unit) in cases {
            assert_eq!(Unit::for_span(seconds).name, unit, "{seconds} s");
        }
    }
}
