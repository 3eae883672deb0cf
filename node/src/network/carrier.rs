//! What carries the frames of one network: a task that owns its switch, its ports, its links and the requestor's stack.

use std::{
    collections::BTreeMap,
    future::poll_fn,
    io,
    net::{Ipv4Addr, SocketAddrV4},
    os::fd::OwnedFd,
    sync::atomic::{AtomicU64, Ordering},
    task::{Context, Poll},
    time::Duration,
};

use rand::{Rng, SeedableRng, rngs::StdRng};
use smoltcp::wire::EthernetAddress;
use tokio::{
    io::DuplexStream,
    sync::{mpsc, oneshot},
    time::Instant,
};
use tokio_util::{sync::CancellationToken, task::TaskTracker};

use super::{
    frame,
    link::{Links, Quality},
    port::Port,
    raw::{self, RawEnd, RawSocket, RawSockets},
    stack::{ConnectError, Opening, Stack},
    subnet::Subnet,
    switch::{PortId, Switch, Way},
};

/// The port of the requestor's own stack.
const OWN: PortId = PortId(0);
/// How many frames are read from one port before it is another's turn.
const TURN: usize = 32;
/// How much may be on its way on all links, in bytes.
const ON_THE_WAY: usize = 256 << 20;

/// A handle to a task that carries frames; the task ends when this is dropped.
#[derive(Debug)]
pub(crate) struct Carrier {
    orders: mpsc::UnboundedSender<Order>,
    next: AtomicU64,
    end: CancellationToken,
}

enum Order {
    Plug(PortId, Port),
    Unplug(PortId),
    UnplugAddress(Ipv4Addr),
    AddAddress(Ipv4Addr),
    Connect(SocketAddrV4, Opening),
    OpenRaw(RawEnd),
    Connections(oneshot::Sender<Vec<(SocketAddrV4, SocketAddrV4)>>),
    SetQuality(Option<(Ipv4Addr, Ipv4Addr)>, Quality),
}

/// Something plugged in, until it is unplugged.
pub(super) type Plugged = PortId;

impl Carrier {
    /// Begins to carry frames, among `tasks`.
    pub(super) fn start(subnet: Subnet, seed: u64, tasks: &TaskTracker) -> Self {
        let (orders, inbox) = mpsc::unbounded_channel();
        let end = CancellationToken::new();
        let carrying = Carrying::new(subnet, seed);
        let until = end.clone();
        tasks.spawn(async move {
            until.run_until_cancelled(carrying.run(inbox)).await;
        });
        Self {
            orders,
            next: AtomicU64::new(OWN.0 + 1),
            end,
        }
    }

    /// Plugs a sandbox in, in place of any that has had its address.
    pub(super) fn plug(
        &self,
        port: OwnedFd,
        address: Ipv4Addr,
        mac: [u8; 6],
    ) -> io::Result<Plugged> {
        let id = PortId(self.next.fetch_add(1, Ordering::Relaxed));
        let port = Port::new(port, address, EthernetAddress(mac))?;
        self.order(Order::Plug(id, port));
        Ok(id)
    }

    pub(super) fn unplug(&self, plugged: Plugged) {
        self.order(Order::Unplug(plugged));
    }

    /// Unplugs whoever has an address.
    pub(super) fn unplug_address(&self, address: Ipv4Addr) {
        self.order(Order::UnplugAddress(address));
    }

    /// Gives the requestor an address.
    pub(super) fn add_address(&self, address: Ipv4Addr) {
        self.order(Order::AddAddress(address));
    }

    /// Opens a connection from the requestor to a port.
    pub(super) async fn connect(&self, remote: SocketAddrV4) -> Result<DuplexStream, ConnectError> {
        let (opening, opened) = oneshot::channel();
        self.order(Order::Connect(remote, opening));
        opened.await.unwrap_or(Err(ConnectError::Gone))
    }

    /// Opens a raw socket between an address of the requestor's and another's.
    pub(super) fn open_raw(&self, own: Ipv4Addr, other: Ipv4Addr) -> RawSocket {
        let (socket, end) = raw::open(own, other);
        self.add_address(own);
        self.order(Order::OpenRaw(end));
        socket
    }

    /// The two ends of all connections of the requestor's.
    pub(super) async fn connections(&self) -> Vec<(SocketAddrV4, SocketAddrV4)> {
        let (answer, answered) = oneshot::channel();
        self.order(Order::Connections(answer));
        answered.await.unwrap_or_default()
    }

