//! A node as an exe-unit sees it: the bus on a socket, someone who takes reports, and requestors' file services.

use std::{
    collections::{BTreeMap, HashMap},
    marker::PhantomData,
    path::{Path, PathBuf},
    sync::{Arc, Mutex},
};

use exeunit::gsb::{
    CallError, CallReply, CallReplyCode, CallReplyType, CallRequest, Hello, Packet, PacketCodec,
    PacketKind, RegisterReply, RegisterReplyCode, decode, encode,
    message::{
        Chunk, GetChunk, GetMetadata, Message, Metadata, SetState, SetUsage, UploadChunk,
        UploadFinished,
    },
};
use futures::{SinkExt, StreamExt};
use serde_json::Value;
use sha3::{Digest, Sha3_256};
use tokio::{
    net::{UnixListener, UnixStream},
    sync::{mpsc, oneshot},
};
use tokio_util::codec::Framed;
use ya_client_model::activity::{ActivityState, ActivityUsage};

/// Where file services are, as an exe-unit calls them.
const FILES: &str = "/net/0xdf627924bd43b69256380b8f333244450ab14ec3/public/gftp/";

/// The name of a file whose service never answers.
pub(crate) const SILENT: &str = "silent";

/// The requestor's files, by name; shared by all nodes of a test.
#[derive(Clone, Debug, Default)]
pub(crate) struct Files(Arc<Mutex<Shelf>>);

#[derive(Debug, Default)]
struct Shelf {
    given: BTreeMap<String, Vec<u8>>,
    taken: BTreeMap<String, Vec<u8>>,
    /// Names of files whose upload has ended with the right hash.
    finished: Vec<String>,
    chunks_given: usize,
}

impl Files {
    /// The URL of a file.
    pub(crate) fn url(name: &str) -> String {
        format!("gftp://0xdf627924bd43b69256380b8f333244450ab14ec3/{name}")
    }

    /// Publishes a file and gives its URL.
    pub(crate) fn publish(&self, name: &str, content: impl Into<Vec<u8>>) -> String {
        self.lock().given.insert(name.to_owned(), content.into());
        Self::url(name)
    }

    /// A file that was uploaded, if its upload has ended as it should.
    pub(crate) fn taken(&self, name: &str) -> Option<Vec<u8>> {
        let shelf = self.lock();
        let is_finished = shelf.finished.iter().any(|finished| finished == name);
        shelf.taken.get(name).filter(|_| is_finished).cloned()
    }

    /// How many chunks were given out of all files.
    pub(crate) fn chunks_given(&self) -> usize {
        self.lock().chunks_given
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, Shelf> {
        self.0.lock().expect("no test panics with the lock")
    }

    fn answer(&self, name: &str, message: &str, data: &[u8]) -> Result<Vec<u8>, CallError> {
        match message {
            GetMetadata::NAME => encode(&self.metadata(name)),
            GetChunk::NAME => encode(&self.chunk(name, &decode(data)?)),
            UploadChunk::NAME => encode(&self.take(name, decode(data)?)),
            UploadFinished::NAME => encode(&self.finish(name, &decode(data)?)),
            _ => Err(CallError::BadRequest(message.to_owned())),
        }
    }

    fn metadata(&self, name: &str) -> Result<Metadata, CallError> {
        let shelf = self.lock();
        let file = shelf.given.get(name).ok_or_else(|| unknown(name))?;
        let file_size = file.len() as u64;
        Ok(Metadata { file_size })
    }

    fn chunk(&self, name: &str, get: &GetChunk) -> Result<Chunk, CallError> {
        let mut shelf = self.lock();
        shelf.chunks_given += 1;
        let file = shelf.given.get(name).ok_or_else(|| unknown(name))?;
        let end = file.len().min((get.offset + get.size) as usize);
        let content = file[get.offset as usize..end].to_vec();
        let offset = get.offset;
        Ok(Chunk { offset, content })
    }

    fn take(&self, name: &str, upload: UploadChunk) -> Result<(), CallError> {
        let mut shelf = self.lock();
        let file = shelf.taken.entry(name.to_owned()).or_default();
        let Chunk { offset, content } = upload.chunk;
        let end = offset as usize + content.len();
        file.resize(file.len().max(end), 0);
        file[offset as usize..end].copy_from_slice(&content);
        Ok(())
    }

    fn finish(&self, name: &str, end: &UploadFinished) -> Result<(), CallError> {
        let mut shelf = self.lock();
        let file = shelf.taken.entry(name.to_owned()).or_default();
        let found = hex::encode(Sha3_256::digest(file));
        assert_eq!(end.hash.as_ref(), Some(&found), "the hash of {name}");
        shelf.finished.push(name.to_owned());
        Ok(())
    }
}

fn unknown(name: &str) -> CallError {
    CallError::NotFound(format!("there is no file {name}"))
}

/// A bus with one exe-unit on it.
pub(crate) struct Node {
    calls: mpsc::UnboundedSender<Outgoing>,
    /// What the exe-unit reports.
    pub(crate) states: mpsc::UnboundedReceiver<ActivityState>,
    pub(crate) usage: mpsc::UnboundedReceiver<ActivityUsage>,
}

/// A call to the exe-unit, and where the answers go.
struct Outgoing {
    name: &'static str,
    data: Vec<u8>,
    answers: mpsc::UnboundedSender<CallReply>,
}

impl Node {
    /// Opens the bus at a socket; the exe-unit may come when it likes. With `deaf`, nobody takes reports.
    pub(crate) fn open(socket: &Path, files: Files, deaf: bool) -> Self {
        let listener = UnixListener::bind(socket).expect("a socket");
        let (calls, received) = mpsc::unbounded_channel();
        let (states, received_states) = mpsc::unbounded_channel();
        let (usage, received_usage) = mpsc::unbounded_channel();
        let service = Service {
            files,
            states: (!deaf).then_some(states),
            usage,
        };
        tokio::spawn(serve(listener, service, received));
        Self {
            calls,
            states: received_states,
            usage: received_usage,
        }
    }

