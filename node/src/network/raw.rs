//! Raw sockets: whole IP packets between an address of the requestor's and another's, past the requestor's own stack.
//!
//! Such a packet is IPv4, of the usual size at most, from the one address to the other; whatever else is sent is lost, as
//! is what there is no room for. What comes for one of the stack's connections goes there and nowhere else.

use std::{
    net::{Ipv4Addr, SocketAddrV4},
    task::{Context, Poll},
};

use smoltcp::wire::{
    EthernetAddress, EthernetFrame, EthernetProtocol, IpProtocol, Ipv4Packet, TcpPacket,
};
use tokio::sync::mpsc;

use super::{
    frame::{self, HEADER, MTU},
    stack::Stack,
};

/// How many packets may wait, either way.
const QUEUE: usize = 256;

/// The requestor's end of a raw socket: packets go in and come out.
#[derive(Debug)]
pub(crate) struct RawSocket {
    pub(crate) outgoing: mpsc::Sender<Vec<u8>>,
    /// Ends with the network.
    pub(crate) incoming: mpsc::Receiver<Vec<u8>>,
}

/// The network's end of one.
#[derive(Debug)]
pub(super) struct RawEnd {
    own: Ipv4Addr,
    other: Ipv4Addr,
    outgoing: mpsc::Receiver<Vec<u8>>,
    incoming: mpsc::Sender<Vec<u8>>,
}

/// A raw socket between an address of the requestor's and another.
pub(super) fn open(own: Ipv4Addr, other: Ipv4Addr) -> (RawSocket, RawEnd) {
    let (outgoing, sent) = mpsc::channel(QUEUE);
    let (received, incoming) = mpsc::channel(QUEUE);
    let socket = RawSocket { outgoing, incoming };
    let end = RawEnd {
        own,
        other,
        outgoing: sent,
        incoming: received,
    };
    (socket, end)
}

/// All of a network.
#[derive(Debug, Default)]
pub(super) struct RawSockets(Vec<RawEnd>);

impl RawSockets {
    pub(super) fn add(&mut self, end: RawEnd) {
        self.0.push(end);
    }

    /// What is to be sent: so many packets of each socket at most. Sockets go that nobody has any more.
    pub(super) fn poll_packets(&mut self, context: &mut Context<'_>, most: usize) -> Vec<Outgoing> {
        let mut packets = Vec::new();
        self.0.retain_mut(|end| {
            for _ in 0..most {
                match end.outgoing.poll_recv(context) {
                    Poll::Ready(Some(packet)) => packets.push(Outgoing {
                        from: end.own,
                        to: end.other,
                        packet,
                    }),
                    Poll::Ready(None) => return false,
                    Poll::Pending => break,
                }
            }
            true
        });
        packets
    }

    /// Takes in a frame, unless it is for none of them, or for a connection of the stack's.
    pub(super) fn receive(&self, frame: &[u8], stack: &Stack) -> bool {
        let Some(packet) = self.0.first().and_then(|_| packet(frame)) else {
            return false;
        };
        let (other, own) = (packet.src_addr(), packet.dst_addr());
        let ends = self.0.iter();
        let ends: Vec<_> = ends
            .filter(|end| (end.own, end.other) == (own, other))
            .collect();
        let is_of_stack = tcp_ports(&packet).is_some_and(|(from, to)| {
            stack.knows((SocketAddrV4::new(own, to), SocketAddrV4::new(other, from)))
        });
        if ends.is_empty() || is_of_stack {
            return false;
        }
        for segment in frame::segments(frame) {
            deliver(&segment, &ends);
        }
        true
    }
}

/// Hands a frame's packet over, to those that have room for it.
fn deliver(frame: &[u8], ends: &[&RawEnd]) {
    let Some(packet) = packet(frame) else { return };
    let bytes = &packet.as_ref()[..usize::from(packet.total_len())];
    for end in ends {
        if end.incoming.try_send(bytes.to_vec()).is_err() {
            tracing::trace!(to = %end.own, "a packet is lost");
        }
    }
}

/// What somebody has sent, whether it makes sense or not.
#[derive(Debug)]
pub(super) struct Outgoing {
    from: Ipv4Addr,
    pub(super) to: Ipv4Addr,
    packet: Vec<u8>,
}

impl Outgoing {
    /// A frame with it, from one hardware address to another; nothing if it is no packet between the socket's addresses.
    pub(super) fn frame(&self, from: EthernetAddress, to: EthernetAddress) -> Option<Vec<u8>> {
        if !is_between(&self.packet, self.from, self.to) {
            return None;
        }
        let length = EthernetFrame::<&[u8]>::buffer_len(self.packet.len());
        let mut bytes = vec![0; HEADER + length];
        let mut frame = EthernetFrame::new_unchecked(&mut bytes[HEADER..]);
        frame.set_src_addr(from);
        frame.set_dst_addr(to);
        frame.set_ethertype(EthernetProtocol::Ipv4);
        frame.payload_mut().copy_from_slice(&self.packet);
        Some(bytes)
    }
}

/// Whether this is a packet as it can be sent.
fn is_between(packet: &[u8], from: Ipv4Addr, to: Ipv4Addr) -> bool {
    ipv4(packet).is_some_and(|ip| {
        usize::from(ip.total_len()) == packet.len()
            && packet.len() <= MTU
            && (ip.src_addr(), ip.dst_addr()) == (from, to)
    })
}

/// The IP packet in a frame.
fn packet(frame: &[u8]) -> Option<Ipv4Packet<&[u8]>> {
    let frame = EthernetFrame::new_checked(frame.get(HEADER..)?).ok()?;
    let is_ipv4 = frame.ethertype() == EthernetProtocol::Ipv4;
    is_ipv4.then(|| ipv4(frame.payload()))?
}

fn ipv4(packet: &[u8]) -> Option<Ipv4Packet<&[u8]>> {
    let packet = Ipv4Packet::new_checked(packet).ok()?;
    (packet.version() == 4).then_some(packet)
}

/// From which port to which a packet of TCP is.
fn tcp_ports(packet: &Ipv4Packet<&[u8]>) -> Option<(u16, u16)> {
    let is_tcp = packet.next_header() == IpProtocol::Tcp && packet.frag_offset() == 0;
    let segment = is_tcp
        .then(|| TcpPacket::new_checked(packet.payload()))?
        .ok()?;
    Some((segment.src_port(), segment.dst_port()))
}
