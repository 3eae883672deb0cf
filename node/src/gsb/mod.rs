//! The Golem service bus (GSB): how a node, its exe-units and requestors' file services talk.
//!
//! Exe-units are *peers* on a unix socket, requestors bring services on websockets, and the node has services and makes
//! calls of its own. Whoever they are, a [`Call`] reaches a service by its address, and the answers come back the same
//! way.

mod address;
mod frame;
mod peer;
mod routes;
mod services;
mod socket;

use std::{collections::HashSet, sync::Arc, time::Duration};

use exeunit::gsb::{CallError, decode, encode, message::Message};
use futures::{Stream, stream};
use serde::de::DeserializeOwned;
use tokio::sync::mpsc;
use tokio_util::task::TaskTracker;
use ya_client_model::NodeId;

use self::routes::Routes;
pub(crate) use self::{
    address::{Place, place},
    routes::{BindError, Line},
    services::{AskError, ConnectError, Connection, Services, ServicesId},
    socket::serve as serve_bus,
};
use crate::{clock::Clock, owned::Owned};

/// The bus, for whoever calls on it or has services on it.
#[derive(Clone, Debug)]
pub(crate) struct Bus {
    routes: Owned<Routes>,
    /// The identities that are reached here.
    nodes: Arc<HashSet<NodeId>>,
}

/// A message to a service, and the way for its answers.
#[derive(Debug)]
pub(crate) struct Call {
    /// The whole address that was called.
    pub(crate) address: String,
    /// What of it the service is asked: the message's name.
    pub(crate) component: String,
    /// The message, as a flexbuffer.
    pub(crate) data: Vec<u8>,
    /// Where the answers go. Without one that is the last, the caller learns that the service has gone.
    pub(crate) answers: mpsc::UnboundedSender<Answer>,
}

/// What comes back from a call.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Answer {
    /// One item of a stream of answers: a flexbuffer of a `Result`.
    Part(Vec<u8>),
    /// The only answer, or the end of a stream of them.
    Last(Vec<u8>),
    /// The call did not reach its service, or the service has gone.
    Failed(CallError),
}

/// Answers to a call, in their order.
pub(crate) type Answers = mpsc::UnboundedReceiver<Answer>;

/// Calls to a service, in their order.
pub(crate) type Calls = mpsc::UnboundedReceiver<Call>;

impl Bus {
    /// Opens a bus, on which `nodes` are reached; it closes with its last handle.
    pub(crate) fn open(nodes: HashSet<NodeId>, clock: Clock, tasks: &TaskTracker) -> Self {
        Self {
            routes: Owned::start(Routes::default(), clock, tasks),
            nodes: Arc::new(nodes),
        }
    }

    /// Serves an address, until the line is closed.
    pub(crate) async fn serve(&self, address: &str) -> Result<(Line, Calls), BindError> {
        let (line, calls) = self.open_line().await;
        self.bind(address.to_owned(), line.clone()).await?;
        Ok((line, calls))
    }

    /// Waits until there is a service of this address, or the time is up.
    pub(crate) async fn wait_for(&self, address: &str, timeout: Duration) {
        let wanted = address.to_owned();
        let has = move |routes: &mut Routes, _| routes.has(&wanted).then_some(());
        // Whoever calls a service that is not there is told so.
        let _ = self.routes.poll(address.to_owned(), timeout, has).await;
    }

    /// A way to somebody, who may bind addresses to it.
    async fn open_line(&self) -> (Line, Calls) {
        self.routes.ask(|routes, _| routes.open_line()).await
    }

    /// Gives an address to who is at the end of a line.
    async fn bind(&self, address: String, line: Line) -> Result<(), BindError> {
        self.routes
            .ask(move |routes, _| routes.bind(address, line))
            .await
    }

    /// Frees an address of a line's; whether it was one.
    async fn unbind(&self, address: String, line: Line) -> bool {
        self.routes
            .ask(move |routes, _| routes.unbind(&address, &line))
            .await
    }

    /// Frees all addresses of a line.
    pub(crate) async fn close_line(&self, line: Line) {
        self.routes
            .ask(move |routes, _| routes.close_line(&line))
            .await;
    }

    /// Calls a service and waits for its answer. Where there is no service, it counts as gone.
    pub(crate) async fn call<M: Message>(
        &self,
        service: &str,
        message: &M,
    ) -> Result<M::Reply, CallError> {
        let address = format!("{service}/{}", M::NAME);
        let mut answers = self.send(&address, encode(message)?).await;
        match answers.recv().await {
            Some(Answer::Part(data) | Answer::Last(data)) => decode::<Result<_, _>>(&data)?,
            // It is there, but does not understand.
            Some(Answer::Failed(error @ CallError::BadRequest(_))) => Err(error),
            Some(Answer::Failed(error)) => Err(CallError::Closed(error.to_string())),
            None => Err(gone(&address)),
        }
    }

    /// Calls a service that answers with a stream.
    pub(crate) async fn stream<M: Message>(
        &self,
        service: &str,
        message: &M,
    ) -> Result<impl Stream<Item = Result<M::Reply, CallError>> + Send + use<M>, CallError> {
        let address = format!("{service}/{}", M::NAME);
        let answers = self.send(&address, encode(message)?).await;
        Ok(stream::unfold(Some(answers), move |answers| {
            let gone = gone(&address);
            async move { next_of_stream(answers?, gone).await }
        }))
    }

    /// Calls a service with a message that is encoded already.
    async fn send(&self, address: &str, data: Vec<u8>) -> Answers {
        let (answers, answered) = mpsc::unbounded_channel();
        if let Err(error) = self.put(address, data, answers.clone()).await {
            // The receiver is right here.
            let _ = answers.send(Answer::Failed(error));
        }
        answered
    }

    async fn put(
        &self,
        address: &str,
        data: Vec<u8>,
        answers: mpsc::UnboundedSender<Answer>,
    ) -> Result<(), CallError> {
        let address = address::resolve(address, &self.nodes)?;
        let called = address.clone();
        let (line, component) = self
            .routes
            .ask(move |routes, _| routes.route(&called))
            .await?;
        line.put(Call {
            address,
            component,
            data,
            answers,
        })
    }
}

/// The next item of a stream of answers, and the rest of the stream.
async fn next_of_stream<T: DeserializeOwned>(
    mut answers: Answers,
    gone: CallError,
) -> Option<(Result<T, CallError>, Option<Answers>)> {
    match answers.recv().await {
        Some(Answer::Part(data)) => Some((decode(&data).unwrap_or_else(Err), Some(answers))),
        // The end may be one more item, or why there are no more, or nothing.
        Some(Answer::Last(data)) => match decode::<Result<T, CallError>>(&data) {
            Ok(item) => Some((item, None)),
            Err(_) => match decode::<Result<(), CallError>>(&data) {
                Ok(Err(error)) => Some((Err(error), None)),
                Ok(Ok(())) | Err(_) => None,
            },
        },
        Some(Answer::Failed(error)) => Some((Err(CallError::Closed(error.to_string())), None)),
        None => Some((Err(gone), None)),
    }
}

fn gone(address: &str) -> CallError {
    CallError::Closed(format!("the service at {address} has gone"))
}
