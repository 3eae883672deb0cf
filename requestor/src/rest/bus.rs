//! Files on the service bus: an address that providers call, and a websocket through which the calls arrive.

use std::{
    sync::{Arc, Mutex},
    time::Duration,
};

use futures::{SinkExt, StreamExt};
use reqwest::Method;
use serde::{Deserialize, Serialize, de::IgnoredAny};
use serde_bytes::ByteBuf;
use serde_json::json;
use tokio::{task::spawn_blocking, time::sleep};
use tokio_tungstenite::tungstenite::Message;
use tokio_util::sync::CancellationToken;
use uuid::Uuid;

use super::daemon::{Daemon, Socket, chain};
use crate::{
    id::NodeId,
    transfer::{Incoming, Outgoing, TransferError},
    yagna::{FileService, YagnaError},
};

/// How the calls are encoded on the websocket.
const PROTOCOL: &str = "gsb+flexbuffers";

/// How long to wait before a lost websocket is opened again.
const PAUSE: Duration = Duration::from_secs(1);

/// Where addresses are bound.
const SERVICES: &str = "gsb-api/v1/services";

/// The way to the service bus.
#[derive(Clone, Debug)]
pub(super) struct Bus(pub(super) Daemon);

/// A file that providers call for.
enum File {
    Outgoing(Outgoing),
    /// Shared with the thread that writes it.
    Incoming(Arc<Mutex<Incoming>>),
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
        let file = File::Incoming(Arc::new(Mutex::new(file)));
        self.serve(us, file, &["UploadChunk", "UploadFinished"])
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
        #[derive(Deserialize)]
        #[serde(rename_all = "camelCase")]
        struct Bound {
            services_id: String,
        }
        let call = format!("listen at {address}");
        let request = json!({"listen": {"on": address, "components": components}});
        let bound = self.0.ask(&call, Method::POST, SERVICES, Some(request));
        let Bound { services_id } = bound.await?;
        let path = format!("{SERVICES}/{services_id}");
        match self.0.open(&call, &path, Some(PROTOCOL)).await {
            Ok(socket) => Ok((services_id, socket)),
            Err(error) => {
                self.unlisten(&services_id).await;
                Err(error)
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

    /// Frees an address; the daemon closes the websocket.
    async fn unlisten(&self, service: &str) {
        let call = format!("free the address of {service}");
        let path = format!("{SERVICES}/{service}");
        let deleted = self.0.ask(&call, Method::DELETE, &path, None).await;
        if let Err(error) = deleted.map(|_: IgnoredAny| ()) {
            tracing::debug!(service, %error, "the address stays bound until the websocket is closed");
        }
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
        let read = |error: TransferError| Failure::Read(chain(&error));
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
            ) => writing(file, move |file| file.write(chunk.offset, &chunk.content)).await,
            (Self::Incoming(file), "UploadFinished", Arguments { hash, .. }) => {
                writing(file, move |file| file.finish(hash.as_deref())).await
            }
            (_, component, _) => Err(Failure::Internal(format!(
                "{component} is not for this file"
            ))),
        }
    }
}

/// Lets a thread write, or read what was written, which would hold up all others.
async fn writing(
    file: &Arc<Mutex<Incoming>>,
    work: impl FnOnce(&mut Incoming) -> Result<(), TransferError> + Send + 'static,
) -> Result<Option<Reply>, Failure> {
    let file = Arc::clone(file);
    let work = spawn_blocking(move || work(&mut file.lock().expect("no panic while locked")));
    match work.await {
        Ok(Ok(())) => Ok(None),
        Ok(Err(error)) => Err(Failure::Write(chain(&error))),
        Err(error) => Err(Failure::Internal(error.to_string())),
    }
}
