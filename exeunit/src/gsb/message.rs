//! The messages that an exe-unit answers, and those that it sends.
//!
//! Each is named on the bus as its type is here; field names are in camel case there.

use serde::{Deserialize, Serialize, de::DeserializeOwned};

use ya_client_model::activity::{
    ActivityState, ActivityUsage, ExeScriptCommandResult, ExeScriptCommandState,
};

use crate::{event::RuntimeEvent, script::Command};

/// A message and the answer to it.
pub trait Message: Serialize + DeserializeOwned + Send + 'static {
    /// Its name: the last part of the address that it is sent to.
    const NAME: &'static str;
    /// What a service answers. Of a message that is answered by a stream, one item of it.
    type Reply: Serialize + DeserializeOwned + Send + 'static;
}

macro_rules! messages {
    ($($message:ident => $reply:ty),* $(,)?) => {
        $(impl Message for $message {
            const NAME: &'static str = stringify!($message);
            type Reply = $reply;
        })*
    };
}

messages! {
    Exec => String,
    GetExecBatchResults => Vec<ExeScriptCommandResult>,
    StreamExecBatchResults => RuntimeEvent,
    ReadOn => (),
    CancelExecBatch => (),
    GetRunningCommand => Vec<ExeScriptCommandState>,
    SetState => (),
    SetUsage => (),
    GetMetadata => Metadata,
    GetChunk => Chunk,
    UploadChunk => (),
    UploadFinished => (),
}

/// Asks an exe-unit to run a script. Answered with the batch's id as soon as the script is admitted.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Exec {
    /// The activity.
    pub activity_id: String,
    /// The id that the batch is to have.
    pub batch_id: String,
    /// The commands, in order.
    #[serde(deserialize_with = "crate::script::commands")]
    pub exe_script: Vec<Command>,
    /// Seconds that the call may take.
    #[serde(default)]
    pub timeout: Option<f32>,
}

/// Asks for the results of a batch, and waits for them.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct GetExecBatchResults {
    /// The activity.
    pub activity_id: String,
    /// The batch.
    pub batch_id: String,
    /// Seconds to wait for the command of `command_index`, or for the last one; none at all by default.
    #[serde(default)]
    pub timeout: Option<f32>,
    /// The command that the caller waits for. Past the timeout the answer is then an error, not a partial list.
    #[serde(default)]
    pub command_index: Option<usize>,
}

/// Asks for the events of a batch, from its first on, until it has ended.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct StreamExecBatchResults {
    /// The activity.
    pub activity_id: String,
    /// The batch.
    pub batch_id: String,
    /// How many events may be sent that were not read; all of them without one, as other nodes have it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub window: Option<Window>,
}

/// How much of a stream may be on its way: a reader that is slow holds up who writes, and nobody keeps what is between.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Window {
    /// What the stream is called in [`ReadOn`]; no other of the exe-unit may be called so.
    pub stream_id: String,
    /// Events that may be sent at first.
    pub events: u32,
}

/// Lets more events of a stream with a window be sent. One that has ended is not missed.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct ReadOn {
    /// The activity.
    pub activity_id: String,
    /// The stream.
    pub stream_id: String,
    /// How many more; none ends the stream, which nobody reads any more then.
    pub events: u32,
}

/// Breaks a batch off: the command that runs, and all after it. One that is over stays as it is.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct CancelExecBatch {
    /// The activity.
    pub activity_id: String,
    /// The batch.
    pub batch_id: String,
}

/// Asks which command runs.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct GetRunningCommand {
    /// The activity.
    pub activity_id: String,
}

/// Reports a change of state to the node.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct SetState {
    /// The activity.
    pub activity_id: String,
    /// Its state from now on.
    pub state: ActivityState,
}

/// Reports usage to the node.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct SetUsage {
    /// The activity.
    pub activity_id: String,
    /// What it has used so far.
    pub usage: ActivityUsage,
}

/// Asks a file service how large its file is.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct GetMetadata {}

/// What is known of a published file.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Metadata {
    /// Its size in bytes.
    pub file_size: u64,
}

/// Asks a file service for a part of its file.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct GetChunk {
    /// Where the part begins.
    pub offset: u64,
    /// How many bytes it has; fewer at the end of the file.
    pub size: u64,
}

/// A part of a file.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Chunk {
    /// Where it begins.
    pub offset: u64,
    /// Its bytes.
    #[serde(with = "bytes")]
    pub content: Vec<u8>,
}

/// Gives a file service a part of a file to write.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct UploadChunk {
    /// The part.
    pub chunk: Chunk,
}

/// Tells a file service that the file is whole.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct UploadFinished {
    /// SHA3-256 of the file, in hex, if the sender knows it.
    #[serde(default)]
    pub hash: Option<String>,
}

/// Bytes as one blob, not as a list of numbers; a list is understood as well.
mod bytes {
    use std::fmt;

    use serde::{
        Deserializer, Serializer,
        de::{SeqAccess, Visitor},
    };

    pub(super) fn serialize<S: Serializer>(bytes: &[u8], serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_bytes(bytes)
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(
        deserializer: D,
    ) -> Result<Vec<u8>, D::Error> {
        struct Bytes;
        impl<'de> Visitor<'de> for Bytes {
            type Value = Vec<u8>;

            fn expecting(&self, formatter: &mut fmt::Formatter) -> fmt::Result {
                formatter.write_str("bytes")
            }
            fn visit_bytes<E>(self, bytes: &[u8]) -> Result<Vec<u8>, E> {
                Ok(bytes.to_vec())
            }
            fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<Vec<u8>, A::Error> {
                let mut bytes = Vec::with_capacity(list.size_hint().unwrap_or(0));
                while let Some(byte) = list.next_element()? {
                    bytes.push(byte);
                }
                Ok(bytes)
            }
        }
        deserializer.deserialize_byte_buf(Bytes)
    }
}
