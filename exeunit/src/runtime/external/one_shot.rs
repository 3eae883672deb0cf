//! A call of a runtime program that runs one command.

use std::{process, time::Duration};

use prost::bytes::{Bytes, BytesMut};
use rustix::process::{Signal, kill_process};
use tokio::{
    io::{AsyncRead, AsyncReadExt},
    sync::mpsc,
};
use tokio_util::task::TaskTracker;

use crate::{
    sandbox::{
        ExitStatus, Order, Process, WINDOW,
        wire::{End, Ended, Output, Report, Request},
    },
    tied::Tied,
};

/// How much is read at once.
const PIECE: usize = 32 << 10;

/// The only command of its task.
const ID: u64 = 0;

/// Makes a program that was started, with its output in pipes, a process that can be waited for. It counts as one of
/// `programs` until nothing of it is left, whoever waits for it.
pub(super) fn process(program: Tied, programs: &TaskTracker) -> Process {
    let (orders, received_orders) = mpsc::unbounded_channel();
    let (reports, received_reports) = mpsc::unbounded_channel();
    let command = Command {
        program,
        reports,
        window: WINDOW,
    };
    programs.spawn(command.serve(received_orders));
    Process::new(ID, orders, received_reports)
}

struct Command {
    program: Tied,
    reports: mpsc::UnboundedSender<Report>,
    /// How many bytes its reader still has room for.
    window: u64,
}

impl Command {
    /// Passes its output on until it ends, or until nobody waits for it any more.
    async fn serve(mut self, mut orders: mpsc::UnboundedReceiver<Order>) {
        let child = self.program.child();
        let (mut stdout, mut stderr) = (child.stdout.take(), child.stderr.take());
        let mut ended = None;
        while ended.is_none() || stdout.is_some() || stderr.is_some() {
            let room = usize::try_from(self.window).unwrap_or(PIECE).min(PIECE);
            tokio::select! {
                order = orders.recv() => match order {
                    Some(Order::Tell(Request::Credit(credit))) => self.window += credit.bytes,
                    Some(Order::Tell(Request::Signal(signal))) => self.signal(signal.signal),
                    None | Some(Order::Tell(Request::Release(_)) | Order::Stop) => {
                        return self.program.wait_or_kill(Duration::ZERO).await;
                    }
                    Some(_) => {}
                },
                piece = read(&mut stdout, room), if room > 0 && stdout.is_some() => {
                    self.pass_on(false, piece, &mut stdout);
                }
                piece = read(&mut stderr, room), if room > 0 && stderr.is_some() => {
                    self.pass_on(true, piece, &mut stderr);
                }
                status = self.program.wait(), if ended.is_none() => {
                    ended = Some(status.map_or(End::Code(-1), end));
                }
            }
        }
        let _ = self
            .reports
            .send(Report::Ended(Ended { id: ID, end: ended }));
    }

    /// Hands a piece of output to the reader; none is the end of it.
    fn pass_on<T>(&mut self, is_error: bool, piece: Option<Bytes>, from: &mut Option<T>) {
        match piece {
            Some(bytes) => {
                self.window = self.window.saturating_sub(bytes.len() as u64);
                let output = Output {
                    id: ID,
                    is_error,
                    bytes,
                };
                let _ = self.reports.send(Report::Output(output));
            }
            None => *from = None,
        }
    }

    /// Passes a signal on; what ends the program ends with its warden, which kills all that it has started.
    fn signal(&self, signal: i32) {
        if let (Some(warden), Some(_)) = (self.program.id(), Signal::from_named_raw(signal)) {
            let _ = kill_process(warden, Signal::TERM);
        }
    }
}

async fn read(from: &mut Option<impl AsyncRead + Unpin>, room: usize) -> Option<Bytes> {
    let mut piece = BytesMut::with_capacity(room);
    let from = { from.as_mut()? };
    let mut limited = from.take(room as u64);
    match limited.read_buf(&mut piece).await {
        Ok(1..) => Some(piece.freeze()),
        Ok(0) | Err(_) => None,
    }
}

fn end(status: process::ExitStatus) -> End {
    match ExitStatus::from(status) {
        ExitStatus::Code(code) => End::Code(code),
        ExitStatus::Signal(signal) => End::Signal(signal),
    }
}
