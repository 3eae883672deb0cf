//! From archives to files.

use std::{
    ffi::OsStr,
    fs::File,
    io::{self, Read, Write},
    os::{
        fd::{AsFd, OwnedFd},
        unix::ffi::OsStrExt,
    },
    path::{Component, Path, PathBuf},
    sync::{Arc, atomic::AtomicU64},
};

use rustix::{
    fs::{AtFlags, Mode, OFlags, fchmod, openat, symlinkat, unlinkat},
    io::Errno,
};
use tokio_util::sync::CancellationToken;

use super::{
    ArchiveError, Bounds,
    bounds::{Counting, Gate, Tally},
};
use crate::{
    sandbox::adopt_open,
    script::ArchiveFormat,
    transfer::{draft::Draft, fileset::Selection},
    within,
};

/// The most memory that a decoder of xz may take, in bytes; what `xz -9` needs.
const XZ_MEMORY: u64 = 80 << 20;
/// How much of a file is copied at once.
const PIECE: usize = 64 << 10;
/// The longest target of a link.
const LINK: u64 = 4096;
/// The most entries of a zip archive that has no list for more.
const ZIP_ENTRIES: u64 = 65_534;

/// How an archive is unpacked.
pub(super) struct Unpacking {
    pub(super) folder: OwnedFd,
    pub(super) selection: Selection,
    pub(super) bounds: Bounds,
    /// Nobody waits for it any more.
    pub(super) unwanted: CancellationToken,
}

impl Unpacking {
    /// Unpacks an archive that is whole.
    pub(super) fn file(&self, mut file: File, format: ArchiveFormat) -> Result<(), ArchiveError> {
        use io::Seek;
        file.rewind().map_err(ArchiveError::Keep)?;
        match format {
            ArchiveFormat::Zip | ArchiveFormat::ZipStored => self.zip(file),
            _ => self.tar(file, format),
        }
    }

    /// Unpacks a tape archive as it comes.
    pub(super) fn tar(
        &self,
        archive: impl Read,
        format: ArchiveFormat,
    ) -> Result<(), ArchiveError> {
        let (archive, read) = Counting::new(archive);
        let target = self.target(read);
        match format {
            ArchiveFormat::TarGz => unpack_tar(flate2::read::MultiGzDecoder::new(archive), target),
            ArchiveFormat::TarBz2 => unpack_tar(bzip2::read::MultiBzDecoder::new(archive), target),
            ArchiveFormat::TarXz => {
                let concatenated = liblzma::stream::CONCATENATED;
                let stream = liblzma::stream::Stream::new_stream_decoder(XZ_MEMORY, concatenated);
                let stream = stream.map_err(|error| ArchiveError::Malformed(error.into()))?;
                let decoder = liblzma::read::XzDecoder::new_stream(archive, stream);
                unpack_tar(decoder, target)
            }
            _ => unpack_tar(archive, target),
        }
    }

    fn zip(&self, file: File) -> Result<(), ArchiveError> {
        let malformed = |error: zip::result::ZipError| ArchiveError::Malformed(error.into());
        check_list(&file, self.bounds.entries.min(ZIP_ENTRIES))?;
        let length = file.metadata().map_err(ArchiveError::Keep)?.len();
        let mut target = self.target(Arc::new(length.into()));
        let mut archive = zip::ZipArchive::new(io::BufReader::new(file)).map_err(malformed)?;
        for number in 0..archive.len() {
            let mut entry = archive.by_index(number).map_err(malformed)?;
            let path = entry.name_raw().to_owned();
            let mode = entry.unix_mode().unwrap_or(0o644);
            let kind = if entry.is_dir() {
                Kind::Folder
            } else if entry.is_symlink() {
                let mut link = Vec::new();
                let read = entry.by_ref().take(LINK).read_to_end(&mut link);
                read.map_err(ArchiveError::Malformed)?;
                Kind::Link(link)
            } else if entry.is_file() {
                Kind::File { mode }
            } else {
                Kind::Refused("it is neither a file, nor a folder, nor a link")
            };
            target.take(&path, kind, &mut entry)?;
        }
        Ok(())
    }

