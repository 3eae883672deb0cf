//! What sources are looked for in, and never outside of.

use std::{
    fs, io,
    path::{Path, PathBuf},
};

use super::{Source, SourceError, ignore::Ignored, pattern::Pattern};
use crate::{dockerfile::Copy, rootfs::Rootfs};

/// A folder of this machine, or the files of an image.
#[derive(Debug)]
pub(crate) struct Context<'a> {
    root: PathBuf,
    ignored: Ignored,
    /// The image; symbolic links lead from its root then.
    image: Option<&'a Rootfs>,
}

impl<'a> Context<'a> {
    /// The folder at `path`, without what the file `ignore_file` says to leave out.
    pub(crate) fn folder(path: &Path, ignore_file: &Path) -> Result<Self, SourceError> {
        let failed = |source| SourceError::Context {
            path: path.into(),
            source,
        };
        let root = path.canonicalize().map_err(failed)?;
        if !root.is_dir() {
            return Err(failed(io::ErrorKind::NotADirectory.into()));
        }
        let ignored = Ignored::read(ignore_file).map_err(|source| SourceError::Read {
            path: ignore_file.into(),
            source,
        })?;
        Ok(Self {
            root,
            ignored,
            image: None,
        })
    }

    /// The files of an image.
    pub(crate) fn image(rootfs: &'a Rootfs) -> Self {
        Self {
            root: rootfs.path().to_owned(),
            ignored: Ignored::default(),
            image: Some(rootfs),
        }
    }

    /// What a `COPY` copies, in the order of its sources; of a pattern, in the order of names.
    pub(crate) fn sources(&self, copy: &Copy) -> Result<Vec<Source>, SourceError> {
        let mut sources = Vec::new();
        for pattern in &copy.sources {
            for path in self.find(pattern)? {
                sources.push(self.read(pattern, &path)?);
            }
        }
        Ok(sources)
    }

    /// The paths that a pattern matches: at least one.
    fn find(&self, pattern: &str) -> Result<Vec<PathBuf>, SourceError> {
        let mut found = vec![PathBuf::new()];
        for part in self.within(pattern)? {
            let part_pattern = Pattern::new(part)?;
            if let Some(name) = part_pattern.literal() {
                found.iter_mut().for_each(|path| path.push(&name));
                continue;
            }
            let mut matching = Vec::new();
            for folder in found {
                matching.extend(self.children(pattern, &folder, &part_pattern)?);
            }
            found = matching;
        }
        found.retain(|path| self.is_there(pattern, path));
        if found.is_empty() {
            return Err(SourceError::Missing {
                pattern: pattern.to_owned(),
                context: self.root.clone(),
            });
        }
        Ok(found)
    }

    /// The parts of a path in the context, which is its root.
    fn within<'p>(&self, pattern: &'p str) -> Result<Vec<&'p str>, SourceError> {
        let mut parts = Vec::new();
        for part in pattern.split('/') {
            match part {
                "" | "." => {}
                ".." if parts.pop().is_none() => return Err(self.outside(pattern)),
                ".." => {}
                part => parts.push(part),
            }
        }
        Ok(parts)
    }

    fn is_there(&self, pattern: &str, path: &Path) -> bool {
        let parent = self.real(pattern, path.parent().unwrap_or(Path::new("")));
        let place = match (parent, path.file_name()) {
            (Ok(parent), Some(name)) => parent.join(name),
            (Ok(parent), None) => parent,
            (Err(_), _) => return false,
        };
        let metadata = fs::symlink_metadata(place);
        let is_folder = metadata.as_ref().is_ok_and(fs::Metadata::is_dir);
        metadata.is_ok() && (!self.ignored.has(path) || is_folder && self.ignored.has_exceptions())
    }

    fn children(
        &self,
        pattern: &str,
        folder: &Path,
        name: &Pattern,
    ) -> Result<Vec<PathBuf>, SourceError> {
        let real = match self.real(pattern, folder) {
            Ok(real) if real.is_dir() => real,
            _ => return Ok(Vec::new()),
        };
        let failed = |source| SourceError::Read {
            path: real.clone(),
            source,
        };
        let mut matching = Vec::new();
        for entry in fs::read_dir(&real).map_err(failed)? {
            let entry = entry.map_err(failed)?;
            if name.matches(&entry.file_name().to_string_lossy()) {
                matching.push(folder.join(entry.file_name()));
            }
        }
        matching.sort();
        Ok(matching)
    }

    /// Reads what a path leads to; a source that is a link is what it leads to, but keeps its name.
    fn read(&self, pattern: &str, path: &Path) -> Result<Source, SourceError> {
        let target = self.real(pattern, path)?;
        let name = path.file_name().unwrap_or_default().to_owned();
        let is_there = |within: &Path| {
            let place = match within.as_os_str().is_empty() {
                true => path.to_owned(),
                false => path.join(within),
            };
            !self.ignored.has(&place)
        };
        Source::read(&target, name, is_there, self.ignored.has_exceptions())
    }

    /// Where a path in the context really is; it is there.
    fn real(&self, pattern: &str, path: &Path) -> Result<PathBuf, SourceError> {
        let place = self.root.join(path);
        let failed = |source| SourceError::Read {
            path: place.clone(),
            source,
        };
        if let Some(image) = self.image {
            let found = image.resolve(&Path::new("/").join(path)).map_err(failed)?;
            return Ok(match found.strip_prefix("/") {
                Ok(found) if !found.as_os_str().is_empty() => self.root.join(found),
                _ => self.root.clone(),
            });
        }
        let target = place.canonicalize().map_err(failed)?;
        match target.starts_with(&self.root) {
            true => Ok(target),
            false => Err(self.outside(pattern)),
        }
    }

    fn outside(&self, pattern: &str) -> SourceError {
        SourceError::Outside {
            pattern: pattern.to_owned(),
            context: self.root.clone(),
        }
    }
}
