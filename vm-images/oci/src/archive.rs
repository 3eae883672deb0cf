//! Tar archives, of strangers: read strictly and once, from the first entry to the last.

use std::{
    cell::Cell,
    ffi::OsStr,
    io::{self, BufReader, Read},
    os::unix::ffi::OsStrExt,
    path::{Component, Path, PathBuf},
};

use gvmi::{Attributes, Owner};
use tar::EntryType;

use crate::{
    compression,
    limits::{Counted, Limits, Meter, Metered},
};

/// The longest name in a path and the longest path, in bytes, that Linux has room for.
const LONGEST_NAME: usize = 255;
const LONGEST_PATH: usize = 4095;

/// An entry of an archive.
#[derive(Clone, Debug, PartialEq)]
pub struct Entry {
    /// Its path, of plain names only, from where the archive is unpacked; empty for that folder itself.
    pub path: PathBuf,
    /// What the archive says about it.
    pub attributes: Attributes,
    /// What it is.
    pub kind: EntryKind,
}

/// What an [`Entry`] is.
#[derive(Clone, Debug, PartialEq)]
pub enum EntryKind {
    /// A folder.
    Folder,
    /// A file. Its contents follow it.
    File {
        /// Where in the unpacked archive its contents begin, in bytes.
        start: u64,
        /// How many bytes it has.
        size: u64,
    },
    /// A symbolic link, to anything at all.
    Link(PathBuf),
    /// Another name of the file at a path, which is of plain names only, as that of the entry is.
    HardLink(PathBuf),
    /// A device or a pipe.
    Special,
}

/// What is wrong with an entry.
#[derive(Debug, thiserror::Error)]
enum EntryError {
    #[error("the path {0:?} in the archive leads out of it")]
    Outside(PathBuf),
    #[error("the path {0:?} in the archive is longer than Linux allows")]
    Long(PathBuf),
    #[error("{path:?} in the archive is of the unknown type {kind:?}")]
    Unknown { path: PathBuf, kind: char },
    #[error("{0:?} in the archive is a sparse file: pack it without --sparse")]
    Sparse(PathBuf),
    #[error("{0:?} in the archive belongs to a user or a group with too large a number")]
    Owner(PathBuf),
}

/// Whether `packed` is an archive, compressed or not: it begins with an entry. What cannot be read is none.
pub fn is_archive(packed: impl Read) -> bool {
    let mut header = tar::Header::new_old();
    let read = compression::unpack(BufReader::new(packed))
        .and_then(|(_, mut unpacked)| unpacked.read_exact(header.as_mut_bytes()));
    read.is_ok() && is_header(&header)
}

/// Whether the checksum is right, which hardly happens by accident.
fn is_header(header: &tar::Header) -> bool {
    let sum = |bytes: &[u8]| bytes.iter().map(|byte| u32::from(*byte)).sum::<u32>();
    let bytes = header.as_bytes();
    let found = sum(&bytes[..148]) + 8 * u32::from(b' ') + sum(&bytes[156..]);
    header.cksum().is_ok_and(|expected| expected == found)
}

/// Unpacks the archive `packed`, which may be compressed, and hands each entry with its contents to `visit`.
///
/// # Errors
/// If it cannot be read or is no archive; if an entry leads out of it, or is of a type that Linux does not have; if it
/// exceeds a limit; or if `visit` fails.
pub fn for_each(
    packed: impl Read,
    limits: Limits,
    visit: impl FnMut(Entry, &mut dyn Read) -> io::Result<()>,
) -> io::Result<()> {
    let meter = Meter::new(limits);
    let count = Cell::new(0);
    let packed = BufReader::new(Counted::new(packed, &count));
    let (_, unpacked) = compression::unpack(packed)?;
    visit_all(Metered::new(unpacked, &meter, &count), &meter, visit)
}

