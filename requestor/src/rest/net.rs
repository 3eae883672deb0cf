//! Virtual private networks: the net API, and its websockets.

use std::{fmt, net::Ipv4Addr};

use futures::{SinkExt, StreamExt};
use reqwest::Method;
use serde::Deserialize;
use serde_json::{Value, json};
use tokio::io::{AsyncReadExt, AsyncWriteExt, DuplexStream};
use tokio_tungstenite::{
    MaybeTlsStream, WebSocketStream, connect_async,
    tungstenite::{Error as SocketError, Message, client::IntoClientRequest, http::header},
};
use url::Url;

use super::convert::rejection;
use crate::{
    id::{NetworkId, NodeId},
    yagna::{NetworkTerms, Problem, YagnaError},
};

type Socket = WebSocketStream<MaybeTlsStream<tokio::net::TcpStream>>;

/// How much of a connection may wait for its reader, in bytes.
const PIPE: usize = 256 << 10;
/// How much is sent in one message of a websocket, in bytes.
const PIECE: usize = 128 << 10;

/// The way to the net API.
#[derive(Clone)]
pub(super) struct Net {
    url: Url,
    app_key: String,
    http: reqwest::Client,
}

/// A network on the wire.
#[derive(Deserialize)]
struct Wire {
    id: NetworkId,
    ip: String,
    mask: Ipv4Addr,
    gateway: Ipv4Addr,
}

impl Net {
    pub(super) fn new(url: Url, app_key: String) -> Self {
        Self {
            url,
            app_key,
            http: reqwest::Client::new(),
        }
    }

    pub(super) async fn create(&self, range: &str) -> Result<NetworkTerms, YagnaError> {
        let call = format!("create the network {range}");
        let asked = self.ask(Method::POST, "net", Some(json!({"ip": range})), &call);
        let malformed = |reason: String| YagnaError {
            call: call.clone(),
            problem: Problem::Malformed(reason),
        };
        let wire: Wire =
            serde_json::from_value(asked.await?).map_err(|error| malformed(error.to_string()))?;
        let base = wire.ip.split('/').next().unwrap_or_default();
        Ok(NetworkTerms {
            base: base
                .parse()
                .map_err(|_| malformed(format!("{} is no network", wire.ip)))?,
            id: wire.id,
            mask: wire.mask,
            gateway: wire.gateway,
        })
    }

    pub(super) async fn remove(&self, id: &NetworkId) -> Result<(), YagnaError> {
        let call = format!("remove network {id}");
        self.ask(Method::DELETE, &format!("net/{id}"), None, &call)
            .await?;
        Ok(())
    }

    pub(super) async fn add_address(
        &self,
        id: &NetworkId,
        address: Ipv4Addr,
    ) -> Result<(), YagnaError> {
        let call = format!("have the address {address} in network {id}");
        let path = format!("net/{id}/addresses");
        self.ask(Method::POST, &path, Some(json!({"ip": address})), &call)
            .await?;
        Ok(())
    }

    pub(super) async fn add_node(
        &self,
        id: &NetworkId,
        node: &NodeId,
        address: Ipv4Addr,
    ) -> Result<(), YagnaError> {
        let call = format!("give {address} in network {id} to {node}");
        let path = format!("net/{id}/nodes");
        let body = json!({"id": node, "ip": address});
        self.ask(Method::POST, &path, Some(body), &call).await?;
        Ok(())
    }

    pub(super) async fn remove_node(
        &self,
        id: &NetworkId,
        node: &NodeId,
    ) -> Result<(), YagnaError> {
        let call = format!("remove {node} from network {id}");
        self.ask(
            Method::DELETE,
            &format!("net/{id}/nodes/{node}"),
            None,
            &call,
        )
        .await?;
        Ok(())
    }

