//! Patterns for the names of sources, as Docker knows them.

/// A pattern for one name: `*` is any text, `?` any letter, `[a-z]` or `[^a-z]` one of some letters or none of
/// them, and `\` takes the meaning of the letter behind it.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Pattern(Vec<Token>);

/// A pattern that makes no sense.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the pattern {0} makes no sense: a bracket is not closed, or nothing follows a backslash")]
pub struct BadPattern(String);

#[derive(Clone, Debug, PartialEq)]
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

/// Whether the tokens match all of the name. The last `*` alone may have to take more than it has: what is before it
/// has matched already, so this takes as long as the two are long, at most times each other.
fn matches(tokens: &[Token], name: &[char]) -> bool {
    let (mut token, mut letter) = (0, 0);
    let mut star = None;
    while letter < name.len() {
        match tokens.get(token) {
            Some(Token::Text) => {
                star = Some((token, letter));
                token += 1;
            }
            Some(found) if found.takes(name[letter]) => {
                token += 1;
                letter += 1;
            }
            _ => match star {
                Some((at, taken)) => {
                    star = Some((at, taken + 1));
                    token = at + 1;
                    letter = taken + 1;
                }
                None => return false,
            },
        }
    }
    tokens[token..].iter().all(|left| *left == Token::Text)
}

impl Token {
    /// Whether it takes this one letter.
    fn takes(&self, letter: char) -> bool {
        match self {
            Self::Text => false,
            Self::Any => true,
            Self::Letter(expected) => *expected == letter,
            Self::Class { negated, ranges } => {
                let within = ranges
                    .iter()
                    .any(|(low, high)| (low..=high).contains(&&letter));
                within != *negated
            }
        }
    }
}

/// A pattern for a path: one for each name in it, and `**` for any number of names.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct PathPattern(Vec<Part>);

#[derive(Clone, Debug, PartialEq)]
enum Part {
    Name(Pattern),
    Folders,
}

impl PathPattern {
    pub(super) fn new(text: &str) -> Result<Self, BadPattern> {
        let mut parts = Vec::new();
        for part in text.split('/') {
            match part {
                "" | "." => {}
                ".." => drop(parts.pop()),
                "**" if parts.last() == Some(&Part::Folders) => {}
                "**" => parts.push(Part::Folders),
                name => parts.push(Part::Name(Pattern::new(name)?)),
            }
        }
        // Something has to be in the folders.
        if parts.last() == Some(&Part::Folders) {
            parts.push(Part::Name(Pattern(vec![Token::Text])));
        }
        Ok(Self(parts))
    }

    pub(super) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    pub(super) fn matches(&self, names: &[String]) -> bool {
        // Which beginnings of the names the parts so far match.
        let mut reached = vec![false; names.len() + 1];
        reached[0] = true;
        for part in &self.0 {
            let mut next = vec![false; names.len() + 1];
            for at in 0..=names.len() {
                match part {
                    Part::Folders => next[at] = reached[at] || at > 0 && next[at - 1],
                    Part::Name(pattern) => {
                        next[at] = at > 0 && reached[at - 1] && pattern.matches(&names[at - 1]);
                    }
                }
            }
            reached = next;
        }
        reached[names.len()]
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