/// Hands each entry of an archive that is not compressed to `visit`, and reads it to its end.
pub(crate) fn visit_all(
    mut unpacked: impl Read,
    meter: &Meter,
    mut visit: impl FnMut(Entry, &mut dyn Read) -> io::Result<()>,
) -> io::Result<()> {
    let mut archive = tar::Archive::new(&mut unpacked);
    let mut entries = archive.entries()?;
    loop {
        meter.begin_header();
        let next = entries.next().transpose()?;
        meter.end_header();
        let Some(mut found) = next else { break };
        meter.count_entry()?;
        if let Some(entry) = Entry::of(&mut found)? {
            visit(entry, &mut found)?;
        }
        // Else the archive would skip it as a part of the next header.
        io::copy(&mut found, &mut io::sink())?;
    }
    // Behind its end there may be anything, but what compresses it wants to be read to its own end.
    io::copy(&mut unpacked, &mut io::sink()).map(drop)
}

impl Entry {
    /// The entry that `found` is, unless it only says something about others.
    fn of<R: Read>(found: &mut tar::Entry<'_, R>) -> io::Result<Option<Self>> {
        let written = found.path_bytes().into_owned();
        let path = plain(&written)?;
        let kind = match found.header().entry_type() {
            EntryType::XGlobalHeader => return Ok(None),
            // Before there was a type for them, folders were files with a slash.
            EntryType::Directory => EntryKind::Folder,
            EntryType::Regular | EntryType::Continuous if written.ends_with(b"/") => {
                EntryKind::Folder
            }
            EntryType::GNUSparse => return invalid(EntryError::Sparse(path)),
            EntryType::Regular | EntryType::Continuous if is_sparse(found)? => {
                return invalid(EntryError::Sparse(path));
            }
            EntryType::Regular | EntryType::Continuous => EntryKind::File {
                start: found.raw_file_position(),
                size: found.size(),
            },
            EntryType::Symlink => EntryKind::Link(to_path(&link_name(found))),
            EntryType::Link => EntryKind::HardLink(plain(&link_name(found))?),
            EntryType::Char | EntryType::Block | EntryType::Fifo => EntryKind::Special,
            other => {
                let kind = char::from(other.as_byte());
                return invalid(EntryError::Unknown { path, kind });
            }
        };
        let Some(attributes) = attributes(found.header())? else {
            return invalid(EntryError::Owner(path));
        };
        Ok(Some(Self {
            path,
            attributes,
            kind,
        }))
    }
}

fn link_name<R: Read>(found: &tar::Entry<'_, R>) -> Vec<u8> {
    found.link_name_bytes().unwrap_or_default().into_owned()
}

/// A sparse file as tar writes it that does not have a type for it.
fn is_sparse<R: Read>(found: &mut tar::Entry<'_, R>) -> io::Result<bool> {
    let Some(mut extensions) = found.pax_extensions()? else {
        return Ok(false);
    };
    Ok(extensions.any(|extension| {
        extension.is_ok_and(|extension| extension.key_bytes().starts_with(b"GNU.sparse."))
    }))
}

fn attributes(header: &tar::Header) -> io::Result<Option<Attributes>> {
    let (user, group) = (header.uid()?, header.gid()?);
    let (Ok(user), Ok(group)) = (user.try_into(), group.try_into()) else {
        return Ok(None);
    };
    Ok(Some(Attributes {
        mode: (header.mode()? & 0o7777) as u16,
        owner: Owner { user, group },
        changed: header.mtime()?.try_into().unwrap_or(u32::MAX),
    }))
}

/// A path without what has no meaning in it, if it is one that leads nowhere else.
fn plain(written: &[u8]) -> io::Result<PathBuf> {
    let path = to_path(written);
    let mut plain = PathBuf::new();
    let mut is_long = written.len() > LONGEST_PATH;
    for component in path.components() {
        match component {
            Component::Normal(name) => {
                is_long |= name.as_bytes().len() > LONGEST_NAME;
                plain.push(name);
            }
            Component::CurDir | Component::RootDir | Component::Prefix(_) => {}
            Component::ParentDir => return invalid(EntryError::Outside(path)),
        }
    }
    if is_long || written.contains(&0) {
        return invalid(EntryError::Long(path));
    }
    Ok(plain)
}

fn invalid<T>(problem: EntryError) -> io::Result<T> {
    Err(io::Error::new(io::ErrorKind::InvalidData, problem))
}

fn to_path(bytes: &[u8]) -> PathBuf {
    Path::new(OsStr::from_bytes(bytes)).to_owned()
}
