//! The first bytes of a squashfs: enough of them to say what is wrong with it.

use std::fmt;

/// Bytes of a superblock.
pub(crate) const SIZE: usize = 96;

/// How an image is compressed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Compression {
    /// What most kernels read.
    Gzip,
    /// Small, and slow to read.
    Xz,
    /// Large, and fast to read.
    Lz4,
    /// What [`pack`](crate::pack) writes.
    Zstd,
}

/// Why a file is not a file system that can be read here.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum SuperblockError {
    /// It begins otherwise.
    #[error("it is not a squashfs file system")]
    NoSquashfs,
    /// It is of another version.
    #[error("it is a squashfs of version {0}.{1}, not 4.0")]
    Version(u16, u16),
    /// It is compressed in a way that cannot be read.
    #[error(
        "it is compressed with {0}, which cannot be read: pack it with zstd instead, either where it comes from \
         (`gvmkit_build --compression-method zstd`), or from its files (`unsquashfs`, then `kiln image pack`)"
    )]
    Compression(String),
    /// It has fewer bytes than it says.
    #[error("it is cut off: its file system needs {needed} bytes and has {found}")]
    CutOff {
        /// Bytes that it says to have.
        needed: u64,
        /// Bytes before the configuration.
        found: u64,
    },
}

/// Checks that a file system that begins with `bytes` is one that can be read, and says how it is compressed.
pub(crate) fn compression(bytes: &[u8; SIZE]) -> Result<Compression, SuperblockError> {
    let u16_at = |at: usize| u16::from_le_bytes([bytes[at], bytes[at + 1]]);
    if !bytes.starts_with(b"hsqs") {
        return Err(SuperblockError::NoSquashfs);
    }
    let (major, minor) = (u16_at(28), u16_at(30));
    if (major, minor) != (4, 0) {
        return Err(SuperblockError::Version(major, minor));
    }
    match u16_at(20) {
        1 => Ok(Compression::Gzip),
        4 => Ok(Compression::Xz),
        5 => Ok(Compression::Lz4),
        6 => Ok(Compression::Zstd),
        2 => Err(SuperblockError::Compression("lzma".into())),
        3 => Err(SuperblockError::Compression("lzo".into())),
        other => Err(SuperblockError::Compression(format!(
            "an unknown method ({other})"
        ))),
    }
}

/// As tools of squashfs call it.
impl fmt::Display for Compression {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(match self {
            Self::Gzip => "gzip",
            Self::Xz => "xz",
            Self::Lz4 => "lz4",
            Self::Zstd => "zstd",
        })
    }
}

/// Checks that a file system that begins with `bytes` fits into `size` bytes.
pub(crate) fn check_size(bytes: &[u8; SIZE], size: u64) -> Result<(), SuperblockError> {
    let mut needed = [0; 8];
    needed.copy_from_slice(&bytes[40..48]);
    let needed = u64::from_le_bytes(needed);
    if (SIZE as u64..=size).contains(&needed) {
        Ok(())
    } else {
        Err(SuperblockError::CutOff {
            needed,
            found: size,
        })
    }
}
