//! What a requestor says that it wants.

use std::{
    fs::File,
    io::{self, Read},
    path::{Path, PathBuf},
    time::Duration,
};

use chrono::{DateTime, Utc};
use sha3::{Digest, Sha3_224};

use super::{Golem, StartError};
use crate::{
    payload::{Payload, vm},
    transfer::Outgoing,
    yagna::{Demand, FileService},
};

impl Golem {
    /// The demand for a payload, and the service through which providers get its image.
    pub(crate) async fn demand(
        &self,
        payload: Payload,
        expiration: Duration,
    ) -> Result<(Demand, Option<FileService>), StartError> {
        let mut properties = payload.properties;
        let image = match payload.image {
            Some(path) => {
                let (package, service) = self.serve_image(path).await?;
                properties.set(vm::TASK_PACKAGE, package);
                Some(service)
            }
            None => None,
        };
        let mut constraints = payload.constraints;
        properties.set(
            "golem.srv.comp.expiration",
            expires((self.clock)(), expiration),
        );
        properties.set("golem.srv.caps.multi-activity", true);
        if let Some(subnet) = &self.subnet {
            properties.set("golem.node.debug.subnet", subnet.as_str());
            constraints.push(format!("(golem.node.debug.subnet={subnet})"));
        }
        properties.extend(self.decoration.properties.clone());
        constraints.extend(self.decoration.constraints.iter().cloned());
        Ok((
            Demand {
                properties,
                constraints: format!("(&{})", constraints.concat()),
            },
            image,
        ))
    }

    async fn serve_image(&self, path: PathBuf) -> Result<(String, FileService), StartError> {
        let unreadable = |path: PathBuf| move |source| StartError::Image { path, source };
        let hashed = path.clone();
        let hash = tokio::task::spawn_blocking(move || sha3_224(&hashed)).await;
        let hash = hash
            .expect("hashing does not panic")
            .map_err(unreadable(path.clone()))?;
        let file = Outgoing::file(path).await.map_err(StartError::Transfer)?;
        let service = self
            .holdings
            .yagna
            .publish_file(file)
            .await
            .map_err(StartError::Yagna)?;
        Ok((vm::task_package(&hash, service.url()), service))
    }
}

/// Milliseconds since 1970.
fn expires(now: DateTime<Utc>, after: Duration) -> i64 {
    now.timestamp_millis()
        .saturating_add_unsigned(u64::try_from(after.as_millis()).unwrap_or(u64::MAX))
}

fn sha3_224(path: &Path) -> io::Result<String> {
    let mut file = File::open(path)?;
    let mut hasher = Sha3_224::new();
    let mut buffer = vec![0; 1 << 16];
    loop {
        match file.read(&mut buffer)? {
            0 => return Ok(hex::encode(hasher.finalize())),
            read => hasher.update(&buffer[..read]),
        }
    }
}
