//! Files on their way into a virtual machine and out of it, which shares no folder with its host.
//!
//! They travel as a tar archive: out, as the output of a command; in, through a file that the agent keeps until
//! a command unpacks it. Both commands are the guest's own program, started again under another name.

use std::{
    fs::{File, OpenOptions},
    io::{self, Read, Seek, Write},
    os::unix::fs::OpenOptionsExt,
    path::Path,
};

/// What a command of the agent's own does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Task {
    /// Writes the tree at a path of a folder to its standard output.
    Pack,
    /// Reads a tree from its standard input into a folder.
    Unpack,
}

impl Task {
    /// What its process is called.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Pack => "exe-unit-pack",
            Self::Unpack => "exe-unit-unpack",
        }
    }

    pub(super) fn parse(name: &str) -> Option<Self> {
        let all = [Self::Pack, Self::Unpack];
        all.into_iter().find(|task| task.name() == name)
    }
}

/// What a program does that is started for a task, with a folder and for some a path in it: the code that it exits with.
pub(super) fn main(task: Task) -> u8 {
    let mut arguments = std::env::args_os().skip(1);
    let (folder, path) = (arguments.next(), arguments.next());
    let folder = folder.unwrap_or_default();
    let path = path.unwrap_or_default();
    let done = match task {
        Task::Pack => pack(Path::new(&folder), Path::new(&path), io::stdout()),
        Task::Unpack => tar::Archive::new(io::stdin()).unpack(&folder),
    };
    let Err(error) = done else { return 0 };
    eprintln!("{error}");
    1
}

/// Writes the tree at a path of a folder; nothing if there is none.
pub(crate) fn pack(folder: &Path, path: &Path, to: impl Write) -> io::Result<()> {
    let mut archive = tar::Builder::new(to);
    archive.mode(tar::HeaderMode::Deterministic);
    archive.follow_symlinks(false);
    // Holes of files would arrive as zeros in any case.
    archive.sparse(false);
    let from = folder.join(path);
    match from.symlink_metadata() {
        Err(error) if error.kind() == io::ErrorKind::NotFound => {}
        Err(error) => return Err(error),
        Ok(metadata) if metadata.is_dir() => {
            let name = match path == Path::new("") {
                true => Path::new("."),
                false => path,
            };
            archive.append_dir_all(name, &from)?;
        }
        Ok(_) => archive.append_path_with_name(&from, path)?,
    }
    archive.into_inner()?.flush()
}

/// Unpacks what [`pack`] has packed on the other side into a folder, up to a number of bytes.
///
/// Who has sent it may be a stranger's kernel: nothing but files, folders and links is made of it, and no more than it says
/// to be.
pub(crate) fn unpack(archive: impl Read, to: &Path, most_bytes: u64) -> io::Result<()> {
    let mut archive = tar::Archive::new(archive);
    let mut folders = Vec::new();
    let mut bytes = 0_u64;
    for entry in archive.entries()? {
        let mut entry = entry?;
        bytes = bytes.saturating_add(entry.size());
        if bytes > most_bytes {
            return Err(io::Error::other("it is more than was agreed on"));
        }
        match entry.header().entry_type() {
            // Last of all: they may not be written to.
            tar::EntryType::Directory => folders.push(entry),
            tar::EntryType::Regular | tar::EntryType::Symlink => {
                entry.unpack_in(to)?;
            }
            kind => {
                return Err(io::Error::other(format!(
                    "it has an entry of the kind {kind:?}"
                )));
            }
        }
    }
    // What is in a folder before what it is in.
    folders.sort_by(|one, other| other.path_bytes().cmp(&one.path_bytes()));
    for mut folder in folders {
        folder.unpack_in(to)?;
    }
    Ok(())
}

/// What the agent has received and no task has taken yet.
#[derive(Debug, Default)]
pub(super) struct Received(Option<File>);

impl Received {
    /// Appends a piece, or begins anew with it.
    pub(super) fn store(&mut self, bytes: &[u8], is_first: bool) -> io::Result<()> {
        if is_first {
            self.0 = None;
        }
        let file = match &mut self.0 {
            Some(file) => file,
            // In the scratch space, and without a name: whoever ends, it is gone.
            none => none.insert(
                OpenOptions::new()
                    .read(true)
                    .write(true)
                    .custom_flags(libc::O_TMPFILE)
                    .open("/dev/shm")?,
            ),
        };
        let stored = file.write_all(bytes);
        if stored.is_err() {
            self.0 = None;
        }
        stored
    }

    /// All of it, from the beginning.
    pub(super) fn take(&mut self) -> io::Result<Option<File>> {
        let mut file = self.0.take();
        if let Some(file) = &mut file {
            file.rewind()?;
        }
        Ok(file)
    }
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    #[test]
    fn what_a_strange_kernel_sends_is_bounded() {
        let to = tempfile::tempdir().expect("a folder");
        let archive = |kind, size: u64| {
            let mut header = tar::Header::new_gnu();
            header.set_path("file").expect("a path");
            header.set_entry_type(kind);
            header.set_mode(0o644);
            header.set_size(size);
            header.set_cksum();
            let mut archive = tar::Builder::new(Vec::new());
            let content = io::repeat(7).take(size);
            archive.append(&header, content).expect("an archive");
            archive.into_inner().expect("an archive")
        };
        let unpack = |archive: Vec<u8>| super::unpack(&archive[..], to.path(), 1000);
        for (kind, size, reason) in [
            (tar::EntryType::Regular, 1001, "more than was agreed on"),
            // Its real size is missing, too.
            (tar::EntryType::GNUSparse, 0, ""),
            (tar::EntryType::Link, 0, "of the kind"),
            (tar::EntryType::Block, 0, "of the kind"),
        ] {
            let error = unpack(archive(kind, size)).expect_err(reason);
            assert!(error.to_string().contains(reason), "{error}");
            assert_eq!(fs::read_dir(to.path()).expect("a folder").count(), 0);
        }
        unpack(archive(tar::EntryType::Regular, 1000)).expect("it is little");
        let file = fs::metadata(to.path().join("file")).expect("a file");
        assert_eq!(file.len(), 1000);
    }

    #[test]
    fn what_was_received_in_vain_is_not_a_part_of_what_comes_next() {
        let mut received = Received::default();
        for (piece, is_first) in [("a", true), ("b", true), ("c", false)] {
            received.store(piece.as_bytes(), is_first).expect("room");
        }
        let file = received.take().expect("it is read").expect("a file");
        assert_eq!(io::read_to_string(file).expect("text"), "bc");
        assert!(received.take().expect("it is read").is_none());
    }

    #[test]
    fn a_tree_arrives_as_it_was() {
        let [from, to] = [(); 2].map(|()| tempfile::tempdir().expect("a folder"));
        fs::create_dir_all(from.path().join("a/b")).expect("a folder");
        fs::write(from.path().join("a/b/file"), "text").expect("a file");
        std::os::unix::fs::symlink("/etc", from.path().join("a/link")).expect("a link");
        for path in ["", "a", "a/b/file", "missing"] {
            let mut archive = Vec::new();
            pack(from.path(), Path::new(path), &mut archive).expect("an archive");
            super::unpack(&archive[..], to.path(), 1 << 20).expect("it is safe");
        }
        let text = fs::read_to_string(to.path().join("a/b/file")).expect("a file");
        assert_eq!(text, "text");
        let link = fs::read_link(to.path().join("a/link")).expect("a link");
        assert_eq!(link, Path::new("/etc"));
        assert!(!to.path().join("missing").exists());
    }
}
