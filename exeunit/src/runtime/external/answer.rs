//! What a runtime program answers to `deploy`.

use std::{
    fs, io,
    path::{Component, Path, PathBuf},
};

use serde::Deserialize;

use crate::transfer::{Volume, Volumes};

/// How commands are run.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) enum StartMode {
    /// By a call of the program each.
    #[default]
    Empty,
    /// By a program that stays.
    Blocking,
}

/// What was deployed.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Answer {
    pub(super) volumes: Volumes,
    pub(super) start_mode: StartMode,
}

/// Why an answer cannot be used.
#[derive(Debug, thiserror::Error)]
pub(super) enum AnswerError {
    #[error("the runtime's answer to `deploy` is not what it should be")]
    Json(#[from] serde_json::Error),
    #[error("the runtime has refused the deployment: {0}")]
    Refused(String),
    #[error("the runtime has a volume at {path:?} in {name:?}: {reason}")]
    Volume {
        path: String,
        name: String,
        reason: &'static str,
    },
    #[error("cannot create {} for the volume {path}", .folder.display())]
    Create {
        path: String,
        folder: PathBuf,
        source: io::Error,
    },
}

#[derive(Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
struct Raw {
    valid: Option<Result<serde_json::Value, serde_json::Value>>,
    vols: Vec<RawVolume>,
    start_mode: StartMode,
}

#[derive(Deserialize)]
struct RawVolume {
    name: String,
    path: String,
}

impl Answer {
    /// Reads an answer of a runtime that works in a folder. What comes before the first brace is not part of it, and what is
    /// empty says nothing.
    pub(super) fn read(text: &str, work: &Path) -> Result<Self, AnswerError> {
        let raw: Raw = match text.find('{') {
            Some(begin) => {
                let mut values = serde_json::Deserializer::from_str(&text[begin..]).into_iter();
                values.next().unwrap_or_else(|| Ok(Raw::default()))?
            }
            None => Raw::default(),
        };
        if let Some(Err(reason)) = raw.valid {
            let text = reason.as_str().map(str::to_owned);
            return Err(AnswerError::Refused(text.unwrap_or(reason.to_string())));
        }
        let volumes = raw.vols.into_iter().map(|volume| volume.placed(work));
        Ok(Self {
            volumes: Volumes(volumes.collect::<Result<_, _>>()?),
            start_mode: raw.start_mode,
        })
    }

    /// Creates the folders of volumes that the runtime has not created by itself.
    pub(super) fn create_folders(&self) -> Result<(), AnswerError> {
        self.volumes.0.iter().try_for_each(|volume| {
            fs::create_dir_all(&volume.folder).map_err(|source| AnswerError::Create {
                path: volume.path.clone(),
                folder: volume.folder.clone(),
                source,
            })
        })
    }
}

impl RawVolume {
    /// The volume in a work folder, which it does not lead out of.
    fn placed(self, work: &Path) -> Result<Volume, AnswerError> {
        let mut parts = Path::new(&self.name).components();
        let is_name = matches!(
            (parts.next(), parts.next()),
            (Some(Component::Normal(_)), None)
        );
        let path_parts = || Path::new(&self.path).components();
        let reason = if !is_name {
            "that is no name of a folder"
        } else if !self.path.starts_with('/')
            || path_parts().any(|part| part == Component::ParentDir)
        {
            "that is no absolute path"
        } else {
            return Ok(Volume {
                folder: work.join(&self.name),
                path: self.path,
            });
        };
        Err(AnswerError::Volume {
            path: self.path,
            name: self.name,
            reason,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str) -> Result<Answer, String> {
        let work = tempfile::tempdir().expect("a folder");
        let answer = Answer::read(text, work.path());
        let left = fs::read_dir(work.path()).expect("a folder").count();
        assert_eq!(left, 0, "what may make no sense is only read");
        let answer = answer.map_err(|error| error.to_string())?;
        answer.create_folders().expect("folders");
        for volume in &answer.volumes.0 {
            assert!(volume.folder.is_dir() && volume.folder.starts_with(work.path()));
        }
        Ok(answer)
    }

    #[test]
    fn answers_are_read_as_runtimes_give_them() {
        for (text, paths, start_mode) in [
            ("", &[][..], StartMode::Empty),
            ("no json at all", &[], StartMode::Empty),
            (r#"{"valid": {"Ok": "fine"}}"#, &[], StartMode::Empty),
            (
                r#"log line {"valid": {"Ok": ""}, "vols": [{"name": "vol-work", "path": "/golem/work"}, {"name": "vol-out", "path": "/golem/output"}], "startMode": "blocking"} more"#,
                &["/golem/work", "/golem/output"],
                StartMode::Blocking,
            ),
        ] {
            let answer = read(text).expect(text);
            let found: Vec<&str> = answer.volumes.0.iter().map(|v| &*v.path).collect();
            assert_eq!(
                (&found[..], answer.start_mode),
                (paths, start_mode),
                "{text}"
            );
        }
    }

    #[test]
    fn what_makes_no_sense_is_named() {
        for (text, reason) in [
            (r#"{"valid": {"Err": "no such image"}}"#, "no such image"),
            (
                r#"{"vols": [{"name": "../up", "path": "/a"}]}"#,
                "no name of a folder",
            ),
            (
                r#"{"vols": [{"name": "", "path": "/a"}]}"#,
                "no name of a folder",
            ),
            (
                r#"{"vols": [{"name": "/etc", "path": "/a"}]}"#,
                "no name of a folder",
            ),
            (
                r#"{"vols": [{"name": "vol", "path": "a"}]}"#,
                "no absolute path",
            ),
            (
                r#"{"vols": [{"name": "vol", "path": "/a/../b"}]}"#,
                "no absolute path",
            ),
            (r#"{"vols": 7}"#, "not what it should be"),
            (r#"{"startMode": "#, "not what it should be"),
        ] {
            let error = read(text).expect_err(text);
            assert!(error.contains(reason), "{text}: {error}");
        }
    }
}
