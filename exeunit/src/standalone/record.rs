//! What `deploy` leaves in the work folder for `start`.

use std::{
    fs, io,
    path::{Path, PathBuf},
};

use serde::{Deserialize, Serialize};

use crate::{
    image::Image,
    runtime::Deployed,
    script::Deployment,
    transfer::{Volume, Volumes},
};

const NAME: &str = "deployment.json";

/// A deployment, and what else it was asked for.
#[derive(Debug, PartialEq, Serialize, Deserialize)]
pub(super) struct Record {
    image: PathBuf,
    configuration: gvmi::Configuration,
    /// The folders of volumes, and their paths in the image.
    volumes: Vec<(PathBuf, String)>,
    /// Its host name and volumes.
    pub(super) wanted: Deployment,
}

/// Why there is no record.
#[derive(Debug, thiserror::Error)]
pub(super) enum RecordError {
    #[error("cannot write {}", .path.display())]
    Write { path: PathBuf, source: io::Error },
    #[error("nothing was deployed: cannot read {}", .path.display())]
    Read { path: PathBuf, source: io::Error },
}

impl Record {
    pub(super) fn new(deployed: &Deployed, wanted: Deployment) -> Self {
        let volumes = deployed.volumes.0.iter();
        Self {
            image: deployed.image.tree.clone(),
            configuration: deployed.image.configuration.clone(),
            volumes: volumes
                .map(|volume| (volume.folder.clone(), volume.path.clone()))
                .collect(),
            wanted,
        }
    }

    pub(super) fn write(&self, work: &Path) -> Result<(), RecordError> {
        let path = work.join(NAME);
        let text = serde_json::to_vec(self).map_err(io::Error::from);
        text.and_then(|text| fs::write(&path, text))
            .map_err(|source| RecordError::Write { path, source })
    }

    pub(super) fn read(work: &Path) -> Result<Self, RecordError> {
        let path = work.join(NAME);
        let text = fs::read(&path);
        text.and_then(|text| Ok(serde_json::from_slice(&text)?))
            .map_err(|source| RecordError::Read { path, source })
    }

    pub(super) fn deployed(&self) -> Deployed {
        let volumes = self.volumes.iter().map(|(folder, path)| Volume {
            folder: folder.clone(),
            path: path.clone(),
        });
        Deployed {
            image: Image {
                tree: self.image.clone(),
                configuration: self.configuration.clone(),
            },
            volumes: Volumes(volumes.collect()),
        }
    }
}
