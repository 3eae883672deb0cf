//! The requestor's own place in a network: a TCP/IP stack in this process, through which it reaches ports of others.

use std::{
    collections::VecDeque,
    io,
    net::{Ipv4Addr, SocketAddrV4},
    pin::Pin,
    task::{Context, Poll},
    time::Duration,
};

use smoltcp::{
    iface::{Config, Interface, SocketHandle, SocketSet},
    phy::{Checksum, Device, DeviceCapabilities, Medium, RxToken, TxToken},
    socket::tcp::{Socket, SocketBuffer, State},
    time::Instant,
    wire::{EthernetAddress, IpAddress, IpCidr},
};
use tokio::{
    io::{AsyncRead, AsyncWrite, DuplexStream, ReadBuf},
    sync::oneshot,
};

use super::frame::{self, HEADER};

/// How much a connection may be ahead of its reader, either way, in bytes.
const WINDOW: usize = 512 << 10;
/// How much of that waits on the requestor's side.
const PIPE: usize = 256 << 10;
/// How long somebody may take to answer to a connection.
const PATIENCE: Duration = Duration::from_secs(10);
/// The largest IP packet that goes to and from the stack: the kernels at the other ends cut it.
const LARGEST: usize = 61_440;
/// How many frames may wait to be sent.
const QUEUE: usize = 64;
/// How many connections that have ended are remembered, as something may still come for them.
const REMEMBERED: usize = 256;
/// The first of the ports that connections begin at.
const FIRST_PORT: u16 = 49152;

/// A stack, with all its connections.
pub(super) struct Stack {
    interface: Interface,
    cable: Cable,
    sockets: SocketSet<'static>,
    connections: Vec<Connection>,
    /// The two ends of those that have ended, the last ones.
    ended: VecDeque<Ends>,
    next_port: u16,
}

/// The requestor's end of a connection, and the other.
type Ends = (SocketAddrV4, SocketAddrV4);

/// Why there is no connection.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum ConnectError {
    #[error("nobody at {0} listens there")]
    Refused(SocketAddrV4),
    #[error("nobody at {0} answers")]
    Silent(SocketAddrV4),
    #[error("there is no way to {0}: the requestor has no address in the network")]
    NoAddress(SocketAddrV4),
    #[error("the network is gone")]
    Gone,
}

/// A connection that is asked for, with the way back for its bytes.
pub(super) type Opening = oneshot::Sender<Result<DuplexStream, ConnectError>>;

struct Connection {
    handle: SocketHandle,
    local: SocketAddrV4,
    remote: SocketAddrV4,
    /// The other end of what the requestor has, once it is open.
    stream: Option<DuplexStream>,
    opening: Option<(Opening, Instant)>,
}

impl Stack {
    pub(super) fn new(mac: EthernetAddress, seed: u64) -> Self {
        let mut cable = Cable::default();
        let mut config = Config::new(mac.into());
        config.random_seed = seed;
        Self {
            interface: Interface::new(config, &mut cable, Instant::ZERO),
            cable,
            sockets: SocketSet::new(Vec::new()),
            connections: Vec::new(),
            ended: VecDeque::new(),
            next_port: FIRST_PORT,
        }
    }

    /// Gives the stack an address, unless it has as many as it can have.
    pub(super) fn add_address(&mut self, address: Ipv4Addr, prefix: u8) {
        let cidr = IpCidr::new(IpAddress::Ipv4(address), prefix);
        self.interface.update_ip_addrs(|addresses| {
            if !addresses.contains(&cidr) && addresses.push(cidr).is_err() {
                tracing::warn!(%address, "the requestor has too many addresses in a network");
            }
        });
    }

    /// Whether it has any address.
    pub(super) fn has_address(&self) -> bool {
        self.interface.ipv4_addr().is_some()
    }

