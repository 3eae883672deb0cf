//! A peer's end of the bus, with a test at the other.

use std::{path::Path, time::Duration};

use exeunit::gsb::{
    Bus, CallError, CallReply, CallReplyCode, CallReplyType, CallRequest, PacketCodec, PacketKind,
    Ping, Pong, RegisterError, RegisterReply, RegisterReplyCode, encode,
    message::{Exec, GetMetadata, GetRunningCommand, Metadata},
};
use futures::{SinkExt, StreamExt};
use tokio::net::{UnixListener, UnixStream};
use tokio_util::codec::Framed;

/// The node's end of a connection.
struct Node(Framed<UnixStream, PacketCodec>);

impl Node {
    /// A connection, after both have said hello.
    async fn connect() -> (Self, Bus) {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("bus");
        let listener = UnixListener::bind(&path).expect("a socket");
        let (bus, node) = tokio::join!(Bus::connect(&path, "test"), Self::accept(&listener));
        (node, bus.expect("a connection"))
    }

    /// The next connection, after the peer has said hello.
    async fn accept(listener: &UnixListener) -> Self {
        let (stream, _) = listener.accept().await.expect("a connection");
        let mut node = Self(Framed::new(stream, PacketCodec::default()));
        let PacketKind::Hello(hello) = node.receive().await else {
            panic!("a peer says hello first");
        };
        assert_eq!(hello.name, "test");
        node
    }

    async fn send(&mut self, packet: PacketKind) {
        self.0.send(packet.into()).await.expect("the peer listens");
    }

    async fn receive(&mut self) -> PacketKind {
        let packet = self.0.next().await.expect("a packet").expect("a packet");
        packet.kind.expect("a packet")
    }

    /// Answers a registration.
    async fn register(&mut self, code: RegisterReplyCode) -> String {
        let PacketKind::RegisterRequest(request) = self.receive().await else {
            panic!("a registration is expected");
        };
        let reply = RegisterReply {
            code: code.into(),
            message: "no".to_owned(),
        };
        self.send(PacketKind::RegisterReply(reply)).await;
        request.service_id
    }

    /// Calls the peer.
    async fn call(&mut self, address: &str, data: Vec<u8>) {
        let call = CallRequest {
            caller: "/local".to_owned(),
            address: address.to_owned(),
            request_id: "1".to_owned(),
            data,
            no_reply: false,
        };
        self.send(PacketKind::CallRequest(call)).await;
    }

    async fn reply(&mut self) -> CallReply {
        let PacketKind::CallReply(reply) = self.receive().await else {
            panic!("a reply is expected");
        };
        reply
    }
}

#[tokio::test]
async fn a_ping_is_answered() {
    let (mut node, _bus) = Node::connect().await;
    node.send(PacketKind::Ping(Ping {})).await;
    assert_eq!(node.receive().await, PacketKind::Pong(Pong {}));
}

#[tokio::test]
async fn an_address_is_registered_or_refused() {
    let (mut node, bus) = Node::connect().await;
    let (registered, address) = tokio::join!(
        bus.register("/public/a"),
        node.register(RegisterReplyCode::Ok)
    );
    assert!(registered.is_ok());
    assert_eq!(address, "/public/a");
    let (refused, _) = tokio::join!(
        bus.register("/public/b"),
        node.register(RegisterReplyCode::Conflict)
    );
    let error = RegisterError::Refused {
        address: "/public/b".to_owned(),
        reason: "no".to_owned(),
    };
    assert_eq!(refused.err(), Some(error));
}

#[tokio::test]
async fn a_call_reaches_its_service_and_is_always_answered() {
    let (mut node, bus) = Node::connect().await;
    let (calls, _) = tokio::join!(
        bus.register("/public/a"),
        node.register(RegisterReplyCode::Ok)
    );
    let mut calls = calls.expect("it is registered");
    let message = GetRunningCommand {
        activity_id: "x".to_owned(),
    };
    let data = encode(&message).expect("it can be encoded");

    node.call("/public/a/GetRunningCommand", data.clone()).await;
    let call = calls.recv().await.expect("a call");
    assert_eq!(call.message_name(), "GetRunningCommand");
    let received: GetRunningCommand = call.message().expect("a message");
    assert_eq!(received.activity_id, "x");
    assert!(call.message::<Exec>().is_err());
    drop(call);
    let reply = node.reply().await;
    assert_eq!(
        (reply.request_id.as_str(), reply.code()),
        ("1", CallReplyCode::ServiceFailure)
    );

    node.call("/public/b/GetRunningCommand", data).await;
    let reply = node.reply().await;
    assert_eq!(
        (reply.code(), reply.reply_type()),
        (CallReplyCode::BadRequest, CallReplyType::Full)
    );
}

