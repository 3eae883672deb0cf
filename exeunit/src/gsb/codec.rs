//! Packets to bytes and back, and messages to flexbuffers and back.

use serde::{Serialize, de::DeserializeOwned};

use super::{CallError, Packet, flexbuffer};
use crate::frame::Frames;

/// Frames [`Packet`]s on a stream of bytes.
pub type PacketCodec = Frames<Packet, Packet>;

/// A message, or a service's result, as the `data` of a packet.
pub fn encode<T: Serialize>(message: &T) -> Result<Vec<u8>, CallError> {
    flexbuffers::to_vec(message).map_err(|error| CallError::BadRequest(error.to_string()))
}

/// The `data` of a packet as a message, or as a service's result.
pub fn decode<T: DeserializeOwned>(data: &[u8]) -> Result<T, CallError> {
    check(data)?;
    flexbuffers::from_slice(data).map_err(|error| CallError::BadRequest(error.to_string()))
}

/// Fails unless bytes are a flexbuffer that can be read in time and in depth, for whoever reads it otherwise than by
/// [`decode`].
pub fn check(data: &[u8]) -> Result<(), CallError> {
    flexbuffer::check(data).map_err(|error| CallError::BadRequest(error.to_string()))
}

#[cfg(test)]
mod tests {
    use proptest::{collection, prelude::*};
    use prost::bytes;
    use serde_json::json;

    use super::*;
    use crate::{
        event::RuntimeEvent,
        gsb::message::{Chunk, Exec, UploadChunk},
    };

    #[test]
    fn malformed_messages_are_errors_and_no_more() {
        let chunk = Chunk {
            offset: 5,
            content: b"content".to_vec(),
        };
        let message = encode(&UploadChunk { chunk }).expect("it can be encoded");
        assert!(decode::<UploadChunk>(&message).is_ok());
        for end in 0..message.len() {
            for bit in 0..8 {
                let mut mangled = message.clone();
                mangled[end] ^= 1 << bit;
                // Whether it is still a message is not the question; that the question has an answer is.
                let _ = decode::<UploadChunk>(&mangled);
            }
            assert!(decode::<UploadChunk>(&message[..end]).is_err(), "{end}");
        }
    }

    proptest! {
        /// Whatever comes: an answer, and no panic.
        #[test]
        fn any_bytes_are_a_message_or_an_error(bytes in collection::vec(any::<u8>(), 0..200)) {
            let _ = decode::<Exec>(&bytes);
            let _ = decode::<UploadChunk>(&bytes);
            let _ = decode::<Result<RuntimeEvent, CallError>>(&bytes);
            let _ = decode::<serde_json::Value>(&bytes);
            let _ = <Packet as prost::Message>::decode(&bytes[..]);
            let mut frames = bytes::BytesMut::from(&bytes[..]);
            let _ = tokio_util::codec::Decoder::decode(&mut PacketCodec::default(), &mut frames);
            let _ = crate::script::parse(&String::from_utf8_lossy(&bytes));
        }

        /// The same of what was a script, but for some bytes.
        #[test]
        fn mangled_scripts_are_scripts_or_errors(
            changes in collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..6),
            cut in any::<prop::sample::Index>(),
        ) {
            let script = json!([
                {"deploy": {"net": [{"id": "n", "ip": "10.0.0.0", "nodeIp": "10.0.0.2", "nodes": {"10.0.0.1": "0x1"}}],
                            "volumes": {"/a": {"storage": {"size": "1GiB"}}}, "hosts": {"h": "10.0.0.1"}}},
                {"run": {"entry_point": "/x", "args": ["a", "b"], "timeout": 1.5, "capture": {"stdout": {"atEnd": {"head": 5}}}}},
                {"transfer": {"from": "a", "to": "b", "format": "zip", "fileset": [{"includes": ["a"]}]}},
            ]);
            let exec = json!({"activityId": "a", "batchId": "b", "exeScript": script, "timeout": 5.0});
            let mut bytes = encode(&exec).expect("it can be encoded");
            prop_assert!(decode::<Exec>(&bytes).is_ok());
            let mut text = script.to_string().into_bytes();
            for (place, byte) in changes {
                let (in_bytes, in_text) = (place.index(bytes.len()), place.index(text.len()));
                bytes[in_bytes] = byte;
                text[in_text] = byte;
            }
            let _ = decode::<Exec>(&bytes);
            let _ = decode::<Exec>(&bytes[..cut.index(bytes.len())]);
            let _ = crate::script::parse(&String::from_utf8_lossy(&text));
        }
    }
}
