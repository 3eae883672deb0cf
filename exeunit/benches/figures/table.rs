//! The table that is printed.

use std::fmt::Display;

/// One line of it; what is left out is not compared, or has no goal.
#[derive(Debug, Default)]
pub(crate) struct Row {
    pub(crate) what: String,
    pub(crate) measured: String,
    pub(crate) beside: Option<String>,
    pub(crate) ratio: Option<f64>,
    pub(crate) goal: Option<&'static str>,
}

pub(crate) fn head() {
    println!("| what | measured | beside it | ratio | goal |");
    println!("|---|---|---|---|---|");
}

impl Row {
    pub(crate) fn new(what: impl Into<String>, measured: impl Into<String>) -> Self {
        Self {
            what: what.into(),
            measured: measured.into(),
            ..Self::default()
        }
    }

    /// With what it is compared with, and how many times as much that is.
    pub(crate) fn beside(self, other: String, ratio: f64) -> Self {
        Self {
            beside: Some(other),
            ratio: Some(ratio),
            ..self
        }
    }

    pub(crate) fn goal(self, goal: &'static str) -> Self {
        Self {
            goal: Some(goal),
            ..self
        }
    }

    pub(crate) fn print(self) {
        let text = |cell: Option<&dyn Display>| cell.map_or(String::new(), |cell| cell.to_string());
        let ratio = self.ratio.map(|ratio| format!("{ratio:.2}"));
        println!(
            "| {} | {} | {} | {} | {} |",
            self.what,
            self.measured,
            text(self.beside.as_ref().map(|cell| cell as &dyn Display)),
            text(ratio.as_ref().map(|cell| cell as &dyn Display)),
            text(self.goal.as_ref().map(|cell| cell as &dyn Display)),
        );
    }
}

/// Says why something is not measured here.
pub(crate) fn not_measured(what: &str, reason: impl Display) {
    println!("| {what} | not measured: {reason} | | | |");
}

/// The median of times in seconds.
pub(crate) fn median(mut times: Vec<f64>) -> f64 {
    times.sort_by(f64::total_cmp);
    times[times.len() / 2]
}

pub(crate) fn milliseconds(seconds: f64) -> String {
    format!("{:.2} ms", seconds * 1e3)
}
