//! Words of an instruction: where they end, and what quotes, escapes and variables in them mean.

/// The value of a variable, if it has one.
pub(super) type Lookup<'a> = &'a dyn Fn(&str) -> Option<String>;

/// Splits at spaces that are neither quoted nor escaped; quotes and escapes stay.
pub(super) fn split(text: &str, escape: char) -> Vec<String> {
    let mut words = Vec::new();
    let mut word = String::new();
    let mut quote = None;
    let mut letters = text.chars();
    while let Some(letter) = letters.next() {
        if quote.is_none() && letter.is_whitespace() {
            if !word.is_empty() {
                words.push(std::mem::take(&mut word));
            }
            continue;
        }
        word.push(letter);
        if letter == escape && quote != Some('\'') {
            word.extend(letters.next());
        } else if quote == Some(letter) {
            quote = None;
        } else if quote.is_none() && matches!(letter, '\'' | '"') {
            quote = Some(letter);
        }
    }
    if !word.is_empty() {
        words.push(word);
    }
    words
}

/// What a word means: without its quotes and escapes, and with the values of its variables.
pub(super) fn expand(word: &str, variables: Lookup<'_>, escape: char) -> Result<String, String> {
    let mut expansion = Expansion {
        word,
        rest: word,
        variables,
        escape,
    };
    let expanded = expansion.until(None)?;
    Ok(expanded)
}

struct Expansion<'a> {
    word: &'a str,
    rest: &'a str,
    variables: Lookup<'a>,
    escape: char,
}

impl Expansion<'_> {
    /// Expands up to `end`, which it takes away, or to the end of the word.
    fn until(&mut self, end: Option<char>) -> Result<String, String> {
        let mut text = String::new();
        while let Some(letter) = self.next() {
            match letter {
                _ if Some(letter) == end => return Ok(text),
                '\'' if end != Some('"') => text.push_str(&self.literally()?),
                '"' => text.push_str(&self.until(Some('"'))?),
                '$' => text.push_str(&self.variable()?),
                _ if letter == self.escape => self.escaped(end == Some('"'), &mut text),
                _ => text.push(letter),
            }
        }
        match end {
            Some(end) => Err(format!("{end} is missing in {}", self.word)),
            None => Ok(text),
        }
    }

    fn next(&mut self) -> Option<char> {
        let mut letters = self.rest.chars();
        let letter = letters.next();
        self.rest = letters.as_str();
        letter
    }

    /// The text up to a single quote, in which nothing has a meaning.
    fn literally(&mut self) -> Result<String, String> {
        let (text, rest) = self
            .rest
            .split_once('\'')
            .ok_or_else(|| format!("' is missing in {}", self.word))?;
        self.rest = rest;
        Ok(text.to_owned())
    }

    /// Within double quotes, what needs no escape keeps it.
    fn escaped(&mut self, quoted: bool, text: &mut String) {
        match self.next() {
            Some(letter) if !quoted || letter == '"' || letter == '$' || letter == self.escape => {
                text.push(letter);
            }
            other => {
                text.push(self.escape);
                text.extend(other);
            }
        }
    }

    /// The value of the variable whose `$` has just been read.
    fn variable(&mut self) -> Result<String, String> {
        let braced = self.rest.strip_prefix('{');
        self.rest = braced.unwrap_or(self.rest);
        let name = self.name();
        if braced.is_none() {
            // A `$` that names nothing is itself.
            return Ok(if name.is_empty() {
                "$".to_owned()
            } else {
                self.value(name)
            });
        }
        let value = (self.variables)(name);
        if name.is_empty() {
            return Err(self.not_understood());
        }
        if self.takes("}") {
            return Ok(value.unwrap_or_default());
        }
        // A colon takes an empty value for none.
        let value = match self.takes(":") {
            true => value.filter(|value| !value.is_empty()),
            false => value,
        };
        if self.takes("-") {
            let default = self.until(Some('}'))?;
            Ok(value.unwrap_or(default))
        } else if self.takes("+") {
            let alternative = self.until(Some('}'))?;
            Ok(value.map_or_else(String::new, |_| alternative))
        } else if self.takes("?") {
            let message = self.until(Some('}'))?;
            value.ok_or_else(|| format!("{name} is not set: {message}"))
        } else {
            Err(self.not_understood())
        }
    }

    fn takes(&mut self, beginning: &str) -> bool {
        let rest = self.rest.strip_prefix(beginning);
        self.rest = rest.unwrap_or(self.rest);
        rest.is_some()
    }

    fn not_understood(&self) -> String {
        let forms =
            "${name}, ${name:-default}, ${name:+alternative} and ${name:?message} are known";
        format!("a variable in {} is not understood: {forms}", self.word)
    }

    fn value(&self, name: &str) -> String {
        (self.variables)(name).unwrap_or_default()
    }
}

