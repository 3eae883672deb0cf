//! Files on their way: from requestors' file services, web servers and the sandbox, and to them.

mod container;
mod digest;
mod gftp;
mod http;
mod location;

use std::io;

use futures::{Stream, StreamExt, TryStreamExt, stream::BoxStream};
use prost::bytes::Bytes;
use tokio::sync::watch;

pub(crate) use self::{
    container::{Volume, Volumes},
    digest::Digest,
    location::{LocationError, Source},
};
use self::{
    digest::Hasher,
    http::{HttpError, Web},
    location::Location,
};
use crate::{
    gsb::{Bus, CallError},
    runtime::Travelled,
};

/// What fetches and stores files.
#[derive(Clone, Debug)]
pub(crate) struct Transfers {
    bus: Bus,
    web: Web,
}

/// Why a file did not arrive.
#[derive(Debug, thiserror::Error)]
pub(crate) enum TransferError {
    #[error(transparent)]
    Location(#[from] LocationError),
    #[error("neither {from} nor {to} is in the sandbox")]
    Elsewhere { from: String, to: String },
    #[error("the file service at {service} has failed")]
    Gftp { service: String, source: CallError },
    #[error(
        "the file service at {service} has given {found} bytes of {expected} at offset {offset}"
    )]
    Chunk {
        service: String,
        offset: u64,
        expected: u64,
        found: u64,
    },
    #[error("the web server of {url} has failed")]
    Http { url: String, source: HttpError },
    #[error("{path}: {reason}")]
    Container { path: String, reason: &'static str },
    #[error("cannot {step} {path}")]
    File {
        step: &'static str,
        path: String,
        source: io::Error,
    },
    #[error("the file's hash is {found}, and should be {expected}")]
    Hash { expected: Digest, found: Digest },
}

impl Transfers {
    pub(crate) fn new(bus: Bus) -> Self {
        let web = Web::default();
        Self { bus, web }
    }

    /// Copies a file from one URL to another, of which at least one is in the sandbox.
    pub(crate) async fn copy(
        &self,
        from: &str,
        to: &str,
        volumes: &Volumes,
        far: &watch::Sender<Travelled>,
    ) -> Result<(), TransferError> {
        let (source, target) = (Source::parse(from)?, Location::parse(to)?);
        let is_inside = |location: &Location| matches!(location, Location::Container(_));
        if !is_inside(&source.location) && !is_inside(&target) {
            return Err(TransferError::Elsewhere {
                from: from.to_owned(),
                to: to.to_owned(),
            });
        }
        let mut download = self.open(source, volumes).await?;
        match target {
            Location::Container(path) => {
                let mut file = volumes.create(&path)?;
                while let Some(bytes) = download.next().await? {
                    file.write(&bytes).await?;
                    far.send_modify(|far| far.done += bytes.len() as u64);
                }
                file.finish().await
            }
            Location::Gftp { service } => gftp::upload(&self.bus, &service, download).await,
            Location::Http(url) => self.web.upload(url, download).await,
        }
    }

    /// Opens a file that is not in the sandbox.
    pub(crate) async fn fetch(&self, source: Source) -> Result<Download, TransferError> {
        self.open(source, &Volumes::default()).await
    }

    async fn open(&self, source: Source, volumes: &Volumes) -> Result<Download, TransferError> {
        let bytes = match source.location {
            Location::Gftp { service } => gftp::download(&self.bus, service).await?.boxed(),
            Location::Http(url) => self.web.download(url).await?.boxed(),
            Location::Container(path) => volumes.open(&path)?.boxed(),
        };
        Ok(Download::new(bytes, source.digest))
    }
}

/// A file as it comes in.
pub(crate) struct Download {
    bytes: BoxStream<'static, Result<Bytes, TransferError>>,
    /// The hash that it is to have, and what of it is known so far.
    check: Option<(Digest, Hasher)>,
}

impl Download {
    fn new(
        bytes: BoxStream<'static, Result<Bytes, TransferError>>,
        digest: Option<Digest>,
    ) -> Self {
        let check = digest.map(|digest| {
            let hasher = digest.hasher();
            (digest, hasher)
        });
        Self { bytes, check }
    }

    /// The next piece. The end is only reached if the hash is right.
    pub(crate) async fn next(&mut self) -> Result<Option<Bytes>, TransferError> {
        let piece = self.bytes.try_next().await?;
        match &piece {
            Some(bytes) => {
                if let Some((_, hasher)) = &mut self.check {
                    hasher.update(bytes);
                }
            }
            None => {
                if let Some((expected, hasher)) = self.check.take() {
                    let found = hasher.finish();
                    if found != expected {
                        return Err(TransferError::Hash { expected, found });
                    }
                }
            }
        }
        Ok(piece)
    }

    fn into_stream(self) -> impl Stream<Item = Result<Bytes, TransferError>> + Send {
        futures::stream::try_unfold(self, |mut download| async move {
            Ok(download.next().await?.map(|bytes| (bytes, download)))
        })
    }
}