    /// Calls the exe-unit and waits for its one answer.
    pub(crate) async fn call<M: Message>(&self, message: &M) -> Result<M::Reply, CallError> {
        let answer = self.send(message).recv().await;
        let answer = answer.ok_or(CallError::Closed("the exe-unit is gone".to_owned()))?;
        decode::<Result<M::Reply, CallError>>(&answer.data)?
    }

    /// Calls the exe-unit with whatever it may be, and gives what it answers.
    pub(crate) async fn raw(
        &self,
        name: &'static str,
        message: &Value,
    ) -> Result<Value, CallError> {
        let answer = self.put(name, encode(message)?).recv().await;
        let answer = answer.ok_or(CallError::Closed("the exe-unit is gone".to_owned()))?;
        decode::<Result<Value, CallError>>(&answer.data)?
    }

    /// Calls the exe-unit and collects the items of its answer.
    pub(crate) async fn stream<M: Message>(&self, message: &M) -> Vec<M::Reply> {
        let mut items = Vec::new();
        self.for_each(message, |item| items.push(item)).await;
        items
    }

    /// Calls the exe-unit and takes the items of its answer one by one.
    pub(crate) async fn for_each<M: Message>(&self, message: &M, mut take: impl FnMut(M::Reply)) {
        let mut items = self.open_stream(message);
        while let Some(item) = items.next().await {
            take(item);
        }
    }

    /// Calls the exe-unit, which answers with items one by one.
    pub(crate) fn open_stream<M: Message>(&self, message: &M) -> Items<M> {
        Items {
            answers: self.send(message),
            of: PhantomData,
        }
    }

    fn send<M: Message>(&self, message: &M) -> mpsc::UnboundedReceiver<CallReply> {
        self.put(M::NAME, encode(message).expect("it can be encoded"))
    }

    fn put(&self, name: &'static str, data: Vec<u8>) -> mpsc::UnboundedReceiver<CallReply> {
        let (answers, received) = mpsc::unbounded_channel();
        let outgoing = Outgoing {
            name,
            data,
            answers,
        };
        // Without a bus, the answers end at once.
        let _ = self.calls.send(outgoing);
        received
    }
}

/// The items of an answer.
pub(crate) struct Items<M> {
    answers: mpsc::UnboundedReceiver<CallReply>,
    of: PhantomData<M>,
}

impl<M: Message> Items<M> {
    /// The next; nothing at the end.
    pub(crate) async fn next(&mut self) -> Option<M::Reply> {
        let answer = self.answers.recv().await.expect("the stream has an end");
        if answer.reply_type == CallReplyType::Full as i32 {
            let end: Result<(), CallError> = decode(&answer.data).expect("an end");
            assert_eq!(end, Ok(()));
            return None;
        }
        let item: Result<M::Reply, CallError> = decode(&answer.data).expect("an item");
        Some(item.expect("an item"))
    }

