//! The agent's end of the stream to its host, which never blocks it.

use std::{
    fs::File,
    io::{self, ErrorKind, Read, Write},
    os::fd::{AsFd, BorrowedFd, OwnedFd},
};

use prost::bytes::{Buf, BytesMut};
use rustix::fs::{OFlags, fcntl_setfl};
use tokio_util::codec::{Decoder, Encoder};

use crate::sandbox::wire::{AgentFrames, FromAgent, Report, Request};

/// How much is read at once.
const PIECE: usize = 16 << 10;

/// A connection, a socket or a port of a virtual machine, that is read and written as far as it goes, and not further.
pub(in crate::sandbox) struct Link {
    stream: File,
    frames: AgentFrames,
    received: BytesMut,
    /// Bounded by what the host lets commands send: see [`wire`](crate::sandbox::wire).
    unsent: BytesMut,
}

impl Link {
    pub(in crate::sandbox) fn new(stream: OwnedFd) -> io::Result<Self> {
        fcntl_setfl(&stream, OFlags::NONBLOCK)?;
        Ok(Self {
            stream: stream.into(),
            frames: AgentFrames::default(),
            received: BytesMut::new(),
            unsent: BytesMut::new(),
        })
    }

    /// Takes in what has arrived. False if the host has hung up.
    pub(in crate::sandbox) fn receive(&mut self) -> io::Result<bool> {
        let mut piece = [0; PIECE];
        loop {
            match self.stream.read(&mut piece) {
                Ok(0) => return Ok(false),
                Ok(length) => self.received.extend_from_slice(&piece[..length]),
                Err(error) if error.kind() == ErrorKind::WouldBlock => return Ok(true),
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
        }
    }

    /// The next message that is here as a whole.
    pub(in crate::sandbox) fn next(&mut self) -> io::Result<Option<Request>> {
        let message = self
            .frames
            .decode(&mut self.received)
            .map_err(io::Error::other)?;
        Ok(message.and_then(|message| message.request))
    }

    /// Queues a report.
    pub(in crate::sandbox) fn send(&mut self, report: Report) {
        let report = FromAgent {
            report: Some(report),
        };
        self.frames
            .encode(report, &mut self.unsent)
            .expect("no report is as long as a frame may be");
    }

    /// Writes what is queued as far as the host takes it.
    pub(in crate::sandbox) fn flush(&mut self) -> io::Result<()> {
        while self.has_unsent() {
            match self.stream.write(&self.unsent) {
                Ok(length) => self.unsent.advance(length),
                Err(error) if error.kind() == ErrorKind::WouldBlock => break,
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
        }
        Ok(())
    }

    pub(in crate::sandbox) fn has_unsent(&self) -> bool {
        !self.unsent.is_empty()
    }
}

impl AsFd for Link {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.stream.as_fd()
    }
}