    /// Begins to open a connection.
    pub(super) fn connect(&mut self, remote: SocketAddrV4, opening: Opening, now: Instant) {
        let Some(own) = self.interface.ipv4_addr() else {
            let _ = opening.send(Err(ConnectError::NoAddress(remote)));
            return;
        };
        let local = SocketAddrV4::new(own, self.next_port);
        self.next_port = self.next_port.checked_add(1).unwrap_or(FIRST_PORT);
        let buffer = || SocketBuffer::new(vec![0; WINDOW]);
        let mut socket = Socket::new(buffer(), buffer());
        socket.set_nagle_enabled(false);
        socket.set_timeout(Some(PATIENCE.into()));
        // Before: 10 ms, which whoever sends little at a time would wait for.
        socket.set_ack_delay(None);
        if socket
            .connect(self.interface.context(), remote, local)
            .is_err()
        {
            let _ = opening.send(Err(ConnectError::Refused(remote)));
            return;
        }
        self.connections.push(Connection {
            handle: self.sockets.add(socket),
            local,
            remote,
            stream: None,
            opening: Some((opening, now)),
        });
    }

    /// Ends all connections to an address.
    pub(super) fn disconnect(&mut self, address: Ipv4Addr) {
        let connections = self.connections.iter();
        for connection in connections.filter(|connection| *connection.remote.ip() == address) {
            self.sockets
                .get_mut::<Socket<'_>>(connection.handle)
                .abort();
        }
    }

    /// The two ends of all connections.
    pub(super) fn connections(&self) -> Vec<Ends> {
        self.connections.iter().map(Connection::ends).collect()
    }

    /// Whether there is a connection between two ends, or was one not long ago.
    pub(super) fn knows(&self, ends: Ends) -> bool {
        let mut connections = self.connections.iter();
        connections.any(|connection| connection.ends() == ends) || self.ended.contains(&ends)
    }

    /// Takes in a frame.
    pub(super) fn receive(&mut self, frame: &[u8]) {
        let mut frame = frame.to_vec();
        frame::allow_segments_of(&mut frame, (LARGEST - 40) as u16);
        self.cable.received.push_back(frame);
    }

    /// A frame that is to be sent.
    pub(super) fn next_frame(&mut self) -> Option<Vec<u8>> {
        self.cable.unsent.pop_front()
    }

    /// When it has something to do, if nothing happens before.
    pub(super) fn deadline(&mut self, now: Instant) -> Option<Instant> {
        self.interface.poll_at(now, &self.sockets)
    }

    /// Does what there is to do: for the network, and for those at this end of the connections.
    pub(super) fn work(&mut self, now: Instant, context: &mut Context<'_>) {
        self.interface.poll(now, &mut self.cable, &mut self.sockets);
        let mut is_open = |connection: &mut Connection| {
            let socket = self.sockets.get_mut::<Socket<'_>>(connection.handle);
            let is_open = connection.work(socket, now, context);
            if !is_open {
                self.sockets.remove(connection.handle);
                self.ended.truncate(REMEMBERED - 1);
                self.ended.push_front(connection.ends());
            }
            is_open
        };
        self.connections.retain_mut(&mut is_open);
        self.interface.poll(now, &mut self.cable, &mut self.sockets);
    }
}

impl Connection {
    fn ends(&self) -> Ends {
        (self.local, self.remote)
    }

    /// Passes on what can be passed on. False if there will be no more.
    fn work(&mut self, socket: &mut Socket<'_>, now: Instant, context: &mut Context<'_>) -> bool {
        if let Some((opening, _)) = &mut self.opening
            && opening.poll_closed(context).is_ready()
        {
            socket.abort();
        }
        match socket.state() {
            State::SynSent | State::SynReceived => return true,
            State::Closed if self.opening.is_some() => {
                let Some((opening, since)) = self.opening.take() else {
                    return false;
                };
                // Who asked may have gone.
                let _ = opening.send(Err(match now >= since + PATIENCE.into() {
                    true => ConnectError::Silent(self.remote),
                    false => ConnectError::Refused(self.remote),
                }));
            }
            _ => {}
        }
        if let Some((opening, _)) = self.opening.take() {
            socket.set_timeout(None);
            let (ours, theirs) = tokio::io::duplex(PIPE);
            self.stream = Some(ours);
            let _ = opening.send(Ok(theirs));
        }
        let Some(stream) = &mut self.stream else {
            return socket.is_open();
        };
        if pass_on(socket, stream, context).is_err() {
            // Nobody is at this end any more, or there is nothing to be said to the other.
            socket.abort();
        }
        let is_over = matches!(socket.state(), State::Closed | State::TimeWait);
        !is_over || socket.can_recv()
    }
}

