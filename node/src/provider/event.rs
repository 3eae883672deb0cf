//! What happens to a provider, and what it does about it.

use ya_client_model::market::Reason;

use super::contract::Breach;
use crate::{
    id::{ActivityId, AgreementId, BillId},
    market::property::Properties,
    payment::bill::{NewDebitNote, NewInvoice},
};

/// What happens to a provider.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Event {
    /// A requestor proposes something.
    Proposed {
        /// The proposal.
        proposal: String,
        /// What it says of itself.
        demand: Properties,
    },
    /// A requestor wants to be bound, and to bind.
    Offered {
        /// The agreement.
        agreement: AgreementId,
        /// The provider's side of it.
        offer: Properties,
        /// The requestor's.
        demand: Properties,
    },
    /// An agreement that was offered has come to nothing.
    Lapsed(AgreementId),
    /// An agreement is no more.
    AgreementEnded(AgreementId),
    /// A requestor wants an activity.
    Create(AgreementId, ActivityId),
    /// A requestor wants it no more.
    Destroy(ActivityId),
    /// An exe-unit has ended, however it did, or could not be started.
    ExeUnitEnded {
        /// Its activity.
        activity: ActivityId,
        /// How it ended, in words.
        how: String,
    },
    /// It is known what an activity has used so far.
    Counted {
        /// The activity.
        activity: ActivityId,
        /// By the agreement's counters.
        usage: Vec<f64>,
    },
    /// A debit note was sent.
    NoteSent(ActivityId, BillId),
    /// A debit note was accepted.
    NoteAccepted(BillId),
    /// Some time has passed.
    Tick,
}

/// What a provider does.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Action {
    /// Answer a proposal.
    Counter(String, Properties),
    /// Reject a proposal.
    RejectProposal(String, Reason),
    /// Bind itself.
    Approve(AgreementId),
    /// Do not.
    RejectAgreement(AgreementId, Reason),
    /// Break an agreement.
    Terminate(AgreementId, Breach),
    /// Start an exe-unit.
    Start(AgreementId, ActivityId),
    /// End an exe-unit.
    Stop(ActivityId),
    /// Tell the requestor that an activity is over, if it does not know.
    ReportEnd(ActivityId, String),
    /// Find out what an activity has used.
    Count(ActivityId),
    /// Send a debit note.
    SendNote(NewDebitNote),
    /// Send an invoice.
    SendInvoice(NewInvoice),
}
