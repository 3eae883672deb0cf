//! Who waits for what on a connection to the bus: packets and orders come in, packets go out.

use std::collections::{HashMap, VecDeque};

use tokio::sync::{mpsc, oneshot};

use super::{IncomingCall, Order, RegisterError, Reply};
use crate::gsb::{
    CallError, CallReply, CallReplyCode, CallReplyType, CallRequest, Packet, PacketKind, Pong,
    RegisterReply, RegisterReplyCode, RegisterRequest,
};

/// Who waits for what.
pub(super) struct Desk {
    orders: mpsc::WeakSender<Order>,
    /// Which connection this is.
    connection: u64,
    calls_made: u64,
    calling: HashMap<String, oneshot::Sender<Result<Vec<u8>, CallError>>>,
    /// In the order of their requests, which is that of the replies.
    registering: VecDeque<Registration>,
    services: HashMap<String, mpsc::UnboundedSender<IncomingCall>>,
}

struct Registration {
    address: String,
    calls: mpsc::UnboundedSender<IncomingCall>,
    /// Who waits for it; nobody if it is registered again.
    registered: Option<oneshot::Sender<Result<(), RegisterError>>>,
}

impl Desk {
    pub(super) fn new(orders: mpsc::WeakSender<Order>) -> Self {
        Self {
            orders,
            connection: 0,
            calls_made: 0,
            calling: HashMap::new(),
            registering: VecDeque::new(),
            services: HashMap::new(),
        }
    }

    /// A connection is lost: nobody will answer what was asked by it, or hears what was asked by the other side.
    pub(super) fn forget_calls(&mut self) {
        self.connection += 1;
        self.calling.clear();
        // What was being registered again is to be so next time; whoever waits for the first time waits no longer.
        for registration in self.registering.drain(..) {
            if registration.registered.is_none() {
                self.services
                    .insert(registration.address, registration.calls);
            }
        }
    }

    /// How all services are registered at a bus that knows none of them.
    pub(super) fn register_again(&mut self) -> Vec<PacketKind> {
        let services = std::mem::take(&mut self.services);
        let registration = |(address, calls): (String, mpsc::UnboundedSender<IncomingCall>)| {
            let service_id = address.clone();
            self.registering.push_back(Registration {
                address,
                calls,
                registered: None,
            });
            PacketKind::RegisterRequest(RegisterRequest { service_id })
        };
        services.into_iter().map(registration).collect()
    }

    /// The packet by which an order is carried out, if it still can be.
    pub(super) fn accept(&mut self, order: Order) -> Option<PacketKind> {
        Some(match order {
            Order::Register {
                address,
                calls,
                registered,
            } => {
                self.registering.push_back(Registration {
                    address: address.clone(),
                    calls,
                    registered: Some(registered),
                });
                PacketKind::RegisterRequest(RegisterRequest {
                    service_id: address,
                })
            }
            Order::Call {
                address,
                data,
                replied,
            } => {
                self.calls_made += 1;
                let request_id = self.calls_made.to_string();
                self.calling.insert(request_id.clone(), replied);
                PacketKind::CallRequest(CallRequest {
                    caller: String::new(),
                    address,
                    request_id,
                    data,
                    no_reply: false,
                })
            }
            Order::Answer(connection, packet) if connection == self.connection => packet,
            Order::Answer(..) => return None,
        })
    }

    /// Hands a packet to whoever waits for it; what is left to be sent back at once.
    pub(super) fn receive(&mut self, packet: Packet) -> Option<PacketKind> {
        match packet.kind? {
            PacketKind::Ping(_) => return Some(PacketKind::Pong(Pong {})),
            PacketKind::CallRequest(call) => return self.deliver(call),
            PacketKind::CallReply(reply) => self.settle(reply),
            PacketKind::RegisterReply(reply) => self.registered(reply),
            // A peer has no use for the rest.
            _ => {}
        }
        None
    }

    /// Gives a call to the service at its address, or at the nearest above it; or refuses it.
    fn deliver(&mut self, call: CallRequest) -> Option<PacketKind> {
        let mut reply = Reply {
            request_id: call.request_id,
            connection: self.connection,
            orders: self.orders.upgrade().filter(|_| !call.no_reply),
        };
        let services = &self.services;
        let service = call.address.rmatch_indices('/').find_map(|(slash, _)| {
            let service = services.get(&call.address[..slash])?;
            Some((service, call.address[slash + 1..].to_owned()))
        });
        if let Some((service, message)) = service {
            let call = IncomingCall {
                message,
                data: call.data,
                reply,
            };
            // A service that has ended drops the call, and so answers it.
            let _ = service.send(call);
            return None;
        }
        reply.orders.take()?;
        let text = format!("there is no service at {}", call.address).into_bytes();
        Some(reply.packet(CallReplyCode::BadRequest, CallReplyType::Full, text))
    }

    fn settle(&mut self, reply: CallReply) {
        let Some(replied) = self.calling.remove(&reply.request_id) else {
            return;
        };
        let text = || String::from_utf8_lossy(&reply.data).into_owned();
        let answer = match CallReplyCode::try_from(reply.code) {
            Ok(CallReplyCode::BadRequest) => Err(CallError::NotFound(text())),
            Ok(CallReplyCode::ServiceFailure) => Err(CallError::Closed(text())),
            Ok(CallReplyCode::Ok) | Err(_) => Ok(reply.data),
        };
        // Who called may have given up.
        let _ = replied.send(answer);
    }

    fn registered(&mut self, reply: RegisterReply) {
        let Some(registration) = self.registering.pop_front() else {
            return;
        };
        let address = registration.address;
        let answer = match reply.code == RegisterReplyCode::Ok as i32 {
            true => {
                self.services.insert(address, registration.calls);
                Ok(())
            }
            false => {
                tracing::warn!(address, reason = reply.message, "an address is refused");
                Err(RegisterError::Refused {
                    address,
                    reason: reply.message,
                })
            }
        };
        if let Some(registered) = registration.registered {
            let _ = registered.send(answer);
        }
    }
}
