//! Files on their way: from requestors' file services, web servers and the sandbox, and to them.

mod archive;
mod container;
mod digest;
mod draft;
mod fileset;
mod gftp;
mod http;
mod location;
mod patience;

use std::io;

use futures::{Stream, StreamExt, TryStreamExt, stream::BoxStream};
use prost::bytes::Bytes;
use tokio::{sync::watch, time::sleep};

use self::{
    archive::{ArchiveError, Archives, Bounds},
    digest::Hasher,
    fileset::{PatternError, Selection},
    http::{HttpError, Web},
    patience::Patience,
};
pub(crate) use self::{
    container::{Volume, Volumes},
    digest::Digest,
    location::{Location, LocationError, Source},
};
use crate::{
    gsb::{Bus, CallError},
    runtime::Travelled,
    script::{ArchiveFormat, Transfer},
    threads::Threads,
};

/// What fetches and stores files.
#[derive(Clone, Debug)]
pub(crate) struct Transfers {
    bus: Bus,
    web: Web,
    patience: Patience,
    archives: Archives,
    /// How far the transfer is that is under way.
    travelled: watch::Sender<Travelled>,
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
    #[error(transparent)]
    Pattern(#[from] PatternError),
    #[error(transparent)]
    Archive(#[from] ArchiveError),
    #[error("`depth` and `fileset` are for archives: the transfer has no `format`")]
    NoArchive,
}

impl Transfers {
    /// What fetches and stores files; those of an archive have `most` bytes at the most.
    pub(crate) fn new(bus: Bus, most: u64, threads: Threads) -> Self {
        let patience = Patience::default();
        Self {
            bus,
            web: Web::new(patience),
            patience,
            archives: Archives {
                bounds: Bounds::of(most),
                threads,
            },
            travelled: watch::Sender::default(),
        }
    }

    /// Follows how far the transfer is that is under way.
    pub(crate) fn travelled(&self) -> watch::Receiver<Travelled> {
        self.travelled.subscribe()
    }

    /// Copies what a command says: from one URL to another, of which at least one is in the sandbox.
    pub(crate) async fn copy(
        &self,
        transfer: &Transfer,
        volumes: &Volumes,
    ) -> Result<(), TransferError> {
        let Transfer { from, to, .. } = transfer;
        let (source, target) = (Source::parse(from)?, Location::parse(to)?);
        let is_inside = |location: &Location| matches!(location, Location::Container(_));
        if !is_inside(&source.location) && !is_inside(&target) {
            return Err(TransferError::Elsewhere {
                from: from.to_owned(),
                to: to.to_owned(),
            });
        }
        let packing = Packing::of(transfer)?;
        match target {
            Location::Container(path) => {
                let download = self.open(&source, volumes, &packing).await?;
                match packing {
                    Some(packing) => self.unpack(download, &path, packing, volumes).await,
                    None => store(download, &path, volumes).await,
                }
            }
            Location::Gftp { service } => {
                let download = self.open(&source, volumes, &packing).await?;
                gftp::upload(&self.bus, self.patience, &service, download).await
            }
            Location::Http(url) => {
                let mut failures = 0;
                loop {
                    let download = self.open(&source, volumes, &packing).await?;
                    let Err(error) = self.web.upload(&url, download).await else {
                        return Ok(());
                    };
                    failures += 1;
                    match self.patience.pause(failures) {
                        Some(pause) if error.is_passing() => sleep(pause).await,
                        _ => return Err(error),
                    }
                }
            }
        }
    }

    /// Opens a file that is not in the sandbox.
    pub(crate) async fn fetch(&self, source: Source) -> Result<Download, TransferError> {
        self.open(&source, &Volumes::default(), &None).await
    }

    async fn unpack(
        &self,
        download: Download,
        path: &str,
        packing: Packing,
        volumes: &Volumes,
    ) -> Result<(), TransferError> {
        let (folder, disk) = volumes.create_folder(path)?;
        let Packing {
            format, selection, ..
        } = packing;
        let unpacking = self
            .archives
            .unpack(download, format, folder, selection, disk);
        unpacking.await
    }

    async fn open(
        &self,
        source: &Source,
        volumes: &Volumes,
        packing: &Option<Packing>,
    ) -> Result<Download, TransferError> {
        let (total, bytes) = match (&source.location, packing) {
            (Location::Gftp { service }, _) => {
                let (total, bytes) =
                    gftp::download(&self.bus, self.patience, service.clone()).await?;
                (Some(total), bytes.boxed())
            }
            (Location::Http(url), _) => {
                let (total, bytes) = self.web.download(url.clone()).await?;
                (total, bytes.boxed())
            }
            (Location::Container(path), None) => {
                let (total, bytes) = volumes.open(path)?;
                (Some(total), bytes.boxed())
            }
            (Location::Container(path), Some(packing)) => {
                let folder = volumes.open_folder(path)?;
                let selection = packing.selection.clone();
                let Packing { format, depth, .. } = packing;
                let bytes = self.archives.pack(folder, *format, *depth, selection);
                (None, bytes.boxed())
            }
        };
        self.travelled.send_replace(Travelled { done: 0, total });
        let check = source.digest.clone().map(|digest| {
            let hasher = digest.hasher();
            (digest, hasher)
        });
        Ok(Download {
            bytes,
            check,
            travelled: self.travelled.clone(),
        })
    }
}

/// How the files of an archive are chosen.
struct Packing {
    format: ArchiveFormat,
    depth: Option<usize>,
    selection: Selection,
}

impl Packing {
    fn of(transfer: &Transfer) -> Result<Option<Self>, TransferError> {
        let Some(format) = transfer.format else {
            return match transfer.depth.is_some() || transfer.fileset.is_some() {
                true => Err(TransferError::NoArchive),
                false => Ok(None),
            };
        };
        Ok(Some(Self {
            format,
            depth: transfer.depth,
            selection: Selection::of(transfer.fileset.as_ref())?,
        }))
    }
}

async fn store(mut download: Download, path: &str, volumes: &Volumes) -> Result<(), TransferError> {
    let mut file = volumes.create(path)?;
    while let Some(bytes) = download.next().await? {
        file.write(&bytes).await?;
    }
    file.finish().await
}

/// A file as it comes in.
pub(crate) struct Download {
    bytes: BoxStream<'static, Result<Bytes, TransferError>>,
    /// The hash that it is to have, and what of it is known so far.
    check: Option<(Digest, Hasher)>,
    travelled: watch::Sender<Travelled>,
}

impl Download {
    /// Whether it is to have a certain hash.
    fn has_digest(&self) -> bool {
        self.check.is_some()
    }

    /// The next piece. The end is only reached if the hash is right.
    pub(crate) async fn next(&mut self) -> Result<Option<Bytes>, TransferError> {
        let piece = self.bytes.try_next().await?;
        match &piece {
            Some(bytes) => {
                self.travelled
                    .send_modify(|travelled| travelled.done += bytes.len() as u64);
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
