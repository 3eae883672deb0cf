//! What services were doing: a bar for each.

use plotters::coord::Shift;
use plotters::prelude::*;

use super::{Drawn, FONT, GREY, PlotError, WIDTH, beside, both, tick, ticks};
use crate::report::{PhaseKind, Timeline};

const BAR: u32 = 18;
const HEADER: u32 = 54;

/// The phases that have a colour, with what they are called.
const PHASES: [(PhaseKind, RGBColor, &str); 5] = [
    (PhaseKind::Waiting, RGBColor(170, 170, 170), "waiting"),
    (PhaseKind::Pulling, RGBColor(230, 159, 0), "pulling layers"),
    (
        PhaseKind::Moving,
        RGBColor(86, 180, 233),
        "up, layers come for a move",
    ),
    (
        PhaseKind::Migrating,
        RGBColor(213, 94, 0),
        "migrating state, unavailable",
    ),
    (PhaseKind::Up, RGBColor(0, 158, 115), "up"),
];

/// What is not told for having too many phases.
const CUT: RGBColor = RGBColor(225, 225, 240);

pub(super) fn draw(timeline: &Timeline) -> Result<Drawn, PlotError> {
    let size = (WIDTH, BAR * timeline.bars.len() as u32 + 130);
    both(
        size,
        |area| draw_on(area, timeline),
        |area| draw_on(area, timeline),
    )
}

fn draw_on<B: DrawingBackend>(
    area: &DrawingArea<B, Shift>,
    timeline: &Timeline,
) -> Result<(), PlotError> {
    area.fill(&WHITE).map_err(PlotError::new)?;
    let bars = timeline.bars.len();
    let title = if bars < timeline.services {
        format!("services: the first {bars} of {}", timeline.services)
    } else {
        "services".to_owned()
    };
    let end = f64::from(timeline.steps.max(1)) + 0.5;
    let (header, area) = area.split_vertically(HEADER);
    let style = (FONT, 15).into_font().color(&BLACK);
    (header.draw(&Text::new(title, (100, 10), style))).map_err(PlotError::new)?;
    draw_legend(&header, timeline.bars.iter().any(|bar| bar.cut.is_some()))?;
    let mut chart = ChartBuilder::on(&area)
        .margin(10)
        .margin_top(8)
        .x_label_area_size(34)
        .y_label_area_size(90)
        .build_cartesian_2d(0.0..end, 0.0..bars.max(1) as f64)
        .map_err(PlotError::new)?;
    chart
        .configure_mesh()
        .disable_y_mesh()
        .disable_y_axis()
        .light_line_style(TRANSPARENT)
        .bold_line_style(BLACK.mix(0.08))
        .axis_style(GREY)
        .x_desc("step")
        .x_labels(ticks(timeline.steps))
        .x_label_formatter(&tick)
        .label_style((FONT, 12))
        .draw()
        .map_err(PlotError::new)?;
    for (at, bar) in timeline.bars.iter().enumerate() {
        let top = (bars - at) as f64 - 0.15;
        for phase in &bar.phases {
            let known = PHASES.iter().find(|(kind, ..)| *kind == phase.kind);
            let Some((_, colour, _)) = known else {
                continue;
            };
            let from = (f64::from(phase.first) - 0.5).max(0.0);
            let corners = [(from, top), (f64::from(phase.last) + 0.5, top - 0.7)];
            chart
                .draw_series([Rectangle::new(corners, colour.filled())])
                .map_err(PlotError::new)?;
        }
        if let Some(cut) = bar.cut {
            let corners = [(f64::from(cut) - 0.5, top), (end, top - 0.7)];
            chart
                .draw_series([Rectangle::new(corners, CUT.filled())])
                .map_err(PlotError::new)?;
        }
        let (_, middle) = chart.backend_coord(&(0.0, top - 0.35));
        let at = (12, middle - HEADER as i32);
        area.draw(&Text::new(bar.name.clone(), at, beside(12)))
            .map_err(PlotError::new)?;
    }
    Ok(())
}

fn draw_legend<B: DrawingBackend>(
    area: &DrawingArea<B, Shift>,
    cut: bool,
) -> Result<(), PlotError> {
    let mut x = 100;
    let cut = cut.then_some((CUT, "not shown"));
    let phases = PHASES.map(|(_, colour, name)| (colour, name));
    for (colour, name) in phases.into_iter().chain(cut) {
        let square = Rectangle::new([(x, 34), (x + 12, 46)], colour.filled());
        area.draw(&square).map_err(PlotError::new)?;
        let style = (FONT, 12).into_font().color(&GREY);
        area.draw(&Text::new(name, (x + 18, 36), style))
            .map_err(PlotError::new)?;
        x += 44 + name.len() as i32 * 7;
    }
    Ok(())
}
