//! Images in registries.

use std::{
    io,
    net::IpAddr,
    path::{Path, PathBuf},
    time::Duration,
};

use docker_credential::{CredentialRetrievalError, DockerCredential};
use futures::StreamExt;
use oci_client::{
    Client, Reference,
    client::{ClientConfig, ClientProtocol},
    errors::OciDistributionError,
    manifest::OciDescriptor,
    secrets::RegistryAuth,
};
use tokio::{fs, io::AsyncWriteExt, time::timeout};

use crate::{
    ContainerImage, Digest, ImageError, Limits,
    blobs::{Blobs, LONGEST_JSON},
    image::from_parts,
};

/// A registry that is silent for so long will not answer any more.
const SILENCE: Duration = Duration::from_secs(60);

/// How long a manifest, and the permission to read it, may take. They are small, but the client reads whatever a registry
/// says instead to its end.
const MANIFEST: Duration = Duration::from_secs(120);

/// Each layer takes a request and a file, however small it is. Docker has no more than 127.
const MOST_LAYERS: usize = 1000;

/// How long a connection may take to be made.
const CONNECTING: Duration = Duration::from_secs(20);

/// Whose credentials are asked for where an image names no registry.
const DOCKER_HUB: &str = "https://index.docker.io/v1/";

/// Why an image does not come from a registry.
#[derive(Debug, thiserror::Error)]
pub enum PullError {
    /// The name is none.
    #[error("{name:?} is no name of an image in a registry")]
    Name {
        /// What was to be a name.
        name: String,
        /// Why it is none.
        source: oci_client::ParseError,
    },
    /// The user's credentials cannot be had.
    #[error("cannot get the credentials for {registry}: {reason}")]
    Credentials {
        /// The registry.
        registry: String,
        /// Why.
        reason: String,
    },
    /// The registry does not give it.
    #[error("cannot pull {image}")]
    Registry {
        /// The image, with its registry.
        image: String,
        /// Why.
        source: Box<OciDistributionError>,
    },
    /// Its manifest does not come to an end.
    #[error("cannot pull {image}: its manifest has not come within {} s", MANIFEST.as_secs())]
    Endless {
        /// The image, with its registry.
        image: String,
    },
    /// It has more layers than images have.
    #[error("cannot pull {image}: it has {count} layers, and {MOST_LAYERS} are the most")]
    Layers {
        /// The image, with its registry.
        image: String,
        /// How many it has.
        count: usize,
    },
    /// A part of it is not what it should be, or cannot be kept.
    #[error("cannot pull {image}: {part}")]
    Part {
        /// The image, with its registry.
        image: String,
        /// The digest of the part.
        part: String,
        /// Why.
        source: io::Error,
    },
    /// What was pulled is of no use.
    #[error(transparent)]
    Image(#[from] ImageError),
}

/// Pulls the image `name`, as Docker understands it: `debian:12`, `registry.example/team/tool@sha256:…`.
///
/// What is pulled stays in the folder `layers`, by its digest, and is not pulled again; the registry is asked for the
/// image's manifest each time. Registries are spoken to by https, and on loopback by http. Credentials are those that
/// `docker login` has kept. `progress` hears how many layers are there, and how many there are.
///
/// # Errors
/// If the registry cannot be reached or does not give the image, or if a part of it is not what its digest names.
pub async fn pull(
    name: &str,
    layers: &Path,
    limits: Limits,
    progress: impl Fn(usize, usize) + Send,
) -> Result<ContainerImage, PullError> {
    let reference: Reference = name.parse().map_err(|source| PullError::Name {
        name: name.to_owned(),
        source,
    })?;
    // Two could be in a program; this one is in use elsewhere here. If one is set already, that is as well.
    let _ = rustls::crypto::ring::default_provider().install_default();
    let registry = reference.resolve_registry().to_owned();
    let mut config = ClientConfig {
        read_timeout: Some(SILENCE),
        connect_timeout: Some(CONNECTING),
        ..ClientConfig::default()
    };
    if is_loopback(&registry) {
        config.protocol = ClientProtocol::HttpsExcept(vec![registry.clone()]);
    }
    let pulling = Pulling {
        client: Client::new(config),
        image: reference.to_string(),
        reference,
        folder: layers,
    };
    let credentials = credentials(&registry).await?;
    let manifest = pulling
        .client
        .pull_image_manifest(&pulling.reference, &credentials);
    let Ok(manifest) = timeout(MANIFEST, manifest).await else {
        return Err(PullError::Endless {
            image: pulling.image,
        });
    };
    let (manifest, _) = manifest.map_err(|error| pulling.refused(error))?;
    if manifest.layers.len() > MOST_LAYERS {
        return Err(PullError::Layers {
            image: pulling.image,
            count: manifest.layers.len(),
        });
    }
    let most = LONGEST_JSON.min(limits.bytes);
    let (configuration, _) = pulling.get(&manifest.config, most).await?;
    let mut parts = Vec::new();
    let mut left = limits.bytes;
    for (done, layer) in manifest.layers.iter().enumerate() {
        progress(done, manifest.layers.len());
        let (part, size) = pulling.get(layer, left).await?;
        left = left.saturating_sub(size);
        parts.push(part);
    }
    progress(parts.len(), parts.len());
    let (image, folder) = (pulling.image, layers.to_owned());
    let opened = tokio::task::spawn_blocking(move || {
        let blobs = Blobs::Folder(folder);
        from_parts(Path::new(&image), &blobs, limits, &configuration, parts)
    });
    Ok(opened
        .await
        .map_err(io::Error::from)
        .map_err(|source| PullError::Part {
            image: name.to_owned(),
            part: "its layers".to_owned(),
            source,
        })??)
}

struct Pulling<'a> {
    client: Client,
    reference: Reference,
    image: String,
    folder: &'a Path,
}

