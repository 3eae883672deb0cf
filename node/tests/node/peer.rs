//! A peer on the bus, as an exe-unit is one.

use std::path::Path;

use exeunit::gsb::{
    CallError, CallReply, CallReplyCode, CallRequest, Packet, PacketCodec, PacketKind,
    RegisterRequest, decode, encode, message::Message,
};
use futures::{SinkExt, StreamExt};
use tokio::net::UnixStream;
use tokio_util::codec::Framed;

pub(crate) struct Peer {
    packets: Framed<UnixStream, PacketCodec>,
    requests: u32,
}

impl Peer {
    pub(crate) async fn connect(bus: &Path) -> Self {
        let stream = UnixStream::connect(bus).await.unwrap();
        let mut peer = Self {
            packets: Framed::new(stream, PacketCodec::default()),
            requests: 0,
        };
        let hello = peer.receive().await;
        assert!(matches!(hello, PacketKind::Hello(_)), "{hello:?}");
        peer
    }

    pub(crate) async fn send(&mut self, packet: PacketKind) {
        self.packets.send(packet.into()).await.unwrap();
    }

    pub(crate) async fn receive(&mut self) -> PacketKind {
        let Packet { kind } = self
            .packets
            .next()
            .await
            .expect("the bus is there")
            .unwrap();
        kind.unwrap()
    }

    /// Whether an address could be had: 0, or why not.
    pub(crate) async fn try_register(&mut self, address: &str) -> i32 {
        let service_id = address.to_owned();
        self.send(PacketKind::RegisterRequest(RegisterRequest { service_id }))
            .await;
        match self.receive().await {
            PacketKind::RegisterReply(reply) => reply.code,
            other => panic!("{other:?}"),
        }
    }

    pub(crate) async fn register(&mut self, address: &str) {
        assert_eq!(self.try_register(address).await, 0);
    }

    /// Sends a call; its id.
    pub(crate) async fn ask(&mut self, address: &str, data: Vec<u8>) -> String {
        self.requests += 1;
        let request_id = format!("r{}", self.requests);
        self.send(PacketKind::CallRequest(CallRequest {
            caller: "/test".to_owned(),
            address: address.to_owned(),
            request_id: request_id.clone(),
            data,
            no_reply: false,
        }))
        .await;
        request_id
    }

    /// The next answer to a call.
    pub(crate) async fn answered(&mut self) -> CallReply {
        match self.receive().await {
            PacketKind::CallReply(reply) => reply,
            other => panic!("{other:?}"),
        }
    }

    /// Calls a service, and waits for its answer.
    pub(crate) async fn call<M: Message>(
        &mut self,
        service: &str,
        message: &M,
    ) -> Result<M::Reply, CallError> {
        let address = format!("{service}/{}", M::NAME);
        let id = self.ask(&address, encode(message).unwrap()).await;
        let reply = self.answered().await;
        assert_eq!(reply.request_id, id);
        match CallReplyCode::try_from(reply.code).unwrap() {
            CallReplyCode::Ok => decode::<Result<_, _>>(&reply.data).unwrap(),
            code => {
                let text = String::from_utf8(reply.data).unwrap();
                Err(CallError::Closed(format!("{code:?}: {text}")))
            }
        }
    }
}
