//! The task that owns a demand: it negotiates, and hands out what is ready to be signed.

use std::{
    collections::VecDeque,
    future,
    panic::AssertUnwindSafe,
    pin::pin,
    sync::{Arc, OnceLock},
    time::Duration,
};

use async_stream::stream;
use futures::{FutureExt, Stream, StreamExt, future::BoxFuture, stream::FuturesUnordered};
use tokio::{
    sync::{mpsc, oneshot, watch},
    time::{Instant, sleep, sleep_until},
};
use tokio_util::sync::CancellationToken;

use super::{
    Strategy,
    negotiation::{ACCEPT_TIMEOUT, GATHERING, Negotiation, Outlook, Reply},
};
use crate::{
    event::{Event, Events},
    id::{DemandId, NodeId, ProposalId},
    panics::last_words,
    payment::Accountant,
    retry::{PAUSE, once, persisted},
    yagna::{Amount, Demand, MarketEvent, Problem, Proposal, Reason, Yagna, YagnaError},
};

/// How long one question for market events may wait for its answer.
const POLL: Duration = Duration::from_secs(5);

/// Tells a provider where it will be paid.
const CHOSEN_PLATFORM: &str = "golem.com.payment.chosen-platform";

/// What agreements are paid from.
#[derive(Clone, Debug)]
pub(crate) struct Funds {
    /// Where it can be spent.
    pub(crate) platform: String,
    pub(crate) accountant: Accountant,
    /// How many agreements it is for.
    pub(crate) agreements: usize,
}

impl Funds {
    /// What there is for each agreement.
    fn share(&self) -> Amount {
        self.accountant.left() / Amount::from(self.agreements.max(1))
    }
}

/// The way to a demand's negotiations.
#[derive(Clone, Debug)]
pub(crate) struct Market {
    requests: mpsc::UnboundedSender<Request>,
    outlook: watch::Receiver<Outlook>,
    over: Arc<OnceLock<Over>>,
}

/// Nobody negotiates any more.
#[derive(Clone, Debug, thiserror::Error)]
pub(crate) enum Over {
    #[error("the demand was withdrawn")]
    Withdrawn,
    #[error("the negotiation panicked: {0}")]
    Panicked(String),
}

enum Request {
    /// Somebody waits for the best proposal.
    Take(oneshot::Sender<Proposal>),
    /// A provider has let somebody down.
    Failed(NodeId, String),
}

impl Market {
    /// Publishes a demand, and negotiates for it until `stop`. Gives the way to it, and the work itself.
    pub(crate) async fn open(
        yagna: Arc<dyn Yagna>,
        demand: Demand,
        funds: Funds,
        strategy: Arc<dyn Strategy>,
        events: Events,
        stop: CancellationToken,
    ) -> Result<(Self, impl Future<Output = ()> + Send), YagnaError> {
        let id = yagna.publish_demand(&demand).await?;
        let (requests, queue) = mpsc::unbounded_channel();
        let (outlook_sender, outlook) = watch::channel(Outlook::default());
        let over = Arc::new(OnceLock::new());
        let negotiator = Negotiator {
            yagna,
            demand,
            funds,
            id,
            negotiation: Negotiation::new(strategy),
            waiting: VecDeque::new(),
            gathering_since: None,
            outlook: outlook_sender,
            events,
            over: over.clone(),
        };
        let market = Self {
            requests,
            outlook,
            over,
        };
        Ok((market, negotiator.work(queue, stop)))
    }

    /// The best proposal, as soon as there is one.
    pub(crate) async fn take(&self) -> Result<Proposal, Over> {
        let (sender, receiver) = oneshot::channel();
        let over = || self.over.get().cloned().unwrap_or(Over::Withdrawn);
        let request = Request::Take(sender);
        self.requests.send(request).map_err(|_| over())?;
        receiver.await.map_err(|_| over())
    }

    /// Tells that a provider has let us down, so that others are preferred to it.
    pub(crate) fn failed(&self, provider: NodeId, reason: String) {
        // Without a negotiator there is nobody left who would care.
        let _ = self.requests.send(Request::Failed(provider, reason));
    }

    /// What the market has to offer.
    pub(crate) fn outlook(&self) -> Outlook {
        self.outlook.borrow().clone()
    }
}

/// What the market says.
enum Heard {
    /// The demand has a new id: the old one had expired.
    Published(DemandId),
    Event(MarketEvent),
}

/// Follows a demand on the market, and publishes it anew when it has expired.
///
/// A stream, since a question that is dropped on its way may take events with it.
fn follow(
    yagna: Arc<dyn Yagna>,
    demand: Demand,
    mut id: DemandId,
) -> impl Stream<Item = Heard> + Send {
    stream! {
        loop {
            let republished = match yagna.market_events(&id, POLL).await {
                Ok(events) => {
                    for event in events {
                        yield Heard::Event(event);
                    }
                    continue;
                }
                Err(YagnaError { problem: Problem::NotFound(_), .. }) => {
                    yagna.publish_demand(&demand).await
                }
                Err(error) => Err(error),
            };
            match republished {
                Ok(new) => {
                    tracing::debug!(old = %id, %new, "published the demand again");
                    id = new.clone();
                    yield Heard::Published(new);
                }
                Err(error) => {
                    tracing::warn!(demand = %id, %error, "the market is silent");
                    sleep(PAUSE).await;
                }
            }
        }
    }
}

