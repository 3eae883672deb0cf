//! The loads of links: the busiest of them, a row of colours each.

use plotters::coord::Shift;
use plotters::prelude::*;

use super::lines::draw_panel;
use super::{Drawn, FONT, GREY, PlotError, WIDTH, beside, both, tick, ticks};
use crate::report::{Line, Panel, Timeline};

const ROW: u32 = 14;
const PANEL: u32 = 240;

pub(super) fn draw(timeline: &Timeline, panels: &[Panel]) -> Result<Drawn, PlotError> {
    let links = &timeline.links[..];
    let rows = if links.is_empty() {
        0
    } else {
        ROW * links.len() as u32 + 110
    };
    let size = (WIDTH, PANEL * panels.len() as u32 + rows);
    let heat = Heat {
        title: format!(
            "load of links, %: the {} busiest of {} that were used",
            links.len(),
            timeline.links_used
        ),
        links,
        steps: timeline.steps,
        height: rows,
    };
    both(
        size,
        |area| heat.draw_with(area, panels),
        |area| heat.draw_with(area, panels),
    )
}

struct Heat<'t> {
    title: String,
    links: &'t [Line],
    steps: u32,
    height: u32,
}

impl Heat<'_> {
    fn draw_with<B: DrawingBackend>(
        &self,
        area: &DrawingArea<B, Shift>,
        panels: &[Panel],
    ) -> Result<(), PlotError> {
        area.fill(&WHITE).map_err(PlotError::new)?;
        let (heat, rest) = area.split_vertically(self.height);
        if !self.links.is_empty() {
            self.draw_on(&heat)?;
        }
        for (panel, area) in panels
            .iter()
            .zip(rest.split_evenly((panels.len().max(1), 1)))
        {
            draw_panel(&area, panel, self.steps)?;
        }
        Ok(())
    }

    fn draw_on<B: DrawingBackend>(&self, area: &DrawingArea<B, Shift>) -> Result<(), PlotError> {
        let rows = self.links.len();
        let mut chart = ChartBuilder::on(area)
            .caption(&self.title, (FONT, 15))
            .margin(10)
            .margin_right(150)
            .x_label_area_size(34)
            .y_label_area_size(60)
            .build_cartesian_2d(0.0..f64::from(self.steps.max(1)) + 0.5, 0.0..rows as f64)
            .map_err(PlotError::new)?;
        chart
            .configure_mesh()
            .disable_mesh()
            .disable_y_axis()
            .axis_style(GREY)
            .x_desc("step")
            .x_labels(ticks(self.steps))
            .x_label_formatter(&tick)
            .label_style((FONT, 12))
            .draw()
            .map_err(PlotError::new)?;
        for (at, link) in self.links.iter().enumerate() {
            let top = (rows - at) as f64;
            for span in link.spans() {
                let Some(load) = span.value.filter(|load| *load > 0.0) else {
                    continue;
                };
                let corners = [(span.from.max(0.0), top - 0.05), (span.to, top - 0.95)];
                chart
                    .draw_series([Rectangle::new(corners, colour(load).filled())])
                    .map_err(PlotError::new)?;
            }
            let (_, middle) = chart.backend_coord(&(0.0, top - 0.5));
            let name = format!("link {}", link.name);
            area.draw(&Text::new(name, (10, middle), beside(11)))
                .map_err(PlotError::new)?;
        }
        self.draw_scale(area)
    }

    fn draw_scale<B: DrawingBackend>(&self, area: &DrawingArea<B, Shift>) -> Result<(), PlotError> {
        let x = area.dim_in_pixel().0 as i32 - 140;
        for (at, load) in [100.0, 75.0, 50.0, 25.0, 1.0].into_iter().enumerate() {
            let y = 40 + at as i32 * 18;
            let square = Rectangle::new([(x, y), (x + 14, y + 14)], colour(load).filled());
            area.draw(&square).map_err(PlotError::new)?;
            let text = Text::new(format!("{load} %"), (x + 22, y + 7), beside(12));
            area.draw(&text).map_err(PlotError::new)?;
        }
        Ok(())
    }
}

/// From pale blue to dark.
fn colour(load: f64) -> RGBColor {
    let part = (load / 100.0).clamp(0.0, 1.0);
    let between = |from: f64, to: f64| (from + (to - from) * part) as u8;
    RGBColor(
        between(222.0, 8.0),
        between(235.0, 48.0),
        between(247.0, 107.0),
    )
}
