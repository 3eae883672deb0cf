//! All networks, decided step by step.

use std::{
    collections::{BTreeMap, BTreeSet},
    convert::Infallible,
    net::Ipv4Addr,
};

use ya_client_model::{
    NodeId,
    net::{Address, Network, NewNetwork, Node},
};

use super::subnet::{Subnet, SubnetError};
use crate::{
    id::{Ids, NetworkId},
    owned::Machine,
};

/// The networks there are.
#[derive(Debug)]
pub(super) struct Atlas {
    ids: Ids,
    networks: BTreeMap<NetworkId, Place>,
}

/// One network.
#[derive(Debug)]
struct Place {
    owner: NodeId,
    subnet: Subnet,
    /// Its owner's own addresses.
    addresses: BTreeSet<Ipv4Addr>,
    nodes: BTreeMap<String, Ipv4Addr>,
}

/// Why something cannot be done in a network.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum NetworkError {
    /// The caller has no such network.
    #[error("network {0} not found")]
    NotFound(NetworkId),
    /// There is no such node in it.
    #[error("node {node} is not in network {network}")]
    NoNode {
        /// The network.
        network: NetworkId,
        /// The node.
        node: String,
    },
    /// The address is none of its.
    #[error(transparent)]
    Address(#[from] SubnetError),
    /// Somebody else has the address.
    #[error("{ip} is the address of node {node} already")]
    Taken {
        /// The address.
        ip: Ipv4Addr,
        /// Who has it.
        node: String,
    },
}

impl Atlas {
    /// No networks.
    pub(super) fn new(ids: Ids) -> Self {
        Self {
            ids,
            networks: BTreeMap::new(),
        }
    }

    /// Makes a network for its owner.
    pub(super) fn create(
        &mut self,
        owner: NodeId,
        new: &NewNetwork,
    ) -> Result<Network, SubnetError> {
        let subnet = Subnet::read(new)?;
        let id = self.ids.network();
        let place = Place {
            owner,
            subnet,
            addresses: BTreeSet::new(),
            nodes: BTreeMap::new(),
        };
        let view = view(&id, &place);
        self.networks.insert(id, place);
        Ok(view)
    }

    /// The networks of an owner.
    pub(super) fn list(&self, owner: NodeId) -> Vec<Network> {
        let own = self.networks.iter().filter(|(_, one)| one.owner == owner);
        own.map(|(id, place)| view(id, place)).collect()
    }

    /// A network of the caller's.
    pub(super) fn network(&self, caller: NodeId, id: &NetworkId) -> Result<Network, NetworkError> {
        self.place(caller, id).map(|place| view(id, place))
    }

    /// Ends one.
    pub(super) fn remove(&mut self, caller: NodeId, id: &NetworkId) -> Result<(), NetworkError> {
        self.place(caller, id)?;
        self.networks.remove(id);
        Ok(())
    }

    /// Its owner's own addresses.
    pub(super) fn addresses(
        &self,
        caller: NodeId,
        id: &NetworkId,
    ) -> Result<Vec<Address>, NetworkError> {
        let address = |ip: &Ipv4Addr| Address { ip: ip.to_string() };
        let place = self.place(caller, id)?;
        Ok(place.addresses.iter().map(address).collect())
    }

    /// Gives its owner one more.
    pub(super) fn add_address(
        &mut self,
        caller: NodeId,
        id: &NetworkId,
        ip: &str,
    ) -> Result<(), NetworkError> {
        let own = caller.to_string();
        let place = self.place_mut(caller, id)?;
        let ip = place.free(ip, &own)?;
        place.addresses.insert(ip);
        Ok(())
    }

    /// Who is in it.
    pub(super) fn nodes(&self, caller: NodeId, id: &NetworkId) -> Result<Vec<Node>, NetworkError> {
        let place = self.place(caller, id)?;
        let node = |(id, ip): (&String, &Ipv4Addr)| Node {
            id: id.clone(),
            ip: ip.to_string(),
        };
        Ok(place.nodes.iter().map(node).collect())
    }

    /// Lets a node in, or in again under the same address or another.
    pub(super) fn add_node(
        &mut self,
        caller: NodeId,
        id: &NetworkId,
        node: Node,
    ) -> Result<(), NetworkError> {
        let place = self.place_mut(caller, id)?;
        let ip = place.free(&node.ip, &node.id)?;
        place.nodes.insert(node.id, ip);
        Ok(())
    }

    /// Shuts a node out.
    pub(super) fn remove_node(
        &mut self,
        caller: NodeId,
        id: &NetworkId,
        node: &str,
    ) -> Result<(), NetworkError> {
        match self.place_mut(caller, id)?.nodes.remove(node) {
            Some(_) => Ok(()),
            None => Err(NetworkError::NoNode {
                network: id.clone(),
                node: node.to_owned(),
            }),
        }
    }

    fn place(&self, caller: NodeId, id: &NetworkId) -> Result<&Place, NetworkError> {
        self.networks
            .get(id)
            .filter(|place| place.owner == caller)
            .ok_or_else(|| NetworkError::NotFound(id.clone()))
    }

    fn place_mut(&mut self, caller: NodeId, id: &NetworkId) -> Result<&mut Place, NetworkError> {
        self.networks
            .get_mut(id)
            .filter(|place| place.owner == caller)
            .ok_or_else(|| NetworkError::NotFound(id.clone()))
    }
}

impl Place {
    /// An address that nobody but `node` has.
    fn free(&self, ip: &str, node: &str) -> Result<Ipv4Addr, NetworkError> {
        let ip = self.subnet.host(ip)?;
        let owner = self.owner.to_string();
        let own = self.addresses.contains(&ip).then_some(&owner);
        let mut others = self.nodes.iter().filter(|(_, has)| **has == ip);
        match own.or_else(|| others.next().map(|(node, _)| node)) {
            Some(other) if other != node => Err(NetworkError::Taken {
                ip,
                node: other.clone(),
            }),
            _ => Ok(ip),
        }
    }
}

fn view(id: &NetworkId, place: &Place) -> Network {
    Network {
        id: id.to_string(),
        ip: place.subnet.to_string(),
        mask: place.subnet.mask().to_string(),
        gateway: place.subnet.gateway().to_string(),
    }
}

impl Machine for Atlas {
    /// Nobody waits for networks.
    type Topic = Infallible;

    fn take_changes(&mut self) -> Vec<Infallible> {
        Vec::new()
    }
}
