//! Virtual private networks: the sandboxes of a requestor's activities, and the requestor itself, at one switch.
//!
//! ```text
//!  sandbox ── port ──┐                        ┌── port ── sandbox
//!                    ├── switch ── links ─────┤
//!  sandbox ── port ──┘      │                 ├── stack ── TCP ── websocket ── requestor
//!                           │                 └── IP packets ──── websocket ── requestor
//!                       one task per network
//! ```
//!
//! A sandbox's frames come out of a [port] that its exe-unit has handed over, so that they pass from one sandbox's kernel to
//! another's with one read and one write, large and without checksums where both allow it. The [switch] and the [links](link)
//! decide purely; time and randomness are passed in. Nothing leads out of a network but the connections that its
//! requestor opens.

mod atlas;
mod carrier;
mod frame;
mod link;
mod plug;
mod port;
mod raw;
mod stack;
mod subnet;
mod switch;

use std::{net::SocketAddrV4, os::fd::OwnedFd, sync::Arc};

use exeunit::network::Plug;
use tokio::io::DuplexStream;
use tokio_util::task::TaskTracker;
use ya_client_model::{
    NodeId,
    net::{Address, Connection, Network, NewNetwork, Node},
};

use self::{
    atlas::Atlas,
    carrier::{Carrier, Plugged},
};
pub(crate) use self::{
    atlas::NetworkError, link::QualityError, plug::serve as serve_plugs, raw::RawSocket,
    stack::ConnectError, subnet::SubnetError,
};
pub use link::Quality;

use crate::{
    activity::Activities,
    clock::Clock,
    id::{ActivityId, Ids, NetworkId},
    owned::Owned,
};

/// All networks of a node.
#[derive(Clone, Debug)]
pub(crate) struct Networks {
    atlas: Owned<Atlas>,
    tasks: TaskTracker,
    activities: Activities,
}

/// A link, or all of them, and what it does to frames.
#[derive(Clone, Debug)]
pub(crate) struct LinkChange {
    /// From where; `None` with `to` for all links that nothing else is said of.
    pub(crate) from: Option<String>,
    pub(crate) to: Option<String>,
    pub(crate) quality: Quality,
}

