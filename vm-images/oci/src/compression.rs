//! What layers and archives are compressed with: found out by their first bytes, whatever their names say.

use std::io::{self, BufRead, Cursor, Read};

use bzip2::bufread::MultiBzDecoder;
use flate2::bufread::MultiGzDecoder;
use liblzma::{bufread::XzDecoder, stream};

/// Memory that an xz stream may demand, in bytes: four times what `xz -9` does.
const XZ_MEMORY: u64 = 256 << 20;

/// The most bytes that tell a kind of compression.
const MAGIC: usize = 6;

/// How something is compressed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Compression {
    None,
    Gzip,
    Bzip2,
    Xz,
    Zstd,
}

impl Compression {
    fn of(beginning: &[u8]) -> Self {
        let kinds: [(&[u8], _); 4] = [
            (b"\x1f\x8b", Self::Gzip),
            (b"BZh", Self::Bzip2),
            (b"\xfd7zXZ\0", Self::Xz),
            (b"\x28\xb5\x2f\xfd", Self::Zstd),
        ];
        let mut kinds = kinds.into_iter();
        let kind = kinds.find(|(magic, _)| beginning.starts_with(magic));
        kind.map_or(Self::None, |(_, kind)| kind)
    }
}

/// Finds out how `packed` is compressed, and unpacks it as it is read.
pub(crate) fn unpack<'a>(
    mut packed: impl BufRead + 'a,
) -> io::Result<(Compression, Box<dyn Read + 'a>)> {
    let mut beginning = Vec::new();
    (&mut packed)
        .take(MAGIC as u64)
        .read_to_end(&mut beginning)?;
    let compression = Compression::of(&beginning);
    let packed = Cursor::new(beginning).chain(packed);
    let unpacked: Box<dyn Read + 'a> = match compression {
        Compression::None => Box::new(packed),
        Compression::Gzip => Box::new(MultiGzDecoder::new(packed)),
        Compression::Bzip2 => Box::new(MultiBzDecoder::new(packed)),
        Compression::Xz => {
            let stream = stream::Stream::new_stream_decoder(XZ_MEMORY, stream::CONCATENATED)?;
            Box::new(XzDecoder::new_stream(packed, stream))
        }
        Compression::Zstd => Box::new(zstd::Decoder::with_buffer(packed)?),
    };
    Ok((compression, unpacked))
}

#[cfg(test)]
mod tests {
    use std::io::Write;

    use super::*;

    #[test]
    fn every_kind_is_told_and_unpacked() {
        let text = b"some text, some text, some text".repeat(100);
        let gzip = || {
            let mut encoder =
                flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
            encoder.write_all(&text).unwrap();
            encoder.finish().unwrap()
        };
        let bzip2 = {
            let mut encoder = bzip2::write::BzEncoder::new(Vec::new(), bzip2::Compression::fast());
            encoder.write_all(&text).unwrap();
            encoder.finish().unwrap()
        };
        let xz = liblzma::encode_all(&text[..], 1).unwrap();
        let zstd = zstd::encode_all(&text[..], 1).unwrap();
        let cases = [
            (text.clone(), Compression::None, 1),
            (gzip(), Compression::Gzip, 1),
            // As pigz and others write it: one after the other.
            ([gzip(), gzip()].concat(), Compression::Gzip, 2),
            (bzip2, Compression::Bzip2, 1),
            (xz, Compression::Xz, 1),
            ([&zstd[..], &zstd[..]].concat(), Compression::Zstd, 2),
            (Vec::new(), Compression::None, 0),
        ];
        for (packed, expected, times) in cases {
            let (found, mut reader) = unpack(&packed[..]).unwrap();
            let mut unpacked = Vec::new();
            reader.read_to_end(&mut unpacked).unwrap();
            assert_eq!(found, expected);
            assert!(unpacked == text.repeat(times), "{expected:?}");
        }
    }

    #[test]
    fn a_stream_that_wants_much_memory_is_refused() {
        let mut options = stream::LzmaOptions::new_preset(0).unwrap();
        options.dict_size(1 << 30);
        let mut filters = stream::Filters::new();
        filters.lzma2(&options);
        let encoder = stream::Stream::new_stream_encoder(&filters, stream::Check::None).unwrap();
        let mut packed = Vec::new();
        let mut encoder = liblzma::read::XzEncoder::new_stream(&b"text"[..], encoder);
        encoder.read_to_end(&mut packed).unwrap();
        let (_, mut reader) = unpack(&packed[..]).unwrap();
        let error = reader.read_to_end(&mut Vec::new()).unwrap_err();
        assert!(error.to_string().contains("memory"), "{error}");
    }
}
