//! Serves an exe-unit on two streams of bytes: runs what it asks for, and tells what becomes of it.

use std::collections::BTreeMap;

use futures::{SinkExt, StreamExt};
use tokio::{
    io::{AsyncRead, AsyncWrite},
    sync::mpsc,
};
use tokio_util::codec::{FramedRead, FramedWrite};

use super::place::{Aftermath, Place};
use crate::{
    frame::FrameError,
    runtime::protocol::{
        Answer, Command, Empty, ErrorAnswer, ErrorCode, Hello, ProcessStatus, Request, Response,
        RunProcess, RuntimeFrames, Started, VERSION,
    },
    sandbox::{Output, Process, RunError, Signal},
};

/// How many messages may wait to be written; then processes have to.
const QUEUE: usize = 16;

/// Why serving has ended before it was told to.
#[derive(Debug, thiserror::Error)]
pub(super) enum ServeError {
    #[error("cannot understand the exe-unit")]
    Read(#[source] FrameError),
    #[error("what commands run in has ended")]
    Gone,
}

/// Serves until the exe-unit says so or is gone.
pub(super) async fn serve(
    place: &Place,
    from: impl AsyncRead + Unpin,
    to: impl AsyncWrite + Unpin + Send + 'static,
) -> Result<(), ServeError> {
    let mut requests = FramedRead::new(from, RuntimeFrames::default());
    let (responses, mut received) = mpsc::channel(QUEUE);
    let mut written = FramedWrite::new(to, RuntimeFrames::default());
    let writer = tokio::spawn(async move {
        while let Some(response) = received.recv().await {
            if written.send(response).await.is_err() {
                return;
            }
        }
    });
    let (ended, mut endings) = mpsc::unbounded_channel();
    let monitor = place.monitor();
    let mut desk = Desk {
        place,
        responses,
        ended,
        next_pid: 1,
        processes: BTreeMap::new(),
    };
    let outcome = loop {
        tokio::select! {
            request = requests.next() => match request {
                Some(Ok(request)) => match desk.answer(request).await {
                    Next::GoOn => {}
                    Next::End => break Ok(()),
                },
                Some(Err(error)) => break Err(ServeError::Read(error)),
                None => break Ok(()),
            },
            Some(pid) = endings.recv() => {
                desk.processes.remove(&pid);
            }
            () = monitor.gone() => break Err(ServeError::Gone),
        }
    };
    // What is queued is still written; processes that run on do not hold the queue open for long.
    desk.processes.clear();
    drop(desk);
    if outcome.is_ok() {
        let _ = writer.await;
    }
    outcome
}

#[derive(PartialEq)]
enum Next {
    GoOn,
    End,
}

struct Desk<'a> {
    place: &'a Place,
    responses: mpsc::Sender<Response>,
    /// Where processes tell that they have ended.
    ended: mpsc::UnboundedSender<u64>,
    next_pid: u64,
    /// Ways to send signals; without one a process is killed.
    processes: BTreeMap<u64, mpsc::UnboundedSender<Signal>>,
}

impl Desk<'_> {
    async fn answer(&mut self, request: Request) -> Next {
        let id = request.id;
        let (answer, next) = match request.command {
            Some(Command::Hello(_)) => {
                let version = VERSION.to_owned();
                (Answer::Hello(Hello { version }), Next::GoOn)
            }
            Some(Command::Run(run)) => return self.run(id, run).await,
            Some(Command::Kill(kill)) => {
                let killed = self.kill(kill.pid, kill.signal);
                (killed.unwrap_or_else(Answer::Error), Next::GoOn)
            }
            Some(Command::Shutdown(_)) => (Answer::Shutdown(Empty {}), Next::End),
            Some(Command::Network(_)) => {
                let refused = refuse(ErrorCode::BadRequest, "this runtime has no network");
                (Answer::Error(refused), Next::GoOn)
            }
            None => {
                let refused = refuse(ErrorCode::BadRequest, "this runtime knows no such request");
                (Answer::Error(refused), Next::GoOn)
            }
        };
        self.respond(id, answer).await;
        next
    }

    async fn run(&mut self, id: u64, run: RunProcess) -> Next {
        let process = match self.place.run(run).await {
            Ok(process) => process,
            Err(error) => {
                let code = match error {
                    RunError::Refused { code: 127, .. } => ErrorCode::NotFound,
                    RunError::Refused { .. } | RunError::Gone(_) => ErrorCode::Internal,
                };
                let refused = refuse(code, &error.to_string());
                self.respond(id, Answer::Error(refused)).await;
                return Next::GoOn;
            }
        };
        let pid = self.next_pid;
        self.next_pid += 1;
        // Before any event of the process.
        self.respond(id, Answer::Run(Started { pid })).await;
        let (signals, received) = mpsc::unbounded_channel();
        self.processes.insert(pid, signals);
        let told = Told {
            pid,
            responses: self.responses.clone(),
            aftermath: self.place.aftermath(),
        };
        let ended = self.ended.clone();
        tokio::spawn(async move {
            told.follow(process, received).await;
            let _ = ended.send(pid);
        });
        Next::GoOn
    }

    fn kill(&self, pid: u64, signal: i32) -> Result<Answer, ErrorAnswer> {
        let Some(signals) = self.processes.get(&pid) else {
            let reason = format!("there is no process {pid}");
            return Err(refuse(ErrorCode::NotFound, &reason));
        };
        let signal = Signal::from_named_raw(signal).ok_or_else(|| {
            let reason = format!("{signal} is no number of a signal");
            refuse(ErrorCode::BadRequest, &reason)
        })?;
        // It may be ending at this moment, which is as good.
        let _ = signals.send(signal);
        Ok(Answer::Kill(Empty {}))
    }

    async fn respond(&self, id: u64, answer: Answer) {
        let response = Response {
            event: false,
            id,
            answer: Some(answer),
        };
        // An exe-unit that is gone is noticed by the end of its requests.
        let _ = self.responses.send(response).await;
    }
}

fn refuse(code: ErrorCode, message: &str) -> ErrorAnswer {
    ErrorAnswer {
        code: code.into(),
        message: message.to_owned(),
    }
}

/// What is told of one process.
struct Told {
    pid: u64,
    responses: mpsc::Sender<Response>,
    aftermath: Option<Aftermath>,
}

impl Told {
    /// Tells what a process writes and how it ends; it is killed if nobody can send it signals any more.
    async fn follow(self, mut process: Process, mut signals: mpsc::UnboundedReceiver<Signal>) {
        loop {
            tokio::select! {
                piece = process.next() => {
                    let Some(piece) = piece else { break };
                    let mut status = ProcessStatus { pid: self.pid, running: true, ..Default::default() };
                    match piece {
                        Output::Stdout(bytes) => status.stdout = bytes,
                        Output::Stderr(bytes) => status.stderr = bytes,
                    }
                    self.tell(status).await;
                }
                signal = signals.recv() => match signal {
                    Some(signal) => process.signal(signal),
                    None => return,
                },
            }
        }
        let status = process.wait().await;
        if let Some(aftermath) = &self.aftermath {
            aftermath.happen().await;
        }
        let return_code = status.map_or(-1, crate::sandbox::ExitStatus::shell_code);
        let status = ProcessStatus {
            pid: self.pid,
            running: false,
            return_code,
            ..Default::default()
        };
        self.tell(status).await;
    }

    async fn tell(&self, status: ProcessStatus) {
        let event = Response {
            event: true,
            id: 0,
            answer: Some(Answer::Status(status)),
        };
        let _ = self.responses.send(event).await;
    }
}
