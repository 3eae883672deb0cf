//! The values over time.

use chrono::{DateTime, Utc};
use plotters::prelude::*;

use super::{
    PlotError,
    axis::{Axis, padded, span},
    canvas::{BLUE, Canvas, Chart, drawing, px},
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
        match points.len() > 2 * COLUMNS {
            true => draw_columns(chart, &points, end),
            false => draw_points(chart, &points),
        }
    })
}

fn draw_points(chart: &mut Chart<'_, '_>, points: &[(f64, f64)]) -> Result<(), PlotError> {
    // Piece by piece: where a wide line turns sharply, plotters lets it jut out far beyond the point.
    let pieces = points.windows(2);
    chart
        .draw_series(pieces.map(|piece| PathElement::new(piece, BLUE.stroke_width(px(2.0)))))
        .map_err(drawing)?;
    let dots = points.iter().filter(|_| points.len() <= MOST_DOTS);
    chart
        .draw_series(dots.map(|point| Circle::new(*point, px(3.0), BLUE.filled())))
        .map_err(drawing)?;
    Ok(())
}

/// Draws a line that goes up and down within most pixels as what it covers: a column from its least to its greatest
/// value in each, up to where it enters it.
fn draw_columns(
    chart: &mut Chart<'_, '_>,
    points: &[(f64, f64)],
    end: f64,
) -> Result<(), PlotError> {
    let width = end / COLUMNS as f64;
    let columns = columns(points, end);
    let filled = columns.iter().map(|column| {
        let left = column.number as f64 * width;
        let [least, greatest] = column.values;
        Rectangle::new([(left, least), (left + width, greatest)], BLUE.filled())
    });
    chart.draw_series(filled).map_err(drawing)?;
    let gaps = columns.windows(2).filter_map(|pair| {
        let is_gap = pair[0].number + 1 < pair[1].number;
        is_gap.then(|| [pair[0].last, pair[1].first])
    });
    chart
        .draw_series(gaps.map(|gap| PathElement::new(gap, BLUE.stroke_width(px(2.0)))))
        .map_err(drawing)?;
    Ok(())
}

/// What lies in a stretch of time.
#[derive(Debug, PartialEq)]
struct Column {
    number: usize,
    /// The least and the greatest value, with that which the line comes from if that is in the stretch before.
    values: [f64; 2],
    first: (f64, f64),
    last: (f64, f64),
}

/// The columns in which there is something, in their order.
fn columns(points: &[(f64, f64)], end: f64) -> Vec<Column> {
    let number = |point: &(f64, f64)| (point.0 / end * COLUMNS as f64) as usize;
    let mut columns: Vec<Column> = Vec::with_capacity(COLUMNS + 1);
    for of_column in points.chunk_by(|a, b| number(a) == number(b)) {
        let (first, last) = (of_column[0], of_column[of_column.len() - 1]);
        let this = number(&first);
        let before = columns.last().filter(|before| before.number + 1 == this);
        let from = before.map(|before| before.last);
        let values = of_column.iter().chain(&from).map(|point| point.1);
        let values = values.fold(
            [f64::INFINITY, f64::NEG_INFINITY],
            |[least, greatest], value| [least.min(value), greatest.max(value)],
        );
        columns.push(Column {
            number: this,
            values,
            first,
            last,
        });
    }
    columns
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
    fn columns_reach_from_the_least_to_the_greatest_and_meet() {
        let mut points: Vec<_> = (0..90_000)
            .map(|i| (f64::from(i), f64::from(i % 7)))
            .collect();
        points[12_345].1 = -50.0;
        points[40_000].1 = 90.0;
        // Nothing is known of a while.
        points.drain(60_100..70_000);
        let columns = columns(&points, 90_000.0);
        assert!(columns.is_sorted_by_key(|column| column.number));
        let at = |number| columns.iter().find(|column| column.number == number);
        let values = |number| at(number).map(|column| column.values);
        assert_eq!(values(0), Some([0.0, 6.0]));
        assert_eq!(values(123), Some([-50.0, 6.0]));
        assert_eq!(values(400), Some([0.0, 90.0]));
        assert_eq!(values(650), None);
        let around = [at(601), at(700)].map(|column| column.map(|column| column.first.0));
        assert_eq!(around, [None, Some(70_000.0)]);
        for pair in columns.windows(2) {
            let [least, greatest] = pair[1].values;
            let meets = least <= pair[0].last.1 && pair[0].last.1 <= greatest;
            assert!(meets || pair[0].number + 1 < pair[1].number, "{pair:?}");
        }
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
