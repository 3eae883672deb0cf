//! Files on the service bus: an address that providers call, and a websocket through which the calls arrive.

use std::{fmt, time::Duration};

use futures::{SinkExt, StreamExt};
use serde::{Deserialize, Serialize};
use serde_bytes::ByteBuf;
use serde_json::json;
use tokio::{net::TcpStream, time::sleep};
use tokio_tungstenite::{
    MaybeTlsStream, WebSocketStream, connect_async,
    tungstenite::{self, Message, client::IntoClientRequest, http::header},
};
use tokio_util::sync::CancellationToken;
use url::Url;
use uuid::Uuid;

use super::convert::rejection;
use crate::{
    id::NodeId,
    transfer::{Incoming, Outgoing, TransferError},
    yagna::{FileService, Problem, YagnaError},
};

type Socket = WebSocketStream<MaybeTlsStream<TcpStream>>;

/// How the calls are encoded on the websocket.
const PROTOCOL: &str = "gsb+flexbuffers";

/// How long to wait before a lost websocket is opened again.
const PAUSE: Duration = Duration::from_secs(1);

/// The way to the service bus.
#[derive(Clone)]
pub(super) struct Bus {
    url: Url,
    app_key: String,
    http: reqwest::Client,
}

/// A file that providers call for.
enum File {
    Outgoing(Outgoing),
    Incoming(Incoming),
}

/// A call from a provider.
#[derive(Deserialize)]
struct Call {
    id: String,
    component: String,
    payload: Arguments,
}

/// The arguments of all calls: each has some of them.
#[derive(Default, Deserialize)]
#[serde(default)]
struct Arguments {
    offset: u64,
    size: u64,
    chunk: Option<Chunk>,
    hash: Option<String>,
}

#[derive(Deserialize, Serialize)]
struct Chunk {
    content: ByteBuf,
    offset: u64,
}

/// The answer to a call.
#[derive(Serialize)]
#[serde(untagged)]
enum Answer {
    Done { id: String, payload: Option<Reply> },
    Failed { id: String, error: Failure },
}

#[derive(Serialize)]
#[serde(untagged)]
enum Reply {
    Metadata {
        #[serde(rename = "fileSize")]
        file_size: u64,
    },
    Chunk(Chunk),
}

/// What the other side of a transfer understands.
#[derive(Serialize)]
enum Failure {
    #[serde(rename = "ReadError")]
    Read(String),
    #[serde(rename = "WriteError")]
    Write(String),
    #[serde(rename = "InternalError")]
    Internal(String),
}

impl Bus {
    pub(super) fn new(url: Url, app_key: String) -> Self {
        Self {
            url,
            app_key,
            http: reqwest::Client::new(),
        }
    }

    /// Lets providers read a file.
    pub(super) async fn publish(
        &self,
        us: &NodeId,
        file: Outgoing,
    ) -> Result<FileService, YagnaError> {
        self.serve(us, File::Outgoing(file), &["GetMetadata", "GetChunk"])
            .await
    }

    /// Lets a provider write a file.
    pub(super) async fn receive(
        &self,
        us: &NodeId,
        file: Incoming,
    ) -> Result<FileService, YagnaError> {
        self.serve(us, File::Incoming(file), &["UploadChunk", "UploadFinished"])
            .await
    }