/// Passes bytes on, both ways, as far as they go. An error if there is no use in doing so any more.
fn pass_on(
    socket: &mut Socket<'_>,
    stream: &mut DuplexStream,
    context: &mut Context<'_>,
) -> io::Result<()> {
    while socket.can_send() {
        let mut read = Poll::Pending;
        let sent = socket.send(|room| {
            let mut buffer = ReadBuf::new(room);
            read = Pin::new(&mut *stream).poll_read(context, &mut buffer);
            let length = buffer.filled().len();
            (length, length)
        });
        match (read, sent) {
            (Poll::Ready(Ok(())), Ok(1..)) => {}
            // The requestor has said all; the other end may still speak.
            (Poll::Ready(Ok(())), _) => {
                socket.close();
                break;
            }
            (Poll::Ready(Err(error)), _) => return Err(error),
            (Poll::Pending, _) => break,
        }
    }
    while socket.can_recv() {
        let mut written = Poll::Pending;
        let taken = socket.recv(|bytes| {
            written = Pin::new(&mut *stream).poll_write(context, bytes);
            match &written {
                Poll::Ready(Ok(length)) => (*length, ()),
                _ => (0, ()),
            }
        });
        match (written, taken) {
            (Poll::Ready(Ok(1..)), Ok(())) => {}
            (Poll::Ready(Err(error)), _) => return Err(error),
            _ => break,
        }
    }
    if !socket.may_recv() && !socket.can_recv() {
        // As often as it is asked for: it is done once.
        let _ = Pin::new(stream).poll_shutdown(context)?;
    }
    Ok(())
}

/// What is on its way between the stack and the switch.
#[derive(Default)]
struct Cable {
    received: VecDeque<Vec<u8>>,
    unsent: VecDeque<Vec<u8>>,
}

struct Received(Vec<u8>);

struct Unsent<'a>(&'a mut VecDeque<Vec<u8>>);

impl Device for Cable {
    type RxToken<'a> = Received;
    type TxToken<'a> = Unsent<'a>;

    fn receive(&mut self, _: Instant) -> Option<(Received, Unsent<'_>)> {
        let frame = self.received.pop_front()?;
        Some((Received(frame), Unsent(&mut self.unsent)))
    }

    fn transmit(&mut self, _: Instant) -> Option<Unsent<'_>> {
        (self.unsent.len() < QUEUE).then_some(Unsent(&mut self.unsent))
    }

    fn capabilities(&self) -> DeviceCapabilities {
        let mut capabilities = DeviceCapabilities::default();
        capabilities.medium = Medium::Ethernet;
        capabilities.max_transmission_unit = LARGEST + 14;
        // What comes has not been on any wire, and what goes is completed by the kernel that takes it.
        capabilities.checksum.tcp = Checksum::None;
        capabilities.checksum.ipv4 = Checksum::Tx;
        capabilities
    }
}

impl RxToken for Received {
    fn consume<R, F: FnOnce(&[u8]) -> R>(self, take: F) -> R {
        take(&self.0[HEADER..])
    }
}

impl TxToken for Unsent<'_> {
    fn consume<R, F: FnOnce(&mut [u8]) -> R>(self, length: usize, fill: F) -> R {
        let mut frame = vec![0; HEADER + length];
        let filled = fill(&mut frame[HEADER..]);
        frame::leave_undone(&mut frame);
        self.0.push_back(frame);
        filled
    }
}
