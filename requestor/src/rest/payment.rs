//! Payments: allocations, debit notes, invoices.

use std::time::Duration;

use chrono::{DateTime, Utc};
use ya_client::model::payment;

use super::{
    Rest,
    convert::{self, Malformed},
};
use crate::{
    id::{AllocationId, DebitNoteId, InvoiceId},
    yagna::{
        Acceptance, Allocation, DebitNote, Decoration, Invoice, NewAllocation, PaymentEvent,
        Problem, Result, YagnaError,
    },
};

/// The payment API.
pub(super) struct Payment<'a>(pub(super) &'a Rest);

impl Payment<'_> {
    pub(super) async fn create_allocation(&self, allocation: NewAllocation) -> Result<Allocation> {
        let NewAllocation {
            amount,
            driver,
            network,
            timeout,
        } = allocation;
        let call = format!("set {amount} GLM aside");
        let platform = payment::allocation::PaymentPlatform {
            driver,
            network,
            token: None,
        };
        let wire = payment::NewAllocation {
            address: None,
            payment_platform: Some(payment::allocation::PaymentPlatformEnum::PaymentPlatform(
                platform,
            )),
            total_amount: convert::wire_amount(amount),
            timeout: Some(timeout),
            deposit: None,
            make_deposit: false,
        };
        let created = self
            .0
            .call(&call, async move |apis| {
                apis.payment.create_allocation(&wire).await
            })
            .await?;
        let total = convert::amount(&created.total_amount).map_err(malformed(&call))?;
        Ok(Allocation {
            id: created.allocation_id.into(),
            platform: created.payment_platform,
            amount: total,
        })
    }

    pub(super) async fn release_allocation(&self, allocation: &AllocationId) -> Result<()> {
        let id = allocation.to_string();
        self.0
            .call(format!("release allocation {id}"), async move |apis| {
                apis.payment.release_allocation(&id).await
            })
            .await
    }

    pub(super) async fn decoration(&self, allocation: &AllocationId) -> Result<Decoration> {
        let id = allocation.to_string();
        let call = format!("ask how allocation {id} is spent");
        let decoration = self
            .0
            .call(call, async move |apis| {
                apis.payment.get_demand_decorations(vec![id]).await
            })
            .await?;
        Ok(convert::decoration(decoration))
    }

    pub(super) async fn debit_note_events(
        &self,
        after: DateTime<Utc>,
        timeout: Duration,
    ) -> Result<Vec<PaymentEvent<DebitNoteId>>> {
        let events = self
            .0
            .call("wait for debit notes", async move |apis| {
                apis.payment
                    .get_debit_note_events(Some(&after), Some(timeout), None, None)
                    .await
            })
            .await?;
        Ok(events.into_iter().map(convert::debit_note_event).collect())
    }

    pub(super) async fn debit_note(&self, id: &DebitNoteId) -> Result<DebitNote> {
        let (call, id) = (format!("get debit note {id}"), id.to_string());
        let note = self
            .0
            .call(&call, async move |apis| {
                apis.payment.get_debit_note(&id).await
            })
            .await?;
        convert::debit_note(note).map_err(malformed(&call))
    }

    pub(super) async fn accept_debit_note(
        &self,
        id: &DebitNoteId,
        acceptance: &Acceptance,
    ) -> Result<()> {
        let (call, id) = (format!("accept debit note {id}"), id.to_string());
        let acceptance = convert::acceptance(acceptance);
        self.0
            .call(call, async move |apis| {
                apis.payment.accept_debit_note(&id, &acceptance).await
            })
            .await
    }

    pub(super) async fn invoice_events(
        &self,
        after: DateTime<Utc>,
        timeout: Duration,
    ) -> Result<Vec<PaymentEvent<InvoiceId>>> {
        let events = self
            .0
            .call("wait for invoices", async move |apis| {
                apis.payment
                    .get_invoice_events(Some(&after), Some(timeout), None, None)
                    .await
            })
            .await?;
        Ok(events.into_iter().map(convert::invoice_event).collect())
    }

    pub(super) async fn invoice(&self, id: &InvoiceId) -> Result<Invoice> {
        let (call, id) = (format!("get invoice {id}"), id.to_string());
        let invoice = self
            .0
            .call(&call, async move |apis| apis.payment.get_invoice(&id).await)
            .await?;
        convert::invoice(invoice).map_err(malformed(&call))
    }

    pub(super) async fn accept_invoice(
        &self,
        id: &InvoiceId,
        acceptance: &Acceptance,
    ) -> Result<()> {
        let (call, id) = (format!("accept invoice {id}"), id.to_string());
        let acceptance = convert::acceptance(acceptance);
        self.0
            .call(call, async move |apis| {
                apis.payment.accept_invoice(&id, &acceptance).await
            })
            .await
    }
}

fn malformed(call: &str) -> impl FnOnce(Malformed) -> YagnaError {
    move |reason| YagnaError {
        call: call.into(),
        problem: Problem::Malformed(reason),
    }
}
