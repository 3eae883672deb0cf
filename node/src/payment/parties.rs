//! Who pays whom.

use serde::{Deserialize, Serialize};
use ya_client_model::NodeId;

use crate::id::AgreementId;

/// Who pays whom under an agreement, and where.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Parties {
    /// The agreement.
    pub(crate) agreement: AgreementId,
    /// Who is paid.
    pub(crate) issuer: NodeId,
    /// Who pays.
    pub(crate) recipient: NodeId,
    /// Where the issuer is paid.
    pub(crate) payee_address: String,
    /// Where the recipient pays from.
    pub(crate) payer_address: String,
    /// On which platform.
    pub(crate) platform: String,
    /// In which of its sessions the issuer was bound.
    #[serde(default)]
    pub(crate) issuer_session: Option<String>,
    /// In which of its own the recipient was.
    #[serde(default)]
    pub(crate) recipient_session: Option<String>,
}

impl Parties {
    /// Whether the agreement is of one of a party's sessions.
    pub(super) fn are_in_session(&self, party: NodeId, session: &str) -> bool {
        let own = match party == self.issuer {
            true => &self.issuer_session,
            false => &self.recipient_session,
        };
        own.as_deref() == Some(session)
    }
}
