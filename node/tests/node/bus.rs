//! Files between requestors and exe-units: a websocket on one side, a unix socket on the other.

use exeunit::gsb::{
    CallError, CallReplyCode, CallReplyType, PacketKind, Ping, UnregisterRequest, encode,
    message::{Chunk, GetChunk, GetMetadata, Metadata},
};
use futures::{SinkExt, StreamExt};
use serde::{Deserialize, Serialize};
use serde_json::json;
use tokio::net::TcpStream;
use tokio_tungstenite::{
    MaybeTlsStream, WebSocketStream, connect_async,
    tungstenite::{self, Message, client::IntoClientRequest},
};

use crate::{
    peer::Peer,
    recorded::check,
    requestor::{Requestor, text},
    scene::Scene,
};

pub(crate) type Socket = WebSocketStream<MaybeTlsStream<TcpStream>>;

/// A file service of a requestor's, at an address; its id.
pub(crate) async fn bring(requestor: &Requestor, address: &str) -> String {
    let listen = json!({"listen": {"on": address, "components": ["GetMetadata", "GetChunk"]}});
    let brought = requestor.post("/gsb-api/v1/services", listen.clone()).await;
    check("new services", &brought);
    assert_eq!(brought.ok()["listen"], listen["listen"]);
    text(&brought.ok()["servicesId"])
}

pub(crate) async fn connect(requestor: &Requestor, id: &str) -> Result<Socket, tungstenite::Error> {
    let url = requestor.websocket_url(&format!("/gsb-api/v1/services/{id}"));
    let mut request = url.into_client_request().unwrap();
    let protocol = "gsb+flexbuffers";
    request
        .headers_mut()
        .insert("sec-websocket-protocol", protocol.parse().unwrap());
    let (socket, response) = connect_async(request).await?;
    assert_eq!(response.headers()["sec-websocket-protocol"], protocol);
    Ok(socket)
}

