//! Events as bytes.
//!
//! ```text
//! u32 size of all that follows · u8 kind · u32 index · i64 seconds · u32 nanoseconds · payload
//! ```
//!
//! All numbers are little-endian. The payload is the bytes of an output, or JSON.

use std::io;

use chrono::DateTime;
use ya_client_model::activity::CommandOutput;

use crate::event::{RuntimeEvent, RuntimeEventKind};

const SIZE: usize = 4;
const HEAD: usize = 1 + 4 + 8 + 4;

const JSON: u8 = 0;
const STDOUT_TEXT: u8 = 1;
const STDOUT_BYTES: u8 = 2;
const STDERR_TEXT: u8 = 3;
const STDERR_BYTES: u8 = 4;

/// An event as bytes.
pub(super) fn write(event: &RuntimeEvent) -> Vec<u8> {
    let json;
    let (kind, payload): (u8, &[u8]) = match &event.kind {
        RuntimeEventKind::StdOut(CommandOutput::Str(text)) => (STDOUT_TEXT, text.as_bytes()),
        RuntimeEventKind::StdOut(CommandOutput::Bin(bytes)) => (STDOUT_BYTES, bytes),
        RuntimeEventKind::StdErr(CommandOutput::Str(text)) => (STDERR_TEXT, text.as_bytes()),
        RuntimeEventKind::StdErr(CommandOutput::Bin(bytes)) => (STDERR_BYTES, bytes),
        kind => {
            json = serde_json::to_vec(kind).expect("an event is JSON: its maps have names as keys");
            (JSON, &json)
        }
    };
    let mut bytes = Vec::with_capacity(SIZE + HEAD + payload.len());
    bytes.extend_from_slice(&((HEAD + payload.len()) as u32).to_le_bytes());
    bytes.push(kind);
    bytes.extend_from_slice(&(event.index as u32).to_le_bytes());
    bytes.extend_from_slice(&event.timestamp.timestamp().to_le_bytes());
    bytes.extend_from_slice(&event.timestamp.timestamp_subsec_nanos().to_le_bytes());
    bytes.extend_from_slice(payload);
    bytes
}

/// How many bytes the event at the beginning has, if so much can be seen.
pub(super) fn size(bytes: &[u8]) -> Option<usize> {
    let size = bytes.first_chunk()?;
    Some(SIZE + u32::from_le_bytes(*size) as usize)
}

/// The events that are there as a whole, and how many bytes they have.
pub(super) fn read(bytes: &[u8], batch_id: &str) -> io::Result<(Vec<RuntimeEvent>, usize)> {
    let mut events = Vec::new();
    let mut length = 0;
    while let Some(size) = size(&bytes[length..]) {
        let Some(record) = bytes.get(length + SIZE..length + size) else {
            break;
        };
        let event = read_one(record, batch_id).ok_or(io::ErrorKind::InvalidData)?;
        events.push(event);
        length += size;
    }
    Ok((events, length))
}

fn read_one(record: &[u8], batch_id: &str) -> Option<RuntimeEvent> {
    let (head, payload) = record.split_first_chunk::<HEAD>()?;
    let (kind, numbers) = head.split_first()?;
    let (index, numbers) = numbers.split_first_chunk()?;
    let (seconds, nanoseconds) = numbers.split_first_chunk()?;
    let nanoseconds = u32::from_le_bytes(*nanoseconds.first_chunk()?);
    let text = || CommandOutput::Str(String::from_utf8_lossy(payload).into_owned());
    let bytes = || CommandOutput::Bin(payload.to_vec());
    let kind = match *kind {
        JSON => serde_json::from_slice(payload).ok()?,
        STDOUT_TEXT => RuntimeEventKind::StdOut(text()),
        STDOUT_BYTES => RuntimeEventKind::StdOut(bytes()),
        STDERR_TEXT => RuntimeEventKind::StdErr(text()),
        STDERR_BYTES => RuntimeEventKind::StdErr(bytes()),
        _ => return None,
    };
    Some(RuntimeEvent {
        batch_id: batch_id.to_owned(),
        index: u32::from_le_bytes(*index) as usize,
        timestamp: DateTime::from_timestamp(i64::from_le_bytes(*seconds), nanoseconds)?,
        kind,
    })
}
