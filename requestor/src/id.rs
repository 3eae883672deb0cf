//! Typed ids: what yagna calls things by.

use std::fmt;

use serde::{Deserialize, Serialize};

macro_rules! ids {
    ($($(#[$doc:meta])* $id:ident),* $(,)?) => {
        $(
            $(#[$doc])*
            #[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
            #[serde(transparent)]
            pub struct $id(String);

            impl $id {
                /// The id as yagna writes it.
                pub fn as_str(&self) -> &str {
                    &self.0
                }
            }

            impl From<String> for $id {
                fn from(id: String) -> Self {
                    Self(id)
                }
            }

            impl From<&str> for $id {
                fn from(id: &str) -> Self {
                    Self(id.into())
                }
            }

            impl fmt::Display for $id {
                fn fmt(&self, formatter: &mut fmt::Formatter) -> fmt::Result {
                    formatter.write_str(&self.0)
                }
            }
        )*
    };
}

ids! {
    /// An activity.
    ActivityId,
    /// An agreement.
    AgreementId,
    /// An allocation.
    AllocationId,
    /// A batch: a script that was sent to an activity.
    BatchId,
    /// A debit note.
    DebitNoteId,
    /// A published demand.
    DemandId,
    /// An invoice.
    InvoiceId,
    /// A virtual private network.
    NetworkId,
    /// A node of the network, be it a requestor or a provider: `0x` and 40 hex digits.
    NodeId,
    /// A proposal.
    ProposalId,
}
