//! Services: what the user writes, and what keeps its instances alive.

mod cluster;
mod context;
mod drive;
mod error;
mod instance;
mod lifecycle;

use std::future::Future;

use async_stream::try_stream;
pub use cluster::{Cluster, ClusterBuilder, NotRunning};
pub use context::WorkContext;
pub use error::{HandlerError, Result};
use futures::{Stream, stream};
pub use instance::InstanceStatus;
pub use lifecycle::InstanceState;

use crate::{payload::Payload, script::Script};

/// A service: what it runs in, and what is done with each of its instances.
///
/// `start`, `run` and `shutdown` are its handlers: work generators, which yield [`Script`]s and may await the
/// results of their commands. [`async_stream::try_stream!`] writes one as a loop, in which `?` takes any error (but not
/// within another macro: bind the value before you `println!` it).
///
/// When a command fails and the handler does not look at its handle, the handler ends at once with that failure;
/// when it does, the failure is its own affair. What ends `start` has the instance started again elsewhere; what
/// ends `run`, be it an error, its return or a stop of the cluster, leads to `shutdown`.
pub trait Service: Send + 'static {
    /// What providers must have and run. Asked for once per cluster.
    fn get_payload() -> impl Future<Output = Result<Payload>> + Send;

    /// Makes the instance ready. By default it deploys the image and starts the runtime, which a handler of your
    /// own must do as well.
    fn start(&mut self, _ctx: &WorkContext) -> impl Stream<Item = Result<Script>> + Send {
        try_stream! {
            let mut script = Script::new();
            script.deploy();
            script.start();
            yield script;
        }
    }

    /// Works with the instance until it ends or is told to stop. By default there is nothing to do.
    fn run(&mut self, _ctx: &WorkContext) -> impl Stream<Item = Result<Script>> + Send {
        stream::pending()
    }

    /// Says goodbye to the instance. By default it stops the runtime.
    fn shutdown(&mut self, _ctx: &WorkContext) -> impl Stream<Item = Result<Script>> + Send {
        try_stream! {
            let mut script = Script::new();
            script.terminate();
            yield script;
        }
    }
}
