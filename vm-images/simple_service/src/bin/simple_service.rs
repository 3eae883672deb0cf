//! The service's back-end: keeps observations, and prints or draws what they are like.

use std::{
    fs::{self, Permissions},
    io::{self, BufWriter, Write},
    os::unix::fs::PermissionsExt,
    path::{Path, PathBuf},
    process::ExitCode,
};

use anyhow::{Context, Result};
use chrono::Utc;
use clap::Parser;

use observations::{Database, Plot, Statistics, json, place, plot};

/// Keeps observations in a database, and shows what they are like
#[derive(Parser)]
#[command(version, after_help = ENVIRONMENT)]
#[group(required = true, multiple = false)]
struct Arguments {
    /// Create the database; one that exists keeps its observations
    #[arg(long)]
    init: bool,
    /// Add an observation with this value and the time of now
    // A text, so that what is no number is an error of one line like all others.
    #[arg(long, value_name = "VALUE", allow_hyphen_values = true)]
    add: Option<String>,
    /// Draw a plot into a new PNG file, and print its path as a JSON string
    #[arg(long, value_name = "KIND")]
    plot: Option<Plot>,
    /// Print all observations in the order of their time, as JSON
    #[arg(long)]
    dump: bool,
    /// Print min, max, median, mean, variance, std dev and size, as JSON
    #[arg(long)]
    stats: bool,
}

const ENVIRONMENT: &str = "\
Environment:
  SIMPLE_SERVICE_DB     the database [default: service.db beside this program]
  SIMPLE_SERVICE_PLOTS  the folder for plots [default: /golem/out]";

fn main() -> ExitCode {
    match run(&Arguments::parse()) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("simple_service: {error:#}");
            ExitCode::FAILURE
        }
    }
}

fn run(arguments: &Arguments) -> Result<()> {
    let path = place::database().context("cannot find the folder of this program")?;
    if arguments.init {
        Database::init(&path)?;
        return Ok(());
    }
    if let Some(text) = &arguments.add {
        let value = text.parse().ok().filter(|value: &f64| value.is_finite());
        let value = value.with_context(|| format!("{text:?} is not a finite number"))?;
        return Ok(Database::open(&path)?.add(value, Utc::now())?);
    }
    let database = Database::open(&path)?;
    if let Some(plot) = arguments.plot {
        let png = match plot {
            Plot::Time => plot::time_series(&database.observations()?)?,
            Plot::Dist => plot::distribution(&database.values()?)?,
        };
        let file = save(plot, &png, &place::plots())?;
        return print(&file);
    }
    if arguments.dump {
        return print(&database.observations()?);
    }
    print(&Statistics::of(&database.values()?)?)
}

fn print<T: serde::Serialize>(value: &T) -> Result<()> {
    let mut out = BufWriter::new(io::stdout().lock());
    json::write_line(&mut out, value)
        .and_then(|()| out.flush())
        .context("cannot write the result")
}

/// Writes a plot into a new file of `folder`; it is there whole, or not at all.
fn save(plot: Plot, png: &[u8], folder: &Path) -> Result<PathBuf> {
    let written = || -> io::Result<PathBuf> {
        let mut file = tempfile::Builder::new()
            .prefix(&format!("{}-", plot.name()))
            .suffix(".png")
            .rand_bytes(10)
            .tempfile_in(folder)?;
        file.write_all(png)?;
        fs::set_permissions(file.path(), Permissions::from_mode(0o644))?;
        Ok(file.into_temp_path().keep()?)
    };
    written().with_context(|| format!("cannot write a plot into {}", folder.display()))
}
