//! The hash that a file is to have.

use std::fmt;

use sha3::{Sha3_224, Sha3_256, Sha3_384, Sha3_512, digest::DynDigest};

/// A SHA-3 hash of 224, 256, 384 or 512 bits.
#[derive(Clone, PartialEq, Eq)]
pub(crate) struct Digest(Vec<u8>);

impl Digest {
    /// Parses hexadecimal digits; their number says which SHA-3 it is.
    pub(crate) fn parse(digits: &str) -> Option<Self> {
        let bytes = hex::decode(digits).ok()?;
        matches!(bytes.len(), 28 | 32 | 48 | 64).then_some(Self(bytes))
    }

    /// What computes a hash of this length.
    pub(crate) fn hasher(&self) -> Hasher {
        Hasher(match self.0.len() {
            28 => Box::new(Sha3_224::default()),
            32 => Box::new(Sha3_256::default()),
            48 => Box::new(Sha3_384::default()),
            _ => Box::new(Sha3_512::default()),
        })
    }
}

impl fmt::Display for Digest {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(&hex::encode(&self.0))
    }
}

impl fmt::Debug for Digest {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, formatter)
    }
}

/// Computes a hash piece by piece.
pub(crate) struct Hasher(Box<dyn DynDigest + Send>);

impl Hasher {
    /// The one that file services expect.
    pub(crate) fn sha3_256() -> Self {
        Self(Box::new(Sha3_256::default()))
    }

    pub(crate) fn update(&mut self, bytes: &[u8]) {
        self.0.update(bytes);
    }

    pub(crate) fn finish(self) -> Digest {
        Digest(self.0.finalize().into_vec())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_length_tells_the_algorithm() {
        // Of nothing at all, as in FIPS 202's examples.
        let empty = [
            "6b4e03423667dbb73b6e15454f0eb1abd4597f9a1b078e3f5b5a6bc7",
            "a7ffc6f8bf1ed76651c14756a061d662f580ff4de43b49fa82d80a4b80f8434a",
            "0c63a75b845e4f7d01107d852e4c2485c51a50aaaa94fc61995e71bbee983a2ac3713831264adb47fb6bd1e058d5f004",
            "a69f73cca23a9ac5c8b567dc185a756e97c982164fe25859e0d1dcc1475c80a615b2123af1f5f94c11e3e9402c3ac558f500199d95b6d3e301758586281dcd26",
        ];
        for digits in empty {
            let digest = Digest::parse(digits).expect("a hash");
            assert_eq!(digest.hasher().finish(), digest);
            assert_eq!(digest.to_string(), digits);
            assert_eq!(Digest::parse(&digits.to_uppercase()), Some(digest));
        }
        for digits in ["", "00", "xx", &empty[0][1..]] {
            assert_eq!(Digest::parse(digits), None, "{digits}");
        }
    }
}
