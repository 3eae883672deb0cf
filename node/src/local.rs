//! A node at work, until it is stopped.

use std::{
    fmt, io,
    path::{Path, PathBuf},
    sync::Arc,
};

use tokio_util::{
    sync::{CancellationToken, DropGuard},
    task::TaskTracker,
};

use crate::{builder::LocalNodeBuilder, folder::Folder};

/// A whole Golem network on this machine: a daemon with its REST API on loopback, and providers that run what it is
/// asked for.
///
/// It lives until [`stop`](Self::stop), which ends everything in order. One that is dropped ends as well, as soon as the
/// tokio runtime lets it, and at the latest with the runtime.
///
/// ```no_run
/// # async fn run() -> Result<(), Box<dyn std::error::Error>> {
/// let node = node::LocalNode::builder().start().await?;
/// println!("export YAGNA_API_URL={} YAGNA_APPKEY={}", node.url(), node.app_key());
/// // … let programs use it …
/// node.stop().await?;
/// # Ok(())
/// # }
/// ```
pub struct LocalNode {
    pub(crate) url: String,
    /// By their names; there is one at least.
    pub(crate) app_keys: Vec<(String, String)>,
    pub(crate) folder: Arc<Folder>,
    pub(crate) cache: PathBuf,
    pub(crate) providers: Crew,
    /// The API, the bus, and all that is behind them.
    pub(crate) services: Crew,
}

/// Tasks that stop together.
#[derive(Debug)]
pub(crate) struct Crew {
    pub(crate) tasks: TaskTracker,
    pub(crate) stop: CancellationToken,
    /// Stops them when nobody does so in order.
    _dropped: DropGuard,
}

/// What a node has left behind.
#[derive(Debug, thiserror::Error)]
pub enum StopError {
    /// Its files.
    #[error("cannot remove the folder {path}")]
    #[expect(missing_docs, reason = "the message says it")]
    Folder { path: PathBuf, source: io::Error },
}

impl LocalNode {
    /// A node to be, with three providers unless it is told otherwise.
    pub fn builder() -> LocalNodeBuilder {
        LocalNodeBuilder::new()
    }

    /// Where its API is, for `YAGNA_API_URL`: `http://127.0.0.1:PORT`.
    pub fn url(&self) -> &str {
        &self.url
    }

    /// The first key that lets its bearer use it, for `YAGNA_APPKEY`.
    pub fn app_key(&self) -> &str {
        &self.app_keys[0].1
    }

    /// All keys that let their bearers use it, each as somebody else: the names and the keys.
    pub fn app_keys(&self) -> impl Iterator<Item = (&str, &str)> {
        self.app_keys
            .iter()
            .map(|(name, key)| (name.as_str(), key.as_str()))
    }

    /// Where it keeps its files.
    pub fn data_folder(&self) -> &Path {
        self.folder.path()
    }

    /// Where its exe-units keep images, unpacked; they stay when the node ends.
    pub fn cache_folder(&self) -> &Path {
        &self.cache
    }

    /// Returns if the node cannot go on: when what has happened cannot be written into its data folder, and so may not
    /// be acknowledged. [`stop`](Self::stop) it then.
    pub async fn failed(&self) {
        self.services.stop.cancelled().await;
    }

    /// Ends everything in order: the exe-units, the API and the bus; and removes its files, if they were temporary.
    pub async fn stop(self) -> Result<(), StopError> {
        self.providers.end().await;
        self.services.end().await;
        let path = self.folder.path().to_owned();
        let Some(folder) = Arc::into_inner(self.folder) else {
            return Ok(());
        };
        let removed = tokio::task::spawn_blocking(move || folder.remove()).await;
        match removed {
            Ok(Err(source)) => Err(StopError::Folder { path, source }),
            _ => Ok(()),
        }
    }
}

impl fmt::Debug for LocalNode {
    /// Without the app key.
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter
            .debug_struct("LocalNode")
            .field("url", &self.url)
            .field("data_folder", &self.folder.path())
            .finish_non_exhaustive()
    }
}

impl Crew {
    pub(crate) fn new() -> Self {
        let stop = CancellationToken::new();
        Self {
            tasks: TaskTracker::new(),
            _dropped: stop.clone().drop_guard(),
            stop,
        }
    }

    /// Stops all tasks, and waits until they have.
    async fn end(&self) {
        self.stop.cancel();
        self.tasks.close();
        self.tasks.wait().await;
    }
}
