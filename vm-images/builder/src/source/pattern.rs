//! Patterns for the names of sources, as Docker knows them.

/// A pattern for one name: `*` is any text, `?` any letter, `[a-z]` or `[^a-z]` one of some letters or none of
/// them, and `\` takes the meaning of the letter behind it.
#[derive(Debug, PartialEq)]
pub(super) struct Pattern(Vec<Token>);

/// A pattern that makes no sense.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the pattern {0} makes no sense: a bracket is not closed, or nothing follows a backslash")]
pub struct BadPattern(String);

#[derive(Debug, PartialEq)]
enum Token {
    Letter(char),
    Any,
    Text,
    Class {
        negated: bool,
        ranges: Vec<(char, char)>,
    },
}

impl Pattern {
    pub(super) fn new(text: &str) -> Result<Self, BadPattern> {
        let mut letters = text.chars();
        let mut tokens = Vec::new();
        let bad = || BadPattern(text.to_owned());
        while let Some(letter) = letters.next() {
            tokens.push(match letter {
                '*' => Token::Text,
                '?' => Token::Any,
                '\\' => Token::Letter(letters.next().ok_or_else(bad)?),
                '[' => class(&mut letters).ok_or_else(bad)?,
                letter => Token::Letter(letter),
            });
        }
        Ok(Self(tokens))
    }

    /// The only name that it matches, if it is but a name.
    pub(super) fn literal(&self) -> Option<String> {
        let letters = self.0.iter().map(|token| match token {
            Token::Letter(letter) => Some(*letter),
            _ => None,
        });
        letters.collect()
    }

    pub(super) fn matches(&self, name: &str) -> bool {
        matches(&self.0, &name.chars().collect::<Vec<_>>())
    }
}

/// The class whose `[` has been read.
fn class(letters: &mut std::str::Chars<'_>) -> Option<Token> {
    let negated = letters.as_str().starts_with('^');
    if negated {
        letters.next();
    }
    let mut ranges = Vec::new();
    loop {
        let low = match letters.next()? {
            ']' if !ranges.is_empty() => return Some(Token::Class { negated, ranges }),
            '\\' => letters.next()?,
            letter => letter,
        };
        let high = match letters.as_str().strip_prefix('-') {
            Some(_) => {
                letters.next();
                match letters.next()? {
                    '\\' => letters.next()?,
                    letter => letter,
                }
            }
            None => low,
        };
        ranges.push((low, high));
    }
}

fn matches(tokens: &[Token], name: &[char]) -> bool {
    let Some((token, tokens)) = tokens.split_first() else {
        return name.is_empty();
    };
    match (token, name.split_first()) {
        (Token::Text, _) => (0..=name.len()).any(|taken| matches(tokens, &name[taken..])),
        (_, None) => false,
        (Token::Any, Some((_, name))) => matches(tokens, name),
        (Token::Letter(letter), Some((first, name))) => letter == first && matches(tokens, name),
        (Token::Class { negated, ranges }, Some((first, name))) => {
            let within = ranges
                .iter()
                .any(|(low, high)| (low..=high).contains(&first));
            within != *negated && matches(tokens, name)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_match_as_in_docker() {
        let cases: [(&str, &[&str], &[&str]); 8] = [
            ("a.txt", &["a.txt"], &["b.txt", "a.txt2", "a"]),
            ("*", &["", "a", ".hidden"], &[]),
            ("*.t?t", &["a.txt", ".tat", "a.b.tot"], &["a.tt", "a.text"]),
            ("a*b*c", &["abc", "aXbYc", "abbc"], &["ab", "abcd"]),
            ("[a-cx]1", &["a1", "b1", "x1"], &["d1", "1", "ab1"]),
            ("[^a-c]", &["d", "-"], &["a", "c", ""]),
            (r"\*\[", &["*["], &["x["]),
            (r"[\]\-]", &["]", "-"], &["a"]),
        ];
        for (text, matching, others) in cases {
            let pattern = Pattern::new(text).unwrap();
            for name in matching {
                assert!(pattern.matches(name), "{text} matches {name}");
            }
            for name in others {
                assert!(!pattern.matches(name), "{text} does not match {name}");
            }
        }
    }

    #[test]
    fn plain_names_are_known() {
        let literal = |text| Pattern::new(text).unwrap().literal();
        assert_eq!(literal("a.txt").as_deref(), Some("a.txt"));
        assert_eq!(literal(r"a\*").as_deref(), Some("a*"));
        assert_eq!(literal("a*"), None);
        assert_eq!(literal("[a]"), None);
    }

    #[test]
    fn nonsense_is_refused() {
        for text in ["[", "[a", "[]", "[a-", "[a-]", r"a\", r"[\"] {
            assert!(Pattern::new(text).is_err(), "{text}");
        }
    }
}
