//! From lines of text to whole instructions.

use super::problem::{Problem, Wrong};

/// One instruction, its continuation lines joined and its comments gone.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Line {
    /// The line that it begins in, from 1.
    pub(super) number: usize,
    pub(super) text: String,
}

/// The instructions of a Dockerfile, and the character that escapes: `\` unless a directive names another.
pub(super) fn split(text: &str) -> Result<(Vec<Line>, char), Problem> {
    let escape = escape_directive(text)?;
    let mut lines: Vec<Line> = Vec::new();
    let mut continued = false;
    for (number, line) in (1..).zip(text.lines()) {
        if line.trim_start().starts_with('#') || line.trim().is_empty() {
            continue;
        }
        let (line, goes_on) = match without_continuation(line, escape) {
            Some(line) => (line, true),
            None => (line, false),
        };
        match lines.last_mut() {
            Some(begun) if continued => begun.text.push_str(line),
            _ => lines.push(Line {
                number,
                text: line.trim_start().to_owned(),
            }),
        }
        continued = goes_on;
    }
    for line in &mut lines {
        line.text.truncate(line.text.trim_end().len());
    }
    Ok((lines, escape))
}

/// The line without the escape character at its end, if it has one that is not escaped itself.
fn without_continuation(line: &str, escape: char) -> Option<&str> {
    let line = line.trim_end().strip_suffix(escape)?;
    (!line.ends_with(escape)).then_some(line)
}

/// Directives are comments of the form `# name=value` before anything else; all but `escape` are about Docker only.
fn escape_directive(text: &str) -> Result<char, Problem> {
    for (line, text) in (1..).zip(text.lines()) {
        let directive = text
            .trim()
            .strip_prefix('#')
            .and_then(|text| text.split_once('='));
        let Some((name, value)) = directive else {
            break;
        };
        let (name, value) = (name.trim(), value.trim());
        if name.is_empty() || !name.chars().all(|letter| letter.is_ascii_alphanumeric()) {
            break;
        }
        if name.eq_ignore_ascii_case("escape") {
            return match value {
                "\\" => Ok('\\'),
                "`" => Ok('`'),
                other => {
                    let text = format!("the escape character must be \\ or `, not {other:?}");
                    Err(Wrong::Mistake(text).at(line))
                }
            };
        }
    }
    Ok('\\')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(text: &str, expected: &[(usize, &str)]) {
        let (lines, _) = split(text).unwrap();
        let lines: Vec<_> = lines
            .iter()
            .map(|line| (line.number, line.text.as_str()))
            .collect();
        assert_eq!(lines, expected, "{text:?}");
    }

    #[test]
    fn lines_are_joined_and_comments_dropped() {
        check("", &[]);
        check("FROM scratch", &[(1, "FROM scratch")]);
        check(
            "\n# a comment\n\n  FROM scratch  \r\nCMD []\n",
            &[(4, "FROM scratch"), (5, "CMD []")],
        );
        check(
            "ENV a=1 \\\n  b=2 \\ \n c=3\nCMD []",
            &[(1, "ENV a=1   b=2  c=3"), (4, "CMD []")],
        );
        check("ENV a=\\\n# between\n\n1", &[(1, "ENV a=1")]);
        check(
            "LABEL a=x\\\\\nCMD []",
            &[(1, "LABEL a=x\\\\"), (2, "CMD []")],
        );
        check("ENV a=1 \\", &[(1, "ENV a=1")]);
        check("ENV a=#no", &[(1, "ENV a=#no")]);
    }

    #[test]
    fn the_escape_character_can_be_chosen() {
        check("# escape=`\nENV a=1 `\n b=\\", &[(2, "ENV a=1  b=\\")]);
        check(
            "#syntax=docker/dockerfile:1\n# Escape = ` \nENV a=`\n1",
            &[(3, "ENV a=1")],
        );
        // Behind a comment it is a comment itself.
        check("# build me\n# escape=`\nENV a=\\\n1", &[(3, "ENV a=1")]);
        let problem = split("# syntax=x\n# escape=^").unwrap_err();
        let expected = r#"the escape character must be \ or `, not "^""#;
        assert_eq!(problem, Wrong::from(expected).at(2));
    }
}
