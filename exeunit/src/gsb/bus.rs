//! A peer's connection to the bus.

mod desk;

use std::{
    path::{Path, PathBuf},
    time::Duration,
};

use futures::{SinkExt, StreamExt};
use tokio::sync::{mpsc, oneshot, watch};

use self::desk::Desk;
use super::{
    CallError, CallReply, CallReplyCode, CallReplyType, PacketError, PacketKind, decode, encode,
    link::{Link, Outlook},
    message::Message,
};

/// How many packets may wait to be written before whoever sends more has to wait as well.
const QUEUE: usize = 16;

/// A peer's connection to the bus. Clones are the same connection, which is closed with the last of them.
#[derive(Clone, Debug)]
pub struct Bus {
    orders: mpsc::Sender<Order>,
    outlook: Outlook,
}

/// Why there is no connection to the bus.
#[derive(Debug, thiserror::Error)]
#[error("cannot connect to the bus at {}", .path.display())]
pub struct ConnectError {
    /// The bus's socket.
    pub path: PathBuf,
    /// Why not.
    pub source: PacketError,
}

/// Why an address could not be registered.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum RegisterError {
    /// The node refuses.
    #[error("cannot register {address}: {reason}")]
    Refused {
        /// The address.
        address: String,
        /// What the node says.
        reason: String,
    },
    /// The connection is closed.
    #[error("the bus is gone")]
    Closed,
}

/// A call from somebody else, to be answered.
///
/// If it is dropped without an answer, the caller is told that the service has gone.
#[derive(Debug)]
pub struct IncomingCall {
    message: String,
    data: Vec<u8>,
    reply: Reply,
}

impl Bus {
    /// Connects to the bus's socket. `name` is what this program is called there.
    pub async fn connect(path: &Path, name: &str) -> Result<Self, ConnectError> {
        Self::connect_for_long(path, name, Duration::ZERO).await
    }

    /// Connects to the bus's socket. A bus that is lost is looked for again for as long as `patience`, at the same
    /// path: then all addresses are registered there anew. Calls that were not answered fail; later ones wait.
    pub async fn connect_for_long(
        path: &Path,
        name: &str,
        patience: Duration,
    ) -> Result<Self, ConnectError> {
        let found = Link::find(path, name, patience).await;
        let (link, outlook) = found.map_err(|source| ConnectError {
            path: path.to_owned(),
            source,
        })?;
        let (orders, received) = mpsc::channel(QUEUE);
        tokio::spawn(serve(link, orders.downgrade(), received));
        Ok(Self { orders, outlook })
    }

    /// Registers an address; the calls to it, and to all below it, arrive in their order.
    pub async fn register(
        &self,
        address: &str,
    ) -> Result<mpsc::UnboundedReceiver<IncomingCall>, RegisterError> {
        let (calls, received) = mpsc::unbounded_channel();
        let (registered, answer) = oneshot::channel();
        let order = Order::Register {
            address: address.to_owned(),
            calls,
            registered,
        };
        let sent = self.orders.send(order).await;
        sent.map_err(|_| RegisterError::Closed)?;
        answer.await.unwrap_or(Err(RegisterError::Closed))?;
        Ok(received)
    }

    /// Calls a service, `/local/activity` say, and waits for its answer, however long it takes.
    pub async fn call<M: Message>(
        &self,
        service: &str,
        message: &M,
    ) -> Result<M::Reply, CallError> {
        let gone = || CallError::Closed("the bus is gone".to_owned());
        let (replied, answer) = oneshot::channel();
        let order = Order::Call {
            address: format!("{service}/{}", M::NAME),
            data: encode(message)?,
            replied,
        };
        self.orders.send(order).await.map_err(|_| gone())?;
        let data = answer.await.unwrap_or_else(|_| Err(gone()))?;
        decode::<Result<M::Reply, CallError>>(&data)?
    }

    /// Waits while the bus is lost and looked for; whether it is there then.
    pub async fn is_there(&self) -> bool {
        let mut is_up = self.outlook.is_up.clone();
        is_up.wait_for(|is_up| *is_up).await.is_ok()
    }

    /// Whether it is there at this moment.
    pub fn is_there_now(&self) -> bool {
        *self.outlook.is_up.borrow()
    }

    /// Changes whenever it is lost, and found again.
    pub(crate) fn outlook(&self) -> watch::Receiver<bool> {
        self.outlook.is_up.clone()
    }

    /// Looks for it no more when it is lost, or if it is now.
    pub fn give_up(&self) {
        self.outlook.give_up.cancel();
    }

