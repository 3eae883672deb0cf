//! Virtual private networks: instances, and the requestor, that reach each other by address and by name.

use std::{
    collections::{BTreeMap, BTreeSet},
    fmt,
    net::Ipv4Addr,
    pin::Pin,
    sync::{Arc, Mutex, MutexGuard},
    task::{Context, Poll},
};

use serde_json::{Value, json};
use tokio::io::{AsyncRead, AsyncWrite, DuplexStream, ReadBuf};

use crate::{
    id::{NetworkId, NodeId},
    retry::once,
    yagna::{NetworkTerms, Problem, Yagna, YagnaError},
};

/// A virtual private network of the requestor's; from [`Golem::network`](crate::Golem::network).
///
/// Instances of the [clusters](crate::ClusterBuilder::network) that are in it reach each other at their addresses, and by
/// the names of their instances, and nothing else. The requestor [connects](Self::connect) to their ports through its
/// daemon. It is gone after [`Golem::shutdown`](crate::Golem::shutdown).
#[derive(Clone)]
pub struct Network(Arc<Inner>);

struct Inner {
    yagna: Arc<dyn Yagna>,
    terms: NetworkTerms,
    roster: Mutex<Roster>,
}

/// Who has which address.
#[derive(Debug, Default)]
struct Roster {
    own: Option<Ipv4Addr>,
    names: BTreeMap<String, Ipv4Addr>,
    nodes: BTreeMap<Ipv4Addr, NodeId>,
}

/// An instance's place in a network.
#[derive(Clone, Debug)]
pub struct NetworkNode {
    network: Network,
    name: String,
    address: Ipv4Addr,
}

/// A connection to a port of somebody in a network: bytes, both ways.
///
/// Whoever has closed it at the other end has closed it for both directions.
#[derive(Debug)]
pub struct Connection(DuplexStream);

/// An instance gets no place in a network.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum NoAddress {
    /// All addresses are taken.
    #[error("network {network} ({range}) has no address left for {name}")]
    #[expect(missing_docs, reason = "the message says it")]
    Full {
        network: NetworkId,
        range: String,
        name: String,
    },
    /// An instance of another cluster is there by that name: clusters in one network need
    /// [names](crate::ClusterBuilder::name) of their own.
    #[error(
        "network {network} ({range}) has an instance {name} already: give the cluster another name"
    )]
    #[expect(missing_docs, reason = "the message says it")]
    NameTaken {
        network: NetworkId,
        range: String,
        name: String,
    },
}

/// An instance's place in a network, as long as this lives.
#[derive(Debug)]
pub(crate) struct Reservation(NetworkNode);

impl Reservation {
    pub(crate) fn node(&self) -> &NetworkNode {
        &self.0
    }
}

impl Drop for Reservation {
    fn drop(&mut self) {
        self.0.network.roster().names.remove(&self.0.name);
    }
}

impl Network {
    /// Makes a network, in which the requestor has the first address.
    pub(crate) async fn create(
        yagna: Arc<dyn Yagna>,
        us: &NodeId,
        range: &str,
    ) -> Result<Self, YagnaError> {
        let terms = yagna.create_network(range).await?;
        let network = Self(Arc::new(Inner {
            yagna,
            terms,
            roster: Mutex::default(),
        }));
        let joined = network.join_as_requestor(us).await;
        if joined.is_err() {
            network.remove().await;
        }
        joined.map(|()| network)
    }

    async fn join_as_requestor(&self, us: &NodeId) -> Result<(), YagnaError> {
        let inner = &self.0;
        let Some(own) = inner.terms.addresses().next() else {
            return Err(YagnaError {
                call: format!("have an address in network {}", inner.terms.id),
                problem: Problem::Malformed(format!("{} has no room", inner.terms.range())),
            });
        };
        let id = &inner.terms.id;
        inner.yagna.add_network_address(id, own).await?;
        inner.yagna.add_network_node(id, us, own).await?;
        let mut roster = self.roster();
        roster.own = Some(own);
        roster.nodes.insert(own, us.clone());
        Ok(())
    }

    /// What yagna calls it.
    pub fn id(&self) -> &NetworkId {
        &self.0.terms.id
    }

    /// Its addresses: `192.168.7.0/24`.
    pub fn range(&self) -> String {
        self.0.terms.range()
    }

    /// The requestor's own address in it.
    pub fn own_address(&self) -> Option<Ipv4Addr> {
        self.roster().own
    }

    /// The addresses of all instances in it, by their names.
    pub fn hosts(&self) -> BTreeMap<String, Ipv4Addr> {
        self.roster().names.clone()
    }

