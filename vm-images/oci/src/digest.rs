//! What names a blob: the SHA-256 of its bytes.

use std::{fmt, io, io::Read, path::PathBuf, str::FromStr};

use sha2::{Digest as _, Sha256};

/// The only algorithm that is in use.
const ALGORITHM: &str = "sha256:";

/// A SHA-256, written as `sha256:` and 64 lower-case hexadecimal digits.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Digest([u8; 32]);

/// Why a text is no [`Digest`].
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0:?} is no digest: sha256: and 64 hexadecimal digits are expected")]
pub struct ParseDigestError(String);

/// A blob is not the one that its digest names.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("it has been tampered with or damaged: its digest is {found}, not {expected}")]
pub struct WrongDigest {
    /// The digest that it should have.
    pub expected: Digest,
    /// The digest that it has.
    pub found: Digest,
}

impl Digest {
    /// The digest of `bytes`.
    pub fn of(bytes: &[u8]) -> Self {
        Self(Sha256::digest(bytes).into())
    }

    /// The 64 digits alone.
    pub fn hex(&self) -> String {
        hex::encode(self.0)
    }

    /// Where a blob of this digest lies in an OCI layout.
    pub(crate) fn place(&self) -> PathBuf {
        ["blobs", "sha256", &self.hex()].iter().collect()
    }

    /// Checks that the digest of `bytes` is this one.
    pub(crate) fn check(&self, bytes: &[u8]) -> Result<(), WrongDigest> {
        self.expect(Self::of(bytes))
    }

    fn expect(&self, found: Self) -> Result<(), WrongDigest> {
        if found == *self {
            return Ok(());
        }
        Err(WrongDigest {
            expected: *self,
            found,
        })
    }
}

impl fmt::Display for Digest {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{ALGORITHM}{}", self.hex())
    }
}

impl fmt::Debug for Digest {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "Digest({self})")
    }
}

impl FromStr for Digest {
    type Err = ParseDigestError;

    fn from_str(text: &str) -> Result<Self, ParseDigestError> {
        let mut bytes = [0; 32];
        let digits = text.strip_prefix(ALGORITHM).unwrap_or_default();
        let decoded = hex::decode_to_slice(digits, &mut bytes);
        // Names of files are made of digests: each has one form only.
        match decoded.is_ok() && !digits.bytes().any(|digit| digit.is_ascii_uppercase()) {
            true => Ok(Self(bytes)),
            false => Err(ParseDigestError(text.to_owned())),
        }
    }
}

/// Computes the digest of all that is read through it.
pub(crate) struct Digesting<R> {
    reader: R,
    digest: Sha256,
}

impl<R: Read> Digesting<R> {
    pub(crate) fn new(reader: R) -> Self {
        Self {
            reader,
            digest: Sha256::new(),
        }
    }

    /// Reads what is left, and checks that all of it together is what `expected` names.
    pub(crate) fn finish(mut self, expected: Digest) -> io::Result<()> {
        io::copy(&mut self, &mut io::sink())?;
        let found = Digest(self.digest.finalize().into());
        expected.expect(found).map_err(io::Error::other)
    }
}

impl<R: Read> Read for Digesting<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let count = self.reader.read(buffer)?;
        self.digest.update(&buffer[..count]);
        Ok(count)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const OF_ABC: &str = "sha256:ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad";

    #[test]
    fn it_is_read_as_it_is_written() {
        let digest: Digest = OF_ABC.parse().unwrap();
        assert_eq!(digest, Digest::of(b"abc"));
        assert_eq!(digest.to_string(), OF_ABC);
        let cases = [
            "",
            "sha256:",
            "sha256:ba78",
            "sha512:ba7816bf",
            &OF_ABC[7..],
            &OF_ABC.to_uppercase().replace("SHA256", "sha256"),
            &OF_ABC.replace("ba", "../"),
        ];
        for text in cases {
            let error = text.parse::<Digest>().unwrap_err();
            assert!(
                error.to_string().contains("64 hexadecimal digits"),
                "{error}"
            );
        }
    }

    #[test]
    fn what_is_read_is_checked_to_its_end() {
        let mut reader = Digesting::new(&b"abc"[..]);
        reader.read_exact(&mut [0; 1]).unwrap();
        reader.finish(OF_ABC.parse().unwrap()).unwrap();
        let error = Digesting::new(&b"abd"[..])
            .finish(OF_ABC.parse().unwrap())
            .unwrap_err();
        assert!(error.to_string().contains("tampered with"), "{error}");
    }
}
