//! The files of an image: what its layers make together.

use std::{
    collections::{BTreeMap, VecDeque},
    ffi::{OsStr, OsString},
    io,
    os::unix::ffi::OsStrExt,
    path::{Component, Path, PathBuf},
};

use gvmi::Attributes;

use crate::{
    archive::{Entry, EntryKind},
    region::Region,
};

/// What a name begins with that says that something is gone.
const WHITEOUT: &[u8] = b".wh.";

/// The name that says that nothing of the lower layers is left in its folder.
const OPAQUE: &[u8] = b".wh..wh..opq";

/// What names begin with that one kind of storage keeps for itself.
const PRIVATE: &[u8] = b".wh..wh.";

/// How many symbolic links a path leads through at most; as in Linux.
const MOST_LINKS: usize = 40;

/// Folders that no layer says anything about.
const IMPLICIT: Attributes = Attributes {
    mode: 0o755,
    owner: gvmi::Owner { user: 0, group: 0 },
    changed: 0,
};

/// Files, folders and links by their paths: each folder before what is in it.
#[derive(Debug)]
pub(crate) struct Tree {
    pub(crate) root: Attributes,
    pub(crate) nodes: BTreeMap<PathBuf, Node>,
    /// Devices, pipes and sockets that were left out.
    pub(crate) left_out: usize,
    /// The folder that was last looked for, and where it is.
    last: Option<(PathBuf, PathBuf)>,
}

/// A file, a folder or a link.
#[derive(Clone, Debug)]
pub(crate) struct Node {
    /// The layer that it is from, by its place.
    layer: usize,
    pub(crate) attributes: Attributes,
    pub(crate) kind: Kind,
}

#[derive(Clone, Debug)]
pub(crate) enum Kind {
    Folder,
    File(Region),
    Link(PathBuf),
}

/// What is wrong with an entry of a layer.
#[derive(Debug, thiserror::Error)]
enum PlaceError {
    #[error("{path:?} in the archive leads through {through:?}, which is no folder")]
    Through { path: PathBuf, through: PathBuf },
    #[error("{0:?} in the archive leads through too many symbolic links")]
    Loop(PathBuf),
    #[error("{path:?} in the archive is a hard link to {target:?}, which is no file in the image")]
    HardLink { path: PathBuf, target: PathBuf },
    #[error("the root of the archive is no folder")]
    Root,
}

impl Tree {
    pub(crate) fn new() -> Self {
        Self {
            root: IMPLICIT,
            nodes: BTreeMap::new(),
            left_out: 0,
            last: None,
        }
    }

    /// Puts an entry of a layer, whose archive is in `contents`, over what is there.
    pub(crate) fn put(
        &mut self,
        layer: usize,
        entry: Entry,
        contents: &Contents,
    ) -> io::Result<()> {
        let (Some(name), Some(parent)) = (entry.path.file_name(), entry.path.parent()) else {
            return self.put_root(entry);
        };
        let name = name.to_owned();
        if name.as_bytes().starts_with(WHITEOUT) {
            return self.white_out(layer, parent, &name, &entry.path);
        }
        let folder = self.folder(layer, parent, &entry.path)?;
        let path = folder.join(name);
        let kind = match entry.kind {
            EntryKind::Folder => Kind::Folder,
            EntryKind::File { start, size } => Kind::File(contents.part(start, size)?),
            EntryKind::Link(target) => Kind::Link(target),
            EntryKind::HardLink(target) => {
                return self.put_hard_link(layer, path, &entry.path, target);
            }
            EntryKind::Special => {
                self.left_out += 1;
                self.remove(&path, usize::MAX);
                return Ok(());
            }
        };
        let attributes = entry.attributes;
        self.insert(
            path,
            Node {
                layer,
                attributes,
                kind,
            },
        );
        Ok(())
    }

    fn put_root(&mut self, entry: Entry) -> io::Result<()> {
        match entry.kind {
            EntryKind::Folder => self.root = entry.attributes,
            _ => return invalid(PlaceError::Root),
        }
        Ok(())
    }

    /// A hard link becomes a file of its own, with the same contents.
    fn put_hard_link(
        &mut self,
        layer: usize,
        path: PathBuf,
        written: &Path,
        target: PathBuf,
    ) -> io::Result<()> {
        let place = match (target.file_name(), target.parent()) {
            (Some(name), Some(parent)) => Some(self.folder(layer, parent, written)?.join(name)),
            _ => None,
        };
        let node = place.and_then(|place| self.nodes.get(&place));
        match node {
            Some(node) if !matches!(node.kind, Kind::Folder) => {
                let node = Node {
                    layer,
                    ..node.clone()
                };
                self.insert(path, node);
                Ok(())
            }
            _ => invalid(PlaceError::HardLink {
                path: written.into(),
                target,
            }),
        }
    }