impl Pulling<'_> {
    /// Sees to it that a part is there, and returns its path in the folder, and how long it is. One that is not there yet
    /// may be so long at most.
    async fn get(&self, part: &OciDescriptor, most: u64) -> Result<(PathBuf, u64), PullError> {
        let failed = |source| PullError::Part {
            image: self.image.clone(),
            part: part.digest.clone(),
            source,
        };
        let digest: Digest = part
            .digest
            .parse()
            .map_err(|error| failed(io::Error::new(io::ErrorKind::InvalidData, error)))?;
        let name = PathBuf::from(digest.hex());
        let path = self.folder.join(&name);
        match fs::metadata(&path).await {
            Ok(found) => return Ok((name, found.len())),
            Err(error) if error.kind() == io::ErrorKind::NotFound => {}
            Err(error) => return Err(failed(error)),
        }
        let most = u64::try_from(part.size).map_or(0, |size| size.min(most));
        // Its name is given to it when it is whole and right.
        let file = tempfile::NamedTempFile::new_in(self.folder).map_err(failed)?;
        let copy = file.reopen().map_err(failed)?;
        self.fetch(part, most, fs::File::from_std(copy)).await?;
        let whole = tokio::task::spawn_blocking(move || {
            let mut reader = crate::digest::Digesting::new(file.reopen()?);
            let length = io::copy(&mut reader, &mut io::sink())?;
            reader.finish(digest)?;
            file.persist(path).map_err(|error| error.error)?;
            Ok(length)
        });
        let whole = whole.await.map_err(io::Error::from).flatten();
        Ok((name, whole.map_err(failed)?))
    }

    async fn fetch(
        &self,
        part: &OciDescriptor,
        most: u64,
        mut file: fs::File,
    ) -> Result<(), PullError> {
        let failed = |source| PullError::Part {
            image: self.image.clone(),
            part: part.digest.clone(),
            source,
        };
        let stream = self.client.pull_blob_stream(&self.reference, part).await;
        let mut stream = stream.map_err(|error| self.refused(error))?.stream;
        let mut size = 0;
        while let Some(bytes) = stream.next().await {
            let bytes = bytes.map_err(failed)?;
            size += bytes.len() as u64;
            if size > most {
                let problem = format!("it has more than {most} bytes, which is what it may have");
                return Err(failed(io::Error::new(io::ErrorKind::InvalidData, problem)));
            }
            file.write_all(&bytes).await.map_err(failed)?;
        }
        file.flush().await.map_err(failed)
    }

    fn refused(&self, source: OciDistributionError) -> PullError {
        PullError::Registry {
            image: self.image.clone(),
            source: Box::new(source),
        }
    }
}

/// What `docker login` has kept for a registry. Helpers of Docker's are asked, which takes a moment.
async fn credentials(registry: &str) -> Result<RegistryAuth, PullError> {
    let server = match registry {
        "index.docker.io" | "docker.io" => DOCKER_HUB.to_owned(),
        other => other.to_owned(),
    };
    let found =
        tokio::task::spawn_blocking(move || docker_credential::get_credential(&server)).await;
    match found {
        Ok(Ok(DockerCredential::UsernamePassword(user, password))) => {
            Ok(RegistryAuth::Basic(user, password))
        }
        Ok(Ok(DockerCredential::IdentityToken(token))) => Ok(RegistryAuth::Bearer(token)),
        Ok(Err(
            CredentialRetrievalError::ConfigNotFound
            | CredentialRetrievalError::ConfigReadError
            | CredentialRetrievalError::NoCredentialConfigured,
        )) => Ok(RegistryAuth::Anonymous),
        Ok(Err(error)) => Err(PullError::Credentials {
            registry: registry.to_owned(),
            reason: error.to_string(),
        }),
        Err(error) => Err(PullError::Credentials {
            registry: registry.to_owned(),
            reason: error.to_string(),
        }),
    }
}

/// Whether a registry, `host` or `host:port`, is on this machine.
fn is_loopback(registry: &str) -> bool {
    let host = registry.rsplit_once(':').map_or(registry, |(host, _)| host);
    let host = host.trim_matches(['[', ']']);
    host == "localhost"
        || host
            .parse::<IpAddr>()
            .is_ok_and(|address| address.is_loopback())
}

#[cfg(test)]
mod tests {
    use super::is_loopback;

    #[test]
    fn only_loopback_is_spoken_to_by_http() {
        for (registry, expected) in [
            ("localhost:5000", true),
            ("127.0.0.1:5000", true),
            ("[::1]:5000", true),
            ("localhost.example", false),
            ("docker.io", false),
            ("192.168.0.1:5000", false),
        ] {
            assert_eq!(is_loopback(registry), expected, "{registry}");
        }
    }
}
