//! From files to archives.

use std::{
    ffi::{CString, OsStr},
    fs::File,
    io::{self, Read, Write},
    os::{
        fd::{AsFd, OwnedFd},
        unix::ffi::OsStrExt,
    },
    path::{Path, PathBuf},
};

use rustix::{
    fs::{AtFlags, Dir, FileType, Mode, OFlags, Stat, fstat, openat, readlinkat, statat},
    io::Errno,
};
use zip::{CompressionMethod, ZipWriter, write::SimpleFileOptions};

use super::ArchiveError;
use crate::{
    bridge::{Sink, SinkWriter},
    script::ArchiveFormat,
    transfer::{TransferError, fileset::Selection},
};

/// How well xz packs: with little memory.
const XZ_LEVEL: u32 = 2;
/// How deep folders may lie in each other.
const DEEPEST: usize = 128;
/// From this size on, a zip archive has a size of another form.
const LARGE: u64 = u32::MAX as u64;

type Writer<'a> = SinkWriter<'a, TransferError>;

/// Packs a folder, in the order of its names.
pub(super) fn pack(
    folder: &OwnedFd,
    format: ArchiveFormat,
    depth: Option<usize>,
    selection: &Selection,
    sink: &Sink<TransferError>,
) -> Result<(), ArchiveError> {
    let writer = SinkWriter::new(sink);
    let walk = Walk {
        sink,
        selection,
        deepest: depth.map_or(DEEPEST, |depth| depth.saturating_add(1).min(DEEPEST)),
        is_limited: depth.is_some(),
    };
    match format {
        ArchiveFormat::Tar => finish(walk.tar(folder, writer)?),
        ArchiveFormat::TarGz => {
            let writer = flate2::write::GzEncoder::new(writer, flate2::Compression::default());
            finish(walk.tar(folder, writer)?.finish().map_err(broken)?)
        }
        ArchiveFormat::TarBz2 => {
            let writer = bzip2::write::BzEncoder::new(writer, bzip2::Compression::default());
            finish(walk.tar(folder, writer)?.finish().map_err(broken)?)
        }
        ArchiveFormat::TarXz => {
            let writer = liblzma::write::XzEncoder::new(writer, XZ_LEVEL);
            finish(walk.tar(folder, writer)?.finish().map_err(broken)?)
        }
        ArchiveFormat::Zip => walk.zip(folder, writer, CompressionMethod::Deflated),
        ArchiveFormat::ZipStored => walk.zip(folder, writer, CompressionMethod::Stored),
    }
}

fn finish(mut writer: Writer<'_>) -> Result<(), ArchiveError> {
    writer.flush().map_err(broken)
}

/// Nobody reads the archive any more.
fn broken(error: io::Error) -> ArchiveError {
    ArchiveError::File {
        step: "send",
        entry: "end".to_owned(),
        source: error,
    }
}

/// What takes up the files of a folder.
trait Pack {
    fn folder(&mut self, path: &Path, status: &Stat) -> io::Result<()>;
    fn file(&mut self, path: &Path, status: &Stat, content: &mut dyn Read) -> io::Result<()>;
    fn link(&mut self, path: &Path, status: &Stat, target: &OsStr) -> io::Result<()>;
}

struct Walk<'a> {
    sink: &'a Sink<TransferError>,
    selection: &'a Selection,
    /// The level whose folders are not entered; that of the folder's own files is 1.
    deepest: usize,
    /// What lies deeper is not asked for.
    is_limited: bool,
}

impl Walk<'_> {
    fn tar<W: Write>(&self, folder: &OwnedFd, writer: W) -> Result<W, ArchiveError> {
        let mut builder = tar::Builder::new(writer);
        self.walk(folder, Path::new(""), 1, &mut builder)?;
        builder.into_inner().map_err(broken)
    }

    fn zip(
        &self,
        folder: &OwnedFd,
        writer: Writer<'_>,
        method: CompressionMethod,
    ) -> Result<(), ArchiveError> {
        let writer = ZipWriter::new_stream(writer);
        let mut zip = Zip { writer, method };
        self.walk(folder, Path::new(""), 1, &mut zip)?;
        let finished = zip.writer.finish();
        let writer = finished.map_err(|error| broken(error.into()))?;
        finish(writer.into_inner())
    }

    fn walk(
        &self,
        folder: &OwnedFd,
        path: &Path,
        level: usize,
        pack: &mut impl Pack,
    ) -> Result<(), ArchiveError> {
        let at = |step: &'static str, path: &Path| {
            let entry = path.display().to_string();
            move |source: io::Error| ArchiveError::File {
                step,
                entry,
                source,
            }
        };
        let names = names(folder).map_err(|errno| at("read", path)(errno.into()))?;
        for name in names {
            if !self.sink.is_read() {
                return Err(broken(io::ErrorKind::BrokenPipe.into()));
            }
            let path = path.join(OsStr::from_bytes(name.as_bytes()));
            let status = statat(folder, &name, AtFlags::SYMLINK_NOFOLLOW);
            let status = match status {
                // It has gone since its folder was read.
                Err(Errno::NOENT) => continue,
                status => status.map_err(|errno| at("read", &path)(errno.into()))?,
            };
            match FileType::from_raw_mode(status.st_mode) {
                FileType::Directory => {
                    self.enter(folder, &name, &path, &status, level, pack)?;
                }
                _ if !self.selection.has(&path) => {}
                FileType::RegularFile => {
                    let file = open_file(folder, &name);
                    let (file, status) = file.map_err(|errno| at("open", &path)(errno.into()))?;
                    let mut content = Whole::new(file, status.st_size as u64, self.sink);
                    let packed = pack.file(&path, &status, &mut content);
                    packed.map_err(at("pack", &path))?;
                }
                FileType::Symlink => {
                    let target = readlinkat(folder, &name, Vec::new());
                    let target = target.map_err(|errno| at("read", &path)(errno.into()))?;
                    let target = OsStr::from_bytes(target.as_bytes());
                    let packed = pack.link(&path, &status, target);
                    packed.map_err(at("pack", &path))?;
                }
                // Pipes, sockets and devices are nothing outside of the sandbox.
                _ => {}
            }
        }
        Ok(())
    }

    fn enter(
        &self,
        folder: &OwnedFd,
        name: &CString,
        path: &Path,
        status: &Stat,
        level: usize,
        pack: &mut impl Pack,
    ) -> Result<(), ArchiveError> {
        let failed = |source: io::Error| ArchiveError::File {
            step: "pack",
            entry: path.display().to_string(),
            source,
        };
        if self.selection.is_all() {
            pack.folder(path, status).map_err(failed)?;
        }
        if level >= self.deepest {
            return match self.is_limited {
                true => Ok(()),
                false => Err(ArchiveError::TooMuch {
                    limit: DEEPEST as u64,
                    what: "folders in each other",
                }),
            };
        }
        let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        let below = openat(folder, name, flags, Mode::empty());
        let below = below.map_err(|errno| failed(errno.into()))?;
        self.walk(&below, path, level + 1, pack)
    }
}