    /// Sets what the link from one address to another does; or what all do of which nothing is said.
    pub(super) fn set_quality(&self, link: Option<(Ipv4Addr, Ipv4Addr)>, quality: Quality) {
        self.order(Order::SetQuality(link, quality));
    }

    fn order(&self, order: Order) {
        // Of a network that has ended, nothing is wanted any more.
        let _ = self.orders.send(order);
    }

    /// Ends the task; nothing is carried from now on.
    pub(super) fn close(&self) {
        self.end.cancel();
    }
}

impl Drop for Carrier {
    fn drop(&mut self) {
        self.close();
    }
}

/// The task's own side.
struct Carrying {
    subnet: Subnet,
    /// The requestor's.
    mac: EthernetAddress,
    switch: Switch,
    ports: BTreeMap<PortId, Port>,
    stack: Stack,
    raw: RawSockets,
    links: Links,
    /// Frames on their way, by when they arrive.
    on_the_way: BTreeMap<(Duration, u64), (PortId, Vec<u8>)>,
    bytes_on_the_way: usize,
    /// How many frames have set out.
    sent: u64,
    began: Instant,
    buffer: Vec<u8>,
}

impl Carrying {
    fn new(subnet: Subnet, seed: u64) -> Self {
        let mut random = StdRng::seed_from_u64(seed);
        let [a, b, c, d] = subnet.first().octets();
        // Nobody else's: those of sandboxes begin otherwise.
        let mac = EthernetAddress([0x02, 0x4c, a, b, c, d]);
        let mut switch = Switch::default();
        switch.plug(OWN, mac);
        Self {
            subnet,
            mac,
            switch,
            ports: BTreeMap::new(),
            stack: Stack::new(mac, random.next_u64()),
            raw: RawSockets::default(),
            links: Links::new(random),
            on_the_way: BTreeMap::new(),
            bytes_on_the_way: 0,
            sent: 0,
            began: Instant::now(),
            buffer: vec![0; frame::LONGEST],
        }
    }

    async fn run(mut self, mut orders: mpsc::UnboundedReceiver<Order>) {
        loop {
            let deadline = self.deadline();
            let due = async {
                match deadline {
                    Some(deadline) => tokio::time::sleep_until(deadline).await,
                    None => std::future::pending().await,
                }
            };
            tokio::select! {
                biased; // what was wanted before a frame came is done before the frame is carried
                order = orders.recv() => match order {
                    Some(order) => self.obey(order),
                    None => return,
                },
                () = poll_fn(|context| self.carry(context)) => {}
                () = due => {}
            }
        }
    }

    fn obey(&mut self, order: Order) {
        match order {
            Order::Plug(id, port) => {
                self.unplug_address(port.address);
                self.switch.plug(id, port.mac);
                self.ports.insert(id, port);
            }
            Order::Unplug(id) => self.unplug(id),
            Order::UnplugAddress(address) => self.unplug_address(address),
            Order::AddAddress(address) => self.stack.add_address(address, self.subnet.prefix()),
            Order::Connect(remote, opening) => {
                if !self.stack.has_address() {
                    // The first of a network's addresses is the requestor's, unless it is somebody else's.
                    let first = self.subnet.first();
                    if !self.ports.values().any(|port| port.address == first) {
                        self.stack.add_address(first, self.subnet.prefix());
                    }
                }
                let now = self.stack_time();
                self.stack.connect(remote, opening, now);
            }
            Order::OpenRaw(end) => self.raw.add(end),
            Order::Connections(answer) => {
                // Who asked may have gone.
                let _ = answer.send(self.stack.connections());
            }
            Order::SetQuality(None, quality) => self.links.set_usual(quality),
            Order::SetQuality(Some((from, to)), quality) => self.links.set(from, to, quality),
        }
    }

    fn unplug(&mut self, id: PortId) {
        self.switch.unplug(id);
        if let Some(port) = self.ports.remove(&id) {
            self.stack.disconnect(port.address);
        }
    }

    fn unplug_address(&mut self, address: Ipv4Addr) {
        let ports = self.ports.iter();
        let found: Vec<_> = ports
            .filter(|(_, port)| port.address == address)
            .map(|(id, _)| *id)
            .collect();
        for id in found {
            self.unplug(id);
        }
    }

