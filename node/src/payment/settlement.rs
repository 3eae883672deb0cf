//! What is paid for bills.
//!
//! Whatever is accepted, in whichever order, is paid once: an acceptance pays what was not accepted before.

use std::collections::BTreeMap;

use chrono::{DateTime, TimeDelta, Utc};
use serde::{Deserialize, Serialize};
use ya_client_model::{NodeId, payment::DocumentStatus};

use super::{
    amount::Amount,
    bill::{Acceptance, BillError, BillEvent, BillKind, Parties, Rejection, Subject},
    book::{Book, Deadline, Topic},
};
use crate::id::{ActivityId, AllocationId, BillId, PaymentId};

/// What was accepted under an agreement.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub(super) struct Tab {
    activities: BTreeMap<ActivityId, Amount>,
    agreement: Amount,
}

/// Money that has arrived.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct Payment {
    pub(super) id: PaymentId,
    pub(super) parties: Parties,
    /// The bill that was paid.
    pub(super) bill: BillId,
    /// The activity, if it was a debit note that was paid.
    pub(super) activity: Option<ActivityId>,
    pub(super) allocation: AllocationId,
    pub(super) amount: Amount,
}

/// How long money is on its way. On a chain it would be minutes; but clients may look for what comes before.
const SETTLING: TimeDelta = TimeDelta::seconds(1);

impl Tab {
    /// What is to be paid in all.
    fn total(&self) -> Amount {
        let notes = self.activities.values().copied().sum();
        self.agreement.max(notes)
    }

    fn accept(&mut self, subject: &Subject, amount: Amount) {
        let accepted = match subject {
            Subject::Activity { activity, .. } => {
                self.activities.entry(activity.clone()).or_default()
            }
            Subject::Agreement { .. } => &mut self.agreement,
        };
        *accepted = amount.max(*accepted);
    }
}

impl Book {
    /// Promises to pay a bill. What is due now is taken from the allocation.
    pub(crate) fn accept(
        &mut self,
        caller: NodeId,
        kind: BillKind,
        id: &BillId,
        acceptance: &Acceptance,
        now: DateTime<Utc>,
    ) -> Result<(), BillError> {
        let bill = self.bill_of(caller, kind, id, |parties| parties.recipient)?;
        if bill.amount != acceptance.total_amount_accepted {
            return Err(BillError::Amount {
                expected: bill.amount,
                accepted: acceptance.total_amount_accepted,
            });
        }
        match bill.status {
            DocumentStatus::Received => {}
            DocumentStatus::Accepted | DocumentStatus::Settled => return Ok(()),
            _ => return Err(bill.refusal()),
        }
        let allocation = self.standing(caller, &acceptance.allocation_id)?;
        if allocation.payment_platform != bill.parties.platform {
            return Err(BillError::Platform {
                allocation: allocation.payment_platform.clone(),
                bill: bill.parties.platform.clone(),
            });
        }
        let (agreement, issuer) = (bill.parties.agreement.clone(), bill.parties.issuer);
        let before = self.tabs.get(&agreement).cloned().unwrap_or_default();
        let mut after = before.clone();
        after.accept(&bill.subject, bill.amount);
        let needed = after.total().less(before.total());
        let remaining = allocation.remaining();
        if needed > remaining {
            return Err(BillError::Funds { remaining, needed });
        }
        self.tabs.insert(agreement, after);
        if let Some(allocation) = self.allocations.get_mut(&acceptance.allocation_id) {
            allocation.spend(needed);
        }
        if let Some(bill) = self.bills.get_mut(id) {
            bill.paying = Some((needed, acceptance.allocation_id.clone()));
        }
        self.set_status(id, DocumentStatus::Accepted, now);
        self.announce(issuer, kind, id, BillEvent::Accepted, now);
        self.deadlines
            .insert((now + SETTLING, Deadline::Settle(id.clone())));
        Ok(())
    }

    /// Refuses to pay a bill.
    pub(crate) fn reject(
        &mut self,
        caller: NodeId,
        kind: BillKind,
        id: &BillId,
        rejection: Rejection,
        now: DateTime<Utc>,
    ) -> Result<(), BillError> {
        let bill = self.bill_of(caller, kind, id, |parties| parties.recipient)?;
        match bill.status {
            DocumentStatus::Received => {}
            DocumentStatus::Rejected => return Ok(()),
            _ => return Err(bill.refusal()),
        }
        let issuer = bill.parties.issuer;
        self.set_status(id, DocumentStatus::Rejected, now);
        self.announce(issuer, kind, id, BillEvent::Rejected(rejection), now);
        Ok(())
    }

    /// The money for a bill has arrived.
    pub(super) fn settle(&mut self, id: &BillId, now: DateTime<Utc>) {
        let Some(bill) = self.bills.get_mut(id) else {
            return;
        };
        let Some((amount, allocation)) = bill.paying.take() else {
            return;
        };
        let (kind, parties) = (bill.kind(), bill.parties.clone());
        let activity = match &bill.subject {
            Subject::Activity { activity, .. } => Some(activity.clone()),
            Subject::Agreement { .. } => None,
        };
        self.set_status(id, DocumentStatus::Settled, now);
        for party in [parties.issuer, parties.recipient] {
            self.announce(party, kind, id, BillEvent::Settled, now);
        }
        if amount == Amount::ZERO {
            return;
        }
        let payment = Payment {
            id: self.ids.payment(),
            parties,
            bill: id.clone(),
            activity,
            allocation,
            amount,
        };
        for party in [payment.parties.issuer, payment.parties.recipient] {
            self.payments.push(party, now, payment.clone());
            self.changes.push(Topic::Payments(party));
        }
    }
}
