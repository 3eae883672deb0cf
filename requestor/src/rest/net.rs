//! Virtual private networks: the net API, and its websockets.

use std::net::Ipv4Addr;

use futures::{SinkExt, StreamExt};
use reqwest::Method;
use serde::{
    Deserialize,
    de::{DeserializeOwned, IgnoredAny},
};
use serde_json::{Value, json};
use tokio::io::{AsyncReadExt, AsyncWriteExt, DuplexStream};
use tokio_tungstenite::tungstenite::Message;

use super::daemon::{Daemon, Socket};
use crate::{
    id::{NetworkId, NodeId},
    yagna::{NetworkTerms, Problem, YagnaError},
};

/// Where the API is.
const API: &str = "net-api/v1";
/// How much of a connection may wait for its reader, in bytes.
const PIPE: usize = 256 << 10;
/// How much is sent in one message of a websocket, in bytes.
const PIECE: usize = 128 << 10;

/// The way to the net API.
#[derive(Clone, Debug)]
pub(super) struct Net(pub(super) Daemon);

/// A network on the wire.
#[derive(Deserialize)]
struct Wire {
    id: NetworkId,
    ip: String,
    mask: Ipv4Addr,
    gateway: Ipv4Addr,
}

impl Net {
    pub(super) async fn create(&self, range: &str) -> Result<NetworkTerms, YagnaError> {
        let call = format!("create the network {range}");
        let asked = self.ask(&call, Method::POST, "net", Some(json!({"ip": range})));
        let wire: Wire = asked.await?;
        let base = wire.ip.split('/').next().unwrap_or_default();
        let base = base.parse().map_err(|_| YagnaError {
            call: call.clone(),
            problem: Problem::Malformed(format!("{} is no network", wire.ip)),
        })?;
        Ok(NetworkTerms {
            base,
            id: wire.id,
            mask: wire.mask,
            gateway: wire.gateway,
        })
    }

    pub(super) async fn remove(&self, id: &NetworkId) -> Result<(), YagnaError> {
        let call = format!("remove network {id}");
        self.tell(&call, Method::DELETE, &format!("net/{id}"), None)
            .await
    }

    pub(super) async fn add_address(
        &self,
        id: &NetworkId,
        address: Ipv4Addr,
    ) -> Result<(), YagnaError> {
        let call = format!("have the address {address} in network {id}");
        let path = format!("net/{id}/addresses");
        self.tell(&call, Method::POST, &path, Some(json!({"ip": address})))
            .await
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
        self.tell(&call, Method::POST, &path, Some(body)).await
    }

    pub(super) async fn remove_node(
        &self,
        id: &NetworkId,
        node: &NodeId,
    ) -> Result<(), YagnaError> {
        let call = format!("remove {node} from network {id}");
        let path = format!("net/{id}/nodes/{node}");
        self.tell(&call, Method::DELETE, &path, None).await
    }

    /// Opens a connection to a port; its bytes go through a websocket, which a task of its own looks after.
    pub(super) async fn connect(
        &self,
        id: &NetworkId,
        address: Ipv4Addr,
        port: u16,
    ) -> Result<DuplexStream, YagnaError> {
        let call = format!("connect to {address}:{port} in network {id}");
        let path = format!("{API}/net/{id}/tcp/{address}/{port}");
        let socket = self.0.open(&call, &path, None).await?;
        let (ours, theirs) = tokio::io::duplex(PIPE);
        tokio::spawn(pass_on(socket, ours));
        Ok(theirs)
    }

    async fn ask<T: DeserializeOwned>(
        &self,
        call: &str,
        method: Method,
        path: &str,
        body: Option<Value>,
    ) -> Result<T, YagnaError> {
        self.0
            .ask(call, method, &format!("{API}/{path}"), body)
            .await
    }

    /// Asks for something that has no answer but that it was done.
    async fn tell(
        &self,
        call: &str,
        method: Method,
        path: &str,
        body: Option<Value>,
    ) -> Result<(), YagnaError> {
        let IgnoredAny = self.ask(call, method, path, body).await?;
        Ok(())
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
