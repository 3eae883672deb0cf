//! Unix sockets where processes of this machine come to the node.

use std::{
    fs,
    io::{self, ErrorKind},
    os::unix,
    path::{Path, PathBuf},
    time::Duration,
};

use futures::{Stream, StreamExt, stream};
use tokio::{
    net::{UnixListener, UnixStream},
    time::sleep,
};
use tokio_util::{sync::CancellationToken, task::TaskTracker};

/// A unix socket that exe-units connect to. Its folder is what keeps strangers out.
#[derive(Debug)]
pub(crate) struct LocalSocket {
    path: PathBuf,
    listener: UnixListener,
}

/// How long to wait when there are too many connections for one more.
const PAUSE: Duration = Duration::from_millis(500);

impl LocalSocket {
    /// Listens at `path`, where a node that was killed may have left its socket.
    pub(crate) fn listen(path: &Path) -> io::Result<Self> {
        let listener = match UnixListener::bind(path) {
            Err(error) if error.kind() == ErrorKind::AddrInUse && is_abandoned(path) => {
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

    /// Where it is.
    pub(crate) fn path(&self) -> &Path {
        &self.path
    }

    /// Has `connected` see to each connection, as one of `tasks`, until told to stop.
    pub(crate) async fn serve<F: Future<Output = ()> + Send + 'static>(
        self,
        stop: CancellationToken,
        tasks: TaskTracker,
        connected: impl Fn(UnixStream) -> F,
    ) {
        let accepted = stream::poll_fn(|context| {
            let accepted = self.listener.poll_accept(context);
            accepted.map(|accepted| Some(accepted.map(|(stream, _)| stream)))
        });
        let see_to = |stream| {
            let (stop, connected) = (stop.clone(), connected(stream));
            tasks.spawn(async move {
                stop.run_until_cancelled(connected).await;
            });
        };
        stop.run_until_cancelled(see_to_all(&self.path, accepted, see_to))
            .await;
    }
}

impl Drop for LocalSocket {
    fn drop(&mut self) {
        if let Err(error) = fs::remove_file(&self.path) {
            tracing::debug!(path = %self.path.display(), %error, "a socket stays");
        }
    }
}

/// Whether there is a socket at `path` that nobody listens at, as its node was killed.
fn is_abandoned(path: &Path) -> bool {
    let refused = |error: io::Error| error.kind() == ErrorKind::ConnectionRefused;
    unix::net::UnixStream::connect(path).is_err_and(refused)
}

/// Sees to one connection after the other, also after one that could not be accepted.
async fn see_to_all<S>(
    path: &Path,
    mut accepted: impl Stream<Item = io::Result<S>> + Unpin,
    see_to: impl Fn(S),
) {
    while let Some(accepted) = accepted.next().await {
        match accepted {
            Ok(stream) => see_to(stream),
            Err(error) => {
                tracing::warn!(path = %path.display(), %error, "a connection cannot be accepted");
                sleep(PAUSE).await;
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::cell::Cell;

    use tokio::time::Instant;

    use super::*;

    #[tokio::test(start_paused = true)]
    async fn connections_are_accepted_again_when_there_is_room() {
        let full = || Err(io::Error::from(ErrorKind::QuotaExceeded));
        let accepted = stream::iter([full(), Ok(()), full(), Ok(())]);
        let (began, count) = (Instant::now(), Cell::new(0));
        see_to_all(Path::new("socket"), accepted, |()| {
            count.set(count.get() + 1);
        })
        .await;
        assert_eq!((count.get(), began.elapsed()), (2, PAUSE * 2));
    }
}
