//! A script under way: its results and its events.

use chrono::{DateTime, Utc};
use ya_client_model::activity::{
    CommandOutput, CommandResult, ExeScriptCommandResult, ExeScriptCommandState,
    exe_script_command::Capture,
};

use super::capture::Recorder;
use crate::{
    cause::in_one_line,
    event::{Progress, RuntimeEvent, RuntimeEventKind},
    script::{Command, Transfer},
};

/// Which output of a command.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Channel {
    Stdout,
    Stderr,
}

/// Why a command has failed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Failure {
    /// The exit code; of what has none, [`Failure::NO_CODE`].
    pub(crate) code: i32,
    pub(crate) message: String,
}

impl Failure {
    /// The code of a command that failed without one.
    pub(crate) const NO_CODE: i32 = -1;

    /// A failure without an exit code.
    pub(crate) fn new(message: impl Into<String>) -> Self {
        Self {
            code: Self::NO_CODE,
            message: message.into(),
        }
    }

    /// An error and its causes, in one line.
    pub(crate) fn of(error: &dyn std::error::Error) -> Self {
        Self::new(in_one_line(error))
    }
}

/// The most bytes that are kept of why a command has failed, which may quote what a requestor has sent.
const MESSAGE: usize = 16 << 10;

fn shortened(mut message: String) -> String {
    if message.len() > MESSAGE {
        message.truncate(message.floor_char_boundary(MESSAGE));
        message.push('…');
    }
    message
}

/// A script under way. Its commands end in their order; after one that fails there is no other.
#[derive(Debug)]
pub(crate) struct Batch {
    id: String,
    /// Nothing once it is over.
    script: Vec<Command>,
    /// How many commands the script has.
    length: usize,
    ended: Vec<Ended>,
    running: Option<Running>,
    /// Why no other command of it will run, though it is not over yet.
    verdict: Option<String>,
    /// What has happened, until somebody takes it.
    events: Vec<RuntimeEvent>,
}

/// What is kept of a command's outputs: standard output and standard error.
pub(crate) type Outputs = [Option<CommandOutput>; 2];

#[derive(Debug)]
struct Ended {
    failure: Option<String>,
    /// What is to be known of its success.
    note: Option<String>,
    at: DateTime<Utc>,
}

#[derive(Debug, Default)]
struct Running {
    stdout: Option<Recorder>,
    stderr: Option<Recorder>,
}

impl Batch {
    pub(super) fn new(id: String, script: Vec<Command>) -> Self {
        Self {
            id,
            length: script.len(),
            script,
            ended: Vec::new(),
            running: None,
            verdict: None,
            events: Vec::new(),
        }
    }

    /// The command that runs, or that is the next to.
    pub(super) fn next(&self) -> Option<&Command> {
        match self.is_over() {
            true => None,
            false => self.script.get(self.ended.len()),
        }
    }

    /// Whether no other command will run.
    pub(super) fn is_over(&self) -> bool {
        self.ended.len() == self.length || self.has_failed()
    }

    fn has_failed(&self) -> bool {
        self.ended
            .last()
            .is_some_and(|ended| ended.failure.is_some())
    }

    /// The next command has begun.
    pub(super) fn start(&mut self, now: DateTime<Utc>) {
        let Some(command) = self.next().cloned() else {
            return;
        };
        self.running = Some(Running::of(&command));
        self.tell(now, RuntimeEventKind::Started { command });
    }

    /// The running command has written something.
    pub(super) fn output(&mut self, channel: Channel, bytes: &[u8], now: DateTime<Utc>) {
        let running = self.running.as_mut();
        let recorder = running.and_then(|running| match channel {
            Channel::Stdout => running.stdout.as_mut(),
            Channel::Stderr => running.stderr.as_mut(),
        });
        if let Some(piece) = recorder.and_then(|recorder| recorder.push(bytes)) {
            self.tell_output(channel, piece, now);
        }
    }

    /// The running command has come so far.
    pub(super) fn progress(&mut self, progress: Progress, now: DateTime<Utc>) {
        if self.running.is_some() {
            self.tell(now, RuntimeEventKind::Progress(progress));
        }
    }

    /// No other command will run, for this reason, which the running one fails for if it fails.
    pub(super) fn condemn(&mut self, reason: String) {
        self.verdict.get_or_insert(reason);
    }

    /// Why no other command will run.
    pub(super) fn verdict(&self) -> Option<&str> {
        self.verdict.as_deref()
    }

