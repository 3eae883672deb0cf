//! The protobuf packets of the bus.

/// What travels on a connection, either way.
#[derive(Clone, PartialEq, prost::Message)]
pub struct Packet {
    /// Which packet it is; absent only in a malformed one.
    #[prost(oneof = "PacketKind", tags = "1, 2, 3, 4, 5, 6, 7, 14, 15")]
    pub kind: Option<PacketKind>,
}

/// Which packet a [`Packet`] is.
#[derive(Clone, PartialEq, prost::Oneof)]
#[expect(
    missing_docs,
    reason = "each variant is documented where its message is"
)]
pub enum PacketKind {
    #[prost(message, tag = "1")]
    Hello(Hello),
    #[prost(message, tag = "2")]
    RegisterRequest(RegisterRequest),
    #[prost(message, tag = "3")]
    RegisterReply(RegisterReply),
    #[prost(message, tag = "4")]
    UnregisterRequest(UnregisterRequest),
    #[prost(message, tag = "5")]
    UnregisterReply(UnregisterReply),
    #[prost(message, tag = "6")]
    CallRequest(CallRequest),
    #[prost(message, tag = "7")]
    CallReply(CallReply),
    #[prost(message, tag = "14")]
    Ping(Ping),
    #[prost(message, tag = "15")]
    Pong(Pong),
}

impl From<PacketKind> for Packet {
    fn from(kind: PacketKind) -> Self {
        Self { kind: Some(kind) }
    }
}

/// The first packet of either side.
#[derive(Clone, PartialEq, Eq, prost::Message)]
pub struct Hello {
    /// The program's name.
    #[prost(string, tag = "1")]
    pub name: String,
    /// The program's version.
    #[prost(string, tag = "2")]
    pub version: String,
    /// A random id of this run of the program.
    #[prost(bytes = "vec", tag = "3")]
    pub instance_id: Vec<u8>,
}

/// Asks to receive the calls to an address and all below it.
#[derive(Clone, PartialEq, Eq, prost::Message)]
pub struct RegisterRequest {
    /// The address.
    #[prost(string, tag = "1")]
    pub service_id: String,
}

/// Whether an address could be registered; replies come in the order of their requests.
#[derive(Clone, PartialEq, Eq, prost::Message)]
pub struct RegisterReply {
    /// What came of it.
    #[prost(enumeration = "RegisterReplyCode", tag = "1")]
    pub code: i32,
    /// The reason of a refusal.
    #[prost(string, tag = "2")]
    pub message: String,
}

/// What came of a [`RegisterRequest`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, prost::Enumeration)]
#[repr(i32)]
pub enum RegisterReplyCode {
    /// The caller has the address.
    Ok = 0,
    /// No such address can be.
    BadRequest = 400,
    /// Somebody else has the address.
    Conflict = 409,
}

/// Gives an address back.
#[derive(Clone, PartialEq, Eq, prost::Message)]
pub struct UnregisterRequest {
    /// The address.
    #[prost(string, tag = "1")]
    pub service_id: String,
}

/// Whether an address was given back.
#[derive(Clone, PartialEq, Eq, prost::Message)]
pub struct UnregisterReply {
    /// What came of it.
    #[prost(enumeration = "UnregisterReplyCode", tag = "1")]
    pub code: i32,
}

/// What came of an [`UnregisterRequest`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, prost::Enumeration)]
#[repr(i32)]
pub enum UnregisterReplyCode {
    /// The address is free.
    Ok = 0,
    /// The caller did not have it.
    NotRegistered = 404,
}

/// A message to a service.
#[derive(Clone, PartialEq, Eq, prost::Message)]
pub struct CallRequest {
    /// Who calls.
    #[prost(string, tag = "1")]
    pub caller: String,
    /// The service's address and the message's name.
    #[prost(string, tag = "2")]
    pub address: String,
    /// What the replies will carry; unique among the caller's calls under way.
    #[prost(string, tag = "3")]
    pub request_id: String,
    /// The message, as a flexbuffer.
    #[prost(bytes = "vec", tag = "4")]
    pub data: Vec<u8>,
    /// Whether the caller wants no answer.
    #[prost(bool, tag = "5")]
    pub no_reply: bool,
}

/// An answer to a [`CallRequest`]: one full, or any number of partial ones and a full one at the end.
#[derive(Clone, PartialEq, Eq, prost::Message)]
pub struct CallReply {
    /// The request's id.
    #[prost(string, tag = "1")]
    pub request_id: String,
    /// Whether the call reached its service.
    #[prost(enumeration = "CallReplyCode", tag = "2")]
    pub code: i32,
    /// Whether more replies follow.
    #[prost(enumeration = "CallReplyType", tag = "3")]
    pub reply_type: i32,
    /// The service's `Result`, as a flexbuffer; with another code than `Ok`, a text in UTF-8.
    #[prost(bytes = "vec", tag = "4")]
    pub data: Vec<u8>,
}

/// Whether a call reached its service.
#[derive(Clone, Copy, Debug, PartialEq, Eq, prost::Enumeration)]
#[repr(i32)]
pub enum CallReplyCode {
    /// The service answered.
    Ok = 0,
    /// There is no such service, or the request id is in use.
    BadRequest = 400,
    /// The service went away before it answered.
    ServiceFailure = 500,
}

/// Whether more replies follow.
#[derive(Clone, Copy, Debug, PartialEq, Eq, prost::Enumeration)]
#[repr(i32)]
pub enum CallReplyType {
    /// The only reply, or the end of a stream of them.
    Full = 0,
    /// One of a stream.
    Partial = 1,
}

/// Asks whether the other side is alive.
#[derive(Clone, PartialEq, Eq, prost::Message)]
pub struct Ping {}

/// The answer to a [`Ping`].
#[derive(Clone, PartialEq, Eq, prost::Message)]
pub struct Pong {}