    fn target(&self, read: Arc<AtomicU64>) -> Target<'_> {
        Target {
            folder: &self.folder,
            selection: &self.selection,
            tally: Tally::new(self.bounds, read, self.unwanted.clone()),
        }
    }
}

fn unpack_tar(archive: impl Read, mut target: Target<'_>) -> Result<(), ArchiveError> {
    let (archive, gate) = Gate::new(archive);
    let mut archive = tar::Archive::new(archive);
    let mut entries = archive.entries().map_err(ArchiveError::Malformed)?;
    loop {
        gate.close();
        let Some(entry) = entries.next() else {
            return Ok(());
        };
        let mut entry = entry.map_err(ArchiveError::Malformed)?;
        let path = entry.path_bytes().into_owned();
        let link = entry.link_name_bytes().map(|link| link.into_owned());
        let mode = entry.header().mode().unwrap_or(0o644);
        let kind = match entry.header().entry_type() {
            tar::EntryType::XGlobalHeader => continue,
            tar::EntryType::Regular | tar::EntryType::Continuous | tar::EntryType::GNUSparse => {
                Kind::File { mode }
            }
            tar::EntryType::Directory => Kind::Folder,
            tar::EntryType::Symlink => Kind::Link(link.unwrap_or_default()),
            tar::EntryType::Link => Kind::Refused("it is a hard link"),
            tar::EntryType::Char | tar::EntryType::Block => Kind::Refused("it is a device"),
            tar::EntryType::Fifo => Kind::Refused("it is a pipe"),
            _ => Kind::Refused("it is of an unknown kind"),
        };
        gate.open();
        target.take(&path, kind, &mut entry)?;
    }
}

/// Looks how many entries the list at the end of a zip archive has, before it is read into memory.
fn check_list(file: &File, limit: u64) -> Result<(), ArchiveError> {
    use std::os::unix::fs::FileExt;
    const MARK: &[u8] = b"PK\x05\x06";
    const LENGTH: usize = 22;
    const MOST: u64 = 65_535 + LENGTH as u64;
    let length = file.metadata().map_err(ArchiveError::Keep)?.len();
    let start = length.saturating_sub(MOST);
    let mut end = vec![0; (length - start) as usize];
    file.read_exact_at(&mut end, start)
        .map_err(ArchiveError::Keep)?;
    let at = end.windows(MARK.len()).rposition(|bytes| bytes == MARK);
    let entries = at.and_then(|at| {
        Some(u64::from(u16::from_le_bytes(
            *end.get(at + 10..)?.first_chunk()?,
        )))
    });
    match entries {
        None => Err(ArchiveError::Malformed(io::ErrorKind::UnexpectedEof.into())),
        Some(entries) if entries > limit => Err(ArchiveError::TooMuch {
            limit,
            what: "entries",
        }),
        Some(_) => Ok(()),
    }
}

/// What an entry of an archive is.
enum Kind {
    File { mode: u32 },
    Folder,
    Link(Vec<u8>),
    Refused(&'static str),
}

/// Where the entries of an archive go.
struct Target<'a> {
    folder: &'a OwnedFd,
    selection: &'a Selection,
    tally: Tally,
}

