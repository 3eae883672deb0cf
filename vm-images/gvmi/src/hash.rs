//! What names an image: the SHA3-224 of its file.

use std::{
    fmt,
    fs::File,
    io::{self, Read},
    path::{Path, PathBuf},
    str::FromStr,
};

use sha3::{Digest, Sha3_224};

/// Bytes that are read at a time.
const BUFFER: usize = 256 << 10;

/// The SHA3-224 of a file, written as 56 hexadecimal digits.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Hash([u8; 28]);

/// Why a text is no [`struct@Hash`].
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0:?} is not a SHA3-224 hash: it takes 56 hexadecimal digits")]
pub struct ParseHashError(String);

/// Why a file is not the one that a hash names.
#[derive(Debug, thiserror::Error)]
pub enum VerifyError {
    /// It cannot be read.
    #[error("cannot read {}", path.display())]
    Read {
        /// Where it is.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// It is another file.
    #[error("{} has been tampered with or damaged: its hash is {found}, not {expected}", path.display())]
    Mismatch {
        /// Where it is.
        path: PathBuf,
        /// The hash that it should have.
        expected: Hash,
        /// The hash that it has.
        found: Hash,
    },
}

impl Hash {
    /// The hash of the file at `path`, which may be of any size.
    ///
    /// # Errors
    /// If it cannot be read.
    pub fn of_file(path: &Path) -> io::Result<Self> {
        Self::of(File::open(path)?)
    }

    /// The hash of all that `bytes` gives.
    ///
    /// # Errors
    /// If it cannot be read.
    pub fn of(mut bytes: impl Read) -> io::Result<Self> {
        let mut hasher = Sha3_224::new();
        let mut buffer = vec![0; BUFFER];
        loop {
            match bytes.read(&mut buffer) {
                Ok(0) => return Ok(Self(hasher.finalize().into())),
                Ok(count) => hasher.update(&buffer[..count]),
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
        }
    }
}

/// Checks that the file at `path` is the one that `expected` names.
///
/// # Errors
/// If it is not, or cannot be read.
pub fn verify(path: &Path, expected: Hash) -> Result<(), VerifyError> {
    let found = Hash::of_file(path).map_err(|source| VerifyError::Read {
        path: path.into(),
        source,
    })?;
    if found == expected {
        Ok(())
    } else {
        Err(VerifyError::Mismatch {
            path: path.into(),
            expected,
            found,
        })
    }
}

impl fmt::Display for Hash {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(&hex::encode(self.0))
    }
}

impl fmt::Debug for Hash {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "Hash({self})")
    }
}

impl FromStr for Hash {
    type Err = ParseHashError;

    fn from_str(text: &str) -> Result<Self, ParseHashError> {
        let mut bytes = [0; 28];
        hex::decode_to_slice(text, &mut bytes).map_err(|_| ParseHashError(text.to_owned()))?;
        Ok(Self(bytes))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// From the standard, FIPS 202.
    const OF_NOTHING: &str = "6b4e03423667dbb73b6e15454f0eb1abd4597f9a1b078e3f5b5a6bc7";

    #[test]
    fn it_is_sha3_224() {
        assert_eq!(Hash::of(&b""[..]).unwrap().to_string(), OF_NOTHING);
        let of_abc = "e642824c3f8cf24ad09234ee7d3c766fc9a3a5168d0c94ad73b46fdf";
        assert_eq!(Hash::of(&b"abc"[..]).unwrap().to_string(), of_abc);
    }

    #[test]
    fn it_is_read_as_it_is_written() {
        let hash: Hash = OF_NOTHING.parse().unwrap();
        assert_eq!(hash, Hash::of(io::empty()).unwrap());
        assert_eq!(OF_NOTHING.to_uppercase().parse(), Ok(hash));
        for text in ["", "6b4e", &OF_NOTHING[1..], &OF_NOTHING.replace('b', "x")] {
            let error = text.parse::<Hash>().unwrap_err();
            assert!(
                error.to_string().contains("56 hexadecimal digits"),
                "{error}"
            );
        }
    }
}
