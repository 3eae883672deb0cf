//! A peer on the bus: an exe-unit, at the other end of a unix socket.

use std::collections::HashMap;

use exeunit::gsb::{
    CallError, CallReply, CallReplyCode, CallReplyType, CallRequest, Hello, Packet, PacketCodec,
    PacketError, PacketKind, Pong, RegisterReply, RegisterReplyCode, UnregisterReply,
    UnregisterReplyCode,
};
use futures::{SinkExt, StreamExt, stream::SplitSink};
use tokio::{net::UnixStream, sync::mpsc, task::JoinSet};
use tokio_util::codec::Framed;

use super::{Answer, Answers, BindError, Bus, Call, Line};

/// Serves a peer until it goes. Its addresses are free then, and calls to it have failed.
pub(super) async fn connect(stream: UnixStream, bus: Bus) {
    let (line, mut calls) = bus.open_line().await;
    let (sink, mut packets) = Framed::new(stream, PacketCodec::default()).split();
    let (outgoing, queue) = mpsc::unbounded_channel();
    let mut peer = Peer {
        bus: bus.clone(),
        line: line.clone(),
        outgoing,
        waiting: HashMap::new(),
        requests: 0,
        asked: JoinSet::new(),
    };
    peer.send(PacketKind::Hello(Hello {
        name: env!("CARGO_PKG_NAME").to_owned(),
        version: env!("CARGO_PKG_VERSION").to_owned(),
        instance_id: Vec::new(),
    }));
    let reading = async {
        loop {
            tokio::select! {
                packet = packets.next() => match packet {
                    Some(Ok(packet)) => peer.receive(packet).await,
                    Some(Err(error)) => return Err(error),
                    None => return Ok(()),
                },
                Some(call) = calls.recv() => peer.forward(call),
            }
        }
    };
    let ended = tokio::select! {
        ended = reading => ended,
        ended = write(sink, queue) => ended,
    };
    if let Err(error) = ended {
        tracing::warn!(?error, "a peer of the bus was lost");
    }
    bus.close_line(line).await;
}

/// Writes what is queued. A peer that does not read blocks nobody but itself.
async fn write(
    mut sink: SplitSink<Framed<UnixStream, PacketCodec>, Packet>,
    mut queue: mpsc::UnboundedReceiver<PacketKind>,
) -> Result<(), PacketError> {
    while let Some(packet) = queue.recv().await {
        sink.send(packet.into()).await?;
    }
    Ok(())
}

struct Peer {
    bus: Bus,
    /// What leads to it.
    line: Line,
    outgoing: mpsc::UnboundedSender<PacketKind>,
    /// Calls to it that it has not answered.
    waiting: HashMap<String, mpsc::UnboundedSender<Answer>>,
    requests: u64,
    /// Calls of its own.
    asked: JoinSet<()>,
}

impl Peer {
    fn send(&self, packet: PacketKind) {
        // If the writer has ended, so will the reader.
        let _ = self.outgoing.send(packet);
    }

    async fn receive(&mut self, packet: Packet) {
        match packet.kind {
            Some(PacketKind::RegisterRequest(request)) => {
                let bound = self.bus.bind(request.service_id, self.line.clone()).await;
                self.send(PacketKind::RegisterReply(register_reply(bound)));
            }
            Some(PacketKind::UnregisterRequest(request)) => {
                let freed = self.bus.unbind(request.service_id, self.line.clone()).await;
                let code = match freed {
                    true => UnregisterReplyCode::Ok,
                    false => UnregisterReplyCode::NotRegistered,
                };
                let reply = UnregisterReply { code: code.into() };
                self.send(PacketKind::UnregisterReply(reply));
            }
            Some(PacketKind::CallRequest(request)) => self.ask(request).await,
            Some(PacketKind::CallReply(reply)) => self.answer(reply),
            Some(PacketKind::Ping(_)) => self.send(PacketKind::Pong(Pong {})),
            // The rest has nothing to say to a node.
            _ => {}
        }
    }

    /// Puts a call of the peer's through: here, so that its calls arrive in their order.
    async fn ask(&mut self, request: CallRequest) {
        let answers = self.bus.send(&request.address, request.data).await;
        if request.no_reply {
            return;
        }
        let outgoing = self.outgoing.clone();
        self.asked
            .spawn(return_answers(request.request_id, answers, outgoing));
        while self.asked.try_join_next().is_some() {}
    }

    /// Puts a call through to the peer.
    fn forward(&mut self, call: Call) {
        self.requests += 1;
        let request_id = self.requests.to_string();
        self.waiting.insert(request_id.clone(), call.answers);
        self.send(PacketKind::CallRequest(CallRequest {
            caller: "/local".to_owned(),
            address: call.address,
            request_id,
            data: call.data,
            no_reply: false,
        }));
    }

    /// Returns an answer of the peer's to who called it.
    fn answer(&mut self, reply: CallReply) {
        let is_part = reply.reply_type == CallReplyType::Partial as i32;
        let waiting = match is_part {
            true => self.waiting.get(&reply.request_id).cloned(),
            false => self.waiting.remove(&reply.request_id),
        };
        let Some(waiting) = waiting else {
            tracing::debug!(
                request = reply.request_id,
                "an answer that nobody waits for"
            );
            return;
        };
        let text = || String::from_utf8_lossy(&reply.data).into_owned();
        let answer = match CallReplyCode::try_from(reply.code) {
            Ok(CallReplyCode::BadRequest) => Answer::Failed(CallError::BadRequest(text())),
            Ok(CallReplyCode::ServiceFailure) => Answer::Failed(CallError::Closed(text())),
            _ if is_part => Answer::Part(reply.data),
            _ => Answer::Last(reply.data),
        };
        if waiting.send(answer).is_err() {
            self.waiting.remove(&reply.request_id);
        }
    }
}

fn register_reply(bound: Result<(), BindError>) -> RegisterReply {
    let code = match bound {
        Ok(()) => RegisterReplyCode::Ok,
        Err(BindError::Malformed(_)) => RegisterReplyCode::BadRequest,
        Err(BindError::Taken(_)) => RegisterReplyCode::Conflict,
    };
    RegisterReply {
        code: code.into(),
        message: bound
            .err()
            .map(|error| error.to_string())
            .unwrap_or_default(),
    }
}

/// Returns the answers to a call of the peer's, one by one.
async fn return_answers(
    request_id: String,
    mut answers: Answers,
    outgoing: mpsc::UnboundedSender<PacketKind>,
) {
    loop {
        let answer = answers.recv().await.unwrap_or_else(|| {
            Answer::Failed(CallError::Closed("the service has gone".to_owned()))
        });
        let is_part = matches!(answer, Answer::Part(_));
        let (code, data) = match answer {
            Answer::Part(data) | Answer::Last(data) => (CallReplyCode::Ok, data),
            Answer::Failed(CallError::Closed(text)) => {
                (CallReplyCode::ServiceFailure, text.into_bytes())
            }
            Answer::Failed(error) => (CallReplyCode::BadRequest, error.to_string().into_bytes()),
        };
        let reply_type = match is_part {
            true => CallReplyType::Partial,
            false => CallReplyType::Full,
        };
        let reply = CallReply {
            request_id: request_id.clone(),
            code: code.into(),
            reply_type: reply_type.into(),
            data,
        };
        if outgoing.send(PacketKind::CallReply(reply)).is_err() || !is_part {
            return;
        }
    }
}