impl Target<'_> {
    /// Creates what an entry is, if it is meant.
    fn take(
        &mut self,
        path: &[u8],
        kind: Kind,
        content: &mut impl Read,
    ) -> Result<(), ArchiveError> {
        let entry = String::from_utf8_lossy(path).into_owned();
        self.tally.entry()?;
        let refused = |reason| ArchiveError::Refused {
            entry: entry.clone(),
            reason,
        };
        let path = inner_path(path).map_err(refused)?;
        let is_meant = match kind {
            Kind::Folder => self.selection.is_all(),
            _ => self.selection.has(&path),
        };
        if !is_meant {
            return self.copy(content, &mut io::sink(), &entry);
        }
        let failed = |step: &'static str, errno: Errno| match errno {
            Errno::XDEV | Errno::LOOP => refused("a link on the way leads out of the folder"),
            errno => ArchiveError::File {
                step,
                entry: entry.clone(),
                source: errno.into(),
            },
        };
        let (parent, name) = match (path.parent(), path.file_name(), &kind) {
            (_, _, Kind::Refused(reason)) => return Err(refused(reason)),
            (_, _, Kind::Folder) => {
                return self
                    .create_folder(&path)
                    .map(drop)
                    .map_err(|errno| failed("create", errno));
            }
            (Some(parent), Some(name), _) => (parent, name),
            _ => return Err(refused("it has no name")),
        };
        if let Kind::Link(link) = &kind {
            check_link(&path, Path::new(OsStr::from_bytes(link))).map_err(refused)?;
        }
        let parent = self
            .create_folder(parent)
            .map_err(|errno| failed("create", errno))?;
        match kind {
            Kind::Link(link) => {
                let target = Path::new(OsStr::from_bytes(&link));
                create_link(&parent, name, target).map_err(|errno| failed("create", errno))
            }
            Kind::File { mode } => {
                let created = Draft::create(parent, Path::new(name));
                let (draft, mut file) = created.map_err(|errno| failed("create", errno))?;
                self.copy(content, &mut file, &entry)?;
                // Neither a set-user-id bit nor one that takes the file from its owner.
                let mode = Mode::from_raw_mode(mode & 0o777 | 0o600);
                fchmod(&file, mode).map_err(|errno| failed("create", errno))?;
                draft.finish().map_err(|errno| failed("create", errno))
            }
            Kind::Folder | Kind::Refused(_) => Ok(()),
        }
    }

    fn create_folder(&self, path: &Path) -> rustix::io::Result<OwnedFd> {
        within::create_folder(self.folder, within::Bounds::Fence, path, |new| {
            adopt_open(new)
        })
    }

    fn copy(
        &mut self,
        content: &mut impl Read,
        file: &mut impl Write,
        entry: &str,
    ) -> Result<(), ArchiveError> {
        let mut piece = vec![0; PIECE];
        loop {
            let length = content.read(&mut piece).map_err(ArchiveError::Malformed)?;
            if length == 0 {
                return Ok(());
            }
            self.tally.bytes(length)?;
            let written = file.write_all(&piece[..length]);
            written.map_err(|source| ArchiveError::File {
                step: "write",
                entry: entry.to_owned(),
                source,
            })?;
        }
    }
}

/// The path of an entry below the folder.
fn inner_path(path: &[u8]) -> Result<PathBuf, &'static str> {
    if path.contains(&0) {
        return Err("its name has a zero byte");
    }
    let mut inner = PathBuf::new();
    for part in Path::new(OsStr::from_bytes(path)).components() {
        match part {
            Component::Normal(name) => inner.push(name),
            Component::CurDir => {}
            Component::ParentDir => return Err("its path has `..`"),
            Component::RootDir | Component::Prefix(_) => return Err("its path is absolute"),
        }
    }
    Ok(inner)
}

/// Whether a link stays in the folder, as far as its text says.
fn check_link(path: &Path, target: &Path) -> Result<(), &'static str> {
    let mut depth = path.components().count().saturating_sub(1);
    for part in target.components() {
        match part {
            Component::Normal(_) => depth += 1,
            Component::CurDir => {}
            Component::ParentDir => {
                depth = depth
                    .checked_sub(1)
                    .ok_or("it is a link that leads out of the folder")?;
            }
            Component::RootDir | Component::Prefix(_) => return Err("it is an absolute link"),
        }
    }
    Ok(())
}

fn create_link(parent: &OwnedFd, name: &OsStr, target: &Path) -> rustix::io::Result<()> {
    match symlinkat(target, parent, name) {
        Err(Errno::EXIST) => {
            unlinkat(parent, name, AtFlags::empty())?;
            symlinkat(target, parent, name)?;
        }
        created => created?,
    }
    let flags = OFlags::PATH | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    adopt_open(openat(parent.as_fd(), name, flags, Mode::empty())?)
}
