//! What blocks, and so has a thread of its own.

use tokio::task::JoinHandle;
use tokio_util::task::TaskTracker;

/// The threads that work for commands.
///
/// A thread does not end with the future that waits for it: where a command is broken off, its threads go on until
/// they notice, and still touch the volumes until then. Before anything else does, [`at_rest`](Self::at_rest).
#[derive(Clone, Debug, Default)]
pub(crate) struct Threads(TaskTracker);

impl Threads {
    /// Lets a thread do it.
    pub(crate) fn start<T: Send + 'static>(
        &self,
        work: impl FnOnce() -> T + Send + 'static,
    ) -> JoinHandle<T> {
        self.0.spawn_blocking(work)
    }

    /// Waits until none of them works any more.
    pub(crate) async fn at_rest(&self) {
        self.0.close();
        self.0.wait().await;
        self.0.reopen();
    }
}
