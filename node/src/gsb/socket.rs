//! The socket where exe-units come to the bus.

use std::{
    fs, io,
    os::unix::net::UnixStream,
    path::{Path, PathBuf},
};

use tokio::net::UnixListener;
use tokio_util::{sync::CancellationToken, task::TaskTracker};

use super::{Bus, peer};

/// A unix socket that peers connect to. Its folder is what keeps strangers out.
#[derive(Debug)]
pub(crate) struct BusSocket {
    path: PathBuf,
    listener: UnixListener,
}

impl BusSocket {
    /// Listens at `path`, where a node that was killed may have left its socket.
    pub(crate) fn listen(path: &Path) -> io::Result<Self> {
        let listener = match UnixListener::bind(path) {
            Err(error) if error.kind() == io::ErrorKind::AddrInUse && Self::is_abandoned(path) => {
                fs::remove_file(path)?;
                UnixListener::bind(path)
            }
            listener => listener,
        };
        Ok(Self {
            path: path.to_owned(),
            listener: listener?,
        })
    }

    /// Whether there is a socket at `path` that nobody listens at, as its node was killed.
    fn is_abandoned(path: &Path) -> bool {
        let refused = |error: io::Error| error.kind() == io::ErrorKind::ConnectionRefused;
        UnixStream::connect(path).is_err_and(refused)
    }

    /// Its address, as exe-units are told it: `unix:/…`.
    pub(crate) fn url(&self) -> String {
        format!("unix:{}", self.path.display())
    }

    /// Connects peers to `bus` until told to stop.
    pub(crate) async fn serve(self, bus: Bus, stop: CancellationToken, tasks: TaskTracker) {
        while let Some(accepted) = stop.run_until_cancelled(self.listener.accept()).await {
            match accepted {
                Ok((stream, _)) => {
                    let (bus, stop) = (bus.clone(), stop.clone());
                    tasks.spawn(async move {
                        stop.run_until_cancelled(peer::connect(stream, bus)).await;
                    });
                }
                Err(error) => {
                    tracing::error!(path = %self.path.display(), %error, "no peer can connect");
                    return;
                }
            }
        }
    }
}

impl Drop for BusSocket {
    fn drop(&mut self) {
        if let Err(error) = fs::remove_file(&self.path) {
            tracing::debug!(path = %self.path.display(), %error, "the bus's socket stays");
        }
    }
}
