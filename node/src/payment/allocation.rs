//! Allocations: money set aside.

use std::collections::BTreeSet;

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use ya_client_model::NodeId;

use super::{
    amount::Amount,
    book::{Book, Deadline},
    platform::{Wanted, address_property},
};
use crate::id::AllocationId;

/// Money that its owner has set aside.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Allocation {
    pub(super) allocation_id: AllocationId,
    #[serde(skip)]
    pub(super) owner: NodeId,
    pub(super) address: String,
    pub(super) payment_platform: String,
    pub(super) total_amount: Amount,
    pub(super) spent_amount: Amount,
    pub(super) remaining_amount: Amount,
    pub(super) timestamp: DateTime<Utc>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) timeout: Option<DateTime<Utc>>,
    pub(super) created_ts: DateTime<Utc>,
    pub(super) updated_ts: DateTime<Utc>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) deposit: Option<Value>,
    pub(super) make_deposit: bool,
    /// Whether its owner, or time, has given the money free.
    #[serde(skip)]
    pub(super) released: bool,
}

/// What a client asks to be set aside. Much else that clients send means nothing.
#[derive(Clone, Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct NewAllocation {
    /// Who pays; the caller by default.
    pub(crate) address: Option<String>,
    /// Where it pays.
    pub(crate) payment_platform: Option<Wanted>,
    /// How much it will pay at most.
    pub(crate) total_amount: Amount,
    /// When the money is free again.
    pub(crate) timeout: Option<DateTime<Utc>>,
    /// Where the money comes from; noted, and nothing else.
    pub(crate) deposit: Option<Value>,
    /// Likewise.
    #[serde(default)]
    pub(crate) make_deposit: bool,
}

/// How an allocation is to change.
#[derive(Clone, Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Amendment {
    /// How much its owner will pay at most.
    pub(crate) total_amount: Option<Amount>,
    /// When the money is free again.
    pub(crate) timeout: Option<DateTime<Utc>>,
}

/// Why an allocation cannot change.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum AmendError {
    /// It cannot be used.
    #[error(transparent)]
    Allocation(#[from] AllocationError),
    /// It would be over already.
    #[error(transparent)]
    Timeout(AllocateError),
    /// More than that is spent.
    #[error("{spent} are spent, which is more than {total}")]
    Spent {
        /// What is spent.
        spent: Amount,
        /// What is to be set aside in all.
        total: Amount,
    },
}

/// Why money is not set aside.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum AllocateError {
    /// The node does not have that platform.
    #[error("there is no such payment platform here, but: {0}")]
    Platform(String),
    /// The money would be free again before it is set aside.
    #[error("an allocation cannot end at {0}, which is past")]
    Timeout(DateTime<Utc>),
    /// It is somebody else's money.
    #[error("{0} is not an address of the caller's")]
    Address(String),
}

/// Why an allocation cannot be used.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum AllocationError {
    /// The caller has no such allocation.
    #[error("allocation {0} not found")]
    NotFound(AllocationId),
    /// It was given back, or its time is over.
    #[error("allocation {0} has been released")]
    Released(AllocationId),
}

/// What a demand has to say about who pays, and how.
#[derive(Debug, Default, PartialEq, Eq, Serialize)]
pub(crate) struct Decorations {
    /// Properties of the demand.
    pub(crate) properties: Vec<Property>,
    /// Constraints of the demand; all must hold.
    pub(crate) constraints: Vec<String>,
}

/// A property's name and value.
#[derive(Debug, PartialEq, Eq, Serialize)]
pub(crate) struct Property {
    /// Its name.
    pub(crate) key: String,
    /// Its value.
    pub(crate) value: String,
}

/// The version of the way in which providers and requestors here pay each other.
pub(crate) const PROTOCOL_VERSION: u32 = 3;

/// The property that names it.
pub(crate) const PROTOCOL_VERSION_PROPERTY: &str = "golem.com.payment.protocol.version";

impl Allocation {
    /// When the money is free again, if it is not yet.
    pub(super) fn releases_at(&self) -> Option<DateTime<Utc>> {
        self.timeout.filter(|_| !self.released)
    }

    /// What is left of it.
    pub(super) fn remaining(&self) -> Amount {
        self.remaining_amount
    }

    /// Takes out some of what is left.
    pub(super) fn spend(&mut self, amount: Amount) {
        self.spent_amount += amount;
        self.remaining_amount = self.total_amount.less(self.spent_amount);
    }

    fn in_full(&self) -> Self {
        Self {
            total_amount: self.total_amount.in_full(),
            spent_amount: self.spent_amount.in_full(),
            remaining_amount: self.remaining_amount.in_full(),
            ..self.clone()
        }
    }
}

