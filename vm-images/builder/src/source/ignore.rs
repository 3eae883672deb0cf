//! `.dockerignore`: what of a context is not there for a build.

use std::{fs, io, path::Path};

use super::pattern::{BadPattern, PathPattern};

/// What is left out, in the order of its lines: the last that matches decides.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct Ignored {
    lines: Vec<(PathPattern, bool)>,
}

impl Ignored {
    /// Reads the file at `path`; without one, nothing is left out.
    pub(crate) fn read(path: &Path) -> io::Result<Self> {
        match fs::read_to_string(path) {
            Ok(text) => Self::parse(&text).map_err(|(line, error)| {
                let problem = format!("line {line}: {error}");
                io::Error::new(io::ErrorKind::InvalidData, problem)
            }),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(Self::default()),
            Err(error) => Err(error),
        }
    }

    pub(crate) fn parse(text: &str) -> Result<Self, (usize, BadPattern)> {
        let mut lines = Vec::new();
        let text = text.strip_prefix('\u{feff}').unwrap_or(text);
        for (number, line) in (1..).zip(text.lines()) {
            if line.starts_with('#') {
                continue;
            }
            let line = line.trim();
            let (line, is_there) = match line.strip_prefix('!') {
                Some(line) => (line.trim(), true),
                None => (line, false),
            };
            let pattern = PathPattern::new(line).map_err(|error| (number, error))?;
            // `.` and `/` are the context itself, which is never left out.
            if !pattern.is_empty() {
                lines.push((pattern, is_there));
            }
        }
        Ok(Self { lines })
    }

    /// Whether the file or folder at this path in the context is left out.
    pub(crate) fn has(&self, path: &Path) -> bool {
        let names: Vec<String> = path
            .components()
            .map(|name| name.as_os_str().to_string_lossy().into_owned())
            .collect();
        let mut ignored = false;
        for (pattern, is_there) in &self.lines {
            // What a folder is, all is that is in it.
            if ignored == *is_there && (1..=names.len()).any(|end| pattern.matches(&names[..end])) {
                ignored = !is_there;
            }
        }
        ignored
    }

    /// Whether something may be there in a folder that is left out.
    pub(crate) fn has_exceptions(&self) -> bool {
        self.lines.iter().any(|(_, is_there)| *is_there)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(text: &str, ignored: &[&str], there: &[&str]) {
        let found = Ignored::parse(text).unwrap();
        for path in ignored {
            assert!(found.has(Path::new(path)), "{path} is ignored by {text:?}");
        }
        for path in there {
            assert!(
                !found.has(Path::new(path)),
                "{path} is not ignored by {text:?}"
            );
        }
    }

    #[test]
    fn patterns_are_from_the_root_of_the_context() {
        check("a", &["a", "a/b"], &["b/a", "ab"]);
        check("/a/\n./b", &["a", "b/c"], &["c/a"]);
        check(
            "*/temp*",
            &["x/temp", "x/temporary/y"],
            &["temp", "x/y/temp"],
        );
        check("*.md\n", &["a.md"], &["sub/a.md"]);
        check("temp?", &["tempa"], &["temp", "tempab"]);
        check("a/../b", &["b"], &["a"]);
    }

    #[test]
    fn two_stars_are_any_folders() {
        check("**/x", &["x", "a/x", "a/b/x", "a/x/c"], &["ax", "a/xb"]);
        check("a/**", &["a/b", "a/b/c"], &["a", "ab"]);
        check("a/**/z", &["a/z", "a/b/z", "a/b/c/z"], &["az", "a/bz"]);
        check("**/*.go", &["x.go", "a/b/x.go"], &["x.gone"]);
        check("**", &["a", "a/b"], &[]);
    }

    #[test]
    fn the_last_line_that_matches_decides() {
        check("*.md\n!README.md", &["a.md"], &["README.md"]);
        check(
            "*.md\n!README*.md\nREADME-secret.md",
            &["README-secret.md", "a.md"],
            &["README.md"],
        );
        check("a\n!a/b", &["a", "a/c"], &["a/b", "a/b/c"]);
        check("**\n!keep", &["a", "x/keep"], &["keep", "keep/a"]);
    }

    #[test]
    fn comments_and_blank_lines_say_nothing() {
        check("# a\n\n  \n.\n/\n\u{20}a \r\n", &["a"], &["b", "# a"]);
        assert_eq!(Ignored::parse("a\n[").unwrap_err().0, 2);
    }
}