    async fn serve(
        &self,
        us: &NodeId,
        mut file: File,
        components: &'static [&'static str],
    ) -> Result<FileService, YagnaError> {
        let id = Uuid::new_v4();
        let address = format!("/public/gftp/{id}");
        let (mut service, mut socket) = self.listen(&address, components).await?;
        let open = CancellationToken::new();
        let (bus, closed) = (self.clone(), open.clone());
        tokio::spawn(async move {
            loop {
                if closed
                    .run_until_cancelled(answer_calls(&mut file, &mut socket))
                    .await
                    .is_none()
                {
                    break;
                }
                tracing::debug!(address, "the websocket was lost");
                let again = bus.listen_again(&address, components);
                match closed.run_until_cancelled(again).await {
                    Some((new, reopened)) => (service, socket) = (new, reopened),
                    None => break,
                }
            }
            bus.unlisten(&service).await;
        });
        Ok(FileService::new(
            format!("gftp://{us}/{id}"),
            open.drop_guard(),
        ))
    }

    /// Binds an address. Gives the binding's id, and the websocket through which calls come.
    async fn listen(
        &self,
        address: &str,
        components: &[&str],
    ) -> Result<(String, Socket), YagnaError> {
        let failed = |problem| YagnaError {
            call: format!("listen at {address}"),
            problem,
        };
        let unreachable =
            |error: &dyn fmt::Display| failed(Problem::Unreachable(error.to_string()));

        let services = self.endpoint("gsb-api/v1/services");
        let request = json!({"listen": {"on": address, "components": components}});
        let sent = self
            .http
            .post(services)
            .bearer_auth(&self.app_key)
            .json(&request)
            .send()
            .await;
        let answer = sent.map_err(|error| unreachable(&error))?;
        let status = answer.status();
        if !status.is_success() {
            let message = answer.text().await.unwrap_or_default();
            return Err(failed(rejection(status.as_u16(), message)));
        }
        #[derive(Deserialize)]
        #[serde(rename_all = "camelCase")]
        struct Bound {
            services_id: String,
        }
        let bound: Bound = answer
            .json()
            .await
            .map_err(|error| failed(Problem::Malformed(error.to_string())))?;
        match self.open(&bound.services_id).await {
            Ok(socket) => Ok((bound.services_id, socket)),
            Err(error) => {
                self.unlisten(&bound.services_id).await;
                Err(unreachable(&error))
            }
        }
    }

    async fn listen_again(&self, address: &str, components: &[&str]) -> (String, Socket) {
        loop {
            sleep(PAUSE).await;
            match self.listen(address, components).await {
                Ok(listening) => return listening,
                Err(error) => tracing::warn!(%error, "trying again"),
            }
        }
    }

    async fn open(&self, service: &str) -> Result<Socket, tungstenite::Error> {
        let mut url = self.endpoint(&format!("gsb-api/v1/services/{service}"));
        url.set_scheme("ws").expect("http becomes ws");
        let mut request = url.as_str().into_client_request()?;
        let headers = request.headers_mut();
        headers.insert(header::SEC_WEBSOCKET_PROTOCOL, PROTOCOL.parse()?);
        headers.insert(
            header::AUTHORIZATION,
            format!("Bearer {}", self.app_key).parse()?,
        );
        let (socket, _) = connect_async(request).await?;
        Ok(socket)
    }

    /// Frees an address; the daemon closes the websocket.
    async fn unlisten(&self, service: &str) {
        let url = self.endpoint(&format!("gsb-api/v1/services/{service}"));
        let deleted = self
            .http
            .delete(url)
            .bearer_auth(&self.app_key)
            .send()
            .await;
        if let Err(error) = deleted {
            tracing::debug!(service, %error, "the address stays bound until the websocket is closed");
        }
    }

    fn endpoint(&self, path: &str) -> Url {
        self.url
            .join(&format!("/{path}"))
            .expect("a path makes a URL of a URL")
    }
}

impl fmt::Debug for Bus {
    fn fmt(&self, formatter: &mut fmt::Formatter) -> fmt::Result {
        // Without the app key.
        formatter
            .debug_struct("Bus")
            .field("url", &self.url.as_str())
            .finish_non_exhaustive()
    }
}

/// Answers calls until the websocket is lost.
async fn answer_calls(file: &mut File, socket: &mut Socket) {
    while let Some(Ok(message)) = socket.next().await {
        let Message::Binary(call) = message else {
            continue;
        };
        let call: Call = match flexbuffers::from_slice(&call) {
            Ok(call) => call,
            Err(error) => {
                tracing::warn!(%error, "a call that makes no sense");
                continue;
            }
        };
        let id = call.id.clone();
        let answer = match file.answer(call).await {
            Ok(payload) => Answer::Done { id, payload },
            Err(error) => Answer::Failed { id, error },
        };
        let answer =
            flexbuffers::to_vec(&answer).expect("an answer has nothing that cannot be encoded");
        if socket.send(Message::binary(answer)).await.is_err() {
            return;
        }
    }
}

impl File {
    async fn answer(&mut self, call: Call) -> Result<Option<Reply>, Failure> {
        let Call {
            component,
            payload: arguments,
            ..
        } = call;
        let read = |error: TransferError| Failure::Read(error.to_string());
        let write = |error: TransferError| Failure::Write(error.to_string());
        match (self, component.as_str(), arguments) {
            (Self::Outgoing(file), "GetMetadata", _) => Ok(Some(Reply::Metadata {
                file_size: file.size(),
            })),
            (Self::Outgoing(file), "GetChunk", Arguments { offset, size, .. }) => {
                let content = ByteBuf::from(file.read(offset, size).await.map_err(read)?);
                Ok(Some(Reply::Chunk(Chunk { content, offset })))
            }
            (
                Self::Incoming(file),
                "UploadChunk",
                Arguments {
                    chunk: Some(chunk), ..
                },
            ) => {
                file.write(chunk.offset, &chunk.content).map_err(write)?;
                Ok(None)
            }
            (Self::Incoming(file), "UploadFinished", Arguments { hash, .. }) => {
                file.finish(hash.as_deref()).map_err(write)?;
                Ok(None)
            }
            (_, component, _) => Err(Failure::Internal(format!(
                "{component} is not for this file"
            ))),
        }
    }
}
