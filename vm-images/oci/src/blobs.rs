//! Where the parts of a container image lie: in a folder, or in an archive of one.

use std::{
    collections::BTreeMap,
    fs::File,
    io::{self, BufReader, Read, Seek, Write},
    path::{Component, Path, PathBuf},
};

use crate::{
    archive::{self, EntryKind},
    compression::{self, Compression},
    limits::{Counted, Limits, Meter, Metered},
    region::Region,
};

/// The longest manifest or configuration that is read, in bytes; those in use are a thousand times smaller.
pub(crate) const LONGEST_JSON: u64 = 4 << 20;

/// How many links lead to a part at most.
const MOST_LINKS: usize = 8;

/// Parts of a container image, by their paths.
#[derive(Debug)]
pub(crate) enum Blobs {
    Folder(PathBuf),
    Archive(BTreeMap<PathBuf, Part>),
}

/// Something in an archive.
#[derive(Debug)]
pub(crate) enum Part {
    File(Region),
    /// Old versions of Docker link a layer that they have written already.
    Link(PathBuf),
}

impl Blobs {
    /// Opens the folder or the archive at `path`. A compressed archive is unpacked into a file of `scratch` that has no
    /// name.
    pub(crate) fn open(path: &Path, scratch: &Path, limits: Limits) -> io::Result<Self> {
        let file = File::open(path)?;
        if file.metadata()?.is_dir() {
            return Ok(Self::Folder(path.into()));
        }
        let packed = Region::whole(file)?;
        let count = std::cell::Cell::new(0);
        let meter = Meter::new(limits);
        let (compression, unpacked) =
            compression::unpack(BufReader::new(Counted::new(packed.reader(), &count)))?;
        let region = if compression == Compression::None {
            packed
        } else {
            let mut file = tempfile::tempfile_in(scratch)?;
            io::copy(&mut Metered::new(unpacked, &meter, &count), &mut file)?;
            file.flush()?;
            file.rewind()?;
            Region::whole(file)?
        };
        let mut parts = BTreeMap::new();
        archive::visit_all(region.reader(), &Meter::new(limits), |entry, _| {
            match entry.kind {
                EntryKind::File { start, size } => {
                    parts.insert(entry.path, Part::File(region.part(start, size)?));
                }
                EntryKind::Link(target) => {
                    parts.insert(entry.path, Part::Link(target));
                }
                _ => {}
            }
            Ok(())
        })?;
        Ok(Self::Archive(parts))
    }

    /// The part at `path`, if there is one.
    pub(crate) fn find(&self, path: &Path) -> io::Result<Option<Region>> {
        match self {
            Self::Folder(folder) => match File::open(folder.join(path)) {
                Ok(file) if file.metadata()?.is_file() => Region::whole(file).map(Some),
                Ok(_) => Ok(None),
                Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
                Err(error) => Err(error),
            },
            Self::Archive(parts) => Ok(find_in(parts, path)),
        }
    }

    /// The part at `path`.
    pub(crate) fn get(&self, path: &Path) -> io::Result<Region> {
        self.find(path)?
            .ok_or_else(|| io::Error::new(io::ErrorKind::NotFound, "it is missing"))
    }

    /// The bytes of a manifest or a configuration.
    pub(crate) fn json(&self, path: &Path) -> io::Result<Vec<u8>> {
        let region = self.get(path)?;
        if region.size() > LONGEST_JSON {
            let problem = format!("it is too long ({} bytes)", region.size());
            return Err(io::Error::new(io::ErrorKind::InvalidData, problem));
        }
        let mut bytes = Vec::new();
        region.reader().read_to_end(&mut bytes)?;
        Ok(bytes)
    }
}

fn find_in(parts: &BTreeMap<PathBuf, Part>, path: &Path) -> Option<Region> {
    let mut path = within(path);
    for _ in 0..MOST_LINKS {
        match parts.get(&path)? {
            Part::File(region) => return Some(region.clone()),
            Part::Link(target) => {
                path = within(&path.parent().unwrap_or(Path::new("")).join(target));
            }
        }
    }
    None
}

/// The path from the root of the archive, which `..` does not lead out of.
fn within(path: &Path) -> PathBuf {
    let mut within = PathBuf::new();
    for component in path.components() {
        match component {
            Component::Normal(name) => within.push(name),
            Component::ParentDir => drop(within.pop()),
            Component::RootDir => within.clear(),
            Component::CurDir | Component::Prefix(_) => {}
        }
    }
    within
}
