//! Protobuf messages on a stream of bytes: each is its length, a big-endian `u32`, and its bytes.

use std::marker::PhantomData;

use prost::{
    Message,
    bytes::{Bytes, BytesMut},
};
use tokio_util::codec::{Decoder, Encoder, LengthDelimitedCodec};

/// The largest message that either side accepts, in bytes.
pub const MAX_FRAME: usize = 16 << 20;

/// Frames messages of one type, and understands those of another.
#[derive(Debug)]
pub struct Frames<Sent, Received> {
    frames: LengthDelimitedCodec,
    messages: PhantomData<fn(Sent) -> Received>,
}

impl<Sent, Received> Default for Frames<Sent, Received> {
    fn default() -> Self {
        let frames = LengthDelimitedCodec::builder()
            .max_frame_length(MAX_FRAME)
            .new_codec();
        Self {
            frames,
            messages: PhantomData,
        }
    }
}

/// Why a stream of bytes is not one of messages.
#[derive(Debug, thiserror::Error)]
pub enum FrameError {
    /// The connection broke, or a message is longer than [`MAX_FRAME`].
    #[error("cannot read or write a frame")]
    Io(#[from] std::io::Error),
    /// The bytes of a frame are no protobuf of the message expected.
    #[error("malformed frame")]
    Malformed(#[from] prost::DecodeError),
}

impl<Sent, Received: Message + Default> Decoder for Frames<Sent, Received> {
    type Item = Received;
    type Error = FrameError;

    fn decode(&mut self, bytes: &mut BytesMut) -> Result<Option<Received>, FrameError> {
        let frame = self.frames.decode(bytes)?;
        Ok(frame.map(Received::decode).transpose()?)
    }
}

impl<Sent: Message, Received> Encoder<Sent> for Frames<Sent, Received> {
    type Error = FrameError;

    fn encode(&mut self, message: Sent, bytes: &mut BytesMut) -> Result<(), FrameError> {
        let frame = Bytes::from(message.encode_to_vec());
        Ok(self.frames.encode(frame, bytes)?)
    }
}
