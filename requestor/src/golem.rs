//! A requestor at work: one identity, one budget, and all that is bought with it.

mod demand;

use std::{
    io,
    panic::{self, AssertUnwindSafe},
    path::PathBuf,
    sync::{Arc, Mutex},
    time::Duration,
};

use chrono::{DateTime, TimeDelta, Utc};
use futures::{FutureExt, Stream};
use tokio_util::{sync::CancellationToken, task::TaskTracker};

use crate::{
    event::{Event, Events},
    id::NodeId,
    network::{Network, NoAddress},
    payment::{Accountant, Bill},
    retry::once,
    service::{ClusterBuilder, HandlerError, Service},
    transfer::TransferError,
    yagna::{Allocation, Amount, Decoration, NewAllocation, Yagna, YagnaError},
};

/// What time it is.
pub(crate) type Clock = fn() -> DateTime<Utc>;

/// How long to wait at the end for invoices.
const INVOICE_TIMEOUT: Duration = Duration::from_secs(30);

/// How long an allocation lives at the most, should nobody release it.
const ALLOCATION_LIFETIME: TimeDelta = TimeDelta::days(30);

/// A requestor at work: one identity, one budget, and all that is bought with it.
///
/// It lives until [`shutdown`](Golem::shutdown), which gives everything back and tells what it has cost;
/// [`run_on`](GolemBuilder::run_on) never forgets it. One that is dropped instead, as by a `?` on the way, does the same in
/// the background, but nobody hears of it, and it gets only as far as the tokio runtime lives: a program that ends leaves
/// the rest to the end of its agreements and of its allocation, and is billed up to then.
pub struct Golem {
    pub(crate) holdings: Holdings,
    pub(crate) events: Events,
    pub(crate) clock: Clock,
    identity: NodeId,
    decoration: Decoration,
    subnet: Option<String>,
    /// Whether all has been given back.
    closed: bool,
}

/// What a requestor has to give back at its end.
#[derive(Clone)]
pub(crate) struct Holdings {
    pub(crate) yagna: Arc<dyn Yagna>,
    pub(crate) allocation: Allocation,
    pub(crate) accountant: Accountant,
    /// Stops all clusters.
    pub(crate) stop: CancellationToken,
    /// The tasks of all clusters.
    pub(crate) tasks: TaskTracker,
    /// All that were made.
    networks: Arc<Mutex<Vec<Network>>>,
}

/// A requestor that is about to be; from [`Golem::builder`].
#[derive(Clone, Debug, Default)]
#[must_use = "a requestor does nothing until it is started"]
pub struct GolemBuilder {
    budget: Amount,
    subnet: Option<String>,
    driver: Option<String>,
    network: Option<String>,
}

impl GolemBuilder {
    /// How much may be spent in all, in GLM. It is set aside at the start.
    ///
    /// An offer is turned down if what is left of it, shared among the instances of the cluster, does not even pay for the
    /// start and for the time up to the provider's first debit note. When a provider claims more than is left, it is not
    /// paid, and its cluster ends.
    pub fn budget(mut self, glm: Amount) -> Self {
        self.budget = glm;
        self
    }

    /// The part of the network where providers are looked for: `public`, for instance.
    pub fn subnet_tag(mut self, subnet: impl Into<Option<String>>) -> Self {
        self.subnet = subnet.into();
        self
    }

    /// The payment driver, such as `erc20`; yagna's default if there is none.
    pub fn payment_driver(mut self, driver: impl Into<Option<String>>) -> Self {
        self.driver = driver.into();
        self
    }

    /// The payment network, such as `holesky` or `polygon`; yagna's default if there is none.
    pub fn payment_network(mut self, network: impl Into<Option<String>>) -> Self {
        self.network = network.into();
        self
    }

