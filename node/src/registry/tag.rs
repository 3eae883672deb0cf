//! The names of images for people: `golem/alpine:latest`.

use std::{fmt, str::FromStr};

/// A user's name and an image's, `golem/alpine`, or the image's alone; and which one of that name, `latest` unless it
/// is said.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) struct Tag(String);

/// Why a text is no tag.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "`{0}` is no tag: it must be [USER/]NAME[:TAG], of letters, digits, `.`, `_` and `-`, at most {LONGEST} in all"
)]
pub(crate) struct TagError(pub(crate) String);

/// How long a tag can be.
const LONGEST: usize = 255;

impl FromStr for Tag {
    type Err = TagError;

    fn from_str(text: &str) -> Result<Self, TagError> {
        let (name, version) = text.split_once(':').unwrap_or((text, "latest"));
        let parts: Vec<_> = name.split('/').chain([version]).collect();
        let sign = |sign: char| sign.is_ascii_alphanumeric() || "._-".contains(sign);
        let is_part = |part: &&str| !part.is_empty() && part.chars().all(sign);
        match text.len() <= LONGEST && parts.len() <= 3 && parts.iter().all(is_part) {
            true => Ok(Self(format!("{name}:{version}"))),
            false => Err(TagError(text.to_owned())),
        }
    }
}

impl fmt::Display for Tag {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(&self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_tag_has_a_name_and_a_version() {
        for (text, tag) in [
            ("golem/alpine:3.18.2", Some("golem/alpine:3.18.2")),
            ("golem/alpine", Some("golem/alpine:latest")),
            ("simple_service", Some("simple_service:latest")),
            ("a:b", Some("a:b")),
            ("", None),
            ("a/", None),
            ("/a", None),
            ("a:", None),
            ("a/b/c", None),
            ("a:b:c", None),
            ("a b", None),
            ("ä", None),
        ] {
            let read = text.parse::<Tag>().map(|tag| tag.to_string());
            let expected = tag.map(str::to_owned);
            assert_eq!(read, expected.ok_or(TagError(text.to_owned())), "{text}");
        }
        assert!("a".repeat(256).parse::<Tag>().is_err());
    }
}
