//! A runtime program that stays, and runs commands as it is asked to on its standard streams.

use std::{io, process::ExitStatus, time::Duration};

use futures::{SinkExt, StreamExt};
use tokio::{
    process::{ChildStdin, ChildStdout},
    sync::{mpsc, oneshot, watch},
};
use tokio_util::codec::{FramedRead, FramedWrite};

use super::ledger::{FIRST_REQUEST, Ledger};
use crate::{
    frame::FrameError,
    measure,
    runtime::protocol::{
        Answer, Command, Empty, Hello, Request, Response, SupervisorFrames, VERSION,
    },
    sandbox::{Counters, Order, wire::Measured},
    tied::Tied,
};

/// How long a runtime may take to end once it was told to.
const PATIENCE: Duration = Duration::from_secs(5);

type Requests = FramedWrite<ChildStdin, SupervisorFrames>;
type Responses = FramedRead<ChildStdout, SupervisorFrames>;

/// Why a runtime program did not start to serve.
#[derive(Debug, thiserror::Error)]
pub(super) enum ServiceError {
    #[error("the runtime has ended with {0} instead of saying hello")]
    Ended(ExitStatus),
    #[error("cannot talk to the runtime")]
    Talk(#[source] FrameError),
    #[error("the runtime has not said hello: {0}")]
    Unfriendly(String),
    #[error("the runtime's end cannot be waited for")]
    Wait(#[source] io::Error),
}

/// A runtime program at work.
#[derive(Debug)]
pub(super) struct Service {
    pub(super) orders: mpsc::UnboundedSender<Order>,
    pub(super) counters: watch::Receiver<Counters>,
    program: Tied,
}

/// The streams of a program that has said hello.
pub(super) struct Streams {
    requests: Requests,
    responses: Responses,
}

impl Streams {
    /// Waits until a program that was just started says hello.
    pub(super) async fn open(program: &mut Tied) -> Result<Self, ServiceError> {
        let (Some(stdin), Some(stdout)) =
            (program.child().stdin.take(), program.child().stdout.take())
        else {
            return Err(ServiceError::Unfriendly("it has no streams".to_owned()));
        };
        let mut requests = Requests::new(stdin, SupervisorFrames::default());
        let mut responses = Responses::new(stdout, SupervisorFrames::default());
        let hello = Request {
            id: FIRST_REQUEST,
            command: Some(Command::Hello(Hello {
                version: VERSION.to_owned(),
            })),
        };
        // One that has ended is told of by its exit code.
        let sent = requests.send(hello).await;
        greeting(program, &mut responses).await?;
        sent.map_err(ServiceError::Talk)?;
        Ok(Self {
            requests,
            responses,
        })
    }
}

impl Service {
    /// Talks to a program from here on.
    pub(super) fn begin(program: Tied, streams: Streams) -> Self {
        let (orders, received) = mpsc::unbounded_channel();
        let (counted, counters) = watch::channel(Counters::default());
        let desk = Desk {
            requests: streams.requests,
            ledger: Ledger::new(counted),
            warden: program.id(),
        };
        tokio::spawn(desk.serve(received, streams.responses));
        Self {
            orders,
            counters,
            program,
        }
    }

    /// Ends it; when this returns, none of its processes is left.
    pub(super) async fn stop(self) {
        // Who is gone already has nothing to be stopped, and is only waited for.
        let _ = self.orders.send(Order::Stop);
        self.program.wait_or_kill(PATIENCE).await;
    }
}

/// Waits for the answer to the first request.
async fn greeting(program: &mut Tied, responses: &mut Responses) -> Result<(), ServiceError> {
    loop {
        let response: Response = match responses.next().await {
            Some(Ok(response)) => response,
            Some(Err(error)) => return Err(ServiceError::Talk(error)),
            None => {
                let status = program.wait().await.map_err(ServiceError::Wait)?;
                return Err(ServiceError::Ended(status));
            }
        };
        match response.answer {
            Some(Answer::Hello(_)) => return Ok(()),
            Some(Answer::Error(error)) => return Err(ServiceError::Unfriendly(error.message)),
            // It may tell of itself first.
            Some(Answer::Status(_) | Answer::Runtime(_)) => {}
            _ => {
                let reason = "it has answered something else".to_owned();
                return Err(ServiceError::Unfriendly(reason));
            }
        }
    }
}

/// The task that talks to the program on behalf of everybody else.
struct Desk {
    requests: Requests,
    ledger: Ledger,
    warden: Option<rustix::process::Pid>,
}

impl Desk {
    /// Serves orders until the runtime or the last who could give any is gone, or one is to stop.
    async fn serve(mut self, mut orders: mpsc::UnboundedReceiver<Order>, mut responses: Responses) {
        loop {
            let is_full = self.ledger.is_full();
            let request = tokio::select! {
                order = orders.recv() => match order {
                    None | Some(Order::Stop) => {
                        self.say_goodbye(responses).await;
                        return;
                    }
                    Some(Order::Run { run, reports, started }) => {
                        self.ledger.run(run, reports, started)
                    }
                    Some(Order::Tell(request)) => self.ledger.tell(request),
                    // Nobody has files for what has folders. Unanswered, it is refused.
                    Some(Order::Store(..)) => None,
                    Some(Order::Measure(measured)) => {
                        self.measure(measured);
                        None
                    }
                },
                response = responses.next(), if !is_full => match response {
                    Some(Ok(response)) => self.ledger.hear(response),
                    Some(Err(error)) => {
                        tracing::warn!(%error, "the runtime cannot be understood any more");
                        return;
                    }
                    None => return,
                },
            };
            if let Some(request) = request
                && self.requests.send(request).await.is_err()
            {
                return;
            }
        }
    }

    /// Tells the runtime to end, and reads on: what it has still to say must not hold it up.
    async fn say_goodbye(mut self, mut responses: Responses) {
        let shutdown = Request {
            id: u64::MAX,
            command: Some(Command::Shutdown(Empty {})),
        };
        if self.requests.send(shutdown).await.is_ok() {
            while let Some(Ok(_)) = responses.next().await {}
        }
    }

    fn measure(&self, measured: oneshot::Sender<Measured>) {
        let used = self.warden.map(measure::tree).unwrap_or_default();
        let _ = measured.send(used);
    }
}
