//! The folders that sources are looked for in, and never outside of.

use std::{
    collections::BTreeMap,
    fs, io,
    path::{Path, PathBuf},
};

use super::{Source, SourceError, pattern::Pattern};
use crate::dockerfile::Copy;

/// The contexts of a build: the main one, and those that `COPY --from=NAME` names.
#[derive(Clone, Debug)]
pub(crate) struct Contexts {
    pub(crate) main: PathBuf,
    pub(crate) named: BTreeMap<String, PathBuf>,
}

impl Contexts {
    /// What a `COPY` copies, in the order of its sources; of a pattern, in the order of names.
    pub(crate) fn sources(&self, copy: &Copy) -> Result<Vec<Source>, SourceError> {
        let context = self.folder(copy.from.as_deref())?;
        let mut sources = Vec::new();
        for pattern in &copy.sources {
            for path in find(&context, pattern)? {
                sources.push(read(&context, pattern, &path)?);
            }
        }
        Ok(sources)
    }

    fn folder(&self, name: Option<&str>) -> Result<PathBuf, SourceError> {
        let path = match name {
            None => &self.main,
            Some(name) => self
                .named
                .get(name)
                .ok_or_else(|| SourceError::NoContext(name.to_owned()))?,
        };
        let failed = |source| SourceError::Context {
            path: path.clone(),
            source,
        };
        let folder = path.canonicalize().map_err(failed)?;
        if !folder.is_dir() {
            return Err(failed(io::ErrorKind::NotADirectory.into()));
        }
        let ignore_file = folder.join(".dockerignore");
        if ignore_file.exists() {
            return Err(SourceError::IgnoreFile(ignore_file));
        }
        Ok(folder)
    }
}

/// The paths in `context` that a pattern matches: at least one.
fn find(context: &Path, pattern: &str) -> Result<Vec<PathBuf>, SourceError> {
    let mut found = vec![context.to_path_buf()];
    for part in within(context, pattern)? {
        let part_pattern = Pattern::new(part)?;
        if let Some(name) = part_pattern.literal() {
            found.iter_mut().for_each(|path| path.push(&name));
            continue;
        }
        let mut matching = Vec::new();
        for folder in found {
            matching.extend(children(&folder, &part_pattern)?);
        }
        found = matching;
    }
    found.retain(|path| path.symlink_metadata().is_ok());
    if found.is_empty() {
        return Err(SourceError::Missing {
            pattern: pattern.to_owned(),
            context: context.into(),
        });
    }
    Ok(found)
}

/// The parts of a path in the context, which is its root.
fn within<'a>(context: &Path, pattern: &'a str) -> Result<Vec<&'a str>, SourceError> {
    let mut parts = Vec::new();
    for part in pattern.split('/') {
        match part {
            "" | "." => {}
            ".." if parts.pop().is_none() => {
                return Err(SourceError::Outside {
                    pattern: pattern.to_owned(),
                    context: context.into(),
                });
            }
            ".." => {}
            part => parts.push(part),
        }
    }
    Ok(parts)
}

fn children(folder: &Path, pattern: &Pattern) -> Result<Vec<PathBuf>, SourceError> {
    if !folder.is_dir() {
        return Ok(Vec::new());
    }
    let failed = |source| SourceError::Read {
        path: folder.into(),
        source,
    };
    let mut matching = Vec::new();
    for entry in fs::read_dir(folder).map_err(failed)? {
        let entry = entry.map_err(failed)?;
        if pattern.matches(&entry.file_name().to_string_lossy()) {
            matching.push(entry.path());
        }
    }
    matching.sort();
    Ok(matching)
}

/// Reads what a path leads to; a source that is a link is what it leads to, but keeps its name.
fn read(context: &Path, pattern: &str, path: &Path) -> Result<Source, SourceError> {
    let target = path.canonicalize().map_err(|source| SourceError::Read {
        path: path.into(),
        source,
    })?;
    if !target.starts_with(context) {
        return Err(SourceError::Outside {
            pattern: pattern.to_owned(),
            context: context.into(),
        });
    }
    Source::read(&target, path.file_name().unwrap_or_default().to_owned())
}
