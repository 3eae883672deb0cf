//! What a process has used, as `/proc` tells.

use std::{fs, path::Path};

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
        let stat = fs::read(process.join("stat")).ok()?;
        Self::parse(&String::from_utf8_lossy(&stat))
    }

    /// Parses a `/proc/<pid>/stat`: `1 (name) S …`, where the name may have parentheses and spaces of its own.
    fn parse(stat: &str) -> Option<Self> {
        const FIRST: usize = 3;
        const UTIME: usize = 14;
        const CSTIME: usize = 17;
        const RSS: usize = 24;
        let (_, fields) = stat.rsplit_once(") ")?;
        let fields: Vec<&str> = fields.split_whitespace().collect();
        let field = |number: usize| fields.get(number - FIRST)?.parse().ok();
        Some(Self {
            ticks: (UTIME..=CSTIME).map(field).sum::<Option<u64>>()?,
            resident_pages: field(RSS)?,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::Account;

    #[test]
    fn an_account_is_read_whatever_the_name() {
        for name in ["sh", "a b", ") R 1 (", "S) 9 9"] {
            let stat = format!(
                "7 ({name}) S 1 7 7 0 -1 4194304 100 200 0 0 1 20 300 4000 20 0 1 0 555 9000000 321 18446744073709551615"
            );
            let account = Account {
                ticks: 4321,
                resident_pages: 321,
            };
            assert_eq!(Account::parse(&stat), Some(account), "{stat}");
        }
    }

    #[test]
    fn what_is_no_account_is_none() {
        for stat in [
            "",
            "7",
            "7 (sh) S 1",
            "7 (sh) S 1 7 7 0 -1 4 1 2 0 0 1 2 x 4",
        ] {
            assert_eq!(Account::parse(stat), None, "{stat}");
        }
    }
}