/// A call as it is on the websocket.
#[derive(Debug, Deserialize)]
pub(crate) struct Called {
    pub(crate) id: String,
    pub(crate) component: String,
    pub(crate) payload: Asked,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(crate) struct Asked {
    pub(crate) offset: u64,
    pub(crate) size: u64,
}

pub(crate) async fn called(socket: &mut Socket) -> Called {
    let message = socket.next().await.unwrap().unwrap();
    flexbuffers::from_slice(&message.into_data()).unwrap()
}

pub(crate) async fn answer<T: Serialize>(socket: &mut Socket, id: &str, payload: T) {
    #[derive(Serialize)]
    struct Answer<'a, T> {
        id: &'a str,
        payload: T,
    }
    let answer = flexbuffers::to_vec(Answer { id, payload }).unwrap();
    socket.send(Message::binary(answer)).await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn an_exe_unit_reads_a_file_of_the_requestors() {
    let scene = Scene::start().await;
    let requestor = &scene.requestor;
    let id = bring(requestor, "/public/gftp/f").await;
    let mut socket = connect(requestor, &id).await.unwrap();
    let mut peer = Peer::connect(&scene.bus()).await;
    let file = format!("/net/{}/public/gftp/f", requestor.identity().await);

    let served = tokio::spawn(async move {
        let asked = called(&mut socket).await;
        assert_eq!(asked.component, "GetMetadata");
        answer(&mut socket, &asked.id, Metadata { file_size: 7 }).await;
        // Two calls at once, answered in the other order.
        let (first, second) = (called(&mut socket).await, called(&mut socket).await);
        for asked in [second, first] {
            assert_eq!(
                (asked.component.as_str(), asked.payload.size),
                ("GetChunk", 4)
            );
            let content = vec![asked.payload.offset as u8; 4];
            let chunk = Chunk {
                offset: asked.payload.offset,
                content,
            };
            answer(&mut socket, &asked.id, chunk).await;
        }
        socket
    });
    let metadata = peer.call(&file, &GetMetadata {}).await.unwrap();
    assert_eq!(metadata.file_size, 7);
    let mut asked = Vec::new();
    for offset in [0, 4] {
        let chunk = encode(&GetChunk { offset, size: 4 }).unwrap();
        asked.push(peer.ask(&format!("{file}/GetChunk"), chunk).await);
    }
    for (place, offset) in [(1, 4), (0, 0)] {
        let reply = peer.answered().await;
        assert_eq!(reply.request_id, asked[place]);
        assert_eq!(reply.reply_type, i32::from(CallReplyType::Full));
        let chunk: Result<Chunk, CallError> = exeunit::gsb::decode(&reply.data).unwrap();
        assert_eq!(chunk.unwrap().content, [offset; 4]);
    }
    // What the service has not said that it understands does not reach it.
    let mut socket = served.await.unwrap();
    let unknown = peer
        .call(&file, &exeunit::gsb::message::UploadFinished { hash: None })
        .await;
    assert!(matches!(unknown, Err(CallError::Closed(text)) if text.contains("UploadFinished")));

    check(
        "services gone",
        &requestor
            .delete(&format!("/gsb-api/v1/services/{id}"))
            .await,
    );
    let end = socket.next().await;
    assert!(
        matches!(end, None | Some(Ok(Message::Close(_)) | Err(_))),
        "{end:?}"
    );
    assert!(peer.call(&file, &GetMetadata {}).await.is_err());
}

#[tokio::test(flavor = "multi_thread")]
async fn an_address_has_one_service_and_is_free_when_that_is_lost() {
    let scene = Scene::start().await;
    let requestor = &scene.requestor;
    let id = bring(requestor, "/public/gftp/f").await;
    let listen = json!({"listen": {"on": "/public/gftp/f", "components": []}});
    let taken = requestor.post("/gsb-api/v1/services", listen).await;
    assert_eq!(taken.error(409), "the address /public/gftp/f is taken");

    let mut socket = connect(requestor, &id).await.unwrap();
    let second = connect(requestor, &id).await.unwrap_err();
    assert!(matches!(second, tungstenite::Error::Http(response) if response.status() == 409));
    socket.close(None).await.unwrap();
    while socket.next().await.is_some() {}
    // The node closes the connection last of all.
    bring(requestor, "/public/gftp/f").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_call_waits_for_the_websocket_and_fails_with_it() {
    let scene = Scene::start().await;
    let requestor = &scene.requestor;
    let id = bring(requestor, "/public/gftp/f").await;
    let mut peer = Peer::connect(&scene.bus()).await;
    let data = encode(&GetMetadata {}).unwrap();
    let asked = peer.ask("/public/gftp/f/GetMetadata", data).await;
    let mut socket = connect(requestor, &id).await.unwrap();
    assert_eq!(called(&mut socket).await.component, "GetMetadata");
    drop(socket);
    let reply = peer.answered().await;
    assert_eq!(reply.request_id, asked);
    assert_eq!(reply.code, i32::from(CallReplyCode::ServiceFailure));
}

#[tokio::test(flavor = "multi_thread")]
async fn peers_share_the_bus() {
    let scene = Scene::start().await;
    let mut one = Peer::connect(&scene.bus()).await;
    let mut two = Peer::connect(&scene.bus()).await;
    one.register("/public/one").await;
    assert_eq!(two.try_register("/public/one").await, 409);
    assert_eq!(two.try_register("one").await, 400);
    two.send(PacketKind::Ping(Ping {})).await;
    assert!(matches!(two.receive().await, PacketKind::Pong(_)));

    let data = encode(&GetMetadata {}).unwrap();
    let asked = two.ask("/public/one/GetMetadata", data.clone()).await;
    let (_, call) = one.called::<GetMetadata>().await;
    one.answer(&call, CallReplyType::Full, Ok(Metadata { file_size: 3 }))
        .await;
    assert_eq!(two.answered().await.request_id, asked);

    let unknown = two.call("/public/nothing", &GetMetadata {}).await;
    assert_eq!(
        unknown.unwrap_err(),
        CallError::Closed("BadRequest: no service at /public/nothing/GetMetadata".to_owned())
    );
    let elsewhere = "/net/0x83f6cf1036a6ad09a382d45b2c6357628ca2fdb5/public/gftp/x";
    let unreachable = two.call(elsewhere, &GetMetadata {}).await.unwrap_err();
    assert!(unreachable.to_string().contains("cannot be reached"));

    // A call to a peer that goes away fails, and its address is free.
    two.ask("/public/one/GetMetadata", data).await;
    one.called::<GetMetadata>().await;
    drop(one);
    let reply = two.answered().await;
    assert_eq!(reply.code, i32::from(CallReplyCode::ServiceFailure));
    while two.try_register("/public/one").await != 0 {}
    let service_id = "/public/one".to_owned();
    two.send(PacketKind::UnregisterRequest(UnregisterRequest {
        service_id,
    }))
    .await;
    assert!(matches!(two.receive().await, PacketKind::UnregisterReply(reply) if reply.code == 0));
}
