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
    pub(super) fn into_png(mut self) -> Result<Vec<u8>, PlotError> {
        self.shrink();
        let mut bytes = Vec::new();
        let mut encoder = png::Encoder::new(Cursor::new(&mut bytes), SIZE.0 as u32, SIZE.1 as u32);
        encoder.set_color(png::ColorType::Rgb);
        encoder.set_compression(png::Compression::Fast);
        // Nearly as small as with the best filter of each row, and sooner found.
        encoder.set_filter(png::Filter::Paeth);
        encoder
            .write_header()
            .and_then(|mut writer| {
                writer.write_image_data(&self.pixels)?;
                writer.finish()
            })
            .map_err(|error| PlotError::Draw(error.into()))?;
        Ok(bytes)
    }

    /// Puts the mean of each square of pixels in its place. It stays in the same memory: more would have to be fetched
    /// from the kernel page by page, which takes longer than all the rest.
    fn shrink(&mut self) {
        const DRAWN_ROW: usize = 3 * SIZE.0 * OVERSAMPLING;
        const ROW: usize = 3 * SIZE.0;
        const SQUARE: u16 = (OVERSAMPLING * OVERSAMPLING) as u16;
        let mut sums = [0_u16; DRAWN_ROW];
        for row in 0..SIZE.1 {
            sums.fill(0);
            let drawn = &self.pixels[row * OVERSAMPLING * DRAWN_ROW..][..OVERSAMPLING * DRAWN_ROW];
            for drawn in drawn.chunks_exact(DRAWN_ROW) {
                for (sum, value) in sums.iter_mut().zip(drawn) {
                    *sum += u16::from(*value);
                }
            }
            let shrunk = self.pixels[row * ROW..][..ROW].chunks_exact_mut(3);
            for (pixel, sums) in shrunk.zip(sums.chunks_exact(3 * OVERSAMPLING)) {
                for (channel, value) in pixel.iter_mut().enumerate() {
                    let sum: u16 = sums[channel..].iter().step_by(3).sum();
                    *value = ((sum + SQUARE / 2) / SQUARE) as u8;
                }
            }
        }
        self.pixels.truncate(ROW * SIZE.1);
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
