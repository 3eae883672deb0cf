//! Packets to bytes and back, and messages to flexbuffers and back.

use std::panic;

use serde::{Serialize, de::DeserializeOwned};

use super::{CallError, Packet};
use crate::frame::Frames;

/// Frames [`Packet`]s on a stream of bytes.
pub type PacketCodec = Frames<Packet, Packet>;

/// A message, or a service's result, as the `data` of a packet.
pub fn encode<T: Serialize>(message: &T) -> Result<Vec<u8>, CallError> {
    flexbuffers::to_vec(message).map_err(|error| CallError::BadRequest(error.to_string()))
}

/// The `data` of a packet as a message, or as a service's result.
pub fn decode<T: DeserializeOwned>(data: &[u8]) -> Result<T, CallError> {
    // The reader goes wherever a flexbuffer points to; of some malformed ones it panics.
    let decoded = panic::catch_unwind(|| flexbuffers::from_slice(data));
    match decoded {
        Ok(Ok(message)) => Ok(message),
        Ok(Err(error)) => Err(CallError::BadRequest(error.to_string())),
        Err(_) => Err(CallError::BadRequest(
            "malformed flexbuffer: it points out of itself".to_owned(),
        )),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::gsb::message::{Chunk, UploadChunk};

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
}
