//! The way to the bus: found once, and again after the node was started anew.

use std::{
    io,
    path::{Path, PathBuf},
    time::Duration,
};

use futures::SinkExt;
use tokio::{
    net::UnixStream,
    sync::watch,
    time::{Instant, sleep, timeout_at},
};
use tokio_util::{codec::Framed, sync::CancellationToken};

use super::{Hello, PacketCodec, PacketError, PacketKind};

/// A connection to the bus's socket.
pub(super) type Connection = Framed<UnixStream, PacketCodec>;

/// How long to wait before looking for a lost bus again.
const PAUSE: Duration = Duration::from_millis(100);

/// The way to the bus, and what is known of it.
#[derive(Debug)]
pub(super) struct Link {
    pub(super) connection: Connection,
    path: PathBuf,
    name: String,
    /// How long a bus that is lost is looked for.
    patience: Duration,
    /// Nobody looks for it any more once this is cancelled.
    give_up: CancellationToken,
    is_up: watch::Sender<bool>,
}

/// What those who use a link know of it.
#[derive(Clone, Debug)]
pub(super) struct Outlook {
    pub(super) is_up: watch::Receiver<bool>,
    pub(super) give_up: CancellationToken,
}

impl Link {
    /// Connects to the bus at `path`.
    pub(super) async fn find(
        path: &Path,
        name: &str,
        patience: Duration,
    ) -> Result<(Self, Outlook), PacketError> {
        let connection = dial(path, name).await?;
        let (is_up, seen_up) = watch::channel(true);
        let outlook = Outlook {
            is_up: seen_up,
            give_up: CancellationToken::new(),
        };
        let link = Self {
            connection,
            path: path.to_owned(),
            name: name.to_owned(),
            patience,
            give_up: outlook.give_up.clone(),
            is_up,
        };
        Ok((link, outlook))
    }

    /// Finds the bus again after it was lost; whether it was found in time.
    pub(super) async fn find_again(&mut self) -> bool {
        if self.patience.is_zero() {
            return false;
        }
        self.is_up.send_replace(false);
        tracing::warn!(path = %self.path.display(), "the bus is lost, and looked for");
        let deadline = Instant::now() + self.patience;
        let (path, name) = (self.path.clone(), self.name.clone());
        let looking = async {
            loop {
                match dial(&path, &name).await {
                    Ok(connection) => return connection,
                    Err(error) => tracing::trace!(%error, "not there"),
                }
                sleep(PAUSE).await;
            }
        };
        let give_up = self.give_up.clone();
        let found = timeout_at(deadline, give_up.run_until_cancelled(looking)).await;
        let Ok(Some(connection)) = found else {
            return false;
        };
        tracing::info!("the bus is found again");
        self.connection = connection;
        true
    }

    /// All that was there before is there again.
    pub(super) fn restored(&self) {
        self.is_up.send_replace(true);
    }
}

async fn dial(path: &Path, name: &str) -> Result<Connection, PacketError> {
    let stream = UnixStream::connect(path).await;
    let stream = stream.map_err(|error: io::Error| PacketError::from(error))?;
    let mut connection = Framed::new(stream, PacketCodec::default());
    let hello = PacketKind::Hello(Hello {
        name: name.to_owned(),
        version: env!("CARGO_PKG_VERSION").to_owned(),
        instance_id: std::process::id().to_be_bytes().to_vec(),
    });
    connection.send(hello.into()).await?;
    Ok(connection)
}
