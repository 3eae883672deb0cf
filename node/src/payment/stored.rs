//! How what is entered in the book is written down: all of it, unlike what clients see.

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use ya_client_model::{NodeId, payment::DocumentStatus};

use super::{
    allocation::Allocation,
    amount::Amount,
    bill::{Bill, BillEvent, Parties, Subject},
    settlement::{Payment, Tab},
};
use crate::{
    id::{AllocationId, BillId},
    state::{Entity, Happening, entity},
};

#[derive(Serialize, Deserialize)]
#[serde(remote = "Bill")]
struct StoredBill {
    id: BillId,
    parties: Parties,
    subject: Subject,
    amount: Amount,
    created: DateTime<Utc>,
    due: Option<DateTime<Utc>>,
    status: DocumentStatus,
    #[serde(default)]
    over_since: Option<DateTime<Utc>>,
    paying: Option<(Amount, AllocationId)>,
}

#[derive(Serialize, Deserialize)]
#[serde(remote = "Allocation")]
struct StoredAllocation {
    allocation_id: AllocationId,
    owner: NodeId,
    address: String,
    payment_platform: String,
    total_amount: Amount,
    spent_amount: Amount,
    remaining_amount: Amount,
    timestamp: DateTime<Utc>,
    timeout: Option<DateTime<Utc>>,
    created_ts: DateTime<Utc>,
    updated_ts: DateTime<Utc>,
    deposit: Option<Value>,
    make_deposit: bool,
    released: bool,
}

/// Keeps something in a table as another type says how.
macro_rules! stored {
    ($entity:ty, $form:ty, $table:literal) => {
        impl Entity for $entity {
            const TABLE: &'static str = $table;

            fn to_json(&self) -> serde_json::Result<String> {
                let mut json = Vec::new();
                <$form>::serialize(self, &mut serde_json::Serializer::new(&mut json))?;
                Ok(String::from_utf8_lossy(&json).into_owned())
            }

            fn from_json(json: &str) -> serde_json::Result<Self> {
                <$form>::deserialize(&mut serde_json::Deserializer::from_str(json))
            }
        }
    };
}

stored!(Bill, StoredBill, "bills");
stored!(Allocation, StoredAllocation, "allocations");
entity!(Tab, "tabs");

impl Happening for Payment {
    const LOG: &'static str = "payments";
}

impl Happening for (BillId, BillEvent) {
    const LOG: &'static str = "bills";
}
