//! `/payment-api/v1`: allocations, debit notes, invoices, payments.

use axum::{
    Json, Router,
    extract::State,
    http::{HeaderMap, StatusCode},
    routing::{get, post},
};
use chrono::{DateTime, Utc};
use serde::Deserialize;
use serde_json::Value;
use ya_client_model::payment::Account;

use super::{
    ApiError, Shared,
    auth::Caller,
    extract::{Body, EventsAfter, Parameters, Segments, listed},
};
use crate::{
    id::{AllocationId, BillId, PaymentId},
    payment::{
        allocation::{Allocation, Amendment, Decorations, NewAllocation},
        bill::{Acceptance, Bill, BillKind, NewDebitNote, NewInvoice, Rejection},
        filter::EventFilter,
        view,
    },
};

pub(super) fn routes() -> Router<Shared> {
    Router::new()
        // Whoever pays can be paid.
        .route("/requestorAccounts", get(accounts))
        .route("/providerAccounts", get(accounts))
        .route("/allocations", get(allocations).post(allocate))
        .route(
            "/allocations/{allocation}",
            get(allocation).put(amend).delete(release),
        )
        .route("/demandDecorations", get(decorations))
        .route("/payments", get(payments))
        .route("/payments/{payment}", get(payment))
        .route("/debitNotes", post(issue_debit_note))
        .route("/invoices", post(issue_invoice))
        .merge(bills("debitNote", BillKind::DebitNote))
        .merge(bills("invoice", BillKind::Invoice))
}

