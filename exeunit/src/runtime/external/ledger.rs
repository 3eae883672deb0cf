//! Who waits for what of a runtime program: this only decides, no byte is read or written here.

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use prost::bytes::Bytes;
use tokio::sync::{mpsc, oneshot, watch};

use crate::{
    runtime::protocol::{
        Answer, Command, ErrorAnswer, KillProcess, Note, ProcessStatus, Request, Response,
        RunProcess,
    },
    sandbox::{
        Counters,
        wire::{self, End, Ended, Output, Refused, Report},
    },
};

/// How much output may wait for its readers before no more is read, in bytes.
const MOST_UNREAD: u64 = 1 << 20;

/// The id of the hello, which comes before all that is kept here; other exe-units begin with it too.
pub(super) const FIRST_REQUEST: u64 = 2;

/// The code of a program that was not run, as shells have it.
const NOT_RUN: i32 = 126;
const NOT_FOUND: i32 = 127;

/// Commands of the exe-unit, and the processes of the runtime.
#[derive(Debug)]
pub(super) struct Ledger {
    next_request: u64,
    /// Requests without an answer, in their order.
    asked: VecDeque<(u64, Asked)>,
    /// By the runtime's ids.
    processes: BTreeMap<u64, Running>,
    /// What processes wrote of which it is not known yet whose they are.
    unclaimed: BTreeMap<u64, Vec<ProcessStatus>>,
    /// Commands that nobody waits for any more, before they are known to have begun.
    released: BTreeSet<u64>,
    unread: u64,
    counters: watch::Sender<Counters>,
}

#[derive(Debug)]
enum Asked {
    Run {
        command: u64,
        reports: mpsc::UnboundedSender<Report>,
        started: oneshot::Sender<Result<(), Refused>>,
    },
    Kill,
}

#[derive(Debug)]
struct Running {
    command: u64,
    reports: mpsc::UnboundedSender<Report>,
    unread: u64,
}

impl Ledger {
    pub(super) fn new(counters: watch::Sender<Counters>) -> Self {
        Self {
            next_request: FIRST_REQUEST,
            asked: VecDeque::new(),
            processes: BTreeMap::new(),
            unclaimed: BTreeMap::new(),
            released: BTreeSet::new(),
            unread: 0,
            counters,
        }
    }

    /// Whether so much waits to be read that no more may come.
    pub(super) fn is_full(&self) -> bool {
        self.unread >= MOST_UNREAD
    }

    /// Starts a command; nothing is to be sent if the runtime cannot be asked to.
    pub(super) fn run(
        &mut self,
        run: wire::Run,
        reports: mpsc::UnboundedSender<Report>,
        started: oneshot::Sender<Result<(), Refused>>,
    ) -> Option<Request> {
        if let Some(name) = run.env.keys().next() {
            let reason =
                format!("the runtime takes no environment for a command, and {name} is to be set");
            let (id, code) = (run.id, NOT_RUN);
            let _ = started.send(Err(Refused { id, code, reason }));
            return None;
        }
        let name = run.program.rsplit('/').next().unwrap_or_default();
        let args = std::iter::once(name.to_owned()).chain(run.args).collect();
        let asked = Asked::Run {
            command: run.id,
            reports,
            started,
        };
        let command = Command::Run(RunProcess {
            bin: run.program,
            args,
            work_dir: String::new(),
        });
        Some(self.ask(command, asked))
    }

    /// Passes on what is asked of a command that runs.
    pub(super) fn tell(&mut self, request: wire::Request) -> Option<Request> {
        match request {
            wire::Request::Credit(credit) => {
                let running = self.processes.values_mut();
                let running = { running }.find(|running| running.command == credit.id);
                if let Some(running) = running {
                    running.unread = running.unread.saturating_sub(credit.bytes);
                }
                self.unread = self.unread.saturating_sub(credit.bytes);
                None
            }
            wire::Request::Signal(signal) => self.kill(signal.id, signal.signal),
            wire::Request::Release(release) => self.release(release.id),
            _ => None,
        }
    }

    /// Takes in a message of the runtime; what is to be sent as a consequence.
    pub(super) fn hear(&mut self, response: Response) -> Option<Request> {
        match response.answer? {
            Answer::Status(status) => {
                self.status(status);
                None
            }
            Answer::Runtime(status) => {
                if let Some(Note::Counter(counter)) = status.note {
                    self.counters.send_modify(|counters| {
                        counters.insert(counter.name, counter.value);
                    });
                }
                None
            }
            answer => {
                let place = self.asked.iter().position(|(id, _)| *id == response.id)?;
                let (_, asked) = self.asked.remove(place)?;
                self.answered(asked, answer)
            }
        }
    }

