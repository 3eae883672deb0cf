//! Tables in a terminal: columns as wide as what is in them.

use std::{fmt, str::FromStr};

use node::Clock;
use serde_json::Value;

/// Rows under headings.
#[derive(Debug)]
pub(super) struct Table {
    headings: Vec<String>,
    rows: Vec<Vec<String>>,
}

impl Table {
    /// A table with no rows yet.
    pub(super) fn new(headings: &[&str]) -> Self {
        Self {
            headings: headings
                .iter()
                .map(|heading| heading.to_uppercase())
                .collect(),
            rows: Vec::new(),
        }
    }

    /// Adds a row.
    pub(super) fn row(&mut self, cells: impl IntoIterator<Item = String>) {
        // What comes from others is not to move the cursor.
        let plain = |cell: String| cell.chars().filter(|letter| !letter.is_control()).collect();
        self.rows.push(cells.into_iter().map(plain).collect());
    }
}

impl fmt::Display for Table {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let lines = || std::iter::once(&self.headings).chain(&self.rows);
        let width = |column: usize| {
            let cells = lines().filter_map(|line| line.get(column));
            cells
                .map(|cell| cell.chars().count())
                .max()
                .unwrap_or_default()
        };
        let widths: Vec<_> = (0..self.headings.len()).map(width).collect();
        for line in lines() {
            let cells = line.iter().zip(&widths);
            let text: String = cells
                .map(|(cell, width)| format!("{cell:width$}  "))
                .collect();
            writeln!(formatter, "{}", text.trim_end())?;
        }
        Ok(())
    }
}

/// An id, cut to what tells it from others.
pub(super) fn short(id: &Value) -> String {
    let id = id.as_str().unwrap_or_default();
    match id.char_indices().nth(12) {
        Some((end, _)) => format!("{}…", &id[..end]),
        None => id.to_owned(),
    }
}

/// An amount, to as many places as anybody reads.
pub(super) fn amount(amount: &Value) -> String {
    let amount: f64 = amount
        .as_str()
        .and_then(|amount| amount.parse().ok())
        .unwrap_or_default();
    format!("{amount:.6}")
}

/// How long ago a time is.
pub(super) fn age(time: &Value) -> String {
    let now = Clock::system().now();
    let then = time.as_str().and_then(|time| like(&now, time));
    then.map_or(String::new(), |then| span((now - then).num_seconds()))
}

/// A text read as what another value is.
fn like<T: FromStr>(_: &T, text: &str) -> Option<T> {
    text.parse().ok()
}

fn span(seconds: i64) -> String {
    match seconds.max(0) {
        seconds @ 0..100 => format!("{seconds}s"),
        seconds @ 100..6000 => format!("{}m", seconds / 60),
        seconds @ 6000..172_800 => format!("{}h", seconds / 3600),
        seconds => format!("{}d", seconds / 86_400),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn columns_are_as_wide_as_their_cells() {
        let mut table = Table::new(&["name", "n"]);
        table.row(["a".to_owned(), "1".to_owned()]);
        table.row(["größer\u{1b}[2J".to_owned(), "22".to_owned()]);
        table.row(["".to_owned(), "".to_owned()]);
        assert_eq!(
            table.to_string(),
            "NAME       N\na          1\ngrößer[2J  22\n\n"
        );
    }

    #[test]
    fn what_is_long_is_cut() {
        assert_eq!(short(&json!("0123456789abcdef")), "0123456789ab…");
        assert_eq!(short(&json!("0123")), "0123");
        assert_eq!(short(&json!(null)), "");
        assert_eq!(amount(&json!("1.0000004999")), "1.000000");
        for (seconds, shown) in [
            (-5, "0s"),
            (99, "99s"),
            (100, "1m"),
            (6000, "1h"),
            (172_800, "2d"),
        ] {
            assert_eq!(span(seconds), shown);
        }
    }
}
