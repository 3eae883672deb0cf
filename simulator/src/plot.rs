//! Pictures of runs, as SVG and PNG.

mod bars;
mod heat;
mod lines;

use std::ops::Range;
use std::sync::Once;

use plotters::prelude::*;
use plotters::style::text_anchor::{HPos, Pos, VPos};
use plotters::style::{FontStyle, register_font};

use crate::report::{Line, Panel, Timeline};

/// What pictures there are of a run.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Picture {
    /// What services were doing.
    Services,
    /// The loads of links.
    Links,
    /// CPU, memory and disk of servers.
    Servers,
    /// Delays of users, and what they could use.
    Users,
    /// What servers and switches drew.
    Power,
}

impl Picture {
    /// All of them.
    pub const ALL: [Self; 5] = [
        Self::Services,
        Self::Links,
        Self::Servers,
        Self::Users,
        Self::Power,
    ];

    /// Its name, for a file.
    pub fn name(self) -> &'static str {
        match self {
            Self::Services => "services",
            Self::Links => "links",
            Self::Servers => "servers",
            Self::Users => "users",
            Self::Power => "power",
        }
    }
}

/// A picture that was drawn.
#[derive(Clone, Debug)]
pub struct Drawn {
    /// As SVG.
    pub svg: String,
    /// As PNG.
    pub png: Vec<u8>,
}

/// Why a picture could not be drawn.
#[derive(Debug, thiserror::Error)]
#[error("a picture cannot be drawn: {0}")]
pub struct PlotError(String);

impl PlotError {
    fn new(error: impl std::fmt::Display) -> Self {
        Self(error.to_string())
    }
}

const WIDTH: u32 = 1000;
const FONT: &str = "sans-serif";
const GREY: RGBColor = RGBColor(90, 90, 90);

/// Colours that are told apart, also by those who see fewer.
const COLOURS: [RGBColor; 8] = [
    RGBColor(0, 114, 178),
    RGBColor(230, 159, 0),
    RGBColor(0, 158, 115),
    RGBColor(204, 121, 167),
    RGBColor(86, 180, 233),
    RGBColor(213, 94, 0),
    RGBColor(120, 120, 120),
    RGBColor(60, 60, 160),
];

/// Draws a picture of a run.
///
/// # Errors
/// If it cannot be drawn.
pub fn draw(timeline: &Timeline, picture: Picture) -> Result<Drawn, PlotError> {
    let panels = |names: &[&str]| -> Vec<Panel> {
        (timeline.panels.iter())
            .filter(|panel| names.iter().any(|name| panel.title.starts_with(name)))
            .cloned()
            .collect()
    };
    match picture {
        Picture::Services => bars::draw(timeline),
        Picture::Links => heat::draw(timeline, &panels(&["load of links", "transfers"])),
        Picture::Servers => lines::draw(
            &panels(&["CPU demand", "memory demand", "disk demand"]),
            timeline.steps,
        ),
        Picture::Users => lines::draw(&panels(&["delay", "users' applications"]), timeline.steps),
        Picture::Power => lines::draw(&panels(&["power"]), timeline.steps),
    }
}

/// Draws two runs over each other: for each panel that both have, the mean of each.
///
/// # Errors
/// If they cannot be drawn.
pub fn draw_both(one: (&str, &Timeline), two: (&str, &Timeline)) -> Result<Drawn, PlotError> {
    let names = lines::told_apart([one.0, two.0]);
    let (one, two) = ((&*names[0], one.1), (&*names[1], two.1));
    let whole = |(name, timeline): (&str, &Timeline), title: &str| -> Option<Line> {
        let panel = timeline.panels.iter().find(|panel| panel.title == title)?;
        let lines = panel.lines.iter().filter(|line| !line.is_highest());
        Some(Line {
            name: name.to_owned(),
            series: crate::report::Series::mean_of(lines.map(|line| &line.series)),
        })
    };
    let panels: Vec<Panel> = (one.1.panels.iter())
        .filter_map(|panel| {
            Some(Panel {
                title: panel.title.clone(),
                lines: vec![whole(one, &panel.title)?, whole(two, &panel.title)?],
            })
        })
        .collect();
    lines::draw(&panels, one.1.steps.max(two.1.steps))
}

/// Has `draw` draw on both kinds of surface.
fn both(
    size: (u32, u32),
    draw_svg: impl FnOnce(&DrawingArea<SVGBackend<'_>, plotters::coord::Shift>) -> Result<(), PlotError>,
    draw_png: impl FnOnce(
        &DrawingArea<BitMapBackend<'_>, plotters::coord::Shift>,
    ) -> Result<(), PlotError>,
) -> Result<Drawn, PlotError> {
    register();
    let mut svg = String::new();
    {
        let area = SVGBackend::with_string(&mut svg, size).into_drawing_area();
        draw_svg(&area)?;
        area.present().map_err(PlotError::new)?;
    }
    let mut pixels = vec![255; size.0 as usize * size.1 as usize * 3];
    {
        let area = BitMapBackend::with_buffer(&mut pixels, size).into_drawing_area();
        draw_png(&area)?;
        area.present().map_err(PlotError::new)?;
    }
    let mut png = Vec::new();
    let mut encoder = png::Encoder::new(&mut png, size.0, size.1);
    encoder.set_color(png::ColorType::Rgb);
    (encoder.write_header())
        .and_then(|mut writer| writer.write_image_data(&pixels))
        .map_err(PlotError::new)?;
    Ok(Drawn { svg, png })
}

/// Lets plotters know the one font there is, whatever is installed.
fn register() {
    static ONCE: Once = Once::new();
    const DEJAVU: &[u8] = include_bytes!(concat!(
        env!("CARGO_MANIFEST_DIR"),
        "/../vm-images/simple_service/fonts/DejaVuSans.ttf"
    ));
    ONCE.call_once(|| {
        register_font(FONT, FontStyle::Normal, DEJAVU).unwrap_or_default();
    });
}

/// What names stand in beside what they name: their middle is where they are drawn.
fn beside(size: u32) -> TextStyle<'static> {
    let style = (FONT, size).into_font().color(&GREY);
    style.pos(Pos::new(HPos::Left, VPos::Center))
}

/// A range from 0 to a little above `highest`, never empty.
fn up_to(highest: f64) -> Range<f64> {
    if highest > 0.0 && highest.is_finite() {
        0.0..highest * 1.08
    } else {
        0.0..1.0
    }
}

/// The most ticks of an axis of steps: no more than there are whole steps on it.
fn ticks(steps: u32) -> usize {
    steps.max(1).saturating_add(1).min(11) as usize
}

/// A number in as few digits as a tick needs.
fn tick(value: &f64) -> String {
    let text = format!("{value:.4}");
    text.trim_end_matches('0').trim_end_matches('.').to_owned()
}
