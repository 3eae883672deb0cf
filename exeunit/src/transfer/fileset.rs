//! Which files of a folder or of an archive are meant.

use globset::{Glob, GlobBuilder, GlobSet, GlobSetBuilder};

use crate::script::{FileSet, SetEntry, SetObject};

/// Which files are meant; all of them by default.
#[derive(Clone, Debug, Default)]
pub(crate) struct Selection(Option<Vec<Rule>>);

/// What one part of a selection includes, but for what it excludes.
#[derive(Clone, Debug)]
struct Rule {
    /// All, if it does not say.
    includes: Option<GlobSet>,
    excludes: GlobSet,
}

/// A pattern is none.
#[derive(Debug, thiserror::Error)]
#[error("{pattern:?} is no pattern of file names")]
pub(crate) struct PatternError {
    pattern: String,
    source: globset::Error,
}

impl Selection {
    pub(crate) fn of(set: Option<&FileSet>) -> Result<Self, PatternError> {
        let rules = match set {
            None => return Ok(Self(None)),
            Some(FileSet::Pattern(patterns)) => vec![Rule {
                includes: Some(globs(&list(patterns))?),
                excludes: GlobSet::empty(),
            }],
            Some(FileSet::Object(objects)) => list(objects)
                .iter()
                .map(Rule::of)
                .collect::<Result<_, _>>()?,
        };
        Ok(Self(Some(rules)))
    }

    /// Whether all files are meant, and so the folders that they are in.
    pub(crate) fn is_all(&self) -> bool {
        self.0.is_none()
    }

    /// Whether a file is meant, by its path below the folder.
    pub(crate) fn has(&self, path: &std::path::Path) -> bool {
        match &self.0 {
            None => true,
            Some(rules) => rules.iter().any(|rule| {
                let is_included = rule
                    .includes
                    .as_ref()
                    .is_none_or(|globs| globs.is_match(path));
                is_included && !rule.excludes.is_match(path)
            }),
        }
    }
}

impl Rule {
    fn of(object: &SetObject) -> Result<Self, PatternError> {
        let patterns = |patterns: &Option<SetEntry<String>>| -> Option<Vec<String>> {
            patterns.as_ref().map(list)
        };
        let includes = patterns(&object.includes);
        let excludes = patterns(&object.excludes).unwrap_or_default();
        Ok(Self {
            includes: includes.map(|patterns| globs(&patterns)).transpose()?,
            excludes: globs(&excludes)?,
        })
    }
}

fn list<T: Clone>(entry: &SetEntry<T>) -> Vec<T> {
    match entry {
        SetEntry::Single(one) => vec![one.clone()],
        SetEntry::Multiple(all) => all.clone(),
    }
}

fn globs(patterns: &[String]) -> Result<GlobSet, PatternError> {
    let glob = |pattern: &String| -> Result<Glob, PatternError> {
        let glob = GlobBuilder::new(pattern).literal_separator(true).build();
        glob.map_err(|source| PatternError {
            pattern: pattern.clone(),
            source,
        })
    };
    let mut set = GlobSetBuilder::new();
    for pattern in patterns {
        set.add(glob(pattern)?);
    }
    set.build().map_err(|source| PatternError {
        pattern: patterns.join(", "),
        source,
    })
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use serde_json::{Value, json};

    use super::*;

    fn selection(set: Value) -> Result<Selection, PatternError> {
        let set: FileSet = serde_json::from_value(set).expect("a file set");
        Selection::of(Some(&set))
    }

    #[test]
    fn files_are_selected_as_the_network_does() {
        let paths = ["a.o", "b.c", "out/c.o", "out/d.tmp", "out/deep/e.o"];
        let chosen = |selection: &Selection| -> Vec<&str> {
            let is_chosen = |path: &&str| selection.has(Path::new(path));
            paths.into_iter().filter(is_chosen).collect()
        };
        let cases = [
            (json!("*.o"), vec!["a.o"]),
            (json!("**/*"), paths.to_vec()),
            (json!(["*.c", "out/*.o"]), vec!["b.c", "out/c.o"]),
            (
                json!({"desc": "x", "includes": "out/**", "excludes": ["**/*.tmp"]}),
                vec!["out/c.o", "out/deep/e.o"],
            ),
            (json!({"excludes": "**/*.o"}), vec!["b.c", "out/d.tmp"]),
            (
                json!([{"includes": "*.c"}, {"includes": "out/deep/*"}]),
                vec!["b.c", "out/deep/e.o"],
            ),
            (json!([]), vec![]),
        ];
        for (set, expected) in cases {
            let selection = selection(set.clone()).expect("patterns");
            assert_eq!(chosen(&selection), expected, "{set}");
        }
        assert_eq!(chosen(&Selection::of(None).expect("all")), paths);
    }

    #[test]
    fn a_pattern_that_is_none_is_named() {
        let error = selection(json!(["a", "[b"])).expect_err("no pattern");
        assert_eq!(error.to_string(), "\"[b\" is no pattern of file names");
    }
}
