//! Who asks.

use std::{collections::HashMap, fmt};

use ya_client_model::NodeId;

/// Somebody on the network.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Identity {
    /// Who.
    pub(crate) id: NodeId,
    /// What its app key is called.
    pub(crate) name: String,
}

/// Who bears which app key.
#[derive(Clone, Default)]
pub(crate) struct Identities {
    by_key: HashMap<String, Identity>,
}

impl FromIterator<(String, Identity)> for Identities {
    /// Lets in who bears an app key.
    fn from_iter<I: IntoIterator<Item = (String, Identity)>>(identities: I) -> Self {
        Self {
            by_key: identities.into_iter().collect(),
        }
    }
}

impl Identities {
    /// Who bears `app_key`.
    pub(crate) fn bearer(&self, app_key: &str) -> Option<&Identity> {
        self.by_key.get(app_key)
    }
}

impl fmt::Debug for Identities {
    /// Without the app keys.
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_set().entries(self.by_key.values()).finish()
    }
}
