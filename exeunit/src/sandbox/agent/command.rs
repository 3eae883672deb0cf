//! One command at work, as the agent sees it.
//!
//! A command is over when its process has ended and what it had written until then has been sent, within the window
//! that the host has granted. Daemons may hold its pipes for longer; they are none of the command's business.

use std::{
    os::fd::{AsFd, BorrowedFd, OwnedFd},
    process::Child,
};

use prost::bytes::Bytes;
use rustix::{
    io::{Errno, ioctl_fionread, read},
    process::{Pid, Signal, WaitStatus, kill_process_group},
};

use super::{descent, link::Link};
use crate::sandbox::wire::{End, Ended, Output, Report};

/// The most that one message carries of a command's output, in bytes.
const PIECE: usize = 32 << 10;

pub(super) struct Command {
    id: u64,
    pid: Pid,
    /// How many bytes of output may still be sent; none at all is sent, but all thrown away, if nobody wants it.
    window: Option<u64>,
    pipes: Vec<Pipe>,
    end: Option<End>,
}

struct Pipe {
    is_error: bool,
    fd: OwnedFd,
    /// How many bytes are still the command's, once it has ended; what comes after them is a daemon's.
    remaining: Option<u64>,
}

impl Command {
    pub(super) fn new(id: u64, window: u64, child: Child) -> Self {
        let pid = Pid::from_child(&child);
        let stdout = child.stdout.map(OwnedFd::from).map(|fd| (false, fd));
        let stderr = child.stderr.map(OwnedFd::from).map(|fd| (true, fd));
        let pipe = |(is_error, fd)| Pipe {
            is_error,
            fd,
            remaining: None,
        };
        Self {
            id,
            pid,
            window: Some(window),
            pipes: stdout.into_iter().chain(stderr).map(pipe).collect(),
            end: None,
        }
    }

    pub(super) fn id(&self) -> u64 {
        self.id
    }

    /// Whether this is the process of a command that has not ended.
    pub(super) fn is(&self, pid: Pid) -> bool {
        self.pid == pid && self.end.is_none()
    }

    /// The process has ended, and has been reaped.
    pub(super) fn end(&mut self, status: WaitStatus) {
        self.end = Some(match status.terminating_signal() {
            Some(signal) => End::Signal(signal),
            None => End::Code(status.exit_status().unwrap_or(-1)),
        });
        for pipe in &mut self.pipes {
            pipe.remaining = Some(ioctl_fionread(&pipe.fd).unwrap_or(0));
        }
    }

    pub(super) fn grant(&mut self, bytes: u64) {
        self.window = self.window.map(|window| window.saturating_add(bytes));
    }

    /// Sends a signal to the process group, unless the process has ended and its id may be another's. Who is
    /// killed is so with all descendants.
    pub(super) fn signal(&self, signal: i32) {
        if let (None, Some(signal)) = (self.end, Signal::from_named_raw(signal)) {
            if signal == Signal::KILL {
                descent::kill(self.pid);
            }
            // It can only fail because the last process of the group ends at this moment.
            let _ = kill_process_group(self.pid, signal);
        }
    }

    pub(super) fn release(&mut self) {
        self.signal(Signal::KILL.as_raw());
        self.window = None;
    }

    /// The pipes that output is awaited from: none while the window is closed.
    pub(super) fn awaited(&self) -> impl Iterator<Item = BorrowedFd<'_>> {
        let open = self.window != Some(0);
        self.pipes
            .iter()
            .filter(move |pipe| open && pipe.remaining != Some(0))
            .map(|pipe| pipe.fd.as_fd())
    }

    /// Sends what there is, a piece of each pipe at most, and forgets pipes that are at their end.
    pub(super) fn pass_output_on(&mut self, link: &mut Link) {
        let (id, window) = (self.id, &mut self.window);
        self.pipes.retain_mut(|pipe| match pipe.read(*window) {
            Read::Piece(bytes) => {
                if let Some(window) = window {
                    *window -= bytes.len() as u64;
                    let is_error = pipe.is_error;
                    link.send(Report::Output(Output {
                        id,
                        is_error,
                        bytes,
                    }));
                }
                true
            }
            Read::Nothing => true,
            Read::End => false,
        });
    }

    pub(super) fn is_over(&self) -> bool {
        self.end.is_some() && self.pipes.iter().all(|pipe| pipe.remaining == Some(0))
    }

    pub(super) fn last_word(&self) -> Report {
        Report::Ended(Ended {
            id: self.id,
            end: self.end,
        })
    }

    /// The pipes that a daemon may still hold.
    pub(super) fn into_pipes(self) -> impl Iterator<Item = OwnedFd> {
        self.pipes.into_iter().map(|pipe| pipe.fd)
    }
}

enum Read {
    Piece(Bytes),
    Nothing,
    End,
}

impl Pipe {
    fn read(&mut self, window: Option<u64>) -> Read {
        let allowed = window
            .unwrap_or(u64::MAX)
            .min(self.remaining.unwrap_or(u64::MAX));
        let allowed = usize::try_from(allowed).map_or(PIECE, |allowed| allowed.min(PIECE));
        if allowed == 0 {
            return Read::Nothing;
        }
        let mut piece = vec![0; allowed];
        match read(&self.fd, &mut piece[..]) {
            Ok(0) => Read::End,
            Ok(length) => {
                if let Some(remaining) = &mut self.remaining {
                    *remaining -= length as u64;
                }
                piece.truncate(length);
                Read::Piece(Bytes::from(piece))
            }
            Err(Errno::AGAIN | Errno::INTR) => Read::Nothing,
            Err(_) => Read::End,
        }
    }
}

/// Throws away what is in a pipe. False once nobody can write to it any more.
pub(super) fn empty(pipe: &OwnedFd) -> bool {
    let mut piece = [0; PIECE];
    !matches!(read(pipe, &mut piece), Ok(0))
}
