//! Files of the requestor's: a websocket that answers as golem-js does, with a file that it makes up.

use std::collections::BTreeMap;

use exeunit::gsb::message::{Chunk, Metadata};
use flexbuffers::{FlexBufferType, Reader};
use futures::{SinkExt, StreamExt};
use serde::{Deserialize, Serialize};
use serde_json::json;
use tokio::{net::TcpStream, task::JoinHandle};
use tokio_tungstenite::{
    MaybeTlsStream, WebSocketStream, connect_async,
    tungstenite::{Message, client::IntoClientRequest},
};

use super::recording::{End, Frame};
use crate::requestor::{Requestor, text};

/// What providers find in each file.
static CONTENT: [u8; 100_000] = [7; 100_000];
const COMPONENTS: [&str; 4] = ["GetMetadata", "GetChunk", "UploadChunk", "UploadFinished"];

/// The shape of each call that was made, by the component that it was made to.
pub(super) type Calls = BTreeMap<String, String>;

/// A call as it is on the websocket.
#[derive(Deserialize)]
struct Called {
    id: String,
    component: String,
    payload: Asked,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct Asked {
    offset: u64,
    size: u64,
}

/// Connects to services that are there, and answers until they are not. Then it says what was called.
pub(super) async fn answer(requestor: &Requestor, path: &str) -> JoinHandle<Calls> {
    let mut request = requestor.websocket_url(path).into_client_request().unwrap();
    let protocol = "gsb+flexbuffers".parse().unwrap();
    let headers = request.headers_mut();
    headers.insert("sec-websocket-protocol", protocol);
    let (socket, _) = connect_async(request).await.unwrap();
    tokio::spawn(answer_all(socket))
}

/// A file at the address that its URL, `gftp://NODE/NAME`, has on the bus.
pub(super) async fn publish(requestor: &Requestor, name: &str) -> JoinHandle<Calls> {
    let listen =
        json!({"listen": {"on": format!("/public/gftp/{name}"), "components": COMPONENTS}});
    let services = requestor.post("/gsb-api/v1/services", listen).await.ok();
    let path = format!("/gsb-api/v1/services/{}", text(&services["servicesId"]));
    answer(requestor, &path).await
}

async fn answer_all(mut socket: WebSocketStream<MaybeTlsStream<TcpStream>>) -> Calls {
    let mut calls = Calls::new();
    while let Some(Ok(message)) = socket.next().await {
        let Message::Binary(call) = message else {
            continue;
        };
        let (component, shape) = shape_of(&call);
        calls.insert(component, shape);
        let called: Called = flexbuffers::from_slice(&call).unwrap();
        let (id, asked) = (&called.id, called.payload);
        let answer = match called.component.as_str() {
            "GetMetadata" => written(
                id,
                Metadata {
                    file_size: CONTENT.len() as u64,
                },
            ),
            "GetChunk" => {
                let end = CONTENT.len().min((asked.offset + asked.size) as usize);
                let content = CONTENT[asked.offset as usize..end].to_vec();
                written(
                    id,
                    Chunk {
                        offset: asked.offset,
                        content,
                    },
                )
            }
            _ => written(id, ()),
        };
        // A node that has no more use for it needs no answer.
        let _ = socket.send(Message::binary(answer)).await;
    }
    calls
}

fn written<T: Serialize>(id: &str, payload: T) -> Vec<u8> {
    #[derive(Serialize)]
    struct Answer<'a, T> {
        id: &'a str,
        payload: T,
    }
    flexbuffers::to_vec(Answer { id, payload }).unwrap()
}

/// What was called on a websocket, by the frames that were recorded of it. Of a call that was not recorded whole it is
/// only known to what it was.
pub(super) fn recorded<'a>(frames: impl Iterator<Item = &'a Frame>) -> Calls {
    let of_server = frames.filter(|frame| frame.ws == End::Server);
    let call = |frame: &Frame| match frame.is_whole() {
        true => shape_of(&frame.bytes()),
        false => {
            let text = String::from_utf8_lossy(&frame.bytes()).into_owned();
            let component = COMPONENTS.iter().find(|name| text.contains(**name));
            let component = component.expect("a component that is known");
            ((*component).to_owned(), String::new())
        }
    };
    of_server.map(call).collect()
}

/// Whether the calls of the same components have the same shapes, where those are known.
pub(super) fn are_alike(recorded: &Calls, found: &Calls) -> bool {
    let is_like = |(recorded, found): ((&String, &String), (&String, &String))| {
        recorded.0 == found.0 && (recorded.1.is_empty() || recorded.1 == found.1)
    };
    recorded.len() == found.len() && recorded.iter().zip(found).all(is_like)
}

/// To what a call is made, and what it has in it: `{id component payload{offset size}}`.
fn shape_of(call: &[u8]) -> (String, String) {
    let root = Reader::get_root(call).unwrap();
    let component = root.as_map().idx("component").as_str().to_owned();
    (component, shape(root))
}

fn shape(value: Reader<&[u8]>) -> String {
    if value.flexbuffer_type() != FlexBufferType::Map {
        return String::new();
    }
    let map = value.as_map();
    let parts = map
        .iter_keys()
        .map(|key| format!("{key}{}", shape(map.idx(key))));
    format!("{{{}}}", parts.collect::<Vec<_>>().join(" "))
}
