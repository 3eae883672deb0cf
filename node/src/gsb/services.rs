//! Services that requestors bring to the bus: each answers its calls on a websocket.

use std::{
    collections::{BTreeMap, BTreeSet, HashMap},
    convert::Infallible,
    fmt,
    time::Duration,
};

use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use exeunit::gsb::{CallError, encode};
use futures::{Sink, SinkExt, Stream, StreamExt};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use tokio::sync::mpsc;
use tokio_util::{sync::CancellationToken, task::TaskTracker};
use ya_client_model::NodeId;

use super::{Answer, BindError, Bus, Call, Calls, Line, address, frame, gone};
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

/// Why there is no answer to a call that somebody made with an app key.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum AskError {
    /// Nobody calls as somebody else.
    #[error("{0} is not who calls")]
    Stranger(String),
    /// The service said so, or did not say anything.
    #[error(transparent)]
    Call(#[from] CallError),
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

impl Shelf {
    /// The way to the service of an owner's that is nearest to an address, and what it is asked.
    fn route(&self, owner: NodeId, address: &str) -> Result<(Line, String), CallError> {
        let service = |(service, component): (&str, &str)| {
            let service = self.services.get(&ServicesId::of(service))?;
            let is_own = service.owner == owner;
            is_own.then(|| (service.line.clone(), component.to_owned()))
        };
        address::candidates(address)
            .find_map(service)
            .ok_or_else(|| CallError::NotFound(format!("no service of yours at {address}")))
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

/// Calls on services that were brought, by who brought them.
impl Services {
    /// Where an address leads that the caller calls.
    pub(crate) fn resolve(&self, caller: NodeId, address: &str) -> Result<String, AskError> {
        let is_caller = |sender: &str| sender.parse() == Ok(caller);
        match address::sender(address) {
            Some(sender) if !is_caller(sender) => Err(AskError::Stranger(sender.to_owned())),
            _ => Ok(address::resolve(address, &self.bus.nodes)?),
        }
    }

    /// Calls a service of the caller's own, in JSON, at an address that is resolved. It reaches nobody else's.
    pub(crate) async fn call(
        &self,
        caller: NodeId,
        address: String,
        message: &Value,
        timeout: Duration,
    ) -> Result<Value, CallError> {
        let data = encode(message)?;
        let called = address.clone();
        let (line, component) = self
            .shelf
            .ask(move |shelf, _| shelf.route(caller, &called))
            .await?;
        let (answers, mut answered) = mpsc::unbounded_channel();
        let late = || CallError::Timeout(format!("the service at {address} has not answered"));
        line.put(Call {
            address: address.clone(),
            component,
            data,
            answers,
        })?;
        let answer = tokio::time::timeout(timeout, answered.recv()).await;
        match answer.map_err(|_| late())? {
            Some(Answer::Part(data) | Answer::Last(data)) => frame::reply(&data),
            Some(Answer::Failed(error)) => Err(error),
            None => Err(gone(&address)),
        }
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
