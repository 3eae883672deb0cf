//! What there is in the book, for whoever runs the node.

use chrono::{DateTime, Utc};
use serde::Serialize;
use ya_client_model::{NodeId, payment::DocumentStatus};

use super::{
    Payments,
    amount::Amount,
    bill::{Bill, BillKind, Subject},
    book::Book,
};
use crate::id::{ActivityId, AgreementId, AllocationId, BillId};

/// A bill.
#[derive(Clone, Debug)]
pub(crate) struct BillOverview {
    pub(crate) id: BillId,
    pub(crate) kind: BillKind,
    pub(crate) issuer: NodeId,
    pub(crate) agreement: AgreementId,
    /// The activity, if it is a debit note.
    pub(crate) activity: Option<ActivityId>,
    pub(crate) amount: Amount,
    pub(crate) created: DateTime<Utc>,
    pub(crate) due: Option<DateTime<Utc>>,
    pub(crate) status: DocumentStatus,
}

/// An allocation.
#[derive(Clone, Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct AllocationOverview {
    id: AllocationId,
    owner: NodeId,
    platform: String,
    total: Amount,
    spent: Amount,
    remaining: Amount,
    is_released: bool,
    created: DateTime<Utc>,
}

impl BillOverview {
    /// Whether its recipient has it.
    pub(crate) fn is_sent(&self) -> bool {
        self.status != DocumentStatus::Issued
    }

    /// Whether its recipient has said that it pays.
    pub(crate) fn is_accepted(&self) -> bool {
        matches!(
            self.status,
            DocumentStatus::Accepted | DocumentStatus::Settled
        )
    }
}

impl Payments {
    /// All bills, by whomever, the oldest first.
    pub(crate) async fn all_bills(&self) -> Vec<BillOverview> {
        self.book.ask(|book, _| book.all_bills()).await
    }

    /// All allocations, by whomever, the oldest first.
    pub(crate) async fn all_allocations(&self) -> Vec<AllocationOverview> {
        self.book.ask(|book, _| book.all_allocations()).await
    }
}

impl Book {
    fn all_bills(&self) -> Vec<BillOverview> {
        let overview = |bill: &Bill| BillOverview {
            id: bill.id.clone(),
            kind: bill.kind(),
            issuer: bill.parties.issuer,
            agreement: bill.parties.agreement.clone(),
            activity: match &bill.subject {
                Subject::Activity { activity, .. } => Some(activity.clone()),
                Subject::Agreement { .. } => None,
            },
            amount: bill.amount,
            created: bill.created,
            due: bill.due,
            status: bill.status,
        };
        let mut bills: Vec<_> = self.bills.values().map(overview).collect();
        bills.sort_by_key(|bill| bill.created);
        bills
    }

    fn all_allocations(&self) -> Vec<AllocationOverview> {
        let allocations = self.allocations.iter().map(|(id, one)| AllocationOverview {
            id: id.clone(),
            owner: one.owner,
            platform: one.payment_platform.clone(),
            total: one.total_amount,
            spent: one.spent_amount,
            remaining: one.remaining_amount,
            is_released: one.released,
            created: one.created_ts,
        });
        let mut allocations: Vec<_> = allocations.collect();
        allocations.sort_by_key(|one| one.created);
        allocations
    }
}
