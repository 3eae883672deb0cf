//! What comes of a command.

use std::sync::Arc;

use serde::de::DeserializeOwned;

use crate::{
    id::{ActivityId, NodeId},
    transfer::TransferError,
    yagna::YagnaError,
};

/// What comes of a command, for all the kinds of commands.
pub(crate) type CommandOutcome = Result<Outcome, CommandError>;

/// What a command that went well gives.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Outcome {
    /// What it wrote.
    pub(crate) output: Output,
    /// What it downloaded into memory.
    pub(crate) received: Vec<u8>,
}

/// What a program wrote.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Output {
    /// To its standard output.
    pub stdout: Vec<u8>,
    /// To its standard error.
    pub stderr: Vec<u8>,
}

impl Output {
    /// The standard output as a text, without the line break at its end.
    ///
    /// # Errors
    /// [`CommandError::NotText`] if it is no UTF-8.
    pub fn text(&self) -> Result<&str, CommandError> {
        match str::from_utf8(&self.stdout) {
            Ok(text) => Ok(text.strip_suffix('\n').unwrap_or(text)),
            Err(error) => Err(CommandError::NotText {
                position: error.valid_up_to(),
            }),
        }
    }

    /// The standard output read as JSON.
    ///
    /// # Errors
    /// [`CommandError::NotJson`] if it is none, or not what is wanted.
    pub fn json<T: DeserializeOwned>(&self) -> Result<T, CommandError> {
        serde_json::from_slice(&self.stdout).map_err(CommandError::not_json)
    }
}

/// Why a command gives nothing.
#[derive(Clone, Debug, thiserror::Error)]
pub enum CommandError {
    /// The provider ran the command, and it failed.
    #[error("command {index} ({command}) failed: {message}{}", last_line(.output))]
    Failed {
        /// Its place in its script, from 0.
        index: usize,
        /// The command as a person would type it.
        command: String,
        /// What the provider says of it.
        message: String,
        /// What it wrote before it failed.
        output: Output,
    },
    /// An earlier command of its script failed.
    #[error("command {index} was skipped: an earlier command of its script failed")]
    #[expect(missing_docs, reason = "the message says it")]
    Skipped { index: usize },
    /// The handler would wait for ever.
    #[error("a command was awaited before its script was yielded")]
    NotYielded,
    /// The script was never yielded, or the instance was stopped.
    #[error("the script of a command was dropped before the command ran")]
    Abandoned,
    /// The exe-unit has ended.
    #[error("activity {activity} on provider {provider} ({node}) has ended{}", because(.reason))]
    ActivityEnded {
        /// The activity.
        activity: ActivityId,
        /// The provider's name.
        provider: String,
        /// The provider's id.
        node: NodeId,
        /// Why, if somebody knows.
        reason: Option<String>,
    },
    /// Yagna does not do its part.
    #[error("cannot run a script")]
    Yagna(#[source] YagnaError),
    /// A file cannot be read or written on this side.
    #[error("command {index} ({command}) failed")]
    Transfer {
        /// Its place in its script, from 0.
        index: usize,
        /// The command as a person would type it.
        command: String,
        /// What happened to the file.
        source: TransferError,
    },
    /// A program's output was to be a text.
    #[error("the output is no text: byte {position} is not UTF-8")]
    #[expect(missing_docs, reason = "the message says it")]
    NotText { position: usize },
    /// A program's output, or a file, was to be JSON.
    #[error("not the JSON that was expected")]
    NotJson(#[source] Arc<serde_json::Error>),
}

impl CommandError {
    pub(crate) fn not_json(error: serde_json::Error) -> Self {
        Self::NotJson(Arc::new(error))
    }
}

/// The last thing that a failed program said: most often what was wrong.
fn last_line(output: &Output) -> String {
    let said = if output.stderr.is_empty() {
        &output.stdout
    } else {
        &output.stderr
    };
    match String::from_utf8_lossy(said).trim_end().lines().last() {
        Some(line) => format!(": {line}"),
        None => String::new(),
    }
}

fn because(reason: &Option<String>) -> String {
    reason
        .as_ref()
        .map(|reason| format!(": {reason}"))
        .unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_failed_command_repeats_its_last_words() {
        let failed = |stdout: &str, stderr: &str| CommandError::Failed {
            index: 1,
            command: "run /bin/x --y".into(),
            message: "ExeScript command exited with code 1".into(),
            output: Output {
                stdout: stdout.into(),
                stderr: stderr.into(),
            },
        };
        let start = "command 1 (run /bin/x --y) failed: ExeScript command exited with code 1";
        for (stdout, stderr, end) in [
            ("", "", ""),
            ("out\n", "", ": out"),
            ("out\n", "warning\nno such table\n", ": no such table"),
        ] {
            assert_eq!(failed(stdout, stderr).to_string(), format!("{start}{end}"));
        }
    }

    #[test]
    fn output_is_text_or_json_or_says_why_not() {
        let output = |stdout: &[u8]| Output {
            stdout: stdout.into(),
            ..Output::default()
        };
        assert_eq!(output(b"a\nb\n").text().unwrap(), "a\nb");
        assert_eq!(
            output(b"\"/golem/out/x.png\"\n").json::<String>().unwrap(),
            "/golem/out/x.png"
        );
        assert!(matches!(
            output(b"a\xff").text(),
            Err(CommandError::NotText { position: 1 })
        ));
        assert!(matches!(
            output(b"{").json::<String>(),
            Err(CommandError::NotJson(_))
        ));
    }
}
