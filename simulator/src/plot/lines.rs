//! Lines over time, a panel below the other.

use plotters::coord::Shift;
use plotters::prelude::*;

use super::{COLOURS, Drawn, FONT, GREY, PlotError, WIDTH, beside, both, tick, ticks, up_to};
use crate::report::{Line, Panel, Span};

const HEIGHT: u32 = 240;

pub(super) fn draw(panels: &[Panel], steps: u32) -> Result<Drawn, PlotError> {
    let size = (WIDTH, HEIGHT * panels.len().max(1) as u32);
    both(
        size,
        |area| draw_on(area, panels, steps),
        |area| draw_on(area, panels, steps),
    )
}

fn draw_on<B: DrawingBackend>(
    area: &DrawingArea<B, Shift>,
    panels: &[Panel],
    steps: u32,
) -> Result<(), PlotError> {
    area.fill(&WHITE).map_err(PlotError::new)?;
    for (panel, area) in panels
        .iter()
        .zip(area.split_evenly((panels.len().max(1), 1)))
    {
        draw_panel(&area, panel, steps)?;
    }
    Ok(())
}

pub(super) fn draw_panel<B: DrawingBackend>(
    area: &DrawingArea<B, Shift>,
    panel: &Panel,
    steps: u32,
) -> Result<(), PlotError> {
    let lines: Vec<_> = panel.lines.iter().map(Line::spans).collect();
    let highest = (lines.iter().flatten())
        .filter_map(|span| span.value)
        .fold(0.0, f64::max);
    let mut chart = ChartBuilder::on(area)
        .caption(&panel.title, (FONT, 15))
        .margin(10)
        .margin_right(150)
        .x_label_area_size(34)
        .y_label_area_size(60)
        .build_cartesian_2d(0.0..f64::from(steps.max(1)) + 0.5, up_to(highest))
        .map_err(PlotError::new)?;
    chart
        .configure_mesh()
        .light_line_style(TRANSPARENT)
        .bold_line_style(BLACK.mix(0.08))
        .axis_style(GREY)
        .x_desc("step")
        .x_labels(ticks(steps))
        .x_label_formatter(&tick)
        .y_label_formatter(&tick)
        .y_labels(6)
        .label_style((FONT, 12))
        .draw()
        .map_err(PlotError::new)?;
    let (right, top) = (area.dim_in_pixel().0 as i32 - 140, 40);
    for (at, (line, spans)) in panel.lines.iter().zip(lines).enumerate() {
        let colour = COLOURS[at % COLOURS.len()];
        // Lines that lie over each other are all to be seen: what is drawn first is wider.
        let style = colour.stroke_width(2 + (panel.lines.len() - 1 - at) as u32);
        for piece in spans.split(|span| span.value.is_none()) {
            chart
                .draw_series(LineSeries::new(corners(piece), style))
                .map_err(PlotError::new)?;
        }
        if panel.lines.len() > 1 {
            let y = top + at as i32 * 20;
            let mark = PathElement::new(
                [(right, y + 6), (right + 18, y + 6)],
                colour.stroke_width(3),
            );
            area.draw(&mark).map_err(PlotError::new)?;
            let text = Text::new(short(&line.name), (right + 24, y + 6), beside(12));
            area.draw(&text).map_err(PlotError::new)?;
        }
    }
    Ok(())
}

/// A line through values that follow each other: each holds as long as it does, and the next begins at once.
fn corners(spans: &[Span]) -> Vec<(f64, f64)> {
    let mut corners: Vec<(f64, f64)> = Vec::new();
    for (at, span) in spans.iter().enumerate() {
        let value = span.value.unwrap_or_default();
        let before = corners.last().map(|(_, before)| *before);
        // Wide lines are drawn badly through points that are no corners.
        if before != Some(value) {
            let from = span.from.max(0.0);
            corners.extend(before.map(|before| (from, before)));
            corners.push((from, value));
        }
        if at + 1 == spans.len() {
            corners.push((span.to, value));
        }
    }
    corners
}

/// The most characters that stand beside a panel.
const LONGEST: usize = 16;

/// The end of a name that is too long: of paths, that is what differs.
fn short(name: &str) -> String {
    match name.char_indices().rev().nth(LONGEST - 1) {
        Some((at, _)) if at > 0 => format!("…{}", &name[at..]),
        _ => name.to_owned(),
    }
}

/// Two names that stand beside a panel so that they are told apart: without the folders at the end that both have, and
/// with numbers if they are still the same.
pub(super) fn told_apart(names: [&str; 2]) -> [String; 2] {
    let [mut one, mut two] = names.map(|name| name.trim_end_matches('/'));
    while one != two
        && let (Some((before, last)), Some((other_before, other_last))) =
            (one.rsplit_once('/'), two.rsplit_once('/'))
        && last == other_last
        && !before.is_empty()
        && !other_before.is_empty()
    {
        (one, two) = (before, other_before);
    }
    if short(one) == short(two) {
        [format!("1: {one}"), format!("2: {two}")].map(|name| {
            let end = name.char_indices().nth(LONGEST - 1).map(|(at, _)| at);
            end.map_or(name.clone(), |at| format!("{}…", &name[..at]))
        })
    } else {
        [one.to_owned(), two.to_owned()]
    }
}

#[cfg(test)]
mod tests {
    use super::{short, told_apart};

    #[test]
    fn names_beside_a_panel_are_told_apart() {
        let shown = |one, two| told_apart([one, two]).map(|name| short(&name));
        assert_eq!(shown("runs/one", "runs/two"), ["runs/one", "runs/two"]);
        let (one, two) = ("first/of/many/results", "second/of/many/results");
        assert_eq!(shown(one, two), ["first", "second"]);
        let (one, two) = (
            "one-with-a-long-name-in-the-end",
            "two-with-a-long-name-in-the-end",
        );
        let [one, two] = shown(one, two);
        assert_ne!(one, two);
        let [one, two] = shown("the same", "the same");
        assert_ne!(one, two);
    }
}