struct Negotiator {
    yagna: Arc<dyn Yagna>,
    demand: Demand,
    funds: Funds,
    id: DemandId,
    negotiation: Negotiation,
    waiting: VecDeque<oneshot::Sender<Proposal>>,
    /// When the first of the present drafts came.
    gathering_since: Option<Instant>,
    outlook: watch::Sender<Outlook>,
    events: Events,
    over: Arc<OnceLock<Over>>,
}

/// What was sent: the offer that was countered and our counter-proposal, or a rejection, of which no more is heard.
type Sent = Option<(ProposalId, Option<ProposalId>)>;

impl Negotiator {
    async fn work(mut self, requests: mpsc::UnboundedReceiver<Request>, stop: CancellationToken) {
        let negotiated = AssertUnwindSafe(self.negotiate(requests)).catch_unwind();
        if let Some(Err(panic)) = stop.run_until_cancelled(negotiated).await {
            let over = Over::Panicked(last_words(&*panic).to_owned());
            tracing::error!(demand = %self.id, %over, "negotiations have ended");
            self.over.get_or_init(|| over);
        }
        // Who waits hears of it before the demand is withdrawn.
        self.waiting.clear();
        if let Err(error) = once(|| self.yagna.withdraw_demand(&self.id)).await {
            tracing::warn!(demand = %self.id, %error, "the demand stays until it expires");
        }
    }

    async fn negotiate(&mut self, mut requests: mpsc::UnboundedReceiver<Request>) {
        let heard = follow(self.yagna.clone(), self.demand.clone(), self.id.clone());
        let mut heard = pin!(heard);
        let mut sending: FuturesUnordered<BoxFuture<'static, Sent>> = FuturesUnordered::new();
        loop {
            tokio::select! {
                Some(heard) = heard.next() => sending.extend(self.on_heard(heard)),
                Some(Some((offer, ours))) = sending.next() => {
                    self.negotiation.on_countered(&offer, ours);
                }
                Some(request) = requests.recv() => self.on_request(request),
                () = gathered(self.gathering_since) => {}
            }
            self.hand_out();
            self.outlook
                .send_replace(self.negotiation.outlook().clone());
        }
    }

    fn on_heard(&mut self, heard: Heard) -> Option<BoxFuture<'static, Sent>> {
        let event = match heard {
            Heard::Event(event) => event,
            Heard::Published(id) => {
                self.id = id;
                return None;
            }
        };
        if let MarketEvent::Proposal(proposal) = &event {
            self.events.send(Event::ProposalReceived {
                proposal: proposal.id.clone(),
                provider: proposal.provider_name().into(),
            });
        }
        self.negotiation.set_share(self.funds.share());
        self.negotiation
            .on_event(event)
            .map(|reply| self.send(reply))
    }

    fn on_request(&mut self, request: Request) {
        match request {
            Request::Take(sender) => self.waiting.push_back(sender),
            Request::Failed(provider, reason) => self.negotiation.on_failure(provider, reason),
        }
    }

    fn send(&self, reply: Reply) -> BoxFuture<'static, Sent> {
        let (yagna, demand) = (self.yagna.clone(), self.id.clone());
        match reply {
            Reply::Counter {
                proposal,
                accept_timeout,
            } => {
                let mut counter = self.demand.clone();
                counter
                    .properties
                    .set(CHOSEN_PLATFORM, self.funds.platform.as_str());
                if let Some(seconds) = accept_timeout {
                    counter.properties.set(ACCEPT_TIMEOUT, seconds);
                }
                async move {
                    let countered =
                        persisted(|| yagna.counter_proposal(&demand, &proposal, &counter)).await;
                    // An offer that is gone by now is no harm: there will be others.
                    let ours = countered.inspect_err(|error| tracing::debug!(%error)).ok();
                    Some((proposal, ours))
                }
                .boxed()
            }
            Reply::Reject { proposal, reason } => async move {
                let reason = Reason::new(reason);
                let rejected = once(|| yagna.reject_proposal(&demand, &proposal, &reason)).await;
                if let Err(error) = rejected {
                    tracing::debug!(%error);
                }
                None
            }
            .boxed(),
        }
    }

    /// Gives the best drafts to those who wait.
    fn hand_out(&mut self) {
        if !self.negotiation.has_drafts() {
            self.gathering_since = None;
            return;
        }
        let since = *self.gathering_since.get_or_insert_with(Instant::now);
        let enough = self.negotiation.is_settled() || since.elapsed() >= GATHERING;
        self.waiting.retain(|sender| !sender.is_closed());
        while enough && !self.waiting.is_empty() {
            let Some(best) = self.negotiation.take_best() else {
                break;
            };
            let sender = self.waiting.pop_front().expect("somebody waits");
            // Who has gone meanwhile leaves a draft behind, which expires on its own.
            let _ = sender.send(best);
        }
    }
}

/// Waits until drafts have been gathered long enough; for ever if there are none.
async fn gathered(since: Option<Instant>) {
    match since {
        Some(since) if since.elapsed() < GATHERING => sleep_until(since + GATHERING).await,
        _ => future::pending().await,
    }
}
