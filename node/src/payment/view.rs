//! How bills, and what happens to them, look in JSON.

use chrono::{DateTime, SubsecRound, Utc};
use serde::{Serialize, Serializer};
use serde_json::{Value, json};
use ya_client_model::{NodeId, payment::DocumentStatus};

use super::{
    amount::Amount,
    bill::{Bill, BillEvent, BillKind, Subject},
    settlement::Payment,
};
use crate::id::{ActivityId, AgreementId, BillId};

impl Serialize for Bill {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let parties = &self.parties;
        let common = Common {
            issuer_id: parties.issuer,
            recipient_id: parties.recipient,
            payee_addr: &parties.payee_address,
            payer_addr: &parties.payer_address,
            payment_platform: &parties.platform,
            timestamp: self.created.trunc_subsecs(3),
            agreement_id: &parties.agreement,
            payment_due_date: self.due,
            status: self.status,
        };
        match &self.subject {
            Subject::Activity {
                activity,
                previous,
                usage,
            } => DebitNote {
                debit_note_id: &self.id,
                previous_debit_note_id: previous.as_ref(),
                activity_id: activity,
                total_amount_due: self.amount.in_full(),
                usage_counter_vector: usage.as_ref(),
                common,
            }
            .serialize(serializer),
            Subject::Agreement { activities } => Invoice {
                invoice_id: &self.id,
                activity_ids: activities,
                amount: self.amount.in_full(),
                common,
            }
            .serialize(serializer),
        }
    }
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct DebitNote<'a> {
    debit_note_id: &'a BillId,
    #[serde(skip_serializing_if = "Option::is_none")]
    previous_debit_note_id: Option<&'a BillId>,
    activity_id: &'a ActivityId,
    total_amount_due: Amount,
    #[serde(skip_serializing_if = "Option::is_none")]
    usage_counter_vector: Option<&'a Value>,
    #[serde(flatten)]
    common: Common<'a>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Invoice<'a> {
    invoice_id: &'a BillId,
    activity_ids: &'a [ActivityId],
    amount: Amount,
    #[serde(flatten)]
    common: Common<'a>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Common<'a> {
    issuer_id: NodeId,
    recipient_id: NodeId,
    payee_addr: &'a str,
    payer_addr: &'a str,
    payment_platform: &'a str,
    timestamp: DateTime<Utc>,
    agreement_id: &'a AgreementId,
    #[serde(skip_serializing_if = "Option::is_none")]
    payment_due_date: Option<DateTime<Utc>>,
    status: DocumentStatus,
}

/// Something that happened to a bill.
pub(crate) fn event(kind: BillKind, date: DateTime<Utc>, id: &BillId, event: &BillEvent) -> Value {
    let id_name = match kind {
        BillKind::DebitNote => "debitNoteId",
        BillKind::Invoice => "invoiceId",
    };
    let mut json = json!({
        id_name: id,
        "eventDate": date,
        "eventType": event_type(kind, event),
    });
    if let BillEvent::Rejected(rejection) = event {
        json["rejection"] = json!(rejection);
    }
    json
}

/// What an event is called, such as `InvoiceReceivedEvent`.
pub(super) fn event_type(kind: BillKind, event: &BillEvent) -> String {
    let prefix = match kind {
        BillKind::DebitNote => "DebitNote",
        BillKind::Invoice => "Invoice",
    };
    let happened = match event {
        BillEvent::Received => "Received",
        BillEvent::Accepted => "Accepted",
        BillEvent::Rejected(_) => "Rejected",
        BillEvent::Cancelled => "Cancelled",
        BillEvent::Settled => "Settled",
    };
    format!("{prefix}{happened}Event")
}

/// A payment that arrived.
pub(crate) fn payment(date: DateTime<Utc>, payment: &Payment) -> Value {
    let parties = &payment.parties;
    let amount = payment.amount.in_full();
    let part = |name: &str, id: &dyn std::fmt::Display| json!({name: id.to_string(), "amount": amount, "allocationId": payment.allocation});
    let (agreements, activities) = match &payment.activity {
        None => (vec![part("agreementId", &parties.agreement)], vec![]),
        Some(activity) => (vec![], vec![part("activityId", activity)]),
    };
    json!({
        "paymentId": payment.id,
        "payerId": parties.recipient,
        "payeeId": parties.issuer,
        "payerAddr": parties.payer_address,
        "payeeAddr": parties.payee_address,
        "paymentPlatform": parties.platform,
        "amount": amount,
        "timestamp": date,
        "agreementPayments": agreements,
        "activityPayments": activities,
        "details": "",
    })
}