impl<'a> Expansion<'a> {
    /// Takes the name of a variable from the rest.
    fn name(&mut self) -> &'a str {
        let is_part = |letter: char| letter.is_ascii_alphanumeric() || letter == '_';
        let begins = self
            .rest
            .starts_with(|letter: char| is_part(letter) && !letter.is_ascii_digit());
        let length = if begins {
            self.rest
                .find(|letter| !is_part(letter))
                .unwrap_or(self.rest.len())
        } else {
            0
        };
        let (name, rest) = self.rest.split_at(length);
        self.rest = rest;
        name
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_end_at_plain_spaces() {
        let cases: [(&str, &[&str]); 7] = [
            ("", &[]),
            ("  a  b\tc ", &["a", "b", "c"]),
            (r#"a="b c" d"#, &[r#"a="b c""#, "d"]),
            (r"a='b c' d", &["a='b c'", "d"]),
            (r"a\ b c", &[r"a\ b", "c"]),
            (r#""a\" b" c"#, &[r#""a\" b""#, "c"]),
            (r"'a\' b", &[r"'a\'", "b"]),
        ];
        for (text, words) in cases {
            assert_eq!(split(text, '\\'), words, "{text}");
        }
    }

    #[test]
    fn quotes_escapes_and_variables_are_understood() {
        let variables = [("name", "kiln"), ("empty", ""), ("a_1", "x")];
        let variables: std::collections::BTreeMap<_, _> = variables.into();
        let lookup = |name: &str| variables.get(name).map(|value| (*value).to_owned());
        let cases = [
            ("plain", Ok("plain")),
            (r#""two words""#, Ok("two words")),
            (r#"a"b"'c'd"#, Ok("abcd")),
            (r"a\ b\\", Ok(r"a b\")),
            (r#""a\b\"\$""#, Ok(r#"a\b"$"#)),
            ("$name-${name}", Ok("kiln-kiln")),
            (r#""$name" '$name' \$name"#, Ok("kiln $name $name")),
            ("$a_1.$none.", Ok("x..")),
            (
                "${none:-other}${name:-other}${empty:-$name}",
                Ok("otherkilnkiln"),
            ),
            ("${none:+other}${name:+other}", Ok("other")),
            (
                "${none-other}${empty-other}${empty:-other}",
                Ok("otherother"),
            ),
            ("${name:?must be set}${name?}", Ok("kilnkiln")),
            ("${none:?must be set}", Err("none is not set: must be set")),
            ("costs 5$ or $5", Ok("costs 5$ or $5")),
            ("it'", Err("' is missing in it'")),
            ("\"it", Err("\" is missing in \"it")),
            ("${name", Err("a variable in ${name is not understood")),
            ("${name:-x", Err("} is missing in ${name:-x")),
            ("${}", Err("a variable in ${} is not understood")),
            (
                "${name%x}",
                Err("a variable in ${name%x} is not understood"),
            ),
        ];
        for (word, expected) in cases {
            match (expand(word, &lookup, '\\'), expected) {
                (Ok(found), Ok(expected)) => assert_eq!(found, expected, "{word}"),
                (Err(found), Err(expected)) => {
                    assert!(found.starts_with(expected), "{word}: {found}")
                }
                (found, _) => panic!("{word}: {found:?}"),
            }
        }
        assert_eq!(expand(r"a` b\", &lookup, '`').unwrap(), r"a b\");
    }
}
