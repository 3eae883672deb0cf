//! The Golem service bus: how an exe-unit, its node and a requestor's file services talk.
//!
//! A peer connects to the node's socket, *registers* services by address (`/public/exeunit/<activity>`) and
//! *calls* those of others; the address of a call is the service's address and the message's name
//! (`/local/activity/SetState`). On the wire a packet is a big-endian `u32` length and a protobuf
//! [`Packet`]; its `data` is a flexbuffer of the message, a reply's that of a `Result`. A stream of answers is any
//! number of partial replies and a full one, which holds the last item, or a `Result<(), CallError>`.
//!
//! [`Bus`] is a peer's end of such a connection.

mod bus;
mod codec;
mod error;
mod flexbuffer;
mod link;
pub mod message;
mod packet;

pub use crate::frame::{FrameError as PacketError, MAX_FRAME as MAX_PACKET};
pub use bus::{Bus, ConnectError, IncomingCall, RegisterError};
pub use codec::{PacketCodec, check, decode, encode};
pub use error::CallError;
pub use packet::{
    CallReply, CallReplyCode, CallReplyType, CallRequest, Hello, Packet, PacketKind, Ping, Pong,
    RegisterReply, RegisterReplyCode, RegisterRequest, UnregisterReply, UnregisterReplyCode,
    UnregisterRequest,
};