/// Why a link is not changed.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
pub(crate) enum LinkError {
    #[error(transparent)]
    Net(#[from] NetworkError),
    #[error(transparent)]
    Quality(#[from] QualityError),
    #[error("a link has two ends: `from` and `to` are given both, or neither for all links")]
    OneEnd,
}

/// Why a sandbox is not part of a network.
#[derive(Debug, thiserror::Error)]
pub(crate) enum PlugInError {
    #[error("activity {0} not found")]
    NoActivity(ActivityId),
    #[error(transparent)]
    Net(#[from] NetworkError),
    #[error("its port is of no use")]
    Port(#[from] std::io::Error),
}

impl Networks {
    pub(crate) fn open(
        ids: Ids,
        clock: Clock,
        tasks: &TaskTracker,
        activities: Activities,
    ) -> Self {
        Self {
            atlas: Owned::start(Atlas::new(ids), clock, tasks),
            tasks: tasks.clone(),
            activities,
        }
    }

    pub(crate) async fn create(
        &self,
        caller: NodeId,
        wanted: NewNetwork,
    ) -> Result<Network, SubnetError> {
        let tasks = self.tasks.clone();
        self.atlas
            .ask(move |atlas, _| {
                atlas.create(caller, &wanted, |subnet, seed| {
                    Carrier::start(subnet, seed, &tasks)
                })
            })
            .await
    }

    pub(crate) async fn list(&self, caller: NodeId) -> Vec<Network> {
        self.atlas.ask(move |atlas, _| atlas.list(caller)).await
    }

    pub(crate) async fn network(
        &self,
        caller: NodeId,
        id: NetworkId,
    ) -> Result<Network, NetworkError> {
        self.atlas
            .ask(move |atlas, _| atlas.network(caller, &id))
            .await
    }

    pub(crate) async fn remove(&self, caller: NodeId, id: NetworkId) -> Result<(), NetworkError> {
        self.atlas
            .ask(move |atlas, _| atlas.remove(caller, &id))
            .await
    }

    pub(crate) async fn addresses(
        &self,
        caller: NodeId,
        id: NetworkId,
    ) -> Result<Vec<Address>, NetworkError> {
        self.atlas
            .ask(move |atlas, _| atlas.addresses(caller, &id))
            .await
    }

    pub(crate) async fn add_address(
        &self,
        caller: NodeId,
        id: NetworkId,
        address: Address,
    ) -> Result<(), NetworkError> {
        self.atlas
            .ask(move |atlas, _| atlas.add_address(caller, &id, &address.ip))
            .await
    }

    pub(crate) async fn nodes(
        &self,
        caller: NodeId,
        id: NetworkId,
    ) -> Result<Vec<Node>, NetworkError> {
        self.atlas
            .ask(move |atlas, _| atlas.nodes(caller, &id))
            .await
    }

    pub(crate) async fn add_node(
        &self,
        caller: NodeId,
        id: NetworkId,
        node: Node,
    ) -> Result<(), NetworkError> {
        self.atlas
            .ask(move |atlas, _| atlas.add_node(caller, &id, node))
            .await
    }

    pub(crate) async fn remove_node(
        &self,
        caller: NodeId,
        id: NetworkId,
        node: String,
    ) -> Result<(), NetworkError> {
        self.atlas
            .ask(move |atlas, _| atlas.remove_node(caller, &id, &node))
            .await
    }

    pub(crate) async fn connections(
        &self,
        caller: NodeId,
        id: NetworkId,
    ) -> Result<Vec<Connection>, NetworkError> {
        const TCP: u16 = 6;
        let carrier = self.carrier(caller, id).await?;
        let connection = |(local, remote): (SocketAddrV4, SocketAddrV4)| Connection {
            protocol: TCP,
            local_ip: local.ip().to_string(),
            local_port: local.port(),
            remote_ip: remote.ip().to_string(),
            remote_port: remote.port(),
        };
        let connections = carrier.connections().await;
        Ok(connections.into_iter().map(connection).collect())
    }

    /// Opens a connection from the requestor to a port in its network.
    pub(crate) async fn connect(
        &self,
        caller: NodeId,
        id: NetworkId,
        remote: SocketAddrV4,
    ) -> Result<Result<DuplexStream, ConnectError>, NetworkError> {
        let carrier = self.carrier(caller, id).await?;
        Ok(carrier.connect(remote).await)
    }

    /// Opens a raw socket between an address of the requestor's and another's in its network.
    pub(crate) async fn open_raw(
        &self,
        caller: NodeId,
        id: NetworkId,
        own: String,
        other: String,
    ) -> Result<RawSocket, NetworkError> {
        let carrier = self
            .atlas
            .ask(move |atlas, _| atlas.carrier_between(caller, &id, &own, &other));
        let (carrier, own, other) = carrier.await?;
        Ok(carrier.open_raw(own, other))
    }

    /// Changes what links do to frames.
    pub(crate) async fn set_link(
        &self,
        caller: NodeId,
        id: NetworkId,
        change: LinkChange,
    ) -> Result<(), LinkError> {
        let LinkChange { from, to, quality } = change;
        quality.check()?;
        let carrier = self.carrier(caller, id).await?;
        let parse = |text: String| {
            text.parse()
                .map_err(|_| NetworkError::from(SubnetError::Address(text)))
        };
        let link = match (from, to) {
            (None, None) => None,
            (Some(from), Some(to)) => Some((parse(from)?, parse(to)?)),
            _ => return Err(LinkError::OneEnd),
        };
        carrier.set_quality(link, quality);
        Ok(())
    }

    /// Makes a sandbox part of its requestor's network, at an address that is its provider's there.
    async fn plug(
        &self,
        plug: Plug,
        port: OwnedFd,
    ) -> Result<(Arc<Carrier>, Plugged), PlugInError> {
        let activity = ActivityId::from(plug.activity_id);
        let Some((requestor, provider)) = self.activities.parties(activity.clone()).await else {
            return Err(PlugInError::NoActivity(activity));
        };
        let network = NetworkId::from(plug.network_id);
        let address = plug.address;
        let carrier = self
            .atlas
            .ask(move |atlas, _| atlas.carrier_for(requestor, &network, provider, address))
            .await?;
        let plugged = carrier.plug(port, plug.address, plug.mac)?;
        Ok((carrier, plugged))
    }

    async fn carrier(&self, caller: NodeId, id: NetworkId) -> Result<Arc<Carrier>, NetworkError> {
        self.atlas
            .ask(move |atlas, _| atlas.carrier(caller, &id))
            .await
    }
}