    fn answered(&mut self, asked: Asked, answer: Answer) -> Option<Request> {
        let Asked::Run {
            command,
            reports,
            started,
        } = asked
        else {
            if let Answer::Error(error) = answer {
                tracing::warn!(message = error.message, "the runtime passes no signal on");
            }
            return None;
        };
        let pid = match answer {
            Answer::Run(run) => run.pid,
            Answer::Error(error) => {
                self.released.remove(&command);
                let _ = started.send(Err(refusal(command, error)));
                return None;
            }
            _ => {
                let reason = "the runtime has answered something else than was asked".to_owned();
                let (id, code) = (command, NOT_RUN);
                let _ = started.send(Err(Refused { id, code, reason }));
                return None;
            }
        };
        let _ = started.send(Ok(()));
        self.processes.insert(
            pid,
            Running {
                command,
                reports,
                unread: 0,
            },
        );
        let kill = self.released.remove(&command);
        let kill = kill.then(|| self.release(command)).flatten();
        for status in self.unclaimed.remove(&pid).unwrap_or_default() {
            self.unread -= size(&status);
            self.status(status);
        }
        kill
    }

    fn status(&mut self, status: ProcessStatus) {
        let Some(running) = self.processes.get_mut(&status.pid) else {
            // Its id may be in an answer that is yet to come; otherwise it is nobody's.
            if self
                .asked
                .iter()
                .any(|(_, asked)| matches!(asked, Asked::Run { .. }))
            {
                self.unread += size(&status);
                self.unclaimed.entry(status.pid).or_default().push(status);
            }
            return;
        };
        let id = running.command;
        for (is_error, bytes) in [(false, status.stdout), (true, status.stderr)] {
            if bytes.is_empty() {
                continue;
            }
            let length = bytes.len() as u64;
            let output = Output {
                id,
                is_error,
                bytes,
            };
            if running.reports.send(Report::Output(output)).is_ok() {
                running.unread += length;
                self.unread += length;
            }
        }
        if !status.running {
            let end = Some(End::Code(status.return_code));
            let _ = running.reports.send(Report::Ended(Ended { id, end }));
            self.forget(status.pid);
        }
    }

    /// Nobody waits for a command any more.
    fn release(&mut self, command: u64) -> Option<Request> {
        let Some(pid) = self.pid(command) else {
            let is_coming =
                |asked: &Asked| matches!(asked, Asked::Run { command: id, .. } if *id == command);
            if self.asked.iter().any(|(_, asked)| is_coming(asked)) {
                self.released.insert(command);
            }
            return None;
        };
        self.forget(pid);
        let signal = rustix::process::Signal::KILL.as_raw();
        Some(self.ask(Command::Kill(KillProcess { pid, signal }), Asked::Kill))
    }

    fn kill(&mut self, command: u64, signal: i32) -> Option<Request> {
        let pid = self.pid(command)?;
        Some(self.ask(Command::Kill(KillProcess { pid, signal }), Asked::Kill))
    }

    fn forget(&mut self, pid: u64) {
        if let Some(running) = self.processes.remove(&pid) {
            // What was not read will be, or never; neither is to hold others up.
            self.unread = self.unread.saturating_sub(running.unread);
        }
    }

    fn pid(&self, command: u64) -> Option<u64> {
        let mut processes = self.processes.iter();
        let (pid, _) = processes.find(|(_, running)| running.command == command)?;
        Some(*pid)
    }

    fn ask(&mut self, command: Command, asked: Asked) -> Request {
        self.next_request += 1;
        let id = self.next_request;
        self.asked.push_back((id, asked));
        Request {
            id,
            command: Some(command),
        }
    }
}

fn refusal(id: u64, error: ErrorAnswer) -> Refused {
    use crate::runtime::protocol::ErrorCode;
    let code = match error.code() {
        ErrorCode::NotFound => NOT_FOUND,
        ErrorCode::Internal | ErrorCode::BadRequest => NOT_RUN,
    };
    let reason = format!("the runtime has refused the command: {}", error.message);
    Refused { id, code, reason }
}

fn size(status: &ProcessStatus) -> u64 {
    let length = |bytes: &Bytes| bytes.len() as u64;
    length(&status.stdout) + length(&status.stderr)
}