    /// The command that is the next, running or refused, has ended. Returns its index and what is kept of its outputs.
    pub(super) fn end(
        &mut self,
        outcome: Result<(), Failure>,
        now: DateTime<Utc>,
    ) -> (usize, Outputs) {
        let Running { stdout, stderr } = self.running.take().unwrap_or_default();
        let shortfall = |name, recorder: &Option<Recorder>| recorder.as_ref()?.shortfall(name);
        let notes = [shortfall("stdout", &stdout), shortfall("stderr", &stderr)];
        let notes: Vec<String> = notes.into_iter().flatten().collect();
        let note = (!notes.is_empty()).then(|| notes.join("; "));
        let mut finish = |channel, recorder: Option<Recorder>| {
            let (rest, kept) = recorder.map(Recorder::finish).unwrap_or_default();
            if let Some(rest) = rest {
                self.tell_output(channel, rest, now);
            }
            kept
        };
        let stdout = finish(Channel::Stdout, stdout);
        let stderr = finish(Channel::Stderr, stderr);
        let (return_code, failure) = match outcome {
            Ok(()) => (0, None),
            Err(failure) => (
                failure.code,
                Some(shortened(self.verdict.clone().unwrap_or(failure.message))),
            ),
        };
        let message = failure.clone().or_else(|| note.clone());
        self.tell(
            now,
            RuntimeEventKind::Finished {
                return_code,
                message,
            },
        );
        self.ended.push(Ended {
            failure,
            note,
            at: now,
        });
        (self.ended.len() - 1, [stdout, stderr])
    }

    /// It is over, and only what has come of its commands is of interest; how many those are.
    pub(super) fn bury(&mut self) -> usize {
        self.script = Vec::new();
        self.ended.len()
    }

    /// Whether the command that is asked for, or the last one, has ended, or never will.
    pub(super) fn has_results(&self, command_index: Option<usize>) -> bool {
        self.is_over() || command_index.is_some_and(|index| index < self.ended.len())
    }

    /// The results of all commands that have ended, up to the one that is asked for; without their outputs.
    pub(super) fn results(&self, command_index: Option<usize>) -> Vec<ExeScriptCommandResult> {
        let last = command_index.unwrap_or(self.length.saturating_sub(1));
        let result = |(index, ended): (usize, &Ended)| ExeScriptCommandResult {
            index: u32::try_from(index).unwrap_or(u32::MAX),
            result: match ended.failure {
                None => CommandResult::Ok,
                Some(_) => CommandResult::Error,
            },
            stdout: None,
            stderr: None,
            message: ended.failure.clone().or_else(|| ended.note.clone()),
            is_batch_finished: index == last || ended.failure.is_some(),
            event_date: ended.at,
        };
        self.ended
            .iter()
            .enumerate()
            .take(last.saturating_add(1))
            .map(result)
            .collect()
    }

    /// What has happened since this was asked for last.
    pub(super) fn take_events(&mut self) -> Vec<RuntimeEvent> {
        std::mem::take(&mut self.events)
    }

    /// What runs at this moment, in words.
    pub(super) fn running_command(&self) -> Option<ExeScriptCommandState> {
        self.running.as_ref()?;
        let (name, params) = match self.next()? {
            Command::Deploy(_) => ("Deploy", None),
            Command::Start { args } => ("Start", Some(args.clone())),
            Command::Run {
                entry_point, args, ..
            } => (
                "Run",
                Some([std::slice::from_ref(entry_point), args].concat()),
            ),
            Command::Transfer(Transfer { from, to, .. }) => {
                ("Transfer", Some(vec![from.clone(), to.clone()]))
            }
            Command::Terminate {} => ("Terminate", None),
            Command::Sign {} => ("Sign", None),
        };
        Some(ExeScriptCommandState {
            command: name.to_owned(),
            progress: None,
            params,
        })
    }

    fn tell_output(&mut self, channel: Channel, piece: CommandOutput, now: DateTime<Utc>) {
        let kind = match channel {
            Channel::Stdout => RuntimeEventKind::StdOut(piece),
            Channel::Stderr => RuntimeEventKind::StdErr(piece),
        };
        self.tell(now, kind);
    }

    fn tell(&mut self, timestamp: DateTime<Utc>, kind: RuntimeEventKind) {
        self.events.push(RuntimeEvent {
            batch_id: self.id.clone(),
            index: self.ended.len(),
            timestamp,
            kind,
        });
    }
}

impl Running {
    /// A program's output is captured as it is asked for; what the other commands have to say, always.
    fn of(command: &Command) -> Self {
        match command {
            Command::Run { capture, .. } => {
                let capture = capture.as_ref();
                let recorder =
                    |mode: fn(&Capture) -> Option<&_>| capture.and_then(mode).map(Recorder::of);
                Self {
                    stdout: recorder(|capture| capture.stdout.as_ref()),
                    stderr: recorder(|capture| capture.stderr.as_ref()),
                }
            }
            _ => Self {
                stdout: Some(Recorder::of_everything()),
                stderr: Some(Recorder::of_everything()),
            },
        }
    }
}

#[cfg(test)]
mod tests;
