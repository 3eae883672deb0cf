//! The task that talks to a sandbox's agent on behalf of everybody else.

use std::collections::{BTreeMap, VecDeque};

use futures::{SinkExt, StreamExt};
use prost::bytes::BytesMut;
use tokio::{
    net::UnixStream,
    sync::{mpsc, oneshot},
};
use tokio_util::codec::{Decoder, Framed};

use super::wire::{
    AgentFrames, HostFrames, Measure, Measured, Refused, Report, Request, Run, Store, ToAgent,
};

pub(crate) type Connection = Framed<UnixStream, HostFrames>;

/// What the task can be told to do.
#[derive(Debug)]
pub(crate) enum Order {
    /// Start a command.
    Run {
        run: Run,
        /// Where its output and its end go to.
        reports: mpsc::UnboundedSender<Report>,
        /// Whether it has started. Unanswered if the sandbox has ended.
        started: oneshot::Sender<Result<(), Refused>>,
    },
    /// Pass on a message that has no answer.
    Tell(Request),
    /// Ask for what is used. Unanswered if the sandbox has ended.
    Measure(oneshot::Sender<Measured>),
    /// Keep a piece of an archive. Answered with the reason if that cannot be; unanswered if the sandbox has ended.
    Store(Store, oneshot::Sender<Option<String>>),
    /// Hang up, which ends the sandbox.
    Stop,
}

/// Serves orders until the agent or the last who could give any is gone, or one is to stop.
pub(crate) async fn serve(mut connection: Connection, mut orders: mpsc::UnboundedReceiver<Order>) {
    let mut desk = Desk::default();
    loop {
        tokio::select! {
            order = orders.recv() => {
                let Some(request) = order.and_then(|order| desk.accept(order)) else {
                    return;
                };
                let request = ToAgent { request: Some(request) };
                if connection.send(request).await.is_err() {
                    return;
                }
            }
            report = connection.next() => match report {
                Some(Ok(report)) => report.report.into_iter().for_each(|report| desk.file(report)),
                Some(Err(_)) | None => return,
            },
        }
    }
}

/// Who waits for what. Whoever waits still when it is dropped learns that the sandbox has ended.
#[derive(Default)]
struct Desk {
    starting: BTreeMap<u64, oneshot::Sender<Result<(), Refused>>>,
    running: BTreeMap<u64, mpsc::UnboundedSender<Report>>,
    measuring: VecDeque<oneshot::Sender<Measured>>,
    storing: VecDeque<oneshot::Sender<Option<String>>>,
}

impl Desk {
    /// What to send to the agent; nothing if it is to stop.
    fn accept(&mut self, order: Order) -> Option<Request> {
        match order {
            Order::Run {
                run,
                reports,
                started,
            } => {
                self.starting.insert(run.id, started);
                self.running.insert(run.id, reports);
                Some(Request::Run(run))
            }
            Order::Tell(request) => Some(request),
            Order::Measure(measured) => {
                self.measuring.push_back(measured);
                Some(Request::Measure(Measure {}))
            }
            Order::Store(store, stored) => {
                self.storing.push_back(stored);
                Some(Request::Store(store))
            }
            Order::Stop => None,
        }
    }

    /// Hands a report to whoever waits for it, if they still do.
    fn file(&mut self, report: Report) {
        match report {
            Report::Started(started) => {
                if let Some(waiting) = self.starting.remove(&started.id) {
                    let _ = waiting.send(Ok(()));
                }
            }
            Report::Refused(refused) => {
                self.running.remove(&refused.id);
                if let Some(waiting) = self.starting.remove(&refused.id) {
                    let _ = waiting.send(Err(refused));
                }
            }
            Report::Output(output) => {
                if let Some(reports) = self.running.get(&output.id) {
                    let _ = reports.send(Report::Output(output));
                }
            }
            Report::Ended(ended) => {
                if let Some(reports) = self.running.remove(&ended.id) {
                    let _ = reports.send(Report::Ended(ended));
                }
            }
            Report::Stored(stored) => {
                if let Some(waiting) = self.storing.pop_front() {
                    let _ = waiting.send(stored.reason);
                }
            }
            Report::Measured(measured) => {
                if let Some(waiting) = self.measuring.pop_front() {
                    let _ = waiting.send(measured);
                }
            }
            Report::Ready(_) | Report::Unable(_) => {}
        }
    }
}

/// How many messages of an agent there are in some bytes, before the first that makes no sense: they are understood as
/// those of a sandbox are. For tests that make up bytes.
#[doc(hidden)]
pub fn understand_agent(bytes: &[u8]) -> usize {
    let mut desk = Desk::default();
    let (started, _answer) = oneshot::channel();
    desk.starting.insert(1, started);
    let (reports, _received) = mpsc::unbounded_channel();
    desk.running.insert(1, reports);
    let mut received = BytesMut::from(bytes);
    let mut frames = HostFrames::default();
    let mut count = 0;
    while let Ok(Some(message)) = frames.decode(&mut received) {
        count += 1;
        message
            .report
            .into_iter()
            .for_each(|report| desk.file(report));
    }
    count
}

/// How many messages of a host there are in some bytes, before the first that makes no sense, as an agent understands
/// them. For tests that make up bytes.
#[doc(hidden)]
pub fn understand_host(bytes: &[u8]) -> usize {
    let mut received = BytesMut::from(bytes);
    let mut frames = AgentFrames::default();
    std::iter::from_fn(|| frames.decode(&mut received).ok().flatten()).count()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use prost::Message;

    use super::*;
    use crate::sandbox::wire::{End, Ended, FromAgent, Output};

    fn frames(reports: &[Report]) -> Vec<u8> {
        let frame = |report: &Report| {
            let report = Some(report.clone());
            let message = FromAgent { report }.encode_to_vec();
            let length = u32::try_from(message.len()).expect("a short message");
            [length.to_be_bytes().to_vec(), message].concat()
        };
        reports.iter().flat_map(frame).collect()
    }

    fn any_report() -> impl Strategy<Value = Report> {
        let output = (any::<u64>(), any::<bool>(), any::<Vec<u8>>());
        prop_oneof![
            output.prop_map(|(id, is_error, bytes)| Report::Output(Output {
                id,
                is_error,
                bytes: bytes.into(),
            })),
            (any::<u64>(), any::<i32>()).prop_map(|(id, code)| Report::Ended(Ended {
                id,
                end: Some(End::Code(code)),
            })),
        ]
    }

    proptest! {
        #[test]
        fn whole_messages_are_understood(reports in prop::collection::vec(any_report(), 0..8)) {
            prop_assert_eq!(understand_agent(&frames(&reports)), reports.len());
        }

        #[test]
        fn nonsense_is_refused(
            reports in prop::collection::vec(any_report(), 0..4),
            cut in any::<prop::sample::Index>(),
            noise in any::<Vec<u8>>(),
        ) {
            let mut bytes = frames(&reports);
            bytes.truncate(cut.index(bytes.len() + 1));
            bytes.extend(noise);
            prop_assert!(understand_agent(&bytes) <= bytes.len() / 4);
            prop_assert!(understand_host(&bytes) <= bytes.len() / 4);
        }
    }
}
