//! What a node is told when it is started, and what it remembers of the last time: where it is, and who is who.

use std::{
    net::{Ipv4Addr, SocketAddr},
    sync::Arc,
};

use tokio::net::TcpListener;
use ya_client_model::NodeId;

use super::{LocalNodeBuilder, StartError};
use crate::{
    folder::Folder,
    id::Ids,
    identity::Identity,
    local::Crew,
    state::{StateError, Store},
};

/// The setting that says how often it was started.
const STARTS: &str = "starts";
/// The setting that says at which port its API was.
const PORT: &str = "port";

impl LocalNodeBuilder {
    /// Where its ids come from. What follows from a seed differs from start to start: those of the last are in use.
    pub(super) fn ids(&self, store: Option<&Store>) -> Result<Ids, StateError> {
        let starts = match store {
            None => 0,
            Some(store) => {
                let starts = store
                    .setting(STARTS)?
                    .and_then(|starts| starts.parse().ok());
                let starts: u64 = starts.unwrap_or_default();
                store.set(STARTS, &(starts + 1).to_string())?;
                starts
            }
        };
        let seeded = |seed: u64| Ids::seeded(seed.wrapping_add(starts));
        Ok(self.seed.map_or_else(Ids::random, seeded))
    }

    /// Where it keeps what outlives it, if anything does.
    pub(super) fn store(
        &self,
        folder: &Arc<Folder>,
        crew: &Crew,
    ) -> Result<Option<Store>, StateError> {
        let stays = self.data_folder.as_ref();
        let store = stays.map(|_| Store::open(Arc::clone(folder), crew.stop.clone()));
        store.transpose()
    }

    /// On the port that was asked for; or else on that of before, or that which is preferred, if it can be had.
    pub(super) async fn listen(
        &self,
        store: Option<&Store>,
    ) -> Result<(TcpListener, SocketAddr), StartError> {
        let at = |port| TcpListener::bind((Ipv4Addr::LOCALHOST, port));
        let before = store
            .map(|store| store.setting(PORT))
            .transpose()?
            .flatten();
        let before = before.and_then(|port| port.parse().ok());
        let port = match self.port {
            0 => before.unwrap_or(self.preferred_port),
            port => port,
        };
        let listener = match at(port).await {
            Err(error) if self.port == 0 => {
                tracing::warn!(port, %error, "another port is taken, as this cannot be had");
                at(0).await
            }
            listener => listener,
        };
        let no_port = |source| StartError::Listen { port, source };
        let listener = listener.map_err(no_port)?;
        let address = listener.local_addr().map_err(no_port)?;
        if let Some(store) = store {
            store.set(PORT, &address.port().to_string())?;
        }
        Ok((listener, address))
    }

    /// Who its providers are: on each start of a node that keeps its state, the same.
    pub(super) fn provider_ids(
        &self,
        ids: &mut Ids,
        store: Option<&Store>,
    ) -> Result<Vec<NodeId>, StateError> {
        // Those of one name are told apart by their order.
        let named = self.providers.iter().enumerate().map(|(index, one)| {
            let same = self.providers[..index].iter();
            let same = same.filter(|other| other.name() == one.name()).count();
            format!("provider {} {}", one.name(), same + 1)
        });
        named
            .map(|name| identity(store, &name, ids.node()))
            .collect()
    }

    /// Who is let in, by which app key.
    pub(super) fn requestors(
        &self,
        ids: &mut Ids,
        store: Option<&Store>,
    ) -> Result<Vec<(String, Identity)>, StartError> {
        let usual = [("autoconfigured".to_owned(), None)];
        let keys = match self.app_keys.as_slice() {
            [] => usual.as_slice(),
            keys => keys,
        };
        let mut requestors: Vec<(String, Identity)> = Vec::new();
        for (name, key) in keys {
            let id = identity(store, &format!("requestor {name}"), ids.node())?;
            let drawn = ids.app_key();
            let key = match key {
                Some(key) => key.clone(),
                None => kept(store, &format!("app key {name}"), drawn)?,
            };
            if requestors
                .iter()
                .any(|(other, one)| *other == key || one.name == *name)
            {
                return Err(StartError::AppKey { name: name.clone() });
            }
            let name = name.clone();
            requestors.push((key, Identity { id, name }));
        }
        Ok(requestors)
    }
}

/// A setting: as it was before, or else new.
fn kept(store: Option<&Store>, name: &str, new: String) -> Result<String, StateError> {
    let Some(store) = store else {
        return Ok(new);
    };
    if let Some(before) = store.setting(name)? {
        return Ok(before);
    }
    store.set(name, &new)?;
    Ok(new)
}

/// Who bears a name: who did before, or else somebody new.
fn identity(store: Option<&Store>, name: &str, new: NodeId) -> Result<NodeId, StateError> {
    // Whoever writes something else there gets a new identity.
    Ok(kept(store, name, new.to_string())?.parse().unwrap_or(new))
}
