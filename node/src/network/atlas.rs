//! All networks, decided step by step.

use std::{
    collections::{BTreeMap, BTreeSet},
    convert::Infallible,
    net::Ipv4Addr,
    sync::Arc,
};

use ya_client_model::{
    NodeId,
    net::{Address, Network, NewNetwork, Node},
};

use super::{
    carrier::Carrier,
    subnet::{Subnet, SubnetError},
};
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
    /// Who has which address: a node has as many as it has instances.
    nodes: BTreeMap<Ipv4Addr, String>,
    carrier: Arc<Carrier>,
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
    /// The address is not the caller's own.
    #[error("{ip} is not an address of the requestor's in network {network}")]
    NotOwn {
        /// The address.
        ip: Ipv4Addr,
        /// The network.
        network: NetworkId,
    },
    /// Nobody else has the address.
    #[error("nobody in network {network} has the address {ip}")]
    Nobody {
        /// The address.
        ip: Ipv4Addr,
        /// The network.
        network: NetworkId,
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

    /// Makes a network for its owner, whose frames are carried by what `carry` makes, with a seed.
    pub(super) fn create(
        &mut self,
        owner: NodeId,
        new: &NewNetwork,
        carry: impl FnOnce(Subnet, u64) -> Carrier,
    ) -> Result<Network, SubnetError> {
        let subnet = Subnet::read(new)?;
        let id = self.ids.network();
        let place = Place {
            owner,
            subnet,
            addresses: BTreeSet::new(),
            nodes: BTreeMap::new(),
            carrier: Arc::new(carry(subnet, self.ids.seed())),
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
        self.place(caller, id)?.carrier.close();
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
        place.take(ip);
        Ok(())
    }

    /// Who is in it.
    pub(super) fn nodes(&self, caller: NodeId, id: &NetworkId) -> Result<Vec<Node>, NetworkError> {
        let place = self.place(caller, id)?;
        let node = |(ip, id): (&Ipv4Addr, &String)| Node {
            id: id.clone(),
            ip: ip.to_string(),
        };
        Ok(place.nodes.iter().map(node).collect())
    }

    /// Lets a node in, or in again under the same address or another. Its owner may be a node as others are.
    pub(super) fn add_node(
        &mut self,
        caller: NodeId,
        id: &NetworkId,
        node: Node,
    ) -> Result<(), NetworkError> {
        let place = self.place_mut(caller, id)?;
        let ip = place.free(&node.ip, &node.id)?;
        if node.id.eq_ignore_ascii_case(&caller.to_string()) {
            place.take(ip);
        }
        place.nodes.insert(ip, node.id);
        Ok(())
    }

    /// Shuts a node out: it has no address any more.
    pub(super) fn remove_node(
        &mut self,
        caller: NodeId,
        id: &NetworkId,
        node: &str,
    ) -> Result<(), NetworkError> {
        let place = self.place_mut(caller, id)?;
        let had: Vec<_> = place.nodes.extract_if(.., |_, one| one == node).collect();
        if had.is_empty() {
            return Err(no_node(id, node));
        }
        for (ip, _) in had {
            place.carrier.unplug_address(ip);
        }
        Ok(())
    }

    /// What carries the frames of a network of the caller's.
    pub(super) fn carrier(
        &self,
        caller: NodeId,
        id: &NetworkId,
    ) -> Result<Arc<Carrier>, NetworkError> {
        Ok(Arc::clone(&self.place(caller, id)?.carrier))
    }

    /// The same, for packets between an address of the caller's and a node's.
    pub(super) fn carrier_between(
        &self,
        caller: NodeId,
        id: &NetworkId,
        own: &str,
        other: &str,
    ) -> Result<(Arc<Carrier>, Ipv4Addr, Ipv4Addr), NetworkError> {
        let place = self.place(caller, id)?;
        let (own, other) = (place.subnet.host(own)?, place.subnet.host(other)?);
        let network = id.clone();
        if !place.is_own(own) {
            return Err(NetworkError::NotOwn { ip: own, network });
        }
        if place.is_own(other) || !place.nodes.contains_key(&other) {
            return Err(NetworkError::Nobody { ip: other, network });
        }
        Ok((Arc::clone(&place.carrier), own, other))
    }

    /// The same, for an instance at a node that has an address for it.
    pub(super) fn carrier_for(
        &self,
        caller: NodeId,
        id: &NetworkId,
        node: NodeId,
        ip: Ipv4Addr,
    ) -> Result<Arc<Carrier>, NetworkError> {
        let place = self.place(caller, id)?;
        let node = node.to_string();
        match place.nodes.get(&ip) {
            Some(owner) if owner.eq_ignore_ascii_case(&node) => Ok(Arc::clone(&place.carrier)),
            Some(owner) => Err(NetworkError::Taken {
                ip,
                node: owner.clone(),
            }),
            None => Err(no_node(id, &node)),
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
    /// Whether its owner has an address: if it was given none, the first one, unless that is somebody's.
    fn is_own(&self, ip: Ipv4Addr) -> bool {
        match self.addresses.is_empty() {
            true => ip == self.subnet.first() && !self.nodes.contains_key(&ip),
            false => self.addresses.contains(&ip),
        }
    }

    /// An address that nobody but `node` has.
    fn free(&self, ip: &str, node: &str) -> Result<Ipv4Addr, NetworkError> {
        let ip = self.subnet.host(ip)?;
        let owner = self.owner.to_string();
        let own = self.addresses.contains(&ip).then_some(&owner);
        match own.or_else(|| self.nodes.get(&ip)) {
            Some(other) if other != node => Err(NetworkError::Taken {
                ip,
                node: other.clone(),
            }),
            _ => Ok(ip),
        }
    }

    /// Gives its owner an address.
    fn take(&mut self, ip: Ipv4Addr) {
        if self.addresses.insert(ip) {
            self.carrier.add_address(ip);
        }
    }
}

fn no_node(network: &NetworkId, node: &str) -> NetworkError {
    NetworkError::NoNode {
        network: network.clone(),
        node: node.to_owned(),
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
