//! Lines over time, a panel below the other.

use plotters::coord::Shift;
use plotters::prelude::*;

use super::{COLOURS, Drawn, FONT, GREY, PlotError, WIDTH, beside, both, tick, ticks, up_to};
use crate::report::{Line, Panel};

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
    let lines: Vec<_> = panel.lines.iter().map(Line::points).collect();
    let highest = (lines.iter().flatten())
        .filter_map(|(_, value)| *value)
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
    for (at, (line, points)) in panel.lines.iter().zip(lines).enumerate() {
        let colour = COLOURS[at % COLOURS.len()];
        // Lines that lie over each other are all to be seen: what is drawn first is wider.
        let width = 2 + (panel.lines.len() - 1 - at).min(3) as u32;
        let mut piece: Vec<(f64, f64)> = Vec::new();
        for (step, value) in points.into_iter().chain([(0.0, None)]) {
            match value {
                Some(value) => piece.push((step, value)),
                None if piece.len() == 1 => {
                    let dot = Circle::new(piece[0], 3, colour.filled());
                    chart.draw_series([dot]).map_err(PlotError::new)?;
                    piece.clear();
                }
                None => {
                    let line = LineSeries::new(piece.drain(..), colour.stroke_width(width));
                    chart.draw_series(line).map_err(PlotError::new)?;
                }
            }
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

/// The most characters that stand beside a panel.
const LONGEST: usize = 16;

/// The end of a name that is too long: of paths, that is what differs.
fn short(name: &str) -> String {
    match name.char_indices().rev().nth(LONGEST - 1) {
        Some((at, _)) if at > 0 => format!("…{}", &name[at..]),
        _ => name.to_owned(),
    }
}