impl Book {
    /// Sets money aside. The answer shows its amount as it was asked for; later ones show all decimal places.
    pub(crate) fn allocate(
        &mut self,
        caller: NodeId,
        new: NewAllocation,
        now: DateTime<Utc>,
    ) -> Result<Allocation, AllocateError> {
        if let Some(timeout) = new.timeout.filter(|timeout| *timeout <= now) {
            return Err(AllocateError::Timeout(timeout));
        }
        let own = caller.to_string();
        if let Some(address) = new.address
            && !address.eq_ignore_ascii_case(&own)
        {
            return Err(AllocateError::Address(address));
        }
        let platform = match &new.payment_platform {
            None => self.platforms.first(),
            Some(wanted) => wanted.choose(&self.platforms),
        };
        let platform = platform.ok_or_else(|| {
            let names: Vec<_> = self.platforms.iter().map(ToString::to_string).collect();
            AllocateError::Platform(names.join(", "))
        })?;
        let id = self.ids.allocation();
        let allocation = Allocation {
            allocation_id: id.clone(),
            owner: caller,
            address: own,
            payment_platform: platform.to_string(),
            total_amount: new.total_amount,
            spent_amount: Amount::ZERO,
            remaining_amount: new.total_amount,
            timestamp: now,
            timeout: new.timeout,
            created_ts: now,
            updated_ts: now,
            deposit: new.deposit,
            make_deposit: new.make_deposit,
            released: false,
        };
        if let Some(timeout) = new.timeout {
            self.deadlines
                .insert((timeout, Deadline::Release(id.clone())));
        }
        self.allocations.insert(id, allocation.clone());
        self.allocations
            .forget(now, |one| one.released.then_some(one.updated_ts));
        Ok(allocation)
    }

    /// An allocation of the caller's that still stands.
    pub(crate) fn allocation(
        &self,
        caller: NodeId,
        id: &AllocationId,
    ) -> Result<Allocation, AllocationError> {
        self.standing(caller, id).map(Allocation::in_full)
    }

    /// All of them.
    pub(crate) fn allocations(&self, caller: NodeId) -> Vec<Allocation> {
        self.allocations
            .values()
            .filter(|one| one.owner == caller && !one.released)
            .map(Allocation::in_full)
            .collect()
    }

    /// Changes an allocation of the caller's.
    pub(crate) fn amend(
        &mut self,
        caller: NodeId,
        id: &AllocationId,
        amendment: &Amendment,
        now: DateTime<Utc>,
    ) -> Result<Allocation, AmendError> {
        let mut allocation = self.standing(caller, id)?.clone();
        if let Some(total) = amendment.total_amount {
            let spent = allocation.spent_amount;
            if total < spent {
                return Err(AmendError::Spent { spent, total });
            }
            allocation.total_amount = total;
            allocation.remaining_amount = total.less(spent);
        }
        if let Some(timeout) = amendment.timeout {
            if timeout <= now {
                return Err(AmendError::Timeout(AllocateError::Timeout(timeout)));
            }
            if let Some(before) = allocation.timeout.replace(timeout) {
                self.deadlines
                    .remove(&(before, Deadline::Release(id.clone())));
            }
            self.deadlines
                .insert((timeout, Deadline::Release(id.clone())));
        }
        allocation.updated_ts = now;
        self.allocations.insert(id.clone(), allocation.clone());
        Ok(allocation.in_full())
    }

    /// Gives free what is left of an allocation.
    pub(crate) fn release(
        &mut self,
        caller: NodeId,
        id: &AllocationId,
        now: DateTime<Utc>,
    ) -> Result<(), AllocationError> {
        self.standing(caller, id)?;
        self.close(id, now);
        Ok(())
    }

    /// What a demand has to say so that it can be paid for from certain allocations.
    pub(crate) fn decorations(
        &self,
        caller: NodeId,
        ids: &[AllocationId],
    ) -> Result<Decorations, AllocationError> {
        let platforms = ids
            .iter()
            .map(|id| Ok(self.standing(caller, id)?.payment_platform.clone()))
            .collect::<Result<BTreeSet<_>, _>>()?;
        if platforms.is_empty() {
            return Ok(Decorations::default());
        }
        let address = |platform: &String| Property {
            key: address_property(platform),
            value: caller.to_string(),
        };
        let mut properties: Vec<_> = platforms.iter().map(address).collect();
        let paid_on: Vec<_> = properties
            .iter()
            .map(|property| format!("({}=*)", property.key))
            .collect();
        properties.push(Property {
            key: PROTOCOL_VERSION_PROPERTY.to_owned(),
            value: PROTOCOL_VERSION.to_string(),
        });
        let paid_on = match paid_on.as_slice() {
            [one] => one.clone(),
            several => format!("(|{})", several.concat()),
        };
        let speaks = format!("({PROTOCOL_VERSION_PROPERTY}>1)");
        Ok(Decorations {
            properties,
            constraints: vec![paid_on, speaks],
        })
    }

    pub(super) fn standing(
        &self,
        caller: NodeId,
        id: &AllocationId,
    ) -> Result<&Allocation, AllocationError> {
        let allocation = self
            .allocations
            .get(id)
            .filter(|one| one.owner == caller)
            .ok_or_else(|| AllocationError::NotFound(id.clone()))?;
        if allocation.released {
            return Err(AllocationError::Released(id.clone()));
        }
        Ok(allocation)
    }

    pub(super) fn close(&mut self, id: &AllocationId, now: DateTime<Utc>) {
        if let Some(allocation) = self.allocations.get_mut(id) {
            allocation.released = true;
            allocation.updated_ts = now;
            if let Some(timeout) = allocation.timeout {
                self.deadlines
                    .remove(&(timeout, Deadline::Release(id.clone())));
            }
        }
    }
}