/// The names in a folder, in their order.
fn names(folder: &OwnedFd) -> rustix::io::Result<Vec<CString>> {
    let mut names = Vec::new();
    for entry in Dir::read_from(folder)? {
        let name = entry?.file_name().to_owned();
        if name.as_bytes() != b"." && name.as_bytes() != b".." {
            names.push(name);
        }
    }
    names.sort();
    Ok(names)
}

/// Opens a file, of which a program of the sandbox may have made something else by now.
fn open_file(folder: &OwnedFd, name: &CString) -> rustix::io::Result<(File, Stat)> {
    let flags = OFlags::RDONLY | OFlags::NOFOLLOW | OFlags::NONBLOCK | OFlags::CLOEXEC;
    let file = openat(folder.as_fd(), name, flags, Mode::empty())?;
    let status = fstat(&file)?;
    match FileType::from_raw_mode(status.st_mode) {
        FileType::RegularFile => Ok((File::from(file), status)),
        _ => Err(Errno::INVAL),
    }
}

/// As much of a file as it had when it was opened, for as long as anybody reads the archive; less is an error.
struct Whole<'a> {
    file: io::Take<File>,
    sink: &'a Sink<TransferError>,
}

impl<'a> Whole<'a> {
    fn new(file: File, size: u64, sink: &'a Sink<TransferError>) -> Self {
        Self {
            file: file.take(size),
            sink,
        }
    }
}

impl Read for Whole<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        // Of much that is packed to little, nothing may be written for long.
        if !self.sink.is_read() {
            return Err(io::ErrorKind::BrokenPipe.into());
        }
        let length = self.file.read(buffer)?;
        match length == 0 && self.file.limit() > 0 && !buffer.is_empty() {
            true => Err(io::Error::other(
                "it has become shorter while it was packed",
            )),
            false => Ok(length),
        }
    }
}

fn header(status: &Stat, kind: tar::EntryType, size: u64) -> tar::Header {
    let mut header = tar::Header::new_gnu();
    header.set_entry_type(kind);
    header.set_mode(status.st_mode & 0o777);
    header.set_mtime(u64::try_from(status.st_mtime).unwrap_or(0));
    header.set_uid(0);
    header.set_gid(0);
    header.set_size(size);
    header
}

impl<W: Write> Pack for tar::Builder<W> {
    fn folder(&mut self, path: &Path, status: &Stat) -> io::Result<()> {
        let mut header = header(status, tar::EntryType::Directory, 0);
        self.append_data(&mut header, path, io::empty())
    }

    fn file(&mut self, path: &Path, status: &Stat, content: &mut dyn Read) -> io::Result<()> {
        let size = status.st_size as u64;
        let mut header = header(status, tar::EntryType::Regular, size);
        self.append_data(&mut header, path, content)
    }

    fn link(&mut self, path: &Path, status: &Stat, target: &OsStr) -> io::Result<()> {
        let mut header = header(status, tar::EntryType::Symlink, 0);
        self.append_link(&mut header, path, PathBuf::from(target))
    }
}

struct Zip<'a> {
    writer: ZipWriter<zip::write::StreamWriter<Writer<'a>>>,
    method: CompressionMethod,
}

impl Zip<'_> {
    fn options(&self, status: &Stat) -> SimpleFileOptions {
        SimpleFileOptions::default()
            .compression_method(self.method)
            .unix_permissions(status.st_mode & 0o777)
            .large_file(status.st_size as u64 >= LARGE)
    }
}

impl Pack for Zip<'_> {
    fn folder(&mut self, path: &Path, status: &Stat) -> io::Result<()> {
        let options = self.options(status);
        Ok(self.writer.add_directory(name(path)?, options)?)
    }

    fn file(&mut self, path: &Path, status: &Stat, content: &mut dyn Read) -> io::Result<()> {
        self.writer.start_file(name(path)?, self.options(status))?;
        io::copy(content, &mut self.writer).map(drop)
    }

    fn link(&mut self, path: &Path, status: &Stat, target: &OsStr) -> io::Result<()> {
        let target = name(Path::new(target))?;
        let options = self.options(status);
        Ok(self.writer.add_symlink(name(path)?, target, options)?)
    }
}

/// Names in a zip archive are text.
fn name(path: &Path) -> io::Result<&str> {
    let text = path.to_str();
    text.ok_or_else(|| io::Error::other("its name is no UTF-8, which zip needs"))
}
