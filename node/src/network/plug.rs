//! The socket where exe-units plug their sandboxes in.

use std::{
    io,
    path::{Path, PathBuf},
};

use exeunit::network::{answer_plug, receive_plug};
use tokio::{
    io::AsyncReadExt,
    net::{UnixListener, UnixStream},
};
use tokio_util::{sync::CancellationToken, task::TaskTracker};

use super::Networks;

/// A unix socket that exe-units connect to. Its folder is what keeps strangers out.
#[derive(Debug)]
pub(crate) struct NetworkSocket {
    path: PathBuf,
    listener: UnixListener,
}

impl NetworkSocket {
    /// Listens at `path`; what a node that was killed has left there goes.
    pub(crate) fn listen(path: &Path) -> io::Result<Self> {
        match std::fs::remove_file(path) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
            _ => {}
        }
        Ok(Self {
            path: path.to_owned(),
            listener: UnixListener::bind(path)?,
        })
    }

    /// Lets exe-units plug in until told to stop.
    pub(crate) async fn serve(
        self,
        networks: Networks,
        stop: CancellationToken,
        tasks: TaskTracker,
    ) {
        while let Some(accepted) = stop.run_until_cancelled(self.listener.accept()).await {
            match accepted {
                Ok((connection, _)) => {
                    let (networks, stop) = (networks.clone(), stop.clone());
                    tasks.spawn(async move {
                        stop.run_until_cancelled(plug_in(connection, networks))
                            .await;
                    });
                }
                Err(error) => {
                    tracing::error!(path = %self.path.display(), %error, "no sandbox can be plugged in");
                    return;
                }
            }
        }
    }
}

impl Drop for NetworkSocket {
    fn drop(&mut self) {
        if let Err(error) = std::fs::remove_file(&self.path) {
            tracing::debug!(path = %self.path.display(), %error, "the networks' socket stays");
        }
    }
}

/// Has a sandbox plugged in for as long as its exe-unit holds the connection.
async fn plug_in(mut connection: UnixStream, networks: Networks) {
    let (plug, port) = match receive_plug(&connection).await {
        Ok(received) => received,
        Err(error) => {
            tracing::warn!(%error, "an exe-unit plugs in nothing that makes sense");
            return;
        }
    };
    let (activity, address) = (plug.activity_id.clone(), plug.address);
    match networks.plug(plug, port).await {
        Ok((carrier, plugged)) => {
            tracing::debug!(activity, %address, "a sandbox is plugged in");
            if answer_plug(&mut connection, &Ok(())).await.is_ok() {
                // There is nothing more to be said; the end is what is waited for.
                let _ = connection.read(&mut [0]).await;
            }
            carrier.unplug(plugged);
            tracing::debug!(activity, %address, "a sandbox is unplugged");
        }
        Err(error) => {
            tracing::info!(activity, %address, %error, "a sandbox is not plugged in");
            // Who asked may have gone.
            let _ = answer_plug(&mut connection, &Err(error.to_string())).await;
        }
    }
}
