//! The language of constraints: `(&(golem.runtime.name=vm)(golem.inf.mem.gib>=0.5))`.
//!
//! ```text
//! filter     = "()" | "(" ( "&" filter* | "|" filter* | "!" filter | presence | comparison ) ")"
//! presence   = attribute "=*"
//! comparison = attribute ( "=" | "<" | "<=" | ">" | ">=" ) value
//! attribute  = name [ "$" ( "d" | "v" | "t" ) ] [ "[" aspect "]" ]
//! ```
//! A value reaches up to the next `)`, nothing in it is escaped, and `*` in it stands for any text. White space between
//! the parts means nothing.

use super::property::Kind;

/// What one side of a deal asks of the other's properties.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Constraint {
    /// All of them; nothing at all, if there are none.
    All(Vec<Constraint>),
    /// One of them at least.
    Any(Vec<Constraint>),
    /// Not this.
    Not(Box<Constraint>),
    /// That there is such a property.
    Present(Attribute),
    /// That a property compares to a value in a certain way.
    Compare {
        /// The property.
        attribute: Attribute,
        /// The way.
        operator: Operator,
        /// The value, as it is written.
        value: String,
    },
}

/// Which property a constraint is about.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Attribute {
    /// Its name.
    pub(crate) name: String,
    /// How both sides of a comparison are to be read; as the property's own type says by default.
    pub(crate) kind: Option<Kind>,
    /// Which aspect of the property is meant, rather than its value.
    pub(crate) aspect: Option<String>,
}

/// How two values can compare.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Operator {
    Equal,
    Less,
    LessOrEqual,
    Greater,
    GreaterOrEqual,
}

/// Why a text is no constraint.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("constraints, at byte {position}: {problem}")]
pub(crate) struct ConstraintError {
    /// Where in the text, in bytes from 0.
    pub(crate) position: usize,
    /// What is wrong there.
    pub(crate) problem: &'static str,
}

/// How deep constraints can be nested.
const DEEPEST: usize = 100;

impl Constraint {
    /// Reads constraints. A text without any asks for nothing.
    pub(crate) fn parse(text: &str) -> Result<Self, ConstraintError> {
        let mut parser = Parser { text, position: 0 };
        parser.skip_space();
        if parser.rest().is_empty() {
            return Ok(Self::All(Vec::new()));
        }
        let constraint = parser.filter(0)?;
        match parser.rest() {
            "" => Ok(constraint),
            _ => Err(parser.error("nothing may follow the last `)`")),
        }
    }
}

struct Parser<'a> {
    text: &'a str,
    position: usize,
}

impl<'a> Parser<'a> {
    fn filter(&mut self, depth: usize) -> Result<Constraint, ConstraintError> {
        if depth == DEEPEST {
            return Err(self.error("constraints are nested too deeply"));
        }
        self.expect('(', "expected `(`")?;
        let constraint = match self.rest().chars().next() {
            Some(')') => Constraint::All(Vec::new()),
            Some('&') => Constraint::All(self.filters(depth)?),
            Some('|') => Constraint::Any(self.filters(depth)?),
            Some('!') => {
                self.skip('!');
                Constraint::Not(Box::new(self.filter(depth + 1)?))
            }
            _ => self.item()?,
        };
        self.expect(')', "expected `)`")?;
        Ok(constraint)
    }

    fn filters(&mut self, depth: usize) -> Result<Vec<Constraint>, ConstraintError> {
        let sign = self.rest().chars().next().unwrap_or_default();
        self.skip(sign);
        let mut filters = Vec::new();
        while self.rest().starts_with('(') {
            filters.push(self.filter(depth + 1)?);
        }
        Ok(filters)
    }

    fn item(&mut self) -> Result<Constraint, ConstraintError> {
        let attribute = self.attribute()?;
        let operator = self.operator()?;
        let value = self.take_until(&[')']).trim().to_owned();
        Ok(match (operator, value.as_str()) {
            (Operator::Equal, "*") => Constraint::Present(attribute),
            _ => Constraint::Compare {
                attribute,
                operator,
                value,
            },
        })
    }

    fn attribute(&mut self) -> Result<Attribute, ConstraintError> {
        let begin = self.position;
        let text = self.take_until(&['=', '<', '>', '~', '(', ')']).trim();
        let (text, aspect) = match text.strip_suffix(']').and_then(|text| text.split_once('[')) {
            Some((text, aspect)) => (text, Some(aspect.to_owned())),
            None => (text, None),
        };
        let (name, kind) = Kind::split(text, '$');
        if name.is_empty() {
            self.position = begin;
            return Err(self.error("expected the name of a property"));
        }
        Ok(Attribute {
            name: name.to_owned(),
            kind,
            aspect,
        })
    }

