//! Services that requestors bring to the bus: each answers its calls on a websocket.

use std::{
    collections::{BTreeMap, BTreeSet, HashMap},
    convert::Infallible,
    fmt,
};

use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use exeunit::gsb::CallError;
use futures::{Sink, SinkExt, Stream, StreamExt};
use serde::{Deserialize, Serialize};
use tokio::sync::mpsc;
use tokio_util::{sync::CancellationToken, task::TaskTracker};
use ya_client_model::NodeId;

use super::{Answer, BindError, Bus, Call, Calls, Line, frame};
use crate::{
    clock::Clock,
    owned::{Machine, Owned},
};

/// All services that were brought.
#[derive(Clone, Debug)]
pub(crate) struct Services {
    shelf: Owned<Shelf>,
    bus: Bus,
    /// Closes all of their websockets.
    stop: CancellationToken,
}

/// Which service: its address, in another alphabet.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(transparent)]
pub(crate) struct ServicesId(String);

impl ServicesId {
    fn of(address: &str) -> Self {
        Self(URL_SAFE_NO_PAD.encode(address))
    }
}

impl fmt::Display for ServicesId {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(&self.0)
    }
}

/// Why a websocket has no service to answer for.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum ConnectError {
    /// The caller has brought no such service, or it was taken away.
    #[error("service {0} not found")]
    NotFound(ServicesId),
    /// Another websocket answers for it.
    #[error("service {0} has a websocket already")]
    Connected(ServicesId),
}

#[derive(Debug, Default)]
struct Shelf {
    services: BTreeMap<ServicesId, Service>,
}

#[derive(Debug)]
struct Service {
    owner: NodeId,
    line: Line,
    components: BTreeSet<String>,
    /// Its calls, until a websocket takes them.
    calls: Option<Calls>,
    closed: CancellationToken,
}

impl Machine for Shelf {
    /// Nobody waits for services.
    type Topic = Infallible;

    fn take_changes(&mut self) -> Vec<Infallible> {
        Vec::new()
    }
}

impl Services {
    /// Takes services, for `bus`, until `stop` closes their websockets.
    pub(crate) fn open(
        bus: Bus,
        clock: Clock,
        tasks: &TaskTracker,
        stop: CancellationToken,
    ) -> Self {
        Self {
            shelf: Owned::start(Shelf::default(), clock, tasks),
            bus,
            stop,
        }
    }

    /// Brings a service, which understands `components`, to an address. Calls wait until a websocket answers them.
    pub(crate) async fn bring(
        &self,
        caller: NodeId,
        address: &str,
        components: BTreeSet<String>,
    ) -> Result<ServicesId, BindError> {
        let (line, calls) = self.bus.serve(address).await?;
        let service = Service {
            owner: caller,
            line,
            components,
            calls: Some(calls),
            closed: self.stop.child_token(),
        };
        let id = ServicesId::of(address);
        let key = id.clone();
        self.shelf
            .ask(move |shelf, _| shelf.services.insert(key, service))
            .await;
        Ok(id)
    }

    /// Takes a service of the caller's away. Its address is free then, and its websocket closed.
    pub(crate) async fn take_away(
        &self,
        caller: NodeId,
        id: ServicesId,
    ) -> Result<(), ConnectError> {
        let taken = self
            .shelf
            .ask(move |shelf, _| {
                let service = shelf.services.get(&id);
                if service.is_none_or(|service| service.owner != caller) {
                    return Err(ConnectError::NotFound(id));
                }
                Ok(shelf.services.remove(&id))
            })
            .await?;
        if let Some(service) = taken {
            self.bus.close_line(service.line).await;
            service.closed.cancel();
        }
        Ok(())
    }

    /// What a websocket needs to answer for a service of the caller's.
    pub(crate) async fn connect(
        &self,
        caller: NodeId,
        id: ServicesId,
    ) -> Result<Connection, ConnectError> {
        let services = self.clone();
        self.shelf
            .ask(move |shelf, _| {
                let service = shelf.services.get_mut(&id);
                let Some(service) = service.filter(|service| service.owner == caller) else {
                    return Err(ConnectError::NotFound(id));
                };
                match service.calls.take() {
                    None => Err(ConnectError::Connected(id)),
                    Some(calls) => Ok(Connection {
                        components: service.components.clone(),
                        calls,
                        closed: service.closed.clone(),
                        waiting: HashMap::new(),
                        requests: 0,
                        owner: caller,
                        id,
                        services,
                    }),
                }
            })
            .await
    }
}

/// A service's side of its websocket.
#[derive(Debug)]
pub(crate) struct Connection {
    components: BTreeSet<String>,
    calls: Calls,
    closed: CancellationToken,
    /// Calls that the service has not answered.
    waiting: HashMap<String, mpsc::UnboundedSender<Answer>>,
    requests: u64,
    owner: NodeId,
    id: ServicesId,
    services: Services,
}

impl Connection {
    /// Passes calls and answers on, frame by frame, until either side is lost; the service is gone then.
    pub(crate) async fn serve<E: fmt::Display>(
        mut self,
        mut incoming: impl Stream<Item = Vec<u8>> + Unpin,
        mut outgoing: impl Sink<Vec<u8>, Error = E> + Unpin,
    ) {
        let closed = self.closed.clone();
        loop {
            tokio::select! {
                () = closed.cancelled() => break,
                frame = incoming.next() => match frame {
                    Some(frame) => self.answer(&frame),
                    None => break,
                },
                Some(call) = self.calls.recv() => {
                    let Some(frame) = self.frame(call) else { continue };
                    if let Err(error) = outgoing.send(frame).await {
                        tracing::debug!(service = %self.id, %error, "a websocket was lost");
                        break;
                    }
                }
            }
        }
        // Unless it was taken away, which is how the socket came to be closed.
        let _ = self.services.take_away(self.owner, self.id).await;
    }

    /// The frame for a call, if the service understands it.
    fn frame(&mut self, call: Call) -> Option<Vec<u8>> {
        self.requests += 1;
        let id = format!("{:08x}", self.requests);
        let frame = match self.components.contains(&call.component) {
            true => frame::call(&id, &call.component, &call.data),
            false => Err(CallError::BadRequest(format!(
                "the service at {} does not understand `{}`",
                self.id, call.component
            ))),
        };
        match frame {
            Ok(frame) => {
                self.waiting.insert(id, call.answers);
                Some(frame)
            }
            Err(error) => {
                // Who called may have gone.
                let _ = call.answers.send(Answer::Failed(error));
                None
            }
        }
    }

    fn answer(&mut self, frame: &[u8]) {
        let (id, data) = match frame::answer(frame) {
            Ok(answer) => answer,
            Err(error) => {
                tracing::warn!(service = %self.id, %error, "an answer that makes no sense");
                return;
            }
        };
        match self.waiting.remove(&id) {
            // Who called may have gone.
            Some(answers) => drop(answers.send(Answer::Last(data))),
            None => tracing::warn!(service = %self.id, id, "an answer that nobody waits for"),
        }
    }
}
