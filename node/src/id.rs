//! The names of things, and where new ones come from.

use std::fmt;

use rand::{Rng, SeedableRng, rngs::StdRng};
use serde::{Deserialize, Serialize};
use ya_client_model::NodeId;

macro_rules! ids {
    ($($(#[$doc:meta])+ $name:ident),+ $(,)?) => {
        $(
            $(#[$doc])+
            #[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
            #[serde(transparent)]
            pub(crate) struct $name(String);

            impl fmt::Display for $name {
                fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
                    formatter.write_str(&self.0)
                }
            }

            impl From<String> for $name {
                fn from(id: String) -> Self {
                    Self(id)
                }
            }

            impl From<&str> for $name {
                fn from(id: &str) -> Self {
                    Self(id.to_owned())
                }
            }
        )+
    };
}

ids! {
    /// A demand or an offer that stands on the market.
    SubscriptionId,
    /// A proposal, without the letter that says who looks at it.
    ProposalId,
    /// An agreement.
    AgreementId,
    /// An activity.
    ActivityId,
    /// A batch of commands.
    BatchId,
    /// An allocation.
    AllocationId,
    /// A bill: a debit note or an invoice.
    BillId,
    /// A payment.
    PaymentId,
    /// A network between instances.
    NetworkId,
}

/// Draws ids in the form that a yagna daemon gives them: random ones, or the same ones again and again from a seed.
#[derive(Debug)]
pub(crate) struct Ids(StdRng);

impl Ids {
    /// Ids that nobody can guess.
    pub(crate) fn random() -> Self {
        Self(rand::make_rng())
    }

    /// Ids that follow from `seed`.
    pub(crate) fn seeded(seed: u64) -> Self {
        Self(StdRng::seed_from_u64(seed))
    }

    /// Another source, which goes its own way from here.
    pub(crate) fn fork(&mut self) -> Self {
        Self(StdRng::seed_from_u64(self.0.next_u64()))
    }

    pub(crate) fn subscription(&mut self) -> SubscriptionId {
        SubscriptionId(format!("{}-{}", self.hex::<16>(), self.hex::<32>()))
    }

    pub(crate) fn proposal(&mut self) -> ProposalId {
        ProposalId(self.hex::<32>())
    }

    pub(crate) fn agreement(&mut self) -> AgreementId {
        AgreementId(self.hex::<32>())
    }

    pub(crate) fn activity(&mut self) -> ActivityId {
        ActivityId(self.hex::<16>())
    }

    pub(crate) fn batch(&mut self) -> BatchId {
        BatchId(self.hex::<16>())
    }

    pub(crate) fn allocation(&mut self) -> AllocationId {
        AllocationId(self.uuid())
    }

    pub(crate) fn bill(&mut self) -> BillId {
        BillId(self.uuid())
    }

    pub(crate) fn payment(&mut self) -> PaymentId {
        PaymentId(self.uuid())
    }

    /// What something else draws from.
    pub(crate) fn seed(&mut self) -> u64 {
        self.0.next_u64()
    }

    pub(crate) fn network(&mut self) -> NetworkId {
        NetworkId(self.hex::<16>())
    }

    pub(crate) fn node(&mut self) -> NodeId {
        NodeId::from(self.bytes::<20>())
    }

    /// A secret that lets its bearer in.
    pub(crate) fn app_key(&mut self) -> String {
        self.hex::<16>()
    }

    fn uuid(&mut self) -> String {
        uuid::Builder::from_random_bytes(self.bytes())
            .into_uuid()
            .to_string()
    }

    fn hex<const BYTES: usize>(&mut self) -> String {
        hex::encode(self.bytes::<BYTES>())
    }

    fn bytes<const BYTES: usize>(&mut self) -> [u8; BYTES] {
        let mut bytes = [0; BYTES];
        self.0.fill_bytes(&mut bytes);
        bytes
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_have_the_forms_of_a_daemon() {
        let mut ids = Ids::seeded(1);
        let subscription = ids.subscription().to_string();
        assert_eq!(subscription.len(), 32 + 1 + 64);
        assert_eq!(subscription.find('-'), Some(32));
        assert_eq!(ids.agreement().to_string().len(), 64);
        assert_eq!(ids.activity().to_string().len(), 32);
        assert!(uuid::Uuid::parse_str(&ids.bill().to_string()).is_ok());
    }

    #[test]
    fn a_seed_decides_and_a_fork_differs() {
        let (mut one, mut two) = (Ids::seeded(7), Ids::seeded(7));
        assert_eq!(one.agreement(), two.agreement());
        assert_ne!(one.fork().agreement(), two.agreement());
        assert_ne!(Ids::random().node(), Ids::random().node());
    }
}
