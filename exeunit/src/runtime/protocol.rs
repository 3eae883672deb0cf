//! What an exe-unit and a runtime program tell each other on the runtime's standard streams.
//!
//! ```text
//! exe-unit                        runtime
//!  Hello {version}           ─▶
//!                            ◀─  Hello {version}
//!  Run {bin, args}           ─▶
//!                            ◀─  Run {pid}
//!                            ◀─  event: Status {pid, running, stdout | stderr}    any number, also before the answer
//!                            ◀─  event: Status {pid, !running, return_code}
//!  Kill {pid, signal}        ─▶
//!                            ◀─  Kill
//!                            ◀─  event: Counter {name, value}                      at any time
//!  Shutdown                  ─▶
//!                            ◀─  Shutdown, and the runtime ends
//! ```
//!
//! Each message is preceded by its length as a varint. A request is answered in order, with its id, or with an error.

use std::marker::PhantomData;

use prost::{
    Message,
    bytes::{Buf, Bytes, BytesMut},
    encoding::decode_varint,
};
use tokio_util::codec::{Decoder, Encoder};

use crate::frame::{FrameError, MAX_FRAME};

/// The version that both sides speak.
pub(crate) const VERSION: &str = "0.1.0";

/// The exe-unit's end of the stream.
pub(crate) type SupervisorFrames = Delimited<Request, Response>;
/// The runtime's end of the stream.
pub(crate) type RuntimeFrames = Delimited<Response, Request>;

#[derive(Clone, PartialEq, Message)]
pub(crate) struct Request {
    #[prost(uint64, tag = "1")]
    pub(crate) id: u64,
    #[prost(oneof = "Command", tags = "2, 10, 11, 12, 30")]
    pub(crate) command: Option<Command>,
}

#[derive(Clone, PartialEq, prost::Oneof)]
pub(crate) enum Command {
    #[prost(message, tag = "2")]
    Hello(Hello),
    #[prost(message, tag = "10")]
    Run(RunProcess),
    #[prost(message, tag = "11")]
    Kill(KillProcess),
    #[prost(message, tag = "12")]
    Shutdown(Empty),
    /// Read only in order to be refused.
    #[prost(message, tag = "30")]
    Network(Empty),
}

#[derive(Clone, PartialEq, Message)]
pub(crate) struct Hello {
    #[prost(string, tag = "1")]
    pub(crate) version: String,
}

#[derive(Clone, PartialEq, Message)]
pub(crate) struct RunProcess {
    #[prost(string, tag = "1")]
    pub(crate) bin: String,
    /// With the program's name as the first.
    #[prost(string, repeated, tag = "2")]
    pub(crate) args: Vec<String>,
    #[prost(string, tag = "3")]
    pub(crate) work_dir: String,
}

#[derive(Clone, PartialEq, Message)]
pub(crate) struct KillProcess {
    #[prost(uint64, tag = "1")]
    pub(crate) pid: u64,
    #[prost(int32, tag = "2")]
    pub(crate) signal: i32,
}

#[derive(Clone, PartialEq, Message)]
pub(crate) struct Empty {}

#[derive(Clone, PartialEq, Message)]
pub(crate) struct Response {
    /// Whether it was not asked for.
    #[prost(bool, tag = "1")]
    pub(crate) event: bool,
    /// The request's, unless it is an event.
    #[prost(uint64, tag = "2")]
    pub(crate) id: u64,
    #[prost(oneof = "Answer", tags = "3, 4, 10, 11, 12, 20, 21")]
    pub(crate) answer: Option<Answer>,
}

#[derive(Clone, PartialEq, prost::Oneof)]
pub(crate) enum Answer {
    #[prost(message, tag = "3")]
    Error(ErrorAnswer),
    #[prost(message, tag = "4")]
    Hello(Hello),
    #[prost(message, tag = "10")]
    Run(Started),
    #[prost(message, tag = "11")]
    Kill(Empty),
    #[prost(message, tag = "12")]
    Shutdown(Empty),
    #[prost(message, tag = "20")]
    Status(ProcessStatus),
    #[prost(message, tag = "21")]
    Runtime(RuntimeStatus),
}

#[derive(Clone, PartialEq, Message)]
pub(crate) struct ErrorAnswer {
    #[prost(enumeration = "ErrorCode", tag = "1")]
    pub(crate) code: i32,
    #[prost(string, tag = "2")]
    pub(crate) message: String,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, prost::Enumeration)]
#[repr(i32)]
pub(crate) enum ErrorCode {
    Internal = 0,
    NotFound = 1,
    BadRequest = 2,
}

#[derive(Clone, PartialEq, Message)]
pub(crate) struct Started {
    #[prost(uint64, tag = "1")]
    pub(crate) pid: u64,
}

#[derive(Clone, PartialEq, Message)]
pub(crate) struct ProcessStatus {
    #[prost(uint64, tag = "1")]
    pub(crate) pid: u64,
    #[prost(bool, tag = "2")]
    pub(crate) running: bool,
    #[prost(int32, tag = "3")]
    pub(crate) return_code: i32,
    #[prost(bytes = "bytes", tag = "4")]
    pub(crate) stdout: Bytes,
    #[prost(bytes = "bytes", tag = "5")]
    pub(crate) stderr: Bytes,
}

#[derive(Clone, PartialEq, Message)]
pub(crate) struct RuntimeStatus {
    #[prost(oneof = "Note", tags = "1, 2")]
    pub(crate) note: Option<Note>,
}

