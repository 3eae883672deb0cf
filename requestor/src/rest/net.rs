//! Virtual private networks: the net API, and its websockets.

use std::{net::Ipv4Addr, time::Duration};

use futures::{SinkExt, StreamExt};
use reqwest::Method;
use serde::{
    Deserialize,
    de::{DeserializeOwned, IgnoredAny},
};
use serde_json::{Value, json};
use tokio::{
    io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt, DuplexStream},
    time::{Instant, MissedTickBehavior, interval_at},
};
use tokio_tungstenite::{
    WebSocketStream,
    tungstenite::{Bytes, Message},
};

use super::daemon::Daemon;
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
/// How often a daemon is told that somebody is there: it waits for ten seconds.
const BEAT: Duration = Duration::from_secs(4);

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
///
/// A daemon asks whether who it speaks to is there, and hears nothing while what it has said before is not read. So it is
/// told without being asked.
async fn pass_on<S>(socket: WebSocketStream<S>, stream: DuplexStream)
where
    S: AsyncRead + AsyncWrite + Unpin,
{
    let (mut sink, mut incoming) = socket.split();
    let (mut read, mut write) = tokio::io::split(stream);
    let mut beats = interval_at(Instant::now() + BEAT, BEAT);
    beats.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let outward = async {
        loop {
            let mut piece = Vec::with_capacity(PIECE);
            let message = tokio::select! {
                length = read.read_buf(&mut piece) => match length {
                    Ok(1..) => Message::binary(piece),
                    _ => break,
                },
                _ = beats.tick() => Message::Pong(Bytes::new()),
            };
            if sink.send(message).await.is_err() {
                break;
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

#[cfg(test)]
mod tests {
    use tokio_tungstenite::tungstenite::protocol::Role;

    use super::*;

    #[tokio::test(start_paused = true)]
    async fn a_daemon_hears_of_who_does_not_read() {
        let (here, there) = tokio::io::duplex(PIPE);
        let socket = WebSocketStream::from_raw_socket(here, Role::Client, None).await;
        let mut daemon = WebSocketStream::from_raw_socket(there, Role::Server, None).await;
        let (ours, mut connection) = tokio::io::duplex(PIPE);
        tokio::spawn(pass_on(socket, ours));
        // More than waits for its reader.
        let much = vec![7; PIPE + 1];
        daemon.send(Message::binary(much.clone())).await.unwrap();
        for _ in 0..5 {
            let began = Instant::now();
            assert!(daemon.next().await.unwrap().unwrap().is_pong());
            assert!(began.elapsed() <= BEAT);
        }
        let mut read = vec![0; much.len()];
        connection.read_exact(&mut read).await.unwrap();
        assert_eq!(read, much);
        connection.write_all(b"said").await.unwrap();
        let mut said = daemon.next().await.unwrap().unwrap();
        while said.is_pong() {
            said = daemon.next().await.unwrap().unwrap();
        }
        assert_eq!(said, Message::binary("said"));
    }
}
