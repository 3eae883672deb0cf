//! The socket where exe-units come to the bus.

use tokio_util::{sync::CancellationToken, task::TaskTracker};

use super::{Bus, peer};
use crate::socket::LocalSocket;

/// Connects peers to `bus` until told to stop.
pub(crate) async fn serve(
    socket: LocalSocket,
    bus: Bus,
    stop: CancellationToken,
    tasks: TaskTracker,
) {
    let connected = move |stream| peer::connect(stream, bus.clone());
    socket.serve(stop, tasks, connected).await;
}