/// What can be done with the bills of a kind.
fn bills(name: &str, kind: BillKind) -> Router<Shared> {
    let list = async move |state, caller, wanted| list(kind, state, caller, wanted).await;
    let events = async move |state, caller, headers, wanted| {
        events(kind, state, caller, headers, wanted).await
    };
    let look = async move |state, caller, id| bill(kind, state, caller, id).await;
    let paid = async move |state, caller, id| paid(kind, state, caller, id).await;
    let hand_over = async move |state, caller, id| send(kind, state, caller, id).await;
    let take_back = async move |state, caller, id| cancel(kind, state, caller, id).await;
    let accept = async move |state, caller, id, body| accept(kind, state, caller, id, body).await;
    let reject = async move |state, caller, id, body| reject(kind, state, caller, id, body).await;
    Router::new()
        .route(&format!("/{name}Events"), get(events))
        .route(&format!("/{name}s"), get(list))
        .route(&format!("/{name}s/{{bill}}"), get(look))
        .route(&format!("/{name}s/{{bill}}/payments"), get(paid))
        .route(&format!("/{name}s/{{bill}}/send"), post(hand_over))
        .route(&format!("/{name}s/{{bill}}/cancel"), post(take_back))
        .route(&format!("/{name}s/{{bill}}/accept"), post(accept))
        .route(&format!("/{name}s/{{bill}}/reject"), post(reject))
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct List {
    after_timestamp: Option<DateTime<Utc>>,
    max_items: Option<usize>,
}

async fn list(
    kind: BillKind,
    State(api): State<Shared>,
    Caller(caller): Caller,
    Parameters(list): Parameters<List>,
) -> Json<Vec<Bill>> {
    let after = list.after_timestamp.unwrap_or(DateTime::UNIX_EPOCH);
    let at_most = list.max_items.unwrap_or(usize::MAX);
    Json(api.payments.bills(caller, kind, after, at_most).await)
}

async fn events(
    kind: BillKind,
    State(api): State<Shared>,
    Caller(caller): Caller,
    headers: HeaderMap,
    Parameters(wanted): Parameters<EventsAfter>,
) -> Json<Vec<Value>> {
    let (after, timeout, at_most) = (wanted.after(), wanted.timeout(), wanted.at_most());
    let filter = EventFilter {
        session: wanted.app_session_id,
        as_requestor: listed(&headers, "X-Requestor-Events"),
        as_provider: listed(&headers, "X-Provider-Events"),
    };
    let events = api
        .payments
        .events(caller, kind, filter, after, timeout, at_most);
    let view = |(date, id, event)| view::event(kind, date, &id, &event);
    Json(events.await.into_iter().map(view).collect())
}

async fn bill(
    kind: BillKind,
    State(api): State<Shared>,
    Caller(caller): Caller,
    Segments(id): Segments<BillId>,
) -> Result<Json<Bill>, ApiError> {
    Ok(Json(api.payments.bill(caller, kind, id).await?))
}

async fn paid(
    kind: BillKind,
    State(api): State<Shared>,
    Caller(caller): Caller,
    Segments(id): Segments<BillId>,
) -> Result<Json<Vec<Value>>, ApiError> {
    Ok(Json(api.payments.payments_for(caller, kind, id).await?))
}

async fn issue_debit_note(
    State(api): State<Shared>,
    Caller(caller): Caller,
    Body(new): Body<NewDebitNote>,
) -> Result<(StatusCode, Json<Bill>), ApiError> {
    let note = api.payments.issue_debit_note(caller, new).await?;
    Ok((StatusCode::CREATED, Json(note)))
}

async fn issue_invoice(
    State(api): State<Shared>,
    Caller(caller): Caller,
    Body(new): Body<NewInvoice>,
) -> Result<(StatusCode, Json<Bill>), ApiError> {
    let invoice = api.payments.issue_invoice(caller, new).await?;
    Ok((StatusCode::CREATED, Json(invoice)))
}

async fn send(
    kind: BillKind,
    State(api): State<Shared>,
    Caller(caller): Caller,
    Segments(id): Segments<BillId>,
) -> Result<Json<()>, ApiError> {
    Ok(Json(api.payments.send(caller, kind, id).await?))
}

/// A daemon cannot cancel debit notes; here it works.
async fn cancel(
    kind: BillKind,
    State(api): State<Shared>,
    Caller(caller): Caller,
    Segments(id): Segments<BillId>,
) -> Result<Json<()>, ApiError> {
    Ok(Json(api.payments.cancel(caller, kind, id).await?))
}

async fn accept(
    kind: BillKind,
    State(api): State<Shared>,
    Caller(caller): Caller,
    Segments(id): Segments<BillId>,
    Body(acceptance): Body<Acceptance>,
) -> Result<Json<()>, ApiError> {
    let accepted = api.payments.accept(caller, kind, id, acceptance);
    Ok(Json(accepted.await?))
}

/// A daemon cannot reject debit notes; here it works.
async fn reject(
    kind: BillKind,
    State(api): State<Shared>,
    Caller(caller): Caller,
    Segments(id): Segments<BillId>,
    Body(rejection): Body<Rejection>,
) -> Result<Json<()>, ApiError> {
    let rejected = api.payments.reject(caller, kind, id, rejection);
    Ok(Json(rejected.await?))
}

async fn accounts(State(api): State<Shared>, Caller(caller): Caller) -> Json<Vec<Account>> {
    Json(api.payments.accounts(caller))
}

async fn allocate(
    State(api): State<Shared>,
    Caller(caller): Caller,
    Body(new): Body<NewAllocation>,
) -> Result<(StatusCode, Json<Allocation>), ApiError> {
    let allocation = api.payments.allocate(caller, new).await?;
    Ok((StatusCode::CREATED, Json(allocation)))
}

async fn allocations(State(api): State<Shared>, Caller(caller): Caller) -> Json<Vec<Allocation>> {
    Json(api.payments.allocations(caller).await)
}

async fn allocation(
    State(api): State<Shared>,
    Caller(caller): Caller,
    Segments(id): Segments<AllocationId>,
) -> Result<Json<Allocation>, ApiError> {
    Ok(Json(api.payments.allocation(caller, id).await?))
}

async fn amend(
    State(api): State<Shared>,
    Caller(caller): Caller,
    Segments(id): Segments<AllocationId>,
    Body(amendment): Body<Amendment>,
) -> Result<Json<Allocation>, ApiError> {
    Ok(Json(api.payments.amend(caller, id, amendment).await?))
}

async fn release(
    State(api): State<Shared>,
    Caller(caller): Caller,
    Segments(id): Segments<AllocationId>,
) -> Result<Json<()>, ApiError> {
    Ok(Json(api.payments.release(caller, id).await?))
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Decorate {
    /// With commas between them.
    #[serde(default)]
    allocation_ids: String,
}

async fn decorations(
    State(api): State<Shared>,
    Caller(caller): Caller,
    Parameters(decorate): Parameters<Decorate>,
) -> Result<Json<Decorations>, ApiError> {
    let ids = decorate.allocation_ids.split(',').map(str::trim);
    let ids = ids.filter(|id| !id.is_empty()).map(AllocationId::from);
    let decorations = api.payments.decorations(caller, ids.collect());
    Ok(Json(decorations.await?))
}

async fn payments(
    State(api): State<Shared>,
    Caller(caller): Caller,
    Parameters(wanted): Parameters<EventsAfter>,
) -> Json<Vec<Value>> {
    let (after, timeout, at_most) = (wanted.after(), wanted.timeout(), wanted.at_most());
    let payments = api.payments.payments(caller, after, timeout, at_most);
    Json(payments.await)
}

async fn payment(
    State(api): State<Shared>,
    Caller(caller): Caller,
    Segments(id): Segments<PaymentId>,
) -> Result<Json<Value>, ApiError> {
    let payment = api.payments.payment(caller, id.clone()).await;
    let not_found = || ApiError::not_found(format_args!("payment {id} not found"));
    Ok(Json(payment.ok_or_else(not_found)?))
}
