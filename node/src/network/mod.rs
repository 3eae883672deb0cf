//! Networks that requestors make for their instances: who is in them, under which address.

mod atlas;
mod subnet;

use tokio_util::task::TaskTracker;
use ya_client_model::{
    NodeId,
    net::{Address, Network, NewNetwork, Node},
};

use self::atlas::Atlas;
pub(crate) use self::{atlas::NetworkError, subnet::SubnetError};
use crate::{
    clock::Clock,
    id::{Ids, NetworkId},
    owned::Owned,
};

/// All networks. Each operation says on whose behalf.
#[derive(Clone, Debug)]
pub(crate) struct Networks {
    atlas: Owned<Atlas>,
}

impl Networks {
    /// No networks yet.
    pub(crate) fn open(ids: Ids, clock: Clock, tasks: &TaskTracker) -> Self {
        Self {
            atlas: Owned::start(Atlas::new(ids), clock, tasks),
        }
    }

    /// Makes a network.
    pub(crate) async fn create(
        &self,
        caller: NodeId,
        new: NewNetwork,
    ) -> Result<Network, SubnetError> {
        self.atlas
            .ask(move |atlas, _| atlas.create(caller, &new))
            .await
    }

    /// The caller's networks.
    pub(crate) async fn list(&self, caller: NodeId) -> Vec<Network> {
        self.atlas.ask(move |atlas, _| atlas.list(caller)).await
    }

    /// A network of the caller's.
    pub(crate) async fn network(
        &self,
        caller: NodeId,
        id: NetworkId,
    ) -> Result<Network, NetworkError> {
        self.atlas
            .ask(move |atlas, _| atlas.network(caller, &id))
            .await
    }

    /// Ends a network of the caller's.
    pub(crate) async fn remove(&self, caller: NodeId, id: NetworkId) -> Result<(), NetworkError> {
        self.atlas
            .ask(move |atlas, _| atlas.remove(caller, &id))
            .await
    }

    /// The addresses that the caller itself has in its network.
    pub(crate) async fn addresses(
        &self,
        caller: NodeId,
        id: NetworkId,
    ) -> Result<Vec<Address>, NetworkError> {
        self.atlas
            .ask(move |atlas, _| atlas.addresses(caller, &id))
            .await
    }

    /// Gives the caller itself an address in its network.
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

    /// Who is in a network of the caller's.
    pub(crate) async fn nodes(
        &self,
        caller: NodeId,
        id: NetworkId,
    ) -> Result<Vec<Node>, NetworkError> {
        self.atlas
            .ask(move |atlas, _| atlas.nodes(caller, &id))
            .await
    }

    /// Lets a node into a network of the caller's, or in again.
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

    /// Shuts a node out of a network of the caller's.
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
}