    /// Waits until the connection is closed.
    pub async fn closed(&self) {
        self.orders.closed().await;
    }
}

impl IncomingCall {
    /// The name of its message.
    pub fn message_name(&self) -> &str {
        &self.message
    }

    /// Its message.
    pub fn message<M: Message>(&self) -> Result<M, CallError> {
        decode(&self.data)
    }

    /// Answers it.
    pub async fn answer<M: Message>(mut self, answer: Result<M::Reply, CallError>) {
        self.reply.send(CallReplyType::Full, encode(&answer)).await;
    }

    /// Answers it with one item of a stream. False if nobody listens any more.
    pub async fn item<M: Message>(&mut self, item: Result<M::Reply, CallError>) -> bool {
        self.reply.send(CallReplyType::Partial, encode(&item)).await
    }

    /// Ends a stream of items.
    pub async fn end(mut self) {
        let nothing: Result<(), CallError> = Ok(());
        self.reply.send(CallReplyType::Full, encode(&nothing)).await;
    }
}

/// The way back to a caller.
#[derive(Debug)]
struct Reply {
    request_id: String,
    /// By which connection the call came: the answer has to go back by the same.
    connection: u64,
    /// None once the last answer is given.
    orders: Option<mpsc::Sender<Order>>,
}

impl Reply {
    async fn send(&mut self, kind: CallReplyType, data: Result<Vec<u8>, CallError>) -> bool {
        let orders = match kind {
            CallReplyType::Partial => self.orders.clone(),
            CallReplyType::Full => self.orders.take(),
        };
        let Some(orders) = orders else {
            return false;
        };
        let (code, data) = match data {
            Ok(data) => (CallReplyCode::Ok, data),
            Err(error) => (
                CallReplyCode::ServiceFailure,
                error.to_string().into_bytes(),
            ),
        };
        let reply = self.packet(code, kind, data);
        let answer = Order::Answer(self.connection, reply);
        orders.send(answer).await.is_ok()
    }

    fn packet(&self, code: CallReplyCode, kind: CallReplyType, data: Vec<u8>) -> PacketKind {
        PacketKind::CallReply(CallReply {
            request_id: self.request_id.clone(),
            code: code.into(),
            reply_type: kind.into(),
            data,
        })
    }
}

impl Drop for Reply {
    fn drop(&mut self) {
        if let Some(orders) = self.orders.take() {
            let text = b"the service has not answered".to_vec();
            let failure = self.packet(CallReplyCode::ServiceFailure, CallReplyType::Full, text);
            // Where no room is left for it, or no connection, the caller has to find out by itself.
            let _ = orders.try_send(Order::Answer(self.connection, failure));
        }
    }
}

/// What the connection's task can be told to do.
#[derive(Debug)]
enum Order {
    Register {
        address: String,
        calls: mpsc::UnboundedSender<IncomingCall>,
        registered: oneshot::Sender<Result<(), RegisterError>>,
    },
    Call {
        address: String,
        data: Vec<u8>,
        replied: oneshot::Sender<Result<Vec<u8>, CallError>>,
    },
    /// To a call that came by a connection.
    Answer(u64, PacketKind),
}

/// Reads and writes connections until the bus is lost for good, or nobody has a use for it.
async fn serve(
    mut link: Link,
    orders: mpsc::WeakSender<Order>,
    mut received: mpsc::Receiver<Order>,
) {
    let mut desk = Desk::new(orders);
    let mut first = Vec::new();
    while converse(
        &mut link,
        &mut desk,
        std::mem::take(&mut first),
        &mut received,
    )
    .await
    {
        desk.forget_calls();
        if !link.find_again().await {
            return;
        }
        first = desk.register_again();
    }
}

/// Reads and writes a connection until it breaks, or nobody has a use for it: then false.
async fn converse(
    link: &mut Link,
    desk: &mut Desk,
    first: Vec<PacketKind>,
    received: &mut mpsc::Receiver<Order>,
) -> bool {
    for packet in first {
        if link.connection.send(packet.into()).await.is_err() {
            return true;
        }
    }
    link.restored();
    loop {
        let outgoing = tokio::select! {
            order = received.recv() => match order {
                Some(order) => desk.accept(order),
                None => return false,
            },
            packet = link.connection.next() => match packet {
                Some(Ok(packet)) => desk.receive(packet),
                Some(Err(error)) => {
                    tracing::warn!(%error, "the bus speaks nonsense");
                    return true;
                }
                None => return true,
            },
        };
        if let Some(packet) = outgoing
            && link.connection.send(packet.into()).await.is_err()
        {
            return true;
        }
    }
}
