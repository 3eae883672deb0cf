//! The rules of money, one by one.

mod allocation;
mod bill;

use chrono::{DateTime, TimeDelta, Utc};
use serde_json::json;
use ya_client_model::NodeId;

use super::{
    allocation::NewAllocation,
    amount::Amount,
    bill::{Acceptance, BillError, BillKind, NewDebitNote, NewInvoice, Parties},
    book::Book,
    filter::EventFilter,
    platform::Platform,
    view,
};
use crate::id::{AllocationId, BillId, Ids};

const START: DateTime<Utc> = DateTime::UNIX_EPOCH;

/// A book with a payer and a payee.
struct Scene {
    book: Book,
    payer: NodeId,
    payee: NodeId,
    now: DateTime<Utc>,
}

fn amount(text: &str) -> Amount {
    text.parse().unwrap()
}

impl Scene {
    fn new() -> Self {
        let mut ids = Ids::seeded(1);
        Self {
            payer: ids.node(),
            payee: ids.node(),
            book: Book::new(ids, Platform::known()),
            now: DateTime::from_timestamp(1_800_000_000, 123_456_789).unwrap(),
        }
    }

    fn new_allocation(&self, total: &str) -> NewAllocation {
        NewAllocation {
            address: None,
            payment_platform: None,
            total_amount: amount(total),
            timeout: None,
            deposit: None,
            make_deposit: false,
        }
    }

    fn allocate(&mut self, total: &str) -> AllocationId {
        let new = self.new_allocation(total);
        let allocation = self.book.allocate(self.payer, new, self.now).unwrap();
        serde_json::from_value(json!(allocation)["allocationId"].clone()).unwrap()
    }

    fn left_of(&self, allocation: &AllocationId) -> String {
        let allocation = self.book.allocation(self.payer, allocation).unwrap();
        let json = json!(allocation);
        json["remainingAmount"].as_str().unwrap().to_owned()
    }

    fn parties(&self) -> Parties {
        Parties {
            agreement: "agreement".into(),
            issuer: self.payee,
            recipient: self.payer,
            payee_address: self.payee.to_string(),
            payer_address: self.payer.to_string(),
            platform: "erc20-holesky-tglm".to_owned(),
            issuer_session: Some("a".to_owned()),
            recipient_session: Some("b".to_owned()),
        }
    }

    fn note(&mut self, activity: &str, total: &str) -> BillId {
        let new = NewDebitNote {
            activity_id: activity.into(),
            total_amount_due: amount(total),
            usage_counter_vector: Some(json!([1.5, 2.0])),
            payment_due_date: None,
        };
        let parties = self.parties();
        let id = self
            .book
            .issue_debit_note(parties, new, self.now)
            .id()
            .clone();
        let (payee, now) = (self.payee, self.now);
        self.book
            .send(payee, BillKind::DebitNote, &id, now)
            .unwrap();
        id
    }

    fn invoice(&mut self, total: &str) -> BillId {
        let new = NewInvoice {
            agreement_id: "agreement".into(),
            activity_ids: Some(vec!["activity".into()]),
            amount: amount(total),
            payment_due_date: self.now + TimeDelta::days(1),
        };
        let parties = self.parties();
        let id = self.book.issue_invoice(parties, new, self.now).id().clone();
        let (payee, now) = (self.payee, self.now);
        self.book.send(payee, BillKind::Invoice, &id, now).unwrap();
        id
    }

    fn accept(
        &mut self,
        kind: BillKind,
        id: &BillId,
        total: &str,
        allocation: &AllocationId,
    ) -> Result<(), BillError> {
        let acceptance = Acceptance {
            total_amount_accepted: amount(total),
            allocation_id: allocation.clone(),
        };
        self.book
            .accept(self.payer, kind, id, &acceptance, self.now)
    }

    fn happened(&self, who: NodeId, kind: BillKind) -> Vec<String> {
        let events = self
            .book
            .events(who, kind, &EventFilter::default(), START, 100);
        events
            .into_iter()
            .map(|(date, id, event)| view::event(kind, date, &id, &event)["eventType"].to_string())
            .map(|name| name.trim_matches('"').to_owned())
            .collect()
    }
}
