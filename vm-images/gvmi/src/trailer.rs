//! What follows the file system: the configuration, its checksum and its length.

use std::io::{self, Read, Seek, SeekFrom, Write};

use crate::Configuration;

/// Decimal digits of the length.
const LENGTH_DIGITS: usize = 8;

/// Bytes of the checksum.
const CHECKSUM_SIZE: usize = 4;

/// The longest configuration that is read, in bytes; those in use are a thousand times smaller.
const LONGEST: usize = 4 << 20;

/// Why a file does not end as an image does.
#[derive(Debug, thiserror::Error)]
pub enum TrailerError {
    /// It cannot be read or written.
    #[error("cannot read or write the end of the file")]
    Io(#[from] io::Error),
    /// It does not end with the length of a configuration.
    #[error("it does not end with 8 digits, so it is no image or is cut off")]
    NoLength,
    /// The length is more than the file has.
    #[error("its configuration would be longer ({0} bytes) than the file, which may be cut off")]
    BeyondFile(usize),
    /// The length is more than any real configuration has.
    #[error("its configuration is too long ({0} bytes)")]
    TooLong(usize),
    /// The configuration is not the one that was written.
    #[error("its configuration is damaged: the checksum is {found:08x}, not {expected:08x}")]
    Checksum {
        /// The checksum in the file.
        expected: u32,
        /// The checksum of the configuration in the file.
        found: u32,
    },
    /// The configuration is not what Docker writes.
    #[error("its configuration is not that of a container")]
    Json(#[source] serde_json::Error),
}

/// The end of an image.
#[derive(Debug)]
pub(crate) struct Trailer {
    pub(crate) configuration: Configuration,
    /// Bytes before it.
    pub(crate) start: u64,
}

/// Writes the trailer of an image.
pub(crate) fn write(
    mut file: impl Write,
    configuration: &Configuration,
) -> Result<(), TrailerError> {
    let json = serde_json::to_vec(configuration).map_err(TrailerError::Json)?;
    if json.len() > LONGEST {
        return Err(TrailerError::TooLong(json.len()));
    }
    file.write_all(&crc32fast::hash(&json).to_le_bytes())?;
    file.write_all(&json)?;
    write!(file, "{:0LENGTH_DIGITS$}", json.len())?;
    Ok(())
}

/// Reads the trailer of the image in `file`.
pub(crate) fn read(mut file: impl Read + Seek) -> Result<Trailer, TrailerError> {
    let size = file.seek(SeekFrom::End(0))?;
    let before_length = size
        .checked_sub(LENGTH_DIGITS as u64)
        .ok_or(TrailerError::NoLength)?;
    let mut digits = [0; LENGTH_DIGITS];
    file.seek(SeekFrom::Start(before_length))?;
    file.read_exact(&mut digits)?;
    let length = parse_length(&digits).ok_or(TrailerError::NoLength)?;

    let start = before_length.checked_sub((length + CHECKSUM_SIZE) as u64);
    let start = start.ok_or(TrailerError::BeyondFile(length))?;
    if length > LONGEST {
        return Err(TrailerError::TooLong(length));
    }
    let mut checksum = [0; CHECKSUM_SIZE];
    let mut json = vec![0; length];
    file.seek(SeekFrom::Start(start))?;
    file.read_exact(&mut checksum)?;
    file.read_exact(&mut json)?;

    let (expected, found) = (u32::from_le_bytes(checksum), crc32fast::hash(&json));
    if found != expected {
        return Err(TrailerError::Checksum { expected, found });
    }
    let configuration = serde_json::from_slice(&json).map_err(TrailerError::Json)?;
    Ok(Trailer {
        configuration,
        start,
    })
}

fn parse_length(digits: &[u8; LENGTH_DIGITS]) -> Option<usize> {
    // Unlike `parse`, no sign.
    digits.iter().try_fold(0, |length, digit| {
        digit
            .is_ascii_digit()
            .then(|| 10 * length + usize::from(digit - b'0'))
    })
}

#[cfg(test)]
mod tests {
    use std::io::Cursor;

    use super::*;

    #[test]
    fn it_is_laid_out_as_others_expect() {
        let mut file = b"squashfs".to_vec();
        let mut configuration = Configuration::default();
        configuration.other.insert("Domainname".into(), "".into());
        write(&mut file, &configuration).unwrap();

        let json = br#"{"Env":[],"Volumes":{},"WorkingDir":"","Labels":{},"Domainname":""}"#;
        let expected = [
            b"squashfs",
            &crc32fast::hash(json).to_le_bytes()[..],
            json,
            b"00000067",
        ]
        .concat();
        assert_eq!(
            String::from_utf8_lossy(&file),
            String::from_utf8_lossy(&expected)
        );

        let trailer = read(Cursor::new(file)).unwrap();
        assert_eq!(trailer.configuration, configuration);
        assert_eq!(trailer.start, 8);
    }

    #[test]
    fn what_is_no_trailer_is_refused() {
        let with_json = |json: &[u8], length: &str| {
            [
                &crc32fast::hash(json).to_le_bytes()[..],
                json,
                length.as_bytes(),
            ]
            .concat()
        };
        let cases = [
            (Vec::new(), "does not end with 8 digits"),
            (b"0000001".to_vec(), "does not end with 8 digits"),
            (b"....+0000002".to_vec(), "does not end with 8 digits"),
            (b"00000000".to_vec(), "longer (0 bytes) than the file"),
            (
                with_json(b"{}", "00000003"),
                "longer (3 bytes) than the file",
            ),
            (with_json(b"{}", "00000001"), "the checksum is"),
            (with_json(b"[]", "00000002"), "not that of a container"),
            (with_json(b"{]", "00000002"), "not that of a container"),
            (
                with_json(br#"{"Env":7}"#, "00000009"),
                "not that of a container",
            ),
            (
                with_json(&vec![b' '; LONGEST + 1], "04194305"),
                "too long (4194305 bytes)",
            ),
        ];
        for (bytes, why) in cases {
            let error = read(Cursor::new(bytes)).unwrap_err().to_string();
            assert!(error.contains(why), "{error:?} does not say {why:?}");
        }
    }
}
