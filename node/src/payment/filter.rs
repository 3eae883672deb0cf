//! Which events of bills somebody wants to hear of.

use std::collections::BTreeSet;

use ya_client_model::NodeId;

use super::bill::{Bill, BillEvent};
use crate::market::Side;

/// The types of events that are wanted, such as `InvoiceReceivedEvent`, by the side on which a bill is the caller's, and of
/// which of its sessions. Where none are named, all are.
#[derive(Clone, Debug, Default)]
pub(crate) struct EventFilter {
    /// Of bills under agreements of this session of the caller's.
    pub(crate) session: Option<String>,
    /// Of bills that the caller pays.
    pub(crate) as_requestor: Option<BTreeSet<String>>,
    /// Of bills that the caller is paid for.
    pub(crate) as_provider: Option<BTreeSet<String>>,
}

impl EventFilter {
    /// Whether `owner` wants to hear of an event of a type, which happened to a bill that may be forgotten.
    pub(super) fn wants(
        &self,
        owner: NodeId,
        bill: Option<&Bill>,
        event: &BillEvent,
        event_type: &str,
    ) -> bool {
        let is_in_session = self.session.as_deref().is_none_or(|session| {
            bill.is_some_and(|bill| bill.parties.are_in_session(owner, session))
        });
        if !is_in_session {
            return false;
        }
        let named = |types: &Option<BTreeSet<String>>| {
            types
                .as_ref()
                .is_none_or(|types| types.contains(event_type))
        };
        match side(owner, bill, event) {
            Some(Side::Requestor) => named(&self.as_requestor),
            Some(Side::Provider) => named(&self.as_provider),
            None => named(&self.as_requestor) || named(&self.as_provider),
        }
    }
}

/// On which side whoever hears of an event is: most are told to one side alone.
fn side(owner: NodeId, bill: Option<&Bill>, event: &BillEvent) -> Option<Side> {
    match event {
        BillEvent::Received | BillEvent::Cancelled => Some(Side::Requestor),
        BillEvent::Accepted | BillEvent::Rejected(_) => Some(Side::Provider),
        BillEvent::Settled => bill.map(|bill| match bill.parties.recipient == owner {
            true => Side::Requestor,
            false => Side::Provider,
        }),
    }
}
