//! Bills: debit notes and invoices.
//!
//! ```text
//!  Issued ──send──▶ Received ──accept──▶ Accepted ── the money arrives ──▶ Settled
//!     │                ├──reject──▶ Rejected
//!     └──────cancel────┴──cancel──▶ Cancelled
//! ```
//! A debit note tells what an activity has cost so far, an invoice what an agreement has cost in all.

use chrono::{DateTime, TimeDelta, Utc};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use ya_client_model::{
    NodeId,
    payment::{DocumentStatus, RejectionReason},
};

pub(crate) use super::parties::Parties;
use super::{allocation::AllocationError, amount::Amount, book::Book};
use crate::id::{ActivityId, AgreementId, AllocationId, BillId};

/// A debit note or an invoice.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Bill {
    pub(super) id: BillId,
    /// Who pays whom.
    pub(super) parties: Parties,
    /// What for.
    pub(super) subject: Subject,
    pub(super) amount: Amount,
    pub(super) created: DateTime<Utc>,
    pub(super) due: Option<DateTime<Utc>>,
    pub(super) status: DocumentStatus,
    /// Since when nothing more can come of it.
    pub(super) over_since: Option<DateTime<Utc>>,
    /// What is on its way since it was accepted, and from which allocation.
    pub(super) paying: Option<(Amount, AllocationId)>,
}

/// What a bill is for.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) enum Subject {
    /// A debit note: what an activity has cost so far.
    Activity {
        /// The activity.
        activity: ActivityId,
        /// The note before this one.
        previous: Option<BillId>,
        /// What it has used.
        usage: Option<Value>,
    },
    /// An invoice: what an agreement has cost in all.
    Agreement {
        /// The activities under it.
        activities: Vec<ActivityId>,
    },
}

/// Which of the two a bill is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) enum BillKind {
    DebitNote,
    Invoice,
}

/// What can happen to a bill.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) enum BillEvent {
    /// Its recipient has it.
    Received,
    /// Its recipient will pay it.
    Accepted,
    /// Its recipient will not.
    Rejected(Rejection),
    /// Its issuer has taken it back.
    Cancelled,
    /// The money has arrived.
    Settled,
}

/// What a provider writes on a debit note.
#[derive(Clone, Debug, PartialEq, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct NewDebitNote {
    /// The activity.
    pub(crate) activity_id: ActivityId,
    /// What it has cost so far.
    pub(crate) total_amount_due: Amount,
    /// What it has used so far.
    pub(crate) usage_counter_vector: Option<Value>,
    /// When that must be paid, if before the agreement ends.
    pub(crate) payment_due_date: Option<DateTime<Utc>>,
}

/// What a provider writes on an invoice.
#[derive(Clone, Debug, PartialEq, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct NewInvoice {
    /// The agreement.
    pub(crate) agreement_id: AgreementId,
    /// The activities under it.
    pub(crate) activity_ids: Option<Vec<ActivityId>>,
    /// What they have cost in all.
    pub(crate) amount: Amount,
    /// When that must be paid.
    pub(crate) payment_due_date: DateTime<Utc>,
}

/// A recipient's promise to pay.
#[derive(Clone, Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Acceptance {
    /// All of the bill's amount.
    pub(crate) total_amount_accepted: Amount,
    /// Where the money comes from.
    pub(crate) allocation_id: AllocationId,
}

/// Why a recipient will not pay.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Rejection {
    /// In a word.
    pub(crate) rejection_reason: RejectionReason,
    /// What it would pay.
    pub(crate) total_amount_accepted: Amount,
    /// In its own words.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) message: Option<String>,
}

/// Why nothing can be done about a bill.
#[derive(Debug, PartialEq, thiserror::Error)]
pub(crate) enum BillError {
    /// The caller has neither sent nor got it.
    #[error("{} {id} not found", .kind.name())]
    NotFound {
        /// Which of the two.
        kind: BillKind,
        /// Its id.
        id: BillId,
    },
    /// It is not the time for this.
    #[error("{} {id} is {status}", .kind.name())]
    Status {
        /// Which of the two.
        kind: BillKind,
        /// Its id.
        id: BillId,
        /// Its status.
        status: DocumentStatus,
    },
    /// One pays all of it or none.
    #[error("invalid amount accepted: expected {expected}, got {accepted}")]
    Amount {
        /// The bill's.
        expected: Amount,
        /// What was accepted.
        accepted: Amount,
    },
    /// The allocation cannot be used.
    #[error(transparent)]
    Allocation(#[from] AllocationError),
    /// The allocation's money is elsewhere.
    #[error("the allocation is on platform {allocation}, the bill is to be paid on {bill}")]
    Platform {
        /// The allocation's.
        allocation: String,
        /// The bill's.
        bill: String,
    },
    /// There is not enough left.
    #[error("not enough funds: {remaining} are left of the allocation, {needed} are needed")]
    Funds {
        /// What is left.
        remaining: Amount,
        /// What is not there.
        needed: Amount,
    },
}

impl BillKind {
    /// What it is called.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::DebitNote => "debit note",
            Self::Invoice => "invoice",
        }
    }
}

/// How long it may take to answer a debit note; nobody does after that.
const ANSWERED_WITHIN: TimeDelta = TimeDelta::hours(1);

impl Bill {
    /// Which of the two it is.
    pub(crate) fn kind(&self) -> BillKind {
        match self.subject {
            Subject::Activity { .. } => BillKind::DebitNote,
            Subject::Agreement { .. } => BillKind::Invoice,
        }
    }

    /// Its id.
    pub(crate) fn id(&self) -> &BillId {
        &self.id
    }

    /// Whether it is a debit note.
    pub(super) fn is_note(&self) -> bool {
        self.kind() == BillKind::DebitNote
    }

