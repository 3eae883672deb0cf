//! Clusters: the instances of one service.

use std::{fmt, marker::PhantomData, sync::Arc, time::Duration};

use futures::future;
use tokio::{sync::watch, task::JoinSet};
use tokio_util::{sync::CancellationToken, task::TaskTracker};

use super::{
    InstanceState, Service,
    instance::{Instance, InstanceStatus, OnChange, Surroundings},
};
use crate::{
    golem::{Golem, StartError},
    market::{Funds, LeastExpensive, Market, Outlook, Strategy},
    network::Network,
    payment::Overdraft,
};

/// How long a cluster lives at the most, if its author does not say.
const EXPIRATION: Duration = Duration::from_secs(3 * 3600);

/// A cluster that is about to be; from [`Golem::run_service`].
#[must_use = "a cluster does nothing until it is started"]
pub struct ClusterBuilder<'a, S, F> {
    golem: &'a Golem,
    make: F,
    name: String,
    instances: usize,
    expiration: Duration,
    strategy: Arc<dyn Strategy>,
    on_change: OnChange,
    network: Option<Network>,
    service: PhantomData<fn() -> S>,
}

impl<'a, S, F> ClusterBuilder<'a, S, F>
where
    S: Service,
    F: Fn(usize) -> S + Send + Sync + 'static,
{
    pub(crate) fn new(golem: &'a Golem, make: F) -> Self {
        Self {
            golem,
            make,
            name: name_of::<S>(),
            instances: 1,
            expiration: EXPIRATION,
            strategy: Arc::new(LeastExpensive::default()),
            on_change: Arc::new(|_| {}),
            network: None,
            service: PhantomData,
        }
    }

    /// What its instances are called, with a number behind it. By default the service's name in lower case:
    /// `simple-service` for `SimpleService`.
    pub fn name(mut self, name: impl Into<String>) -> Self {
        self.name = name.into();
        self
    }

    /// How many instances there are; 1 by default.
    pub fn instances(mut self, instances: usize) -> Self {
        self.instances = instances;
        self
    }

    /// How long the cluster lives at the most; 3 hours by default. Providers end what is older.
    pub fn expiration(mut self, expiration: Duration) -> Self {
        self.expiration = expiration;
        self
    }

    /// The network that its instances are in, each with an address of its own, which it keeps when it has to begin anew.
    /// They find each other by their names, so clusters that are in it at a time need [names](Self::name) of their own.
    pub fn network(mut self, network: &Network) -> Self {
        self.network = Some(network.clone());
        self
    }

    /// Which offers are better; by default those that cost least.
    pub fn strategy(mut self, strategy: impl Strategy) -> Self {
        self.strategy = Arc::new(strategy);
        self
    }

    /// What is done whenever an instance changes its state. It holds the instance up: it should be quick.
    pub fn on_change(mut self, act: impl Fn(&InstanceStatus) + Send + Sync + 'static) -> Self {
        self.on_change = Arc::new(act);
        self
    }

    /// Publishes the demand, and starts the search for providers.
    ///
    /// # Errors
    /// If the service has no payload, its image cannot be read or served, the network has no room for its instances, or
    /// the daemon does not publish the demand. Nothing is held then.
    pub async fn start(self) -> Result<Cluster, StartError> {
        let payload = S::get_payload().await.map_err(StartError::Payload)?;
        let golem = self.golem;
        let names = (1..=self.instances).map(|number| format!("{}-{number}", self.name));
        let reserve = |name: String| {
            let network = self.network.as_ref();
            let place = network.map(|network| network.reserve(&name)).transpose()?;
            Ok((name, place))
        };
        let places: Vec<_> = names
            .map(reserve)
            .collect::<Result<_, _>>()
            .map_err(StartError::Network)?;
        let mut payload = payload;
        if self.network.is_some() {
            payload
                .constraints
                .push("(golem.runtime.capabilities=vpn)".to_owned());
        }
        let (demand, files) = golem.demand(payload, self.expiration).await?;
        let funds = Funds {
            platform: golem.holdings.allocation.platform.clone(),
            accountant: golem.holdings.accountant.clone(),
            agreements: self.instances,
        };
        let withdraw = CancellationToken::new();
        let (market, negotiating) = Market::open(
            golem.holdings.yagna.clone(),
            demand,
            funds,
            self.strategy,
            golem.events.clone(),
            withdraw.clone(),
        )
        .await
        .map_err(StartError::Yagna)?;

        let stop = golem.holdings.stop.child_token();
        let world = Surroundings {
            yagna: golem.holdings.yagna.clone(),
            market: market.clone(),
            accountant: golem.holdings.accountant.clone(),
            events: golem.events.clone(),
            on_change: self.on_change,
            clock: golem.clock,
            stop: stop.clone(),
            overdraft: Overdraft::default(),
        };
        let make = Arc::new(self.make);
        let mut living = JoinSet::new();
        let mut statuses = Vec::with_capacity(self.instances);
        for (index, (name, place)) in places.iter().enumerate() {
            let node = place.as_ref().map(|place| place.node().clone());
            let (instance, status) = Instance::new(world.clone(), name.clone(), node);
            let make = make.clone();
            living.spawn(instance.live(move || make(index)));
            statuses.push(status);
        }
        let tasks = TaskTracker::new();
        let cluster_task = tasks.track_future(async move {
            let negotiating = tokio::spawn(negotiating);
            while let Some(ended) = living.join_next().await {
                if let Err(error) = ended {
                    tracing::error!(%error, "an instance has ended out of order");
                }
            }
            withdraw.cancel();
            // It ends with the demand withdrawn, or has ended already.
            let _ = negotiating.await;
            // Providers could read the image, and instances had their names and addresses, up to now.
            drop((files, places));
        });
        tasks.close();
        golem.holdings.tasks.spawn(cluster_task);
        Ok(Cluster {
            statuses,
            market,
            stop,
            tasks,
        })
    }
}