    /// Carries what there is to carry, until there is nothing more, or it is others' turn. Ready if anything was done.
    fn carry(&mut self, context: &mut Context<'_>) -> Poll<()> {
        let mut buffer = std::mem::take(&mut self.buffer);
        let mut is_done = self.deliver_due();
        for id in self.ports.keys().copied().collect::<Vec<_>>() {
            for _ in 0..TURN {
                let Some(port) = self.ports.get(&id) else {
                    break;
                };
                match port.poll_read(context, &mut buffer) {
                    Poll::Ready(Ok(length)) => {
                        is_done = true;
                        self.forward(id, &buffer[..length]);
                    }
                    Poll::Ready(Err(error)) => {
                        tracing::debug!(address = %port.address, %error, "a port is gone");
                        is_done = true;
                        self.unplug(id);
                    }
                    Poll::Pending => break,
                }
            }
        }
        self.buffer = buffer;
        let now = self.stack_time();
        self.stack.work(now, context);
        while let Some(frame) = self.stack.next_frame() {
            is_done = true;
            self.forward(OWN, &frame);
        }
        for packet in self.raw.poll_packets(context, TURN) {
            is_done = true;
            self.send_packet(&packet);
        }
        match is_done {
            true => Poll::Ready(()),
            false => Poll::Pending,
        }
    }

    fn forward(&mut self, from: PortId, frame: &[u8]) {
        let Some((destination, source)) = frame::addresses(frame) else {
            return;
        };
        match self.switch.forward(from, destination, source) {
            Way::To(to) => self.send(from, to, frame),
            Way::ToOthers => {
                let others: Vec<_> = self.switch.ports().filter(|port| *port != from).collect();
                for to in others {
                    self.send(from, to, frame);
                }
            }
            Way::Nowhere => {}
        }
    }

    /// Sends a packet of a raw socket's to whoever has the address.
    fn send_packet(&mut self, packet: &raw::Outgoing) {
        let mut ports = self.ports.iter();
        let port = ports.find(|(_, port)| port.address == packet.to);
        let frame = port.and_then(|(id, port)| Some((*id, packet.frame(self.mac, port.mac)?)));
        if let Some((id, frame)) = frame {
            self.send(OWN, id, &frame);
        }
    }

    /// Sends a frame on its way over a link.
    fn send(&mut self, from: PortId, to: PortId, frame: &[u8]) {
        let (here, there) = (self.address(from), self.address(to));
        if self.links.quality(here, there).is_perfect() {
            self.deliver(to, frame);
            return;
        }
        let now = self.began.elapsed();
        for segment in frame::segments(frame) {
            let length = segment.len() - frame::HEADER;
            let arrives = self.links.send(here, there, length, now);
            if let Some(arrives) = arrives
                && self.bytes_on_the_way + segment.len() <= ON_THE_WAY
            {
                self.sent += 1;
                self.bytes_on_the_way += segment.len();
                self.on_the_way.insert((arrives, self.sent), (to, segment));
            }
        }
    }

    /// Delivers the frames that have arrived by now. False if there are none.
    fn deliver_due(&mut self) -> bool {
        let now = self.began.elapsed();
        let mut is_done = false;
        while let Some(entry) = self.on_the_way.first_entry()
            && entry.key().0 <= now
        {
            let (to, frame) = entry.remove();
            self.bytes_on_the_way -= frame.len();
            self.deliver(to, &frame);
            is_done = true;
        }
        is_done
    }

    fn deliver(&mut self, to: PortId, frame: &[u8]) {
        if to == OWN {
            if !self.raw.receive(frame, &self.stack) {
                self.stack.receive(frame);
            }
        } else if let Some(port) = self.ports.get(&to) {
            port.write(frame);
        }
    }

    /// Whose port it is; of the requestor's, the network's first address, whichever it has.
    fn address(&self, port: PortId) -> Ipv4Addr {
        match self.ports.get(&port) {
            Some(port) => port.address,
            None => self.subnet.first(),
        }
    }

    /// When something is to be done even if nothing happens.
    fn deadline(&mut self) -> Option<Instant> {
        let now = self.stack_time();
        let stack = self.stack.deadline(now).map(|at| {
            let micros = u64::try_from(at.total_micros()).unwrap_or(0);
            self.began + Duration::from_micros(micros)
        });
        let arrival = self.on_the_way.first_key_value();
        let arrival = arrival.map(|((arrives, _), _)| self.began + *arrives);
        [stack, arrival].into_iter().flatten().min()
    }

    fn stack_time(&self) -> smoltcp::time::Instant {
        let micros = self.began.elapsed().as_micros();
        smoltcp::time::Instant::from_micros(i64::try_from(micros).unwrap_or(i64::MAX))
    }
}