    /// Connects to a port of somebody in it.
    ///
    /// # Errors
    /// If nobody listens there, or nobody answers.
    pub async fn connect(&self, address: Ipv4Addr, port: u16) -> Result<Connection, YagnaError> {
        let inner = &self.0;
        let id = &inner.terms.id;
        let stream = inner.yagna.connect_in_network(id, address, port).await?;
        Ok(Connection(stream))
    }

    /// Sets an address aside for an instance, the same whenever it begins anew.
    pub(crate) fn reserve(&self, name: &str) -> Result<Reservation, NoAddress> {
        let mut roster = self.roster();
        let (network, range, name) = (self.id().clone(), self.range(), name.to_owned());
        if roster.names.contains_key(&name) {
            return Err(NoAddress::NameTaken {
                network,
                range,
                name,
            });
        }
        let taken: BTreeSet<_> = roster.names.values().copied().chain(roster.own).collect();
        let mut free = self.0.terms.addresses();
        let Some(address) = free.find(|address| !taken.contains(address)) else {
            return Err(NoAddress::Full {
                network,
                range,
                name,
            });
        };
        roster.names.insert(name.clone(), address);
        Ok(Reservation(NetworkNode {
            network: self.clone(),
            name,
            address,
        }))
    }

    /// Takes the network away. What does not go so goes when the daemon ends.
    pub(crate) async fn remove(&self) {
        let id = self.id();
        if let Err(error) = once(|| self.0.yagna.remove_network(id)).await {
            tracing::warn!(network = %id, %error, "a network stays");
        }
    }

    fn roster(&self) -> MutexGuard<'_, Roster> {
        self.0.roster.lock().expect("no panic while locked")
    }
}

impl fmt::Debug for Network {
    fn fmt(&self, formatter: &mut fmt::Formatter) -> fmt::Result {
        formatter
            .debug_struct("Network")
            .field("id", self.id())
            .field("range", &self.range())
            .finish_non_exhaustive()
    }
}

impl NetworkNode {
    /// The instance's address.
    pub fn address(&self) -> Ipv4Addr {
        self.address
    }

    /// The name by which others in the network find the instance: its own.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The network.
    pub fn network(&self) -> &Network {
        &self.network
    }

    /// Connects to a port of the instance.
    ///
    /// # Errors
    /// If nobody listens there, or nobody answers.
    pub async fn connect(&self, port: u16) -> Result<Connection, YagnaError> {
        self.network.connect(self.address, port).await
    }

    /// Gives the address to the provider that the instance is at.
    pub(crate) async fn join(&self, provider: &NodeId) -> Result<(), YagnaError> {
        let network = &self.network;
        let (yagna, id) = (&network.0.yagna, network.id());
        yagna.add_network_node(id, provider, self.address).await?;
        let mut roster = network.roster();
        roster.nodes.insert(self.address, provider.clone());
        Ok(())
    }

    /// Takes the address from its provider. One that has others in the network keeps it, as it is by provider that they
    /// are taken.
    pub(crate) async fn leave(&self) {
        let network = &self.network;
        let provider = {
            let mut roster = network.roster();
            let provider = roster.nodes.remove(&self.address);
            provider.filter(|provider| !roster.nodes.values().any(|other| other == provider))
        };
        if let Some(provider) = provider {
            let (yagna, id) = (&network.0.yagna, network.id());
            if let Err(error) = once(|| yagna.remove_network_node(id, &provider)).await {
                tracing::debug!(network = %id, %provider, %error, "a node stays in a network");
            }
        }
    }

    /// What `deploy` says of it.
    pub(crate) fn deployment(&self) -> Value {
        let terms = &self.network.0.terms;
        let roster = self.network.roster();
        json!({
            "net": [{
                "id": terms.id,
                "ip": terms.base,
                "mask": terms.mask,
                "gateway": terms.gateway,
                "nodeIp": self.address,
                "nodes": roster.nodes,
            }],
            "hosts": roster.names,
            "hostname": self.name,
        })
    }
}

impl AsyncRead for Connection {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<std::io::Result<()>> {
        Pin::new(&mut self.0).poll_read(context, buffer)
    }
}

impl AsyncWrite for Connection {
    fn poll_write(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<std::io::Result<usize>> {
        Pin::new(&mut self.0).poll_write(context, bytes)
    }

    fn poll_flush(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<std::io::Result<()>> {
        Pin::new(&mut self.0).poll_flush(context)
    }

    fn poll_shutdown(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<std::io::Result<()>> {
        Pin::new(&mut self.0).poll_shutdown(context)
    }
}