/// `simple-service` for `my_crate::SimpleService`.
fn name_of<S>() -> String {
    let path = std::any::type_name::<S>();
    let path = path.split('<').next().unwrap_or(path);
    let mut name = String::new();
    for letter in path.rsplit("::").next().unwrap_or(path).chars() {
        if letter.is_uppercase() && !name.is_empty() {
            name.push('-');
        }
        name.extend(letter.to_lowercase());
    }
    name
}

/// The instances of one service.
#[derive(Debug)]
pub struct Cluster {
    statuses: Vec<watch::Receiver<InstanceStatus>>,
    market: Market,
    stop: CancellationToken,
    tasks: TaskTracker,
}

impl Cluster {
    /// How each instance does.
    pub fn instances(&self) -> Vec<InstanceStatus> {
        self.statuses
            .iter()
            .map(|status| status.borrow().clone())
            .collect()
    }

    /// Waits until all instances run, for up to `timeout`.
    ///
    /// # Errors
    /// As soon as one of them has ended, or when `timeout` has passed; with what is known of the cause.
    pub async fn all_running(&self, timeout: Duration) -> Result<(), NotRunning> {
        let up = self.statuses.iter().cloned().map(runs);
        let why = match tokio::time::timeout(timeout, future::try_join_all(up)).await {
            Ok(Ok(_)) => return Ok(()),
            Ok(Err(ended)) => ended,
            Err(_) => Why::Late(timeout),
        };
        Err(NotRunning {
            why,
            instances: self.instances(),
            outlook: self.market.outlook(),
        })
    }

    /// Waits until all instances have ended.
    pub async fn ended(&self) {
        self.tasks.wait().await;
    }

    /// Stops all instances: each runs its `shutdown`, if it is up, and gives back what it holds.
    pub async fn stop(&self) {
        self.stop.cancel();
        self.ended().await;
    }
}

/// Waits until an instance runs.
async fn runs(mut status: watch::Receiver<InstanceStatus>) -> Result<(), Why> {
    let settled = status.wait_for(|status| {
        matches!(
            status.state,
            InstanceState::Running | InstanceState::Terminated
        )
    });
    let state = settled.await.map(|status| status.state);
    match state {
        Ok(InstanceState::Running) => Ok(()),
        _ => Err(Why::Ended(status.borrow().name.clone())),
    }
}

/// Not all instances of a cluster run, with what is known of the cause.
#[derive(Clone, Debug, thiserror::Error)]
pub struct NotRunning {
    why: Why,
    instances: Vec<InstanceStatus>,
    outlook: Outlook,
}

#[derive(Clone, Debug)]
enum Why {
    /// It took longer than this.
    Late(Duration),
    /// The instance of that name has ended.
    Ended(String),
}

impl fmt::Display for NotRunning {
    fn fmt(&self, formatter: &mut fmt::Formatter) -> fmt::Result {
        formatter.write_str("not all instances run")?;
        match &self.why {
            Why::Late(timeout) => write!(formatter, " after {} s", timeout.as_secs())?,
            Why::Ended(name) => write!(formatter, ": {name} has ended")?,
        }
        let missing = self
            .instances
            .iter()
            .filter(|it| it.state != InstanceState::Running);
        for instance in missing {
            write!(formatter, "\n  {instance}")?;
        }
        write!(formatter, "\n  market: {}", self.outlook)
    }
}

#[cfg(test)]
#[path = "cluster_tests.rs"]
mod tests;
