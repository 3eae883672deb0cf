//! What `/proc` tells of a process.

use std::{fs, path::Path};

/// A `/proc/<pid>/stat`: `1 (name) S …`, where the name may have parentheses and spaces of its own.
#[derive(Clone, Debug)]
pub(crate) struct Stat(String);

impl Stat {
    /// That of the process whose folder this is; none if it has ended, or there is no process.
    pub(crate) fn of(process: &Path) -> Option<Self> {
        let stat = fs::read(process.join("stat")).ok()?;
        Some(Self(String::from_utf8_lossy(&stat).into_owned()))
    }

    /// `R` for one that runs, `T` for one that was stopped, `Z` for one that has ended, and so on.
    pub(crate) fn state(&self) -> Option<&str> {
        self.fields().next()
    }

    /// The id of its parent.
    pub(crate) fn parent(&self) -> Option<i32> {
        self.fields().nth(1)?.parse().ok()
    }

    /// What follows the name.
    fn fields(&self) -> impl Iterator<Item = &str> {
        let behind_name = self.0.rsplit_once(") ").map_or("", |(_, fields)| fields);
        behind_name.split_whitespace()
    }
}

/// What a process has used.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Account {
    /// Processor time of its own and of those children that it has waited for, in user and kernel mode, in clock ticks.
    pub(crate) ticks: u64,
    /// Memory resident now.
    pub(crate) resident_pages: u64,
}

impl Account {
    /// The account of the process whose folder this is; none if it has ended, or there is no process.
    pub(crate) fn of(process: &Path) -> Option<Self> {
        Self::from(&Stat::of(process)?)
    }

    fn from(stat: &Stat) -> Option<Self> {
        const FIRST: usize = 3;
        const UTIME: usize = 14;
        const CSTIME: usize = 17;
        const RSS: usize = 24;
        let fields: Vec<&str> = stat.fields().collect();
        let field = |number: usize| fields.get(number - FIRST)?.parse().ok();
        Some(Self {
            ticks: (UTIME..=CSTIME).map(field).sum::<Option<u64>>()?,
            resident_pages: field(RSS)?,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_process_is_known_whatever_the_name() {
        for name in ["sh", "a b", ") R 1 (", "S) 9 9"] {
            let stat = Stat(format!(
                "7 ({name}) S 12 7 7 0 -1 4194304 100 200 0 0 1 20 300 4000 20 0 1 0 555 9000000 321 18446744073709551615"
            ));
            let account = Account {
                ticks: 4321,
                resident_pages: 321,
            };
            assert_eq!(Account::from(&stat), Some(account), "{stat:?}");
            assert_eq!((stat.state(), stat.parent()), (Some("S"), Some(12)));
        }
    }

    #[test]
    fn what_tells_too_little_is_none() {
        for stat in [
            "",
            "7",
            "7 (sh) S x",
            "7 (sh) S 1",
            "7 (sh) S 1 7 7 0 -1 4 1 2 0 0 1 2 x 4",
        ] {
            let stat = Stat(stat.to_owned());
            assert_eq!(Account::from(&stat), None, "{stat:?}");
        }
        let ended = Stat(String::new());
        assert_eq!((ended.state(), ended.parent()), (None, None));
    }
}
