//! Where a file is, and where it goes.

use percent_encoding::percent_decode_str;
use url::Url;

use super::Digest;

/// Where a file is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Location {
    /// At a requestor's file service, over the bus.
    Gftp {
        /// The address of the service.
        service: String,
    },
    /// At a web server.
    Http(Url),
    /// In the sandbox, at an absolute path.
    Container(String),
}

/// Where a file is, and the hash that it is to have.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Source {
    pub(crate) location: Location,
    pub(crate) digest: Option<Digest>,
}

/// Why a text is no location.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum LocationError {
    #[error("{text}: not `hash:sha3:<hex>:<url>` with 224, 256, 384 or 512 bits")]
    Hash { text: String },
    #[error("{text}: not a URL")]
    Malformed {
        text: String,
        source: url::ParseError,
    },
    #[error("{text}: not gftp://<node>/<file>")]
    Gftp { text: String },
    #[error("{text}: the scheme {scheme} is not known; gftp, http, https and container are")]
    Scheme { text: String, scheme: String },
}

impl Location {
    /// Parses a URL. What is no URL but a path is in the sandbox.
    pub(crate) fn parse(text: &str) -> Result<Self, LocationError> {
        if let Some(path) = container_path(text) {
            let path = percent_decode_str(path).decode_utf8_lossy();
            return Ok(Self::Container(format!(
                "/{}",
                path.trim_start_matches('/')
            )));
        }
        let url = Url::parse(text).map_err(|source| LocationError::Malformed {
            text: text.to_owned(),
            source,
        })?;
        match url.scheme() {
            "http" | "https" => Ok(Self::Http(url)),
            "gftp" => match (url.host_str(), url.path().strip_prefix('/')) {
                (Some(node), Some(file)) if !file.is_empty() => Ok(Self::Gftp {
                    service: format!("/net/{node}/public/gftp/{file}"),
                }),
                _ => Err(LocationError::Gftp {
                    text: text.to_owned(),
                }),
            },
            scheme => Err(LocationError::Scheme {
                text: text.to_owned(),
                scheme: scheme.to_owned(),
            }),
        }
    }
}

impl Source {
    /// Parses a URL that a hash may stand before: `hash:sha3:<hex>:<url>`, or `hash://sha3:0x<hex>:<url>`.
    pub(crate) fn parse(text: &str) -> Result<Self, LocationError> {
        let Some(rest) = strip_prefix(text, "hash:") else {
            let location = Location::parse(text)?;
            return Ok(Self {
                location,
                digest: None,
            });
        };
        let rest = rest.strip_prefix("//").unwrap_or(rest);
        let digest = strip_prefix(rest, "sha3:").and_then(|rest| {
            let (digits, url) = rest.split_once(':')?;
            let digits = strip_prefix(digits, "0x").unwrap_or(digits);
            Some((Digest::parse(digits)?, url))
        });
        let (digest, url) = digest.ok_or_else(|| LocationError::Hash {
            text: text.to_owned(),
        })?;
        Ok(Self {
            location: Location::parse(url)?,
            digest: Some(digest),
        })
    }
}

fn container_path(text: &str) -> Option<&str> {
    match strip_prefix(text, "container:") {
        Some(path) => Some(path),
        None if text.starts_with('/') => Some(text),
        None => None,
    }
}

/// Like [`str::strip_prefix`], whatever the case.
fn strip_prefix<'a>(text: &'a str, prefix: &str) -> Option<&'a str> {
    let (start, rest) = text.split_at_checked(prefix.len())?;
    start.eq_ignore_ascii_case(prefix).then_some(rest)
}

#[cfg(test)]
mod tests {
    use super::*;

    const HASH: &str = "6b4e03423667dbb73b6e15454f0eb1abd4597f9a1b078e3f5b5a6bc7";

    fn container(path: &str) -> Location {
        Location::Container(path.to_owned())
    }

    #[test]
    fn locations() {
        let gftp = |service: &str| Location::Gftp {
            service: service.to_owned(),
        };
        let http = |url: &str| Location::Http(url.parse().expect("a URL"));
        let cases = [
            (
                "container:/golem/work/a.json",
                container("/golem/work/a.json"),
            ),
            ("container:golem/work", container("/golem/work")),
            ("container:///golem/work", container("/golem/work")),
            ("CONTAINER:/golem/a%20b%2fc", container("/golem/a b/c")),
            ("/golem/work/x", container("/golem/work/x")),
            (
                "gftp://0xdf627924bd43b69256380b8f333244450ab14ec3/595dBD",
                gftp("/net/0xdf627924bd43b69256380b8f333244450ab14ec3/public/gftp/595dBD"),
            ),
            (
                "http://127.0.0.1:8000/a?b=c",
                http("http://127.0.0.1:8000/a?b=c"),
            ),
            ("https://example.org/", http("https://example.org/")),
        ];
        for (text, location) in cases {
            assert_eq!(Location::parse(text), Ok(location), "{text}");
        }
    }

    #[test]
    fn hashes() {
        let digest = Digest::parse(HASH);
        let with_hash = |prefix: &str| format!("{prefix}{HASH}:container:/x:y");
        for prefix in ["hash:sha3:", "hash://sha3:", "hash:sha3:0x", "HASH:SHA3:"] {
            let source = Source::parse(&with_hash(prefix)).expect("a source");
            assert_eq!(
                (source.digest, source.location),
                (digest.clone(), container("/x:y")),
                "{prefix}"
            );
        }
        assert_eq!(Source::parse("/x").expect("a source").digest, None);
    }

    #[test]
    fn what_makes_no_sense_is_said() {
        let cases = [
            ("hash:sha3:00:/x", "not `hash:sha3:"),
            (&format!("hash:sha2:{HASH}:/x"), "not `hash:sha3:"),
            (&format!("hash:sha3:{HASH}"), "not `hash:sha3:"),
            (
                &format!("hash:sha3:{HASH}:ftp://h/x"),
                "the scheme ftp is not known",
            ),
            ("file:///etc/passwd", "the scheme file is not known"),
            ("gftp://node", "not gftp://<node>/<file>"),
            ("gftp://node/", "not gftp://<node>/<file>"),
            ("relative/path", "not a URL"),
            ("", "not a URL"),
            ("http://", "not a URL"),
        ];
        for (text, reason) in cases {
            let error = Source::parse(text).expect_err(text).to_string();
            assert!(error.contains(reason), "{error}");
        }
    }
}