    fn operator(&mut self) -> Result<Operator, ConstraintError> {
        for (sign, operator) in [
            ("<=", Operator::LessOrEqual),
            (">=", Operator::GreaterOrEqual),
            ("=", Operator::Equal),
            ("<", Operator::Less),
            (">", Operator::Greater),
        ] {
            if self.rest().starts_with(sign) {
                self.position += sign.len();
                return Ok(operator);
            }
        }
        Err(self.error("expected `=`, `<`, `<=`, `>` or `>=`"))
    }

    fn take_until(&mut self, ends: &[char]) -> &'a str {
        let rest = self.rest();
        let taken = &rest[..rest.find(ends).unwrap_or(rest.len())];
        self.position += taken.len();
        taken
    }

    fn expect(&mut self, sign: char, problem: &'static str) -> Result<(), ConstraintError> {
        if !self.rest().starts_with(sign) {
            return Err(self.error(problem));
        }
        self.skip(sign);
        Ok(())
    }

    /// Goes past `sign`, and the white space that follows it.
    fn skip(&mut self, sign: char) {
        self.position += sign.len_utf8();
        self.skip_space();
    }

    fn skip_space(&mut self) {
        let rest = self.rest();
        self.position += rest.len() - rest.trim_start().len();
    }

    fn rest(&self) -> &'a str {
        &self.text[self.position..]
    }

    fn error(&self, problem: &'static str) -> ConstraintError {
        ConstraintError {
            position: self.position,
            problem,
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn attribute(name: &str) -> Attribute {
        Attribute {
            name: name.to_owned(),
            kind: None,
            aspect: None,
        }
    }

    fn compare(name: &str, operator: Operator, value: &str) -> Constraint {
        Constraint::Compare {
            attribute: attribute(name),
            operator,
            value: value.to_owned(),
        }
    }

    #[test]
    fn every_form_is_understood() {
        use Constraint::{All, Any, Not, Present};
        use Operator::{Equal, Greater, GreaterOrEqual, Less, LessOrEqual};
        let typed = |kind, aspect: Option<&str>| Attribute {
            kind,
            aspect: aspect.map(str::to_owned),
            ..attribute("a")
        };
        for (text, constraint) in [
            ("", All(vec![])),
            (" \n", All(vec![])),
            ("()", All(vec![])),
            ("( )", All(vec![])),
            ("(&)", All(vec![])),
            ("(|)", Any(vec![])),
            ("(a=*)", Present(attribute("a"))),
            ("(a=b)", compare("a", Equal, "b")),
            ("(a=b*)", compare("a", Equal, "b*")),
            ("(a<1)", compare("a", Less, "1")),
            ("(a<=1)", compare("a", LessOrEqual, "1")),
            ("(a>1)", compare("a", Greater, "1")),
            ("( a.b >= 1 )", compare("a.b", GreaterOrEqual, "1")),
            ("(a=)", compare("a", Equal, "")),
            ("(a=x=y (z)", compare("a", Equal, "x=y (z")),
            ("(a$v=*)", Present(typed(Some(Kind::Version), None))),
            ("(a$d[x]=*)", Present(typed(Some(Kind::Decimal), Some("x")))),
            ("(a[x]=*)", Present(typed(None, Some("x")))),
            ("(a$q=*)", Present(attribute("a$q"))),
            (
                "(&(a=1)\n\t(| (b=*)\n(!(c<2))))",
                All(vec![
                    compare("a", Equal, "1"),
                    Any(vec![
                        Present(attribute("b")),
                        Not(Box::new(compare("c", Less, "2"))),
                    ]),
                ]),
            ),
        ] {
            assert_eq!(Constraint::parse(text), Ok(constraint), "{text}");
        }
    }

    #[test]
    fn an_error_says_where() {
        for (text, position, problem) in [
            ("a=b", 0, "expected `(`"),
            ("(a=b", 4, "expected `)`"),
            ("(&(a=b)", 7, "expected `)`"),
            ("(&(a=b)c)", 7, "expected `)`"),
            ("(a)", 2, "expected `=`, `<`, `<=`, `>` or `>=`"),
            ("(a~=b)", 2, "expected `=`, `<`, `<=`, `>` or `>=`"),
            ("(=b)", 1, "expected the name of a property"),
            ("(!)", 2, "expected `(`"),
            ("(a=b) (c=d)", 6, "nothing may follow the last `)`"),
        ] {
            let error = ConstraintError { position, problem };
            assert_eq!(Constraint::parse(text), Err(error), "{text}");
        }
        let deep = "(!".repeat(1_000_000);
        assert_eq!(Constraint::parse(&deep).unwrap_err().position, 2 * DEEPEST);
    }

    proptest! {
        /// No text makes the parser panic, and an error lies within the text.
        #[test]
        fn any_text_is_read_or_refused(text in "[()&|!=<>~*$\\[\\] adé\n]{0,40}") {
            if let Err(error) = Constraint::parse(&text) {
                prop_assert!(text.is_char_boundary(error.position));
            }
        }
    }
}