#[derive(Clone, PartialEq, prost::Oneof)]
pub(crate) enum Note {
    #[prost(message, tag = "1")]
    State(StateNote),
    #[prost(message, tag = "2")]
    Counter(Counter),
}

#[derive(Clone, PartialEq, Message)]
pub(crate) struct StateNote {
    #[prost(string, tag = "1")]
    pub(crate) name: String,
    /// As JSON.
    #[prost(bytes = "vec", tag = "2")]
    pub(crate) value: Vec<u8>,
}

#[derive(Clone, PartialEq, Message)]
pub(crate) struct Counter {
    #[prost(string, tag = "1")]
    pub(crate) name: String,
    #[prost(double, tag = "2")]
    pub(crate) value: f64,
}

/// Messages, each after its length.
#[derive(Debug)]
pub(crate) struct Delimited<Sent, Received>(PhantomData<fn(Sent) -> Received>);

impl<Sent, Received> Default for Delimited<Sent, Received> {
    fn default() -> Self {
        Self(PhantomData)
    }
}

/// The most bytes that a varint has.
const LONGEST_VARINT: usize = 10;

impl<Sent, Received: Message + Default> Decoder for Delimited<Sent, Received> {
    type Item = Received;
    type Error = FrameError;

    fn decode(&mut self, bytes: &mut BytesMut) -> Result<Option<Received>, FrameError> {
        let mut ahead = &bytes[..bytes.len().min(LONGEST_VARINT)];
        let offered = ahead.len();
        let length = match decode_varint(&mut ahead) {
            Ok(length) => length,
            Err(_) if offered < LONGEST_VARINT => return Ok(None),
            Err(error) => return Err(error.into()),
        };
        let prefix = offered - ahead.len();
        let length = usize::try_from(length).unwrap_or(usize::MAX);
        if length > MAX_FRAME {
            return Err(std::io::Error::other(format!(
                "a message of {length} bytes is longer than the {MAX_FRAME} that are allowed"
            ))
            .into());
        }
        if bytes.len() - prefix < length {
            return Ok(None);
        }
        bytes.advance(prefix);
        let message = bytes.split_to(length).freeze();
        Ok(Some(Received::decode(message)?))
    }
}

impl<Sent: Message, Received> Encoder<Sent> for Delimited<Sent, Received> {
    type Error = FrameError;

    fn encode(&mut self, message: Sent, bytes: &mut BytesMut) -> Result<(), FrameError> {
        message
            .encode_length_delimited(bytes)
            .map_err(std::io::Error::other)?;
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use serde_json::Value;

    use super::*;

    /// What a stock exe-unit and a runtime have told each other, one message a line.
    const RECORDING: &str = include_str!("../../tests/vectors/exe-unit-to-runtime.jsonl");

    fn messages(direction: &str) -> Vec<Vec<u8>> {
        let lines = RECORDING.lines().map(serde_json::from_str::<Value>);
        let lines = lines.map(|line| line.expect("JSON"));
        let hex = lines.filter_map(|line| line[direction].as_str().map(str::to_owned));
        let bytes = hex.map(|text| hex::decode(text).expect("hexadecimal"));
        // The answers to `deploy` and `offer-template` are JSON on the same stream.
        bytes.filter(|bytes| bytes[0] != b'{').collect()
    }

    /// Decodes all bytes as they come, in pieces of this size, and encodes them again.
    fn again<M: Message + Default + Clone>(bytes: &[u8], piece: usize) -> (Vec<M>, Vec<u8>) {
        let mut frames = Delimited::<M, M>::default();
        let (mut received, mut messages) = (BytesMut::new(), Vec::new());
        for piece in bytes.chunks(piece) {
            received.extend_from_slice(piece);
            while let Some(message) = frames.decode(&mut received).expect("a message") {
                messages.push(message);
            }
        }
        assert!(received.is_empty());
        let mut encoded = BytesMut::new();
        for message in &messages {
            frames
                .encode(message.clone(), &mut encoded)
                .expect("it fits");
        }
        (messages, encoded.to_vec())
    }

    #[test]
    fn the_recorded_bytes_are_understood_and_written_the_same() {
        let requests = messages("to_runtime").concat();
        let answers = messages("from_runtime").concat();
        for piece in [1, 3, 7, 4096] {
            let (understood, encoded) = again::<Request>(&requests, piece);
            assert_eq!(encoded, requests);
            let programs: Vec<_> = understood.iter().filter_map(program).collect();
            assert_eq!(programs, ["/bin/sh", "/bin/sh", "/nonexistent"]);
            let (understood, encoded) = again::<Response>(&answers, piece);
            assert_eq!(encoded, answers);
            let written: Vec<_> = understood.iter().filter_map(stdout).collect();
            assert_eq!(written, ["out\n", "1\n", "2\n", "3\n"]);
        }
    }

    fn program(request: &Request) -> Option<String> {
        match request.command.as_ref()? {
            Command::Run(run) => Some(run.bin.clone()),
            _ => None,
        }
    }

    fn stdout(response: &Response) -> Option<String> {
        match response.answer.as_ref()? {
            Answer::Status(status) if !status.stdout.is_empty() => {
                Some(String::from_utf8_lossy(&status.stdout).into_owned())
            }
            _ => None,
        }
    }

    #[test]
    fn a_message_without_end_is_refused() {
        for bytes in [&[0xff; 10][..], &[0xff, 0xff, 0xff, 0xff, 0x0f]] {
            let mut bytes = BytesMut::from(bytes);
            let refused = RuntimeFrames::default().decode(&mut bytes);
            assert!(refused.is_err(), "{refused:?}");
        }
    }
}