    fn insert(&mut self, path: PathBuf, node: Node) {
        let stays_folder = match (&node.kind, self.nodes.get(&path)) {
            (_, None) => true,
            (Kind::Folder, Some(found)) => matches!(found.kind, Kind::Folder),
            _ => false,
        };
        if !stays_folder {
            self.remove(&path, usize::MAX);
        }
        self.nodes.insert(path, node);
    }

    /// Takes away what lower layers have put where a whiteout says so.
    fn white_out(
        &mut self,
        layer: usize,
        parent: &Path,
        name: &OsStr,
        written: &Path,
    ) -> io::Result<()> {
        let name = name.as_bytes();
        if name == OPAQUE {
            let folder = self.folder(layer, parent, written)?;
            self.remove_within(&folder, layer);
        } else if !name.starts_with(PRIVATE) {
            let gone = OsStr::from_bytes(&name[WHITEOUT.len()..]);
            // What would lead elsewhere is no name.
            if !matches!(gone.as_bytes(), b"" | b"." | b"..") {
                let path = self.folder(layer, parent, written)?.join(gone);
                self.remove(&path, layer);
            }
        }
        Ok(())
    }

    /// Removes what layers before `layer` have put at `path`, and in it.
    fn remove(&mut self, path: &Path, layer: usize) {
        if self.nodes.get(path).is_some_and(|node| node.layer < layer) {
            self.nodes.remove(path);
            self.last = None;
        }
        self.remove_within(path, layer);
    }

    fn remove_within(&mut self, path: &Path, layer: usize) {
        let within = self.nodes.range(path.to_owned()..);
        let gone: Vec<PathBuf> = within
            .take_while(|(found, _)| found.starts_with(path))
            .filter(|(found, node)| found.as_path() != path && node.layer < layer)
            .map(|(found, _)| found.clone())
            .collect();
        for path in gone {
            self.nodes.remove(&path);
            self.last = None;
        }
    }

    /// Where the folder is that a path leads to, in the image as it is so far: symbolic links lead from the image's
    /// root, and never out of it. What is missing is created.
    fn folder(&mut self, layer: usize, path: &Path, written: &Path) -> io::Result<PathBuf> {
        if let Some((last, found)) = &self.last
            && last == path
        {
            return Ok(found.clone());
        }
        let mut links = 0;
        let mut left: VecDeque<OsString> = names(path);
        let mut folder = PathBuf::new();
        while let Some(name) = left.pop_front() {
            if name == ".." {
                folder.pop();
                continue;
            }
            folder.push(&name);
            match self.nodes.get(&folder).map(|node| &node.kind) {
                Some(Kind::Folder) => {}
                Some(Kind::Link(target)) => {
                    links += 1;
                    if links > MOST_LINKS {
                        return invalid(PlaceError::Loop(written.into()));
                    }
                    let target = target.clone();
                    folder.pop();
                    if target.is_absolute() {
                        folder.clear();
                    }
                    let mut before = names(&target);
                    before.append(&mut left);
                    left = before;
                }
                Some(Kind::File(_)) => {
                    return invalid(PlaceError::Through {
                        path: written.into(),
                        through: folder,
                    });
                }
                None => {
                    let node = Node {
                        layer,
                        attributes: IMPLICIT,
                        kind: Kind::Folder,
                    };
                    self.nodes.insert(folder.clone(), node);
                }
            }
        }
        self.last = Some((path.into(), folder.clone()));
        Ok(folder)
    }

    /// Gives each file and link a folder to be in, where a whiteout has taken it away.
    pub(crate) fn complete(&mut self) {
        let mut missing = BTreeMap::new();
        for path in self.nodes.keys() {
            let above = path.ancestors().skip(1);
            for folder in above.filter(|folder| !folder.as_os_str().is_empty()) {
                if self.nodes.contains_key(folder) {
                    break;
                }
                let node = Node {
                    layer: 0,
                    attributes: IMPLICIT,
                    kind: Kind::Folder,
                };
                missing.insert(folder.to_owned(), node);
            }
        }
        self.nodes.extend(missing);
    }
}

/// The names in a path; `..` stays.
fn names(path: &Path) -> VecDeque<OsString> {
    let names = path.components().filter_map(|component| match component {
        Component::Normal(name) => Some(name.to_owned()),
        Component::ParentDir => Some("..".into()),
        _ => None,
    });
    names.collect()
}

/// Where the contents of a layer's files will be.
pub(crate) type Contents = Region;

fn invalid<T>(problem: PlaceError) -> io::Result<T> {
    Err(io::Error::new(io::ErrorKind::InvalidData, problem))
}