    /// Sets the budget aside, and starts to look after payments.
    ///
    /// # Errors
    /// If the budget is not more than 0 GLM, or the daemon does not answer or does not set it aside. Nothing is held then.
    pub async fn start_on(self, yagna: impl Yagna) -> Result<Golem, StartError> {
        self.start_by(Utc::now, yagna).await
    }

    /// As [`start_on`](Self::start_on), by a clock.
    pub(crate) async fn start_by(
        self,
        clock: Clock,
        yagna: impl Yagna,
    ) -> Result<Golem, StartError> {
        if self.budget <= Amount::ZERO {
            return Err(StartError::Budget(self.budget));
        }
        let yagna: Arc<dyn Yagna> = Arc::new(yagna);
        let now = clock();
        let identity = yagna.identity().await.map_err(StartError::Yagna)?;
        let allocation = NewAllocation {
            amount: self.budget,
            driver: self.driver,
            network: self.network,
            timeout: now + ALLOCATION_LIFETIME,
        };
        let allocation = yagna
            .create_allocation(allocation)
            .await
            .map_err(StartError::Yagna)?;
        let decoration = match yagna.decoration(&allocation.id).await {
            Ok(decoration) => decoration,
            Err(error) => {
                release(&*yagna, &allocation).await;
                return Err(StartError::Yagna(error));
            }
        };
        let events = Events::new();
        let (accountant, accounting) =
            Accountant::open(yagna.clone(), allocation.clone(), events.clone(), now);
        tokio::spawn(accounting);
        tracing::info!(%identity, allocation = %allocation.id, budget = %self.budget, "started");
        Ok(Golem {
            holdings: Holdings {
                yagna,
                allocation,
                accountant,
                stop: CancellationToken::new(),
                tasks: TaskTracker::new(),
                networks: Arc::default(),
            },
            events,
            clock,
            identity,
            decoration,
            subnet: self.subnet,
            closed: false,
        })
    }

    /// Starts a requestor, lets it do its `work`, and [shuts it down](Golem::shutdown) whatever comes of that, be it an
    /// error or a panic. Gives what `work` gives, and the bill.
    ///
    /// ```no_run
    /// # use requestor::{Golem, Payload, Result, Service, rest::Rest, vm};
    /// # struct Web;
    /// # impl Service for Web {
    /// #     async fn get_payload() -> Result<Payload> { Ok(vm::image_file("web.gvmi").payload()) }
    /// # }
    /// # async fn example() -> std::result::Result<(), Box<dyn std::error::Error>> {
    /// let golem = Golem::builder().budget("1.5".parse()?);
    /// let work = async |golem: &Golem| {
    ///     golem.run_service(|_| Web).start().await?.ended().await;
    ///     Ok(())
    /// };
    /// let (served, bill) = golem.run_on(Rest::from_env()?, work).await?;
    /// println!("{bill}");
    /// served
    /// # }
    /// ```
    ///
    /// # Errors
    /// As [`start_on`](Self::start_on); what `work` gives is apart from that.
    ///
    /// # Panics
    /// If `work` does, but after the end of the requestor.
    pub async fn run_on<T>(
        self,
        yagna: impl Yagna,
        work: impl AsyncFnOnce(&Golem) -> T,
    ) -> Result<(T, Bill), StartError> {
        let golem = self.start_on(yagna).await?;
        let done = AssertUnwindSafe(work(&golem)).catch_unwind().await;
        let bill = golem.shutdown().await;
        match done {
            Ok(done) => Ok((done, bill)),
            Err(panic) => panic::resume_unwind(panic),
        }
    }
}

impl Golem {
    /// A requestor to be.
    pub fn builder() -> GolemBuilder {
        GolemBuilder::default()
    }

    /// Who the requestor is on the network.
    pub fn identity(&self) -> &NodeId {
        &self.identity
    }

    /// All that happens from now on.
    pub fn events(&self) -> impl Stream<Item = Event> + Send + Unpin + use<> {
        self.events.subscribe()
    }

