//! A policy that is another program.

use std::io::{BufRead, BufReader, Write};
use std::process::{Child, ChildStdin, Command, Stdio};
use std::sync::mpsc::{self, Receiver, RecvTimeoutError};
use std::time::Duration;

use anyhow::Context;
use simulator::policy::{Policy, Turn};
use simulator::scenario::read_operations;
use simulator::simulation::Reason;

/// The longest answer that is read, in bytes.
const LONGEST_ANSWER: u64 = 64 << 20;

/// A program that is told the state as a line of JSON in each step, and answers with a line of actions.
pub(super) struct CommandPolicy {
    child: Child,
    stdin: Option<ChildStdin>,
    answers: Receiver<std::io::Result<String>>,
    timeout: Duration,
}

impl CommandPolicy {
    /// Starts the program, in a shell.
    pub(super) fn start(command: &str, timeout: Duration) -> anyhow::Result<Self> {
        let mut child = Command::new("sh")
            .args(["-c", command])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .with_context(|| format!("--policy-command {command:?}"))?;
        let stdin = child.stdin.take();
        let stdout = child.stdout.take().context("a program without output")?;
        let (sender, answers) = mpsc::channel();
        std::thread::spawn(move || {
            let mut stdout = BufReader::new(stdout);
            loop {
                let mut line = String::new();
                let read = std::io::Read::take(&mut stdout, LONGEST_ANSWER).read_line(&mut line);
                let ended = !matches!(read, Ok(1..));
                if sender.send(read.map(|_| line)).is_err() || ended {
                    return;
                }
            }
        });
        Ok(Self {
            child,
            stdin,
            answers,
            timeout,
        })
    }

    fn ask(&mut self, state: &str) -> anyhow::Result<String> {
        let stdin = self.stdin.as_mut().context("it was ended")?;
        (stdin.write_all(state.as_bytes()))
            .and_then(|()| stdin.flush())
            .with_context(|| self.ended("it does not take the state"))?;
        match self.answers.recv_timeout(self.timeout) {
            Ok(Ok(answer)) if answer.ends_with('\n') => Ok(answer),
            Ok(Ok(answer)) if answer.is_empty() => {
                anyhow::bail!(self.ended("it ended without an answer"))
            }
            Ok(Ok(_)) => anyhow::bail!("its answer has no end"),
            Ok(Err(error)) => Err(error).context("its answer cannot be read"),
            Err(RecvTimeoutError::Timeout) => {
                anyhow::bail!("it gave no answer in {} s", self.timeout.as_secs())
            }
            Err(RecvTimeoutError::Disconnected) => anyhow::bail!(self.ended("it ended")),
        }
    }

    /// What happened, and how the program ended if it did.
    fn ended(&mut self, what: &str) -> String {
        // What ends its output may take a moment to end altogether.
        for _ in 0..50 {
            if let Ok(Some(status)) = self.child.try_wait() {
                return format!("{what} ({status})");
            }
            std::thread::sleep(Duration::from_millis(10));
        }
        what.to_owned()
    }
}

impl Policy for CommandPolicy {
    fn decide(&mut self, turn: &mut Turn<'_>) -> Result<(), Reason> {
        let answer = (self.ask(&turn.state())).map_err(|error| Reason::Policy(error.into()))?;
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
        drop(self.stdin.take());
        for _ in 0..100 {
            if let Ok(Some(_)) = self.child.try_wait() {
                return;
            }
            std::thread::sleep(Duration::from_millis(10));
        }
        self.child.kill().ok();
        self.child.wait().ok();
    }
}
