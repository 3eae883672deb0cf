//! The sheet that plots are drawn on, and how they all look.

use std::io::Cursor;

use plotters::{
    chart::ChartContext,
    coord::{Shift, types::RangedCoordf64},
    prelude::*,
    style::{FontStyle, register_font},
};

use super::{PlotError, axis::Axis};

/// Width and height of a finished plot in pixels.
const SIZE: (usize, usize) = (960, 600);

/// A plot is drawn this many times as large and then shrunk, which smooths its edges.
const OVERSAMPLING: usize = 2;

/// The name under which the embedded font is known to plotters.
const FONT: &str = "DejaVu Sans";

const INK: RGBColor = RGBColor(0x33, 0x38, 0x40);
const FAINT: RGBColor = RGBColor(0xe3, 0xe6, 0xea);

/// What data is drawn in.
pub(super) const BLUE: RGBColor = RGBColor(0x4c, 0x84, 0xb8);
/// What stands out from the data is drawn in.
pub(super) const ORANGE: RGBColor = RGBColor(0xe0, 0x6c, 0x1f);

pub(super) type Chart<'a, 'b> =
    ChartContext<'a, BitMapBackend<'b>, Cartesian2d<RangedCoordf64, RangedCoordf64>>;

/// A sheet of pixels.
pub(super) struct Canvas {
    pixels: Vec<u8>,
}

impl Canvas {
    pub(super) fn new() -> Result<Self, PlotError> {
        register_font(
            FONT,
            FontStyle::Normal,
            include_bytes!("../../fonts/DejaVuSans.ttf"),
        )
        .map_err(|_| PlotError::Draw("the embedded font cannot be read".into()))?;
        Ok(Self {
            pixels: vec![0xff; 3 * SIZE.0 * SIZE.1 * OVERSAMPLING * OVERSAMPLING],
        })
    }

    /// Draws the title, a line below it and the axes, and then what `contents` draws within them.
    pub(super) fn chart(
        &mut self,
        [title, subtitle]: [&str; 2],
        [x, y]: [&Axis; 2],
        contents: impl FnOnce(&mut Chart<'_, '_>) -> Result<(), PlotError>,
    ) -> Result<(), PlotError> {
        let size = (SIZE.0 * OVERSAMPLING, SIZE.1 * OVERSAMPLING);
        let backend = BitMapBackend::with_buffer(&mut self.pixels, (size.0 as u32, size.1 as u32));
        let sheet: DrawingArea<_, Shift> = backend.into_drawing_area();
        let below_titles = sheet
            .margin(px(14.0), px(14.0), px(10.0), px(26.0))
            .titled(title, text(23.0))
            .and_then(|sheet| sheet.titled(subtitle, text(15.0)))
            .map_err(drawing)?;
        let mut chart = ChartBuilder::on(&below_titles)
            .margin_top(px(14.0))
            .x_label_area_size(px(58.0))
            .y_label_area_size(px(78.0))
            .build_cartesian_2d(x.range(), y.range())
            .map_err(drawing)?;
        chart
            .configure_mesh()
            .axis_style(INK.stroke_width(px(1.0)))
            .bold_line_style(FAINT.stroke_width(px(1.0)))
            .light_line_style(TRANSPARENT)
            .axis_desc_style(text(16.0))
            .label_style(text(14.0))
            .set_all_tick_mark_size(px(5.0))
            .y_label_offset(px(3.0) as i32)
            .x_labels(x.most_ticks())
            .y_labels(y.most_ticks())
            .x_label_formatter(&|tick| x.label(*tick))
            .y_label_formatter(&|tick| y.label(*tick))
            .x_desc(x.title())
            .y_desc(y.title())
            .draw()
            .map_err(drawing)?;
        contents(&mut chart)?;
        sheet.present().map_err(drawing)
    }

    /// The sheet at its final size, encoded.
    pub(super) fn into_png(self) -> Result<Vec<u8>, PlotError> {
        let mut bytes = Vec::new();
        let mut encoder = png::Encoder::new(Cursor::new(&mut bytes), SIZE.0 as u32, SIZE.1 as u32);
        encoder.set_color(png::ColorType::Rgb);
        encoder.set_compression(png::Compression::Fast);
        encoder
            .write_header()
            .and_then(|mut writer| {
                writer.write_image_data(&self.shrunk())?;
                writer.finish()
            })
            .map_err(|error| PlotError::Draw(error.into()))?;
        Ok(bytes)
    }

    /// Each pixel is the mean of the square of pixels that was drawn for it.
    fn shrunk(&self) -> Vec<u8> {
        let drawn_row = 3 * SIZE.0 * OVERSAMPLING;
        let square = (OVERSAMPLING * OVERSAMPLING) as u16;
        let mut shrunk = Vec::with_capacity(3 * SIZE.0 * SIZE.1);
        for rows in self.pixels.chunks_exact(drawn_row * OVERSAMPLING) {
            let mut sums = [0; 3 * SIZE.0];
            for row in rows.chunks_exact(drawn_row) {
                let squares = row.chunks_exact(3 * OVERSAMPLING);
                for (sum, pixels) in sums.chunks_exact_mut(3).zip(squares) {
                    for pixel in pixels.chunks_exact(3) {
                        sum[0] += u16::from(pixel[0]);
                        sum[1] += u16::from(pixel[1]);
                        sum[2] += u16::from(pixel[2]);
                    }
                }
            }
            shrunk.extend(sums.map(|sum| ((sum + square / 2) / square) as u8));
        }
        shrunk
    }
}

/// `length` pixels of the finished plot.
pub(super) fn px(length: f64) -> u32 {
    (length * OVERSAMPLING as f64).round() as u32
}

/// Whatever plotters complains about.
pub(super) fn drawing<E: std::error::Error + Send + Sync + 'static>(error: E) -> PlotError {
    PlotError::Draw(error.into())
}

fn text(size: f64) -> TextStyle<'static> {
    (FONT, px(size)).into_font().color(&INK)
}
