//! A port: the end of a sandbox's cable, as its exe-unit has handed it over.

use std::{
    io,
    net::Ipv4Addr,
    os::{fd::OwnedFd, unix::net::UnixDatagram as StdDatagram},
    task::{Context, Poll, ready},
};

use smoltcp::wire::EthernetAddress;
use tokio::{io::ReadBuf, net::UnixDatagram};

/// A port, with who is behind it.
#[derive(Debug)]
pub(super) struct Port {
    pub(super) address: Ipv4Addr,
    pub(super) mac: EthernetAddress,
    /// A packet socket, really: one that is connected, and keeps its messages apart, is sent to and received from alike.
    socket: UnixDatagram,
}

impl Port {
    /// Must be called on a tokio runtime.
    pub(super) fn new(
        socket: OwnedFd,
        address: Ipv4Addr,
        mac: EthernetAddress,
    ) -> io::Result<Self> {
        let socket = StdDatagram::from(socket);
        socket.set_nonblocking(true)?;
        Ok(Self {
            address,
            mac,
            socket: UnixDatagram::from_std(socket)?,
        })
    }

    /// Reads the next frame.
    pub(super) fn poll_read(
        &self,
        context: &mut Context<'_>,
        buffer: &mut [u8],
    ) -> Poll<io::Result<usize>> {
        let mut buffer = ReadBuf::new(buffer);
        ready!(self.socket.poll_recv(context, &mut buffer))?;
        Poll::Ready(Ok(buffer.filled().len()))
    }

    /// Writes a frame, if there is room; one for which there is none is lost, as on any wire.
    pub(super) fn write(&self, frame: &[u8]) {
        if let Err(error) = self.socket.try_send(frame) {
            tracing::trace!(address = %self.address, %error, "a frame is lost");
        }
    }
}
