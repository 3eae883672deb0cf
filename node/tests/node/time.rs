//! Time that goes on as a test tells it to.

use std::sync::mpsc;

use tokio::{task::spawn_blocking, time::pause};

/// As long as this is there, time stands still but for [`tokio::time::advance`].
pub(crate) struct Stopped {
    /// As long as something blocks, time does not go on whenever nothing else is to be done.
    _blocks: mpsc::Sender<()>,
}

/// Stops the time of a runtime that has one thread.
pub(crate) fn stop() -> Stopped {
    let (blocks, blocked) = mpsc::channel();
    spawn_blocking(move || blocked.recv());
    pause();
    Stopped { _blocks: blocks }
}