    /// A cluster to be, of a service. `make` makes the service of the instance with that index, from 0 on; once more
    /// when the instance has to begin anew on another provider.
    pub fn run_service<S, F>(&self, make: F) -> ClusterBuilder<'_, S, F>
    where
        S: Service,
        F: Fn(usize) -> S + Send + Sync + 'static,
    {
        ClusterBuilder::new(self, make)
    }

    /// Makes a virtual private network with these addresses: `192.168.7.0/24`. The requestor itself has the first.
    ///
    /// A cluster's instances are in it if its [builder](ClusterBuilder::network) says so.
    ///
    /// ```no_run
    /// # use requestor::{Golem, Payload, Result, Service, vm};
    /// # struct Web;
    /// # impl Service for Web {
    /// #     async fn get_payload() -> Result<Payload> { Ok(vm::image_file("web.gvmi").payload()) }
    /// # }
    /// # async fn example(golem: Golem) -> std::result::Result<(), Box<dyn std::error::Error>> {
    /// let network = golem.network("192.168.7.0/24").await?;
    /// let web = golem.run_service(|_| Web).network(&network).start().await?;
    /// web.all_running(std::time::Duration::from_secs(240)).await?;
    /// let address = network.hosts()["web-1"];
    /// let connection = network.connect(address, 80).await?;
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    /// If the daemon does not make it.
    pub async fn network(&self, range: &str) -> Result<Network, YagnaError> {
        let yagna = self.holdings.yagna.clone();
        let network = Network::create(yagna, &self.identity, range).await?;
        let mut networks = self
            .holdings
            .networks
            .lock()
            .expect("no panic while locked");
        networks.push(network.clone());
        Ok(network)
    }

    /// Stops all clusters, waits up to half a minute for the last invoices, and gives back what is left of the
    /// budget.
    pub async fn shutdown(mut self) -> Bill {
        let bill = self.holdings.give_back().await;
        self.closed = true;
        bill.expect("the accountant works until it is told to close")
    }
}

impl Drop for Golem {
    fn drop(&mut self) {
        if self.closed {
            return;
        }
        self.holdings.stop.cancel();
        if let Ok(runtime) = tokio::runtime::Handle::try_current() {
            let holdings = self.holdings.clone();
            runtime.spawn(async move { holdings.give_back().await });
        }
    }
}

impl Holdings {
    /// Ends everything; the bill, if nobody has asked for it before.
    async fn give_back(&self) -> Option<Bill> {
        self.stop.cancel();
        self.tasks.close();
        self.tasks.wait().await;
        let networks = std::mem::take(&mut *self.networks.lock().expect("no panic while locked"));
        for network in networks {
            network.remove().await;
        }
        let bill = self.accountant.close(INVOICE_TIMEOUT).await;
        release(&*self.yagna, &self.allocation).await;
        self.yagna.close().await;
        bill
    }
}

async fn release(yagna: &dyn Yagna, allocation: &Allocation) {
    if let Err(error) = once(|| yagna.release_allocation(&allocation.id)).await {
        tracing::warn!(allocation = %allocation.id, %error, "released only when it expires");
    }
}

/// Why a requestor or a cluster could not be started.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// Nothing can be bought.
    #[error("the budget must be more than 0 GLM, not {0}")]
    Budget(Amount),
    /// Yagna does not do its part.
    #[error("cannot start")]
    Yagna(#[source] YagnaError),
    /// The network has no room for the cluster.
    #[error("cannot start")]
    Network(#[source] NoAddress),
    /// The service does not say what it runs in.
    #[error("the service has no payload")]
    Payload(#[source] HandlerError),
    /// The image is not there.
    #[error("cannot read the image {path}")]
    #[expect(missing_docs, reason = "the message says it")]
    Image { path: PathBuf, source: io::Error },
    /// The image cannot be served.
    #[error("cannot serve the image")]
    Transfer(#[source] TransferError),
}

#[cfg(test)]
mod tests;
