//! A policy that is another program.

use std::io::{self, BufRead, BufReader, Read, Write};
use std::os::unix::process::CommandExt;
use std::process::{Child, ChildStdin, ChildStdout, Command, ExitStatus, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{self, Receiver, RecvTimeoutError, SyncSender};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::Context;
use rustix::process::{Pid, Signal, WaitId, WaitIdOptions, kill_process_group, waitid};
use simulator::policy::{Policy, Turn};
use simulator::scenario::read_operations;
use simulator::simulation::Reason;

/// The longest answer that is read, in bytes.
const LONGEST_ANSWER: u64 = 64 << 20;
/// How often it is looked whether the run was interrupted.
const GLANCE: Duration = Duration::from_millis(100);
/// How long a program has to end after its input or its output has.
const GRACE: Duration = Duration::from_secs(1);

/// Two answers to one state would have every later one answer the state before.
const UNASKED: &str = "it gives answers that nobody asked for";

/// A program that is told the state as a line of JSON in each step, and answers with a line of actions.
///
/// A thread writes and another reads, so that neither a program that does not read nor one that does not answer is
/// waited for beyond the timeout.
pub(super) struct CommandPolicy {
    child: Child,
    /// The group that it leads.
    group: Pid,
    /// What is to be written; dropped, the program's input ends.
    states: Option<SyncSender<String>>,
    events: Receiver<Event>,
    /// Says that it has ended.
    exited: Receiver<()>,
    timeout: Duration,
    interrupted: Arc<AtomicBool>,
}

/// What happened between the program and its threads.
enum Event {
    /// A state was written, or could not be.
    Written(io::Result<()>),
    /// A line was read; it has no end where the output ended.
    Answer(io::Result<Answer>),
}

struct Answer {
    line: String,
    /// If more was there already.
    more: bool,
}

impl CommandPolicy {
    /// Starts the program, in a shell and in a process group of its own: whatever it starts is ended with it.
    pub(super) fn start(
        command: &str,
        timeout: Duration,
        interrupted: Arc<AtomicBool>,
    ) -> anyhow::Result<Self> {
        let mut child = Command::new("sh")
            .args(["-c", command])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .process_group(0)
            .spawn()
            .with_context(|| format!("--policy-command {command:?}"))?;
        let group = Pid::from_child(&child);
        let stdin = child.stdin.take().context("a program without input")?;
        let stdout = child.stdout.take().context("a program without output")?;
        // Answers wait to be taken: a program that writes on and on is held up.
        let (happened, events) = mpsc::sync_channel(1);
        let (states, to_write) = mpsc::sync_channel(1);
        let (ended, exited) = mpsc::sync_channel(1);
        let written = happened.clone();
        thread::spawn(move || write_states(stdin, &to_write, &written));
        thread::spawn(move || read_answers(stdout, &happened));
        thread::spawn(move || {
            // It is not reaped here, so that its group cannot be another's when it is ended.
            let options = WaitIdOptions::EXITED | WaitIdOptions::NOWAIT;
            waitid(WaitId::Pid(group), options).ok();
            ended.send(()).ok();
        });
        Ok(Self {
            child,
            group,
            states: Some(states),
            events,
            exited,
            timeout,
            interrupted,
        })
    }

    fn ask(&mut self, state: String) -> anyhow::Result<String> {
        if let Ok(Event::Answer(Ok(answer))) = self.events.try_recv() {
            if answer.line.is_empty() {
                anyhow::bail!(self.ended("it ended without an answer"));
            }
            anyhow::bail!(UNASKED);
        }
        let states = self.states.as_ref().context("it was ended")?;
        states.send(state).ok().context("it was ended")?;
        // A timeout that is longer than time goes is none.
        let deadline = Instant::now().checked_add(self.timeout);
        let (mut written, mut answer) = (false, None);
        loop {
            match self.next_event(deadline)? {
                Some(Event::Written(Ok(()))) => written = true,
                Some(Event::Written(Err(error))) => {
                    return Err(error).with_context(|| self.ended("it does not take the state"));
                }
                Some(Event::Answer(read)) => answer = Some(self.check(read)?),
                None if written => {
                    anyhow::bail!("it gave no answer in {} s", self.timeout.as_secs())
                }
                None => anyhow::bail!("it did not take the state in {} s", self.timeout.as_secs()),
            }
            if written && let Some(answer) = answer.take() {
                return Ok(answer);
            }
        }
    }

    /// What happens next; `None` if nothing does until the deadline.
    fn next_event(&self, deadline: Option<Instant>) -> anyhow::Result<Option<Event>> {
        loop {
            if self.interrupted.load(Ordering::Relaxed) {
                anyhow::bail!("it was interrupted");
            }
            let left = deadline.map(|at| at.saturating_duration_since(Instant::now()));
            match self.events.recv_timeout(left.unwrap_or(GLANCE).min(GLANCE)) {
                Ok(event) => return Ok(Some(event)),
                Err(RecvTimeoutError::Timeout) if left == Some(Duration::ZERO) => return Ok(None),
                Err(RecvTimeoutError::Timeout) => {}
                Err(RecvTimeoutError::Disconnected) => anyhow::bail!("it was ended"),
            }
        }
    }

    fn check(&mut self, answer: io::Result<Answer>) -> anyhow::Result<String> {
        let answer = answer.context("its answer cannot be read")?;
        if answer.line.is_empty() {
            anyhow::bail!(self.ended("it ended without an answer"));
        }
        if !answer.line.ends_with('\n') {
            anyhow::bail!("its answer has no end");
        }
        if answer.more {
            anyhow::bail!(UNASKED);
        }
        Ok(answer.line)
    }

    /// What happened, and how the program ended if it did.
    fn ended(&mut self, what: &str) -> String {
        // What ends its output may take a moment to end altogether.
        match self.status(GRACE) {
            Some(status) => format!("{what} ({status})"),
            None => what.to_owned(),
        }
    }

    /// How the program ended, if it does within `time`.
    fn status(&mut self, time: Duration) -> Option<ExitStatus> {
        self.exited.recv_timeout(time).ok()?;
        // Whoever it started is ended before its group is given up.
        kill_process_group(self.group, Signal::KILL).ok();
        self.child.wait().ok()
    }
}

fn write_states(mut stdin: ChildStdin, states: &Receiver<String>, written: &SyncSender<Event>) {
    for state in states {
        let result = stdin.write_all(state.as_bytes());
        if written.send(Event::Written(result)).is_err() {
            return;
        }
    }
}

fn read_answers(stdout: ChildStdout, answers: &SyncSender<Event>) {
    let mut stdout = BufReader::new(stdout);
    loop {
        let mut line = String::new();
        let read = Read::take(&mut stdout, LONGEST_ANSWER).read_line(&mut line);
        let ended = !matches!(read, Ok(1..));
        let more = !stdout.buffer().is_empty();
        let answer = read.map(|_| Answer { line, more });
        if answers.send(Event::Answer(answer)).is_err() || ended {
            return;
        }
    }
}

impl Policy for CommandPolicy {
    fn decide(&mut self, turn: &mut Turn<'_>) -> Result<(), Reason> {
        let answer = (self.ask(turn.state())).map_err(|error| Reason::Policy(error.into()))?;
        let actions =
            read_operations(answer.as_bytes()).map_err(|error| Reason::Policy(Box::new(error)))?;
        for action in actions {
            action.perform(turn)?;
        }
        Ok(())
    }
}

impl Drop for CommandPolicy {
    fn drop(&mut self) {
        // The end of its input is the end of the run; a program that does not see to it is ended.
        drop(self.states.take());
        if self.status(GRACE).is_none() && matches!(self.child.try_wait(), Ok(None)) {
            kill_process_group(self.group, Signal::KILL).ok();
            self.child.wait().ok();
        }
    }
}
