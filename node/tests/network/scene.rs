//! Two instances in one network, on two providers.

use std::{
    path::Path,
    sync::{Arc, Mutex},
    time::Duration,
};

use anyhow::Context;
use node::{LocalNode, Provider};
use requestor::{Cluster, Golem, Network, rest::Rest};
use tokio::sync::watch;

use crate::service::{Fetch, Peer};

/// How long everything may take on a machine that has other things to do.
const PATIENCE: Duration = Duration::from_secs(240);

pub(crate) struct Scene {
    pub(crate) node: LocalNode,
    pub(crate) network: Network,
    golem: Golem,
    cluster: Cluster,
    ask: watch::Sender<Option<Fetch>>,
    heard: watch::Receiver<usize>,
    said: Arc<Mutex<Vec<String>>>,
}

impl Scene {
    /// With images kept in a folder, until both instances run.
    pub(crate) async fn start(cache: &Path) -> anyhow::Result<Self> {
        let node = LocalNode::builder()
            .providers(["a", "b"].map(Provider::new))
            .cache_folder(cache)
            .start()
            .await?;
        let rest = Rest::connect(node.url(), node.app_key())?;
        let golem = Golem::builder().budget("1.0".parse()?);
        let golem = golem.start_on(rest).await?;
        let network = golem.network("192.168.7.0/24").await?;
        let (ask, fetches) = watch::channel(None);
        let (hear, heard) = watch::channel(0);
        let said = Arc::new(Mutex::new(Vec::new()));
        let of_instances = Arc::clone(&said);
        let cluster = golem.run_service(move |_| Peer {
            fetches: fetches.clone(),
            said: Arc::clone(&of_instances),
            heard: hear.clone(),
        });
        let cluster = cluster.name("peer").instances(2).network(&network);
        let cluster = cluster.start().await?;
        cluster.all_running(PATIENCE).await?;
        Ok(Self {
            node,
            network,
            golem,
            cluster,
            ask,
            heard,
            said,
        })
    }

    /// Has the second instance fetch from the first, by its name; what it says of that.
    pub(crate) async fn fetch(&mut self, bytes: u64) -> anyhow::Result<String> {
        let before = *self.heard.borrow_and_update();
        self.ask.send(Some(Fetch { bytes }))?;
        let more = self.heard.wait_for(|count| *count > before);
        let heard = tokio::time::timeout(PATIENCE, more).await;
        heard.context("no answer from the other instance")??;
        let said = self.said.lock().expect("no panic");
        said.last().cloned().context("nothing was said")
    }

    /// Ends the instances and the network. The node runs on.
    pub(crate) async fn end(self) -> (LocalNode, Network) {
        self.cluster.stop().await;
        self.golem.shutdown().await;
        (self.node, self.network)
    }
}
