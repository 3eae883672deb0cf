//! `kiln simulate compare`: two runs side by side.

use std::path::{Path, PathBuf};
use std::process::ExitCode;

use anyhow::Context;
use serde::de::DeserializeOwned;
use simulator::plot;
use simulator::report::{Summary, Timeline};

use super::output::{SUMMARY, TIMELINE, write_picture};
use super::run::number;
use crate::print::outln;

/// Put two runs side by side: their numbers as a table, and how they went as a picture.
#[derive(clap::Args)]
pub(crate) struct Arguments {
    /// The folder of a run.
    one: PathBuf,

    /// The folder of another.
    two: PathBuf,

    /// Where comparison.svg and comparison.png are written; without it, only the table is shown.
    #[arg(long, value_name = "DIR")]
    out: Option<PathBuf>,
}

/// Compares two runs.
pub(crate) fn run(arguments: &Arguments) -> anyhow::Result<ExitCode> {
    let one: Summary = read(&arguments.one, SUMMARY)?;
    let two: Summary = read(&arguments.two, SUMMARY)?;
    let names = [&arguments.one, &arguments.two].map(|folder| folder.display().to_string());
    let setups = [&one, &two].map(|summary| {
        let rows = summary.run.rows().into_iter();
        rows.map(|(name, text)| (name, end_of(&text)))
            .collect::<Vec<_>>()
    });
    let texts = setups.iter().flatten().map(|(_, text)| text);
    let width = (names.iter().chain(texts))
        .map(|text| text.chars().count())
        .fold(12, usize::max);
    outln!(
        "{:25}  {:>width$}  {:>width$}  {:>12}",
        "",
        names[0],
        names[1],
        "difference"
    )?;
    for ((name, left), (_, right)) in setups[0].iter().zip(&setups[1]) {
        let other = if left == right { "" } else { "other" };
        let row = format!("{name:>25}  {left:>width$}  {right:>width$}  {other:>12}");
        outln!("{}", row.trim_end())?;
    }
    let rows = one.rows().into_iter().zip(two.rows());
    let steps = ("steps", "", f64::from(one.steps));
    let first = (steps, ("steps", "", f64::from(two.steps)));
    for ((name, unit, one), (_, _, two)) in std::iter::once(first).chain(rows) {
        let (left, right) = (number(one), number(two));
        let difference = match number(two - one) {
            same if same == "0" || same == "-0" => String::new(),
            less if less.starts_with('-') => less,
            more => format!("+{more}"),
        };
        let row = format!("{name:>25}  {left:>width$}  {right:>width$}  {difference:>12} {unit}");
        outln!("{}", row.trim_end())?;
    }
    if one.run.dataset_hash != two.run.dataset_hash {
        outln!("the datasets differ: the numbers need not come of the policies")?;
    }
    for (name, summary) in names.iter().zip([&one, &two]) {
        if let Some(error) = &summary.error {
            outln!("{name} ended early: {error}")?;
        }
    }
    if let Some(folder) = &arguments.out {
        let timelines: [Timeline; 2] = [
            read(&arguments.one, TIMELINE)?,
            read(&arguments.two, TIMELINE)?,
        ];
        let drawn = plot::draw_both((&names[0], &timelines[0]), (&names[1], &timelines[1]))?;
        std::fs::create_dir_all(folder).with_context(|| folder.display().to_string())?;
        write_picture(folder, "comparison", &drawn)?;
        outln!("{}", folder.join("comparison.svg").display())?;
    }
    Ok(ExitCode::SUCCESS)
}

/// The end of a text that is too long for a table: of paths, that is what differs.
fn end_of(text: &str) -> String {
    match text.char_indices().rev().nth(31) {
        Some((at, _)) if at > 0 => format!("…{}", &text[at..]),
        _ => text.to_owned(),
    }
}

fn read<T: DeserializeOwned>(folder: &Path, name: &str) -> anyhow::Result<T> {
    let path = folder.join(name);
    let json = std::fs::read(&path).with_context(|| path.display().to_string())?;
    serde_json::from_slice(&json).with_context(|| {
        format!(
            "{}: it is not what a run leaves, or the run was cut off",
            path.display()
        )
    })
}
