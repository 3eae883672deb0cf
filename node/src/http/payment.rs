//! `/payment-api/v1`: allocations, debit notes, invoices, payments.

use axum::{
    Json, Router,
    extract::State,
    http::StatusCode,
    routing::{get, post},
};
use serde::Deserialize;
use serde_json::Value;
use ya_client_model::payment::Account;

use super::{
    ApiError, Shared,
    auth::Caller,
    extract::{Body, EventsAfter, Parameters, Segments},
};
use crate::{
    id::{AllocationId, BillId},
    payment::{
        allocation::{Allocation, Decorations, NewAllocation},
        bill::{Acceptance, Bill, BillKind, Rejection},
        view,
    },
};

pub(super) fn routes() -> Router<Shared> {
    Router::new()
        .route("/requestorAccounts", get(accounts))
        .route("/allocations", get(allocations).post(allocate))
        .route("/allocations/{allocation}", get(allocation).delete(release))
        .route("/demandDecorations", get(decorations))
        .route("/payments", get(payments))
        .merge(bills("debitNote", BillKind::DebitNote))
        .merge(bills("invoice", BillKind::Invoice))
}

/// What can be done with the bills of a kind.
fn bills(name: &str, kind: BillKind) -> Router<Shared> {
    let events = async move |State(api): State<Shared>,
                             Caller(caller): Caller,
                             Parameters(wanted): Parameters<EventsAfter>| {
        let (after, timeout, at_most) = (wanted.after(), wanted.timeout(), wanted.at_most());
        let events = api.payments.events(caller, kind, after, timeout, at_most);
        let view = |(date, id, event)| view::event(kind, date, &id, &event);
        Json(events.await.into_iter().map(view).collect::<Vec<_>>())
    };
    let bill = async move |State(api): State<Shared>,
                           Caller(caller): Caller,
                           Segments(id): Segments<BillId>|
                -> Result<Json<Bill>, ApiError> {
        Ok(Json(api.payments.bill(caller, kind, id).await?))
    };
    let accept = async move |State(api): State<Shared>,
                             Caller(caller): Caller,
                             Segments(id): Segments<BillId>,
                             Body(acceptance): Body<Acceptance>|
                -> Result<Json<()>, ApiError> {
        let accepted = api.payments.accept(caller, kind, id, acceptance);
        Ok(Json(accepted.await?))
    };
    let reject = async move |State(api): State<Shared>,
                             Caller(caller): Caller,
                             Segments(id): Segments<BillId>,
                             Body(rejection): Body<Rejection>|
                -> Result<Json<()>, ApiError> {
        let rejected = api.payments.reject(caller, kind, id, rejection);
        Ok(Json(rejected.await?))
    };
    Router::new()
        .route(&format!("/{name}Events"), get(events))
        .route(&format!("/{name}s/{{bill}}"), get(bill))
        .route(&format!("/{name}s/{{bill}}/accept"), post(accept))
        .route(&format!("/{name}s/{{bill}}/reject"), post(reject))
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
