//! Observations drawn: a histogram or a time series, as a PNG.

mod axis;
mod canvas;
mod distribution;
mod time_series;

use clap::ValueEnum;

use crate::{Observation, statistics::StatisticsError};
use canvas::Canvas;

/// What a plot shows.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Plot {
    /// The values over the time at which they were observed
    Time,
    /// A histogram of the values, and the normal distribution that fits them
    Dist,
}

/// Why there is no plot.
#[derive(Debug, thiserror::Error)]
pub enum PlotError {
    /// The observations have nothing to show.
    #[error(transparent)]
    Statistics(#[from] StatisticsError),
    /// The values lie further apart than a number can say.
    #[error("the observations are too large for a plot")]
    Overflow,
    /// Drawing failed.
    #[error("cannot draw the plot")]
    Draw(#[source] Box<dyn std::error::Error + Send + Sync>),
}

impl Plot {
    /// The plot's name, as in `--plot NAME`.
    pub fn name(self) -> &'static str {
        match self {
            Self::Time => "time",
            Self::Dist => "dist",
        }
    }
}

/// Draws `observations`, which are in the order of their time, and returns the bytes of a PNG.
///
/// # Errors
/// If there are no observations, or if they are too large.
pub fn time_series(observations: &[Observation]) -> Result<Vec<u8>, PlotError> {
    let mut canvas = Canvas::new()?;
    time_series::draw(&mut canvas, observations)?;
    canvas.into_png()
}

/// Draws how `values` are distributed, and returns the bytes of a PNG.
///
/// # Errors
/// If there are no values, or if they are too large.
pub fn distribution(values: &[f64]) -> Result<Vec<u8>, PlotError> {
    let mut canvas = Canvas::new()?;
    distribution::draw(&mut canvas, values)?;
    canvas.into_png()
}
