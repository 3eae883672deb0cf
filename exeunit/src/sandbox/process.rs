//! A command at work in a sandbox, as the host sees it.

use std::{
    os::unix::process::ExitStatusExt,
    pin::Pin,
    process,
    task::{Context, Poll, ready},
};

use futures::{Stream, StreamExt};
use prost::bytes::Bytes;
use rustix::process::Signal;
use tokio::sync::mpsc;

use super::{
    error::SandboxGone,
    host::Order,
    wire::{self, End, Report},
};

/// How much output a command may be ahead of its reader, in bytes.
pub(crate) const WINDOW: u64 = 256 << 10;

/// A command at work in a sandbox: a stream of its output, which ends when the command does.
///
/// Who does not read holds the command up, once it has written some hundred kilobytes. When this
/// is dropped before the end, the command's process group is killed.
#[derive(Debug)]
pub struct Process {
    id: u64,
    orders: mpsc::UnboundedSender<Order>,
    /// Never holds more than the window.
    reports: mpsc::UnboundedReceiver<Report>,
    /// Bytes that were read but not yet reported as such.
    consumed: u64,
    ending: Option<Result<ExitStatus, SandboxGone>>,
}

/// A piece of what a command has written, of any length and cut anywhere.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Output {
    /// To its standard output.
    Stdout(Bytes),
    /// To its standard error.
    Stderr(Bytes),
}

/// How a command has ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ExitStatus {
    /// By itself, with this code.
    Code(i32),
    /// By this signal.
    Signal(i32),
}

impl From<process::ExitStatus> for ExitStatus {
    fn from(status: process::ExitStatus) -> Self {
        match (status.code(), status.signal()) {
            (Some(code), _) => Self::Code(code),
            (None, Some(signal)) => Self::Signal(signal),
            // Of one that has ended, it is either.
            (None, None) => Self::Code(-1),
        }
    }
}

impl ExitStatus {
    /// Whether the command has exited with code 0.
    pub fn is_success(self) -> bool {
        self == Self::Code(0)
    }

    /// The code as a shell gives it: of a signal, 128 and its number.
    pub fn shell_code(self) -> i32 {
        match self {
            Self::Code(code) => code,
            Self::Signal(signal) => 128 + signal,
        }
    }
}

impl Process {
    pub(crate) fn new(
        id: u64,
        orders: mpsc::UnboundedSender<Order>,
        reports: mpsc::UnboundedReceiver<Report>,
    ) -> Self {
        Self {
            id,
            orders,
            reports,
            consumed: 0,
            ending: None,
        }
    }

    /// Sends a signal to the command's process group.
    pub fn signal(&self, signal: Signal) {
        let (id, signal) = (self.id, signal.as_raw());
        self.order(wire::Request::Signal(wire::Signal { id, signal }));
    }

    /// What kills the command's process group, for somebody else than who reads its output.
    pub(crate) fn killer(&self) -> impl Fn() + use<> {
        let (id, orders) = (self.id, self.orders.clone());
        let signal = Signal::KILL.as_raw();
        move || {
            // Without an agent there is nothing to be killed.
            let _ = orders.send(Order::Tell(wire::Request::Signal(wire::Signal {
                id,
                signal,
            })));
        }
    }

    /// Waits for the command to end; output that has not been read until now is thrown away.
    pub async fn wait(mut self) -> Result<ExitStatus, SandboxGone> {
        while self.next().await.is_some() {}
        self.ending.unwrap_or(Err(SandboxGone))
    }

    /// Gives the agent credit for what was read, not for every piece of it.
    fn consume(&mut self, bytes: usize) {
        self.consumed += bytes as u64;
        if self.consumed >= WINDOW / 4 {
            let (id, bytes) = (self.id, std::mem::take(&mut self.consumed));
            self.order(wire::Request::Credit(wire::Credit { id, bytes }));
        }
    }

    fn order(&self, request: wire::Request) {
        // Without an agent there is nothing to be ordered; the end of the reports tells of it.
        let _ = self.orders.send(Order::Tell(request));
    }
}

impl Stream for Process {
    type Item = Output;

    fn poll_next(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Output>> {
        if self.ending.is_some() {
            return Poll::Ready(None);
        }
        match ready!(self.reports.poll_recv(context)) {
            Some(Report::Output(output)) => {
                self.consume(output.bytes.len());
                Poll::Ready(Some(match output.is_error {
                    false => Output::Stdout(output.bytes),
                    true => Output::Stderr(output.bytes),
                }))
            }
            Some(Report::Ended(ended)) => {
                self.ending = Some(match ended.end {
                    Some(End::Code(code)) => Ok(ExitStatus::Code(code)),
                    Some(End::Signal(signal)) => Ok(ExitStatus::Signal(signal)),
                    None => Err(SandboxGone),
                });
                Poll::Ready(None)
            }
            _ => {
                self.ending = Some(Err(SandboxGone));
                Poll::Ready(None)
            }
        }
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        if self.ending.is_none() {
            self.order(wire::Request::Release(wire::Release { id: self.id }));
        }
    }
}
