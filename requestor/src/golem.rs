//! A requestor at work: one identity, one budget, and all that is bought with it.

use std::{
    fs::File,
    io::{self, Read},
    panic::{self, AssertUnwindSafe},
    path::{Path, PathBuf},
    sync::{Arc, Mutex},
    time::Duration,
};

use chrono::{DateTime, TimeDelta, Utc};
use futures::{FutureExt, Stream};
use sha3::{Digest, Sha3_224};
use tokio_util::{sync::CancellationToken, task::TaskTracker};

use crate::{
    event::{Event, Events},
    id::NodeId,
    network::{Network, NoAddress},
    payload::{Payload, vm},
    payment::{Accountant, Bill},
    retry::once,
    service::{ClusterBuilder, HandlerError, Service},
    transfer::{Outgoing, TransferError},
    yagna::{
        Allocation, Amount, Decoration, Demand, FileService, NewAllocation, Yagna, YagnaError,
    },
};

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
        if self.budget <= Amount::ZERO {
            return Err(StartError::Budget(self.budget));
        }
        let yagna: Arc<dyn Yagna> = Arc::new(yagna);
        let now = Utc::now();
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
        F: FnMut(usize) -> S + Clone + Send + 'static,
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

    /// The demand for a payload, and the service through which providers get its image.
    pub(crate) async fn demand(
        &self,
        payload: Payload,
        expiration: Duration,
    ) -> Result<(Demand, Option<FileService>), StartError> {
        let mut properties = payload.properties;
        let image = match payload.image {
            Some(path) => {
                let (package, service) = self.serve_image(path).await?;
                properties.set(vm::TASK_PACKAGE, package);
                Some(service)
            }
            None => None,
        };
        let mut constraints = payload.constraints;
        properties.set("golem.srv.comp.expiration", expires(Utc::now(), expiration));
        properties.set("golem.srv.caps.multi-activity", true);
        if let Some(subnet) = &self.subnet {
            properties.set("golem.node.debug.subnet", subnet.as_str());
            constraints.push(format!("(golem.node.debug.subnet={subnet})"));
        }
        properties.extend(self.decoration.properties.clone());
        constraints.extend(self.decoration.constraints.iter().cloned());
        Ok((
            Demand {
                properties,
                constraints: format!("(&{})", constraints.concat()),
            },
            image,
        ))
    }

    async fn serve_image(&self, path: PathBuf) -> Result<(String, FileService), StartError> {
        let unreadable = |path: PathBuf| move |source| StartError::Image { path, source };
        let hashed = path.clone();
        let hash = tokio::task::spawn_blocking(move || sha3_224(&hashed)).await;
        let hash = hash
            .expect("hashing does not panic")
            .map_err(unreadable(path.clone()))?;
        let file = Outgoing::file(path).await.map_err(StartError::Transfer)?;
        let service = self
            .holdings
            .yagna
            .publish_file(file)
            .await
            .map_err(StartError::Yagna)?;
        Ok((vm::task_package(&hash, service.url()), service))
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

/// Milliseconds since 1970.
fn expires(now: DateTime<Utc>, after: Duration) -> i64 {
    now.timestamp_millis()
        .saturating_add_unsigned(after.as_millis() as u64)
}

fn sha3_224(path: &Path) -> io::Result<String> {
    let mut file = File::open(path)?;
    let mut hasher = Sha3_224::new();
    let mut buffer = vec![0; 1 << 16];
    loop {
        match file.read(&mut buffer)? {
            0 => return Ok(hex::encode(hasher.finalize())),
            read => hasher.update(&buffer[..read]),
        }
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
    #[error("the service has no payload: {0}")]
    Payload(HandlerError),
    /// The image is not there.
    #[error("cannot read the image {path}")]
    #[expect(missing_docs, reason = "the message says it")]
    Image { path: PathBuf, source: io::Error },
    /// The image cannot be served.
    #[error("cannot serve the image")]
    Transfer(#[source] TransferError),
}

#[cfg(test)]
#[path = "golem_tests.rs"]
mod tests;