    /// How many have come and were not taken.
    pub(crate) fn waiting(&self) -> usize {
        self.answers.len()
    }
}

struct Service {
    files: Files,
    states: Option<mpsc::UnboundedSender<ActivityState>>,
    usage: mpsc::UnboundedSender<ActivityUsage>,
}

async fn serve(
    listener: UnixListener,
    service: Service,
    mut calls: mpsc::UnboundedReceiver<Outgoing>,
) {
    let (stream, _) = listener.accept().await.expect("an exe-unit");
    let mut peer = Peer {
        connection: Framed::new(stream, PacketCodec::default()),
        address: String::new(),
        waiting: HashMap::new(),
    };
    peer.send(PacketKind::Hello(Hello::default())).await;
    loop {
        tokio::select! {
            packet = peer.connection.next() => match packet {
                Some(Ok(packet)) => peer.receive(packet, &service).await,
                Some(Err(_)) | None => return,
            },
            call = calls.recv(), if !peer.address.is_empty() => match call {
                Some(call) => peer.call(call).await,
                None => return,
            },
        }
    }
}

struct Peer {
    connection: Framed<UnixStream, PacketCodec>,
    /// What the exe-unit has registered.
    address: String,
    waiting: HashMap<String, mpsc::UnboundedSender<CallReply>>,
}

impl Peer {
    async fn send(&mut self, packet: PacketKind) {
        // An exe-unit that is gone needs nothing.
        let _ = self.connection.send(packet.into()).await;
    }

    async fn call(&mut self, call: Outgoing) {
        let request_id = self.waiting.len().to_string();
        self.waiting.insert(request_id.clone(), call.answers);
        self.send(PacketKind::CallRequest(CallRequest {
            caller: "/local".to_owned(),
            address: format!("{}/{}", self.address, call.name),
            request_id,
            data: call.data,
            no_reply: false,
        }))
        .await;
    }

    async fn receive(&mut self, packet: Packet, service: &Service) {
        match packet.kind.expect("a packet") {
            PacketKind::RegisterRequest(request) => {
                self.address = request.service_id;
                self.send(PacketKind::RegisterReply(RegisterReply {
                    code: RegisterReplyCode::Ok.into(),
                    message: String::new(),
                }))
                .await;
            }
            PacketKind::CallRequest(request) if request.address.contains(SILENT) => {}
            PacketKind::CallRequest(request) => {
                let (code, data) = match service.answer(&request) {
                    Ok(data) => (CallReplyCode::Ok, data),
                    Err(error) => (CallReplyCode::BadRequest, error.to_string().into_bytes()),
                };
                self.send(PacketKind::CallReply(CallReply {
                    request_id: request.request_id,
                    code: code.into(),
                    reply_type: CallReplyType::Full.into(),
                    data,
                }))
                .await;
            }
            PacketKind::CallReply(reply) => {
                if let Some(waiting) = self.waiting.get(&reply.request_id) {
                    // Who has called may have gone.
                    let _ = waiting.send(reply);
                }
            }
            _ => {}
        }
    }
}

impl Service {
    fn answer(&self, request: &CallRequest) -> Result<Vec<u8>, CallError> {
        let none = || CallError::NotFound(format!("there is no {}", request.address));
        let (service, message) = request.address.rsplit_once('/').ok_or_else(none)?;
        if let Some(name) = service.strip_prefix(FILES) {
            return self.files.answer(name, message, &request.data);
        }
        let states = self.states.as_ref().ok_or_else(none)?;
        let done: Result<(), CallError> = Ok(());
        // A test that does not look at reports has dropped their receivers.
        match (service, message) {
            ("/local/activity", SetState::NAME) => {
                let _ = states.send(decode::<SetState>(&request.data)?.state);
            }
            ("/local/activity", SetUsage::NAME) => {
                let _ = self.usage.send(decode::<SetUsage>(&request.data)?.usage);
            }
            _ => return Err(none()),
        }
        encode(&done)
    }
}

/// Where a bus is whose node is gone as soon as the sender is dropped.
pub(crate) fn open_until(socket: PathBuf, end: oneshot::Receiver<()>) {
    let listener = UnixListener::bind(socket).expect("a socket");
    let (states, usage) = (mpsc::unbounded_channel().0, mpsc::unbounded_channel().0);
    let service = Service {
        files: Files::default(),
        states: Some(states),
        usage,
    };
    tokio::spawn(async move {
        let (_calls, received) = mpsc::unbounded_channel();
        tokio::select! {
            () = serve(listener, service, received) => {}
            _ = end => {}
        }
    });
}