    /// Opens a connection to a port; its bytes go through a websocket, which a task of its own looks after.
    pub(super) async fn connect(
        &self,
        id: &NetworkId,
        address: Ipv4Addr,
        port: u16,
    ) -> Result<DuplexStream, YagnaError> {
        let failed = |problem| YagnaError {
            call: format!("connect to {address}:{port} in network {id}"),
            problem,
        };
        let opened = self.open(&format!("net/{id}/tcp/{address}/{port}")).await;
        let socket = opened.map_err(|error| {
            failed(match error {
                SocketError::Http(answer) => {
                    let body = answer.body().as_deref().unwrap_or_default();
                    rejection(answer.status().as_u16(), message(body))
                }
                error => Problem::Unreachable(error.to_string()),
            })
        })?;
        let (ours, theirs) = tokio::io::duplex(PIPE);
        tokio::spawn(pass_on(socket, ours));
        Ok(theirs)
    }

    async fn open(&self, path: &str) -> Result<Socket, SocketError> {
        let mut url = self.endpoint(path);
        url.set_scheme("ws").expect("http becomes ws");
        let mut request = url.as_str().into_client_request()?;
        let key = format!("Bearer {}", self.app_key).parse()?;
        request.headers_mut().insert(header::AUTHORIZATION, key);
        let (socket, _) = connect_async(request).await?;
        Ok(socket)
    }

    async fn ask(
        &self,
        method: Method,
        path: &str,
        body: Option<Value>,
        call: &str,
    ) -> Result<Value, YagnaError> {
        let failed = |problem| YagnaError {
            call: call.to_owned(),
            problem,
        };
        let mut request = self
            .http
            .request(method, self.endpoint(path))
            .bearer_auth(&self.app_key);
        if let Some(body) = &body {
            request = request.json(body);
        }
        let unreachable = |error: reqwest::Error| failed(Problem::Unreachable(error.to_string()));
        let answer = request.send().await.map_err(unreachable)?;
        let status = answer.status();
        let body = answer.bytes().await.map_err(unreachable)?;
        if !status.is_success() {
            return Err(failed(rejection(status.as_u16(), message(&body))));
        }
        match body.is_empty() {
            true => Ok(Value::Null),
            false => serde_json::from_slice(&body)
                .map_err(|error| failed(Problem::Malformed(error.to_string()))),
        }
    }

    fn endpoint(&self, path: &str) -> Url {
        self.url
            .join(&format!("/net-api/v1/{path}"))
            .expect("a path makes a URL of a URL")
    }
}

impl fmt::Debug for Net {
    fn fmt(&self, formatter: &mut fmt::Formatter) -> fmt::Result {
        // Without the app key.
        formatter
            .debug_struct("Net")
            .field("url", &self.url.as_str())
            .finish_non_exhaustive()
    }
}

/// What a daemon says when it refuses: `{"message": "…"}`, mostly.
fn message(body: &[u8]) -> String {
    #[derive(Deserialize)]
    struct Refusal {
        message: String,
    }
    match serde_json::from_slice(body) {
        Ok(Refusal { message }) => message,
        Err(_) => String::from_utf8_lossy(body).into_owned(),
    }
}

/// Passes bytes on between a websocket and a stream, until one of them ends.
async fn pass_on(socket: Socket, stream: DuplexStream) {
    let (mut sink, mut incoming) = socket.split();
    let (mut read, mut write) = tokio::io::split(stream);
    let outward = async {
        loop {
            let mut piece = Vec::with_capacity(PIECE);
            match read.read_buf(&mut piece).await {
                Ok(1..) if sink.send(Message::binary(piece)).await.is_ok() => {}
                _ => break,
            }
        }
        // Who is gone need not be told.
        let _ = sink.close().await;
    };
    let inward = async {
        while let Some(Ok(message)) = incoming.next().await {
            if let Message::Binary(bytes) = message
                && write.write_all(&bytes).await.is_err()
            {
                break;
            }
        }
        // The reader hears the end, even if the daemon does not take more.
        let _ = write.shutdown().await;
    };
    tokio::join!(outward, inward);
}