#[tokio::test]
async fn a_call_of_a_peer_gets_its_answer() {
    let answers: [(CallReplyCode, Vec<u8>, Result<u64, CallError>); 4] = [
        (
            CallReplyCode::Ok,
            encode(&Ok::<_, CallError>(Metadata { file_size: 7 })).expect("it can be encoded"),
            Ok(7),
        ),
        (
            CallReplyCode::Ok,
            encode(&Err::<Metadata, _>(CallError::Service("broken".to_owned())))
                .expect("it can be encoded"),
            Err(CallError::Service("broken".to_owned())),
        ),
        (
            CallReplyCode::BadRequest,
            b"none".to_vec(),
            Err(CallError::NotFound("none".to_owned())),
        ),
        (
            CallReplyCode::ServiceFailure,
            b"gone".to_vec(),
            Err(CallError::Closed("gone".to_owned())),
        ),
    ];
    let (mut node, bus) = Node::connect().await;
    for (code, data, expected) in answers {
        let answer = async {
            let PacketKind::CallRequest(request) = node.receive().await else {
                panic!("a call is expected");
            };
            assert_eq!(request.address, "/net/x/GetMetadata");
            let reply = CallReply {
                request_id: request.request_id,
                code: code.into(),
                reply_type: CallReplyType::Full.into(),
                data,
            };
            node.send(PacketKind::CallReply(reply)).await;
        };
        let (answered, ()) = tokio::join!(bus.call("/net/x", &GetMetadata {}), answer);
        assert_eq!(answered.map(|metadata| metadata.file_size), expected);
    }
}

#[tokio::test]
async fn who_waits_learns_that_the_bus_is_gone() {
    let (node, bus) = Node::connect().await;
    let (answer, ()) = tokio::join!(bus.call("/net/x", &GetMetadata {}), async { drop(node) });
    assert_eq!(
        answer.map(|_| ()),
        Err(CallError::Closed("the bus is gone".to_owned()))
    );
    bus.closed().await;
    assert_eq!(
        bus.register("/public/a").await.err(),
        Some(RegisterError::Closed)
    );
}

/// A socket where one may have been before.
fn listen(path: &Path) -> UnixListener {
    let _ = std::fs::remove_file(path);
    UnixListener::bind(path).expect("a socket")
}

#[tokio::test]
async fn a_lost_bus_is_found_again_with_all_addresses_but_no_calls() {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("bus");
    let listener = listen(&path);
    let patience = Duration::from_secs(3600);
    let (bus, mut node) = tokio::join!(
        Bus::connect_for_long(&path, "test", patience),
        Node::accept(&listener)
    );
    let bus = bus.expect("a connection");
    let (calls, _) = tokio::join!(
        bus.register("/public/a"),
        node.register(RegisterReplyCode::Ok)
    );
    let mut calls = calls.expect("it is registered");
    let message = GetRunningCommand {
        activity_id: "x".to_owned(),
    };
    let data = encode(&message).expect("it can be encoded");
    node.call("/public/a/GetRunningCommand", data.clone()).await;
    let before = calls.recv().await.expect("a call");

    drop(listener);
    let (answer, ()) = tokio::join!(bus.call("/net/x", &GetMetadata {}), async { drop(node) });
    assert!(matches!(answer, Err(CallError::Closed(_))), "{answer:?}");
    assert!(!bus.is_there_now());
    // One that goes before it has answered changes nothing.
    let listener = listen(&path);
    drop(Node::accept(&listener).await);
    let mut node = Node::accept(&listener).await;
    let later = tokio::spawn({
        let bus = bus.clone();
        async move { bus.call("/net/x", &GetMetadata {}).await }
    });
    assert_eq!(node.register(RegisterReplyCode::Ok).await, "/public/a");
    assert!(bus.is_there().await);
    let PacketKind::CallRequest(request) = node.receive().await else {
        panic!("calls get through again");
    };
    let metadata = Ok::<_, CallError>(Metadata { file_size: 7 });
    node.send(PacketKind::CallReply(CallReply {
        request_id: request.request_id,
        code: CallReplyCode::Ok.into(),
        reply_type: CallReplyType::Full.into(),
        data: encode(&metadata).expect("it can be encoded"),
    }))
    .await;
    let answered = later.await.expect("a task").expect("an answer");
    assert_eq!(answered.file_size, 7);

    // An answer to a call of before would be one to another call of the same number.
    before.answer::<GetRunningCommand>(Ok(Vec::new())).await;
    node.call("/public/a/GetRunningCommand", data).await;
    let after = calls.recv().await.expect("a call");
    after
        .answer::<GetRunningCommand>(Err(CallError::NotFound("nothing".to_owned())))
        .await;
    let reply = node.reply().await;
    let answer: Result<Vec<u32>, CallError> = exeunit::gsb::decode(&reply.data).expect("an answer");
    assert_eq!(answer, Err(CallError::NotFound("nothing".to_owned())));
}

#[tokio::test]
async fn who_gives_a_lost_bus_up_waits_no_longer() {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("bus");
    let listener = listen(&path);
    let patience = Duration::from_secs(3600);
    let (bus, node) = tokio::join!(
        Bus::connect_for_long(&path, "test", patience),
        Node::accept(&listener)
    );
    let bus = bus.expect("a connection");
    drop((listener, node));
    bus.give_up();
    bus.closed().await;
    assert!(!bus.is_there().await);
    let answer = bus.call("/net/x", &GetMetadata {}).await;
    assert!(matches!(answer, Err(CallError::Closed(_))), "{answer:?}");
}

#[tokio::test]
async fn without_a_socket_there_is_no_connection() {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("none");
    let error = Bus::connect(&path, "test").await.expect_err("no socket");
    assert_eq!(
        error.to_string(),
        format!("cannot connect to the bus at {}", path.display())
    );
}
