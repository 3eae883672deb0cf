//! How a program begins that needs a network.

use std::{env, future::IntoFuture};

use futures::future::BoxFuture;
use requestor::rest::{ConnectError, Rest};

use crate::{
    LocalNode, StartError,
    builder::{DEFAULT_PROVIDERS, default_providers},
};

/// Runs a program that may start a [`LocalNode`]: call this first, and with everything, in `main`.
///
/// A node runs each activity in a child process. So that there needs to be no second program, the node starts this very
/// one again, which becomes an exe-unit instead of doing what it is for; this function sees to that
/// ([`exeunit::enter`]). Otherwise it runs `program` on a tokio runtime, and gives back what that gives.
///
/// ```no_run
/// fn main() -> Result<(), Box<dyn std::error::Error>> {
///     node::main(async {
///         let golem = requestor::Golem::builder().budget("1.0".parse()?);
///         let golem = golem.start_on(node::yagna_or_local().await?).await?;
///         // … what the program is for …
///         println!("{}", golem.shutdown().await);
///         Ok(())
///     })
/// }
/// ```
///
/// # Panics
/// If the system has no resources left for a runtime.
pub fn main<F: Future>(program: F) -> F::Output {
    exeunit::enter();
    tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()
        .expect("the system has resources for a runtime")
        .block_on(program)
}

/// The network that a program is to use: with `YAGNA_APPKEY` set, the yagna daemon at `YAGNA_API_URL`
/// (`http://127.0.0.1:7465` unless it is set); otherwise a [`LocalNode`] with three providers, which is said in one line
/// on standard error, and which ends when the requestor has no more use for it.
///
/// ```no_run
/// # async fn run() -> Result<(), Box<dyn std::error::Error>> {
/// let yagna = node::yagna_or_local().subnet_tag("public".to_owned()).await?;
/// let golem = requestor::Golem::builder().budget("1.0".parse()?).start_on(yagna).await?;
/// # Ok(())
/// # }
/// ```
pub fn yagna_or_local() -> YagnaOrLocal {
    YagnaOrLocal { subnet: None }
}

/// A network to be; from [`yagna_or_local`].
#[derive(Clone, Debug)]
#[must_use = "there is no network until this is awaited"]
pub struct YagnaOrLocal {
    subnet: Option<String>,
}

/// Why there is no network.
#[derive(Debug, thiserror::Error)]
pub enum NetworkError {
    /// There is no way to the daemon.
    #[error("cannot use the yagna daemon")]
    Yagna(#[source] ConnectError),
    /// The local node does not start.
    #[error("cannot start a local node")]
    Local(#[source] StartError),
}

impl YagnaOrLocal {
    /// Puts a local node's providers into the part of the network that the program's demands name. The providers of a
    /// daemon are where they are.
    pub fn subnet_tag(self, subnet: impl Into<Option<String>>) -> Self {
        Self {
            subnet: subnet.into(),
        }
    }

    async fn connect(self) -> Result<Rest, NetworkError> {
        if env::var_os("YAGNA_APPKEY").is_some_and(|key| !key.is_empty()) {
            return Rest::from_env().map_err(NetworkError::Yagna);
        }
        let providers = default_providers().map(|provider| provider.subnet(self.subnet.clone()));
        let node = LocalNode::builder().providers(providers).start();
        let node = node.await.map_err(NetworkError::Local)?;
        eprintln!(
            "YAGNA_APPKEY is not set: using a local node with {DEFAULT_PROVIDERS} providers, {}; \
             they keep images in {}",
            node.url(),
            node.cache_folder().display()
        );
        let rest = Rest::connect(node.url(), node.app_key()).map_err(NetworkError::Yagna)?;
        Ok(rest.when_closed(async {
            if let Err(error) = node.stop().await {
                tracing::error!(?error, "the local node has left something behind");
            }
        }))
    }
}

impl IntoFuture for YagnaOrLocal {
    type Output = Result<Rest, NetworkError>;
    type IntoFuture = BoxFuture<'static, Self::Output>;

    fn into_future(self) -> Self::IntoFuture {
        Box::pin(self.connect())
    }
}
