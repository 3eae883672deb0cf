//! The socket where exe-units plug their sandboxes in.

use exeunit::network::{answer_plug, receive_plug};
use tokio::{io::AsyncReadExt, net::UnixStream};
use tokio_util::{sync::CancellationToken, task::TaskTracker};

use super::Networks;
use crate::socket::LocalSocket;

/// Lets exe-units plug in at `socket` until told to stop.
pub(crate) async fn serve(
    socket: LocalSocket,
    networks: Networks,
    stop: CancellationToken,
    tasks: TaskTracker,
) {
    let connected = move |connection| plug_in(connection, networks.clone());
    socket.serve(stop, tasks, connected).await;
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