    /// Since when nothing is to come of it, if so.
    pub(super) fn over_since(&self) -> Option<DateTime<Utc>> {
        match self.status {
            DocumentStatus::Settled | DocumentStatus::Cancelled => {
                Some(self.over_since.unwrap_or(self.created))
            }
            // A debit note that nobody has answered is followed by an invoice.
            _ => {
                (self.is_note() && self.paying.is_none()).then_some(self.created + ANSWERED_WITHIN)
            }
        }
    }

    /// It cannot be accepted or rejected, being what it is.
    pub(super) fn refusal(&self) -> BillError {
        BillError::Status {
            kind: self.kind(),
            id: self.id.clone(),
            status: self.status,
        }
    }
}

impl Book {
    /// Writes a debit note, the next one of its activity.
    pub(crate) fn issue_debit_note(
        &mut self,
        parties: Parties,
        new: NewDebitNote,
        now: DateTime<Utc>,
    ) -> Bill {
        let subject = Subject::Activity {
            previous: self.last_notes.get(&new.activity_id).cloned(),
            activity: new.activity_id.clone(),
            usage: new.usage_counter_vector,
        };
        let due = new.payment_due_date;
        let note = self.issue(parties, subject, new.total_amount_due, due, now);
        self.last_notes.insert(new.activity_id, note.id.clone());
        note
    }

    /// Writes an invoice.
    pub(crate) fn issue_invoice(
        &mut self,
        parties: Parties,
        new: NewInvoice,
        now: DateTime<Utc>,
    ) -> Bill {
        let subject = Subject::Agreement {
            activities: new.activity_ids.unwrap_or_default(),
        };
        let due = Some(new.payment_due_date);
        self.issue(parties, subject, new.amount, due, now)
    }

    fn issue(
        &mut self,
        parties: Parties,
        subject: Subject,
        amount: Amount,
        due: Option<DateTime<Utc>>,
        now: DateTime<Utc>,
    ) -> Bill {
        let bill = Bill {
            id: self.ids.bill(),
            parties,
            subject,
            amount,
            created: now,
            due,
            status: DocumentStatus::Issued,
            over_since: None,
            paying: None,
        };
        self.bills.insert(bill.id.clone(), bill.clone());
        self.forget_bills(now);
        bill
    }

    /// Gives a bill to its recipient.
    pub(crate) fn send(
        &mut self,
        caller: NodeId,
        kind: BillKind,
        id: &BillId,
        now: DateTime<Utc>,
    ) -> Result<(), BillError> {
        let bill = self.bill_of(caller, kind, id, |parties| parties.issuer)?;
        if bill.status != DocumentStatus::Issued {
            return Ok(());
        }
        let recipient = bill.parties.recipient;
        self.set_status(id, DocumentStatus::Received, now);
        self.announce(recipient, kind, id, BillEvent::Received, now);
        Ok(())
    }

    /// Takes a bill back that its recipient has not accepted.
    pub(crate) fn cancel(
        &mut self,
        caller: NodeId,
        kind: BillKind,
        id: &BillId,
        now: DateTime<Utc>,
    ) -> Result<(), BillError> {
        let bill = self.bill_of(caller, kind, id, |parties| parties.issuer)?;
        let was_sent = match bill.status {
            DocumentStatus::Issued => false,
            DocumentStatus::Received | DocumentStatus::Rejected => true,
            DocumentStatus::Cancelled => return Ok(()),
            _ => return Err(bill.refusal()),
        };
        let recipient = bill.parties.recipient;
        self.set_status(id, DocumentStatus::Cancelled, now);
        if was_sent {
            self.announce(recipient, kind, id, BillEvent::Cancelled, now);
        }
        Ok(())
    }

    /// The bills of a kind that the caller has written or was given after a time, the oldest first.
    pub(crate) fn bills(
        &self,
        caller: NodeId,
        kind: BillKind,
        after: DateTime<Utc>,
        at_most: usize,
    ) -> Vec<Bill> {
        let own = |bill: &&Bill| bill.created > after && self.bill(caller, kind, &bill.id).is_ok();
        let mut bills: Vec<_> = self.bills.values().filter(own).cloned().collect();
        bills.sort_by_key(|bill| bill.created);
        bills.truncate(at_most);
        bills
    }

    /// A bill that the caller has written, or was given.
    pub(crate) fn bill(
        &self,
        caller: NodeId,
        kind: BillKind,
        id: &BillId,
    ) -> Result<&Bill, BillError> {
        let given = |bill: &&Bill| {
            bill.parties.recipient == caller && bill.status != DocumentStatus::Issued
        };
        self.bills
            .get(id)
            .filter(|bill| bill.kind() == kind)
            .filter(|bill| bill.parties.issuer == caller || given(bill))
            .ok_or_else(|| BillError::NotFound {
                kind,
                id: id.clone(),
            })
    }

    /// A bill that the caller can see, being the party that `who` names.
    pub(super) fn bill_of(
        &self,
        caller: NodeId,
        kind: BillKind,
        id: &BillId,
        who: impl Fn(&Parties) -> NodeId,
    ) -> Result<&Bill, BillError> {
        let bill = self.bill(caller, kind, id)?;
        if who(&bill.parties) != caller {
            let id = id.clone();
            return Err(BillError::NotFound { kind, id });
        }
        Ok(bill)
    }

    pub(super) fn set_status(&mut self, id: &BillId, status: DocumentStatus, now: DateTime<Utc>) {
        if let Some(bill) = self.bills.get_mut(id) {
            let is_over = matches!(status, DocumentStatus::Settled | DocumentStatus::Cancelled);
            bill.status = status;
            bill.over_since = is_over.then_some(now);
        }
    }
}
