//! Agreements, for both sides.

use std::time::Duration;

use axum::{
    Json, Router,
    extract::State,
    http::StatusCode,
    routing::{get, post},
};
use chrono::{DateTime, Utc};
use serde::Deserialize;
use ya_client_model::market::{
    Agreement, AgreementListEntry, AgreementOperationEvent, AgreementProposal, Reason,
    agreement::State as AgreementState,
};

use super::{
    ApiError, Shared,
    auth::Caller,
    extract::{Body, EventsAfter, Parameters, Segments, Timeout},
};
use crate::{
    id::AgreementId,
    market::{Step, Wanted},
};

pub(super) fn routes() -> Router<Shared> {
    Router::new()
        .route("/agreements", get(agreements).post(create))
        .route("/agreements/{agreement}", get(agreement))
        .route("/agreements/{agreement}/confirm", post(confirm))
        .route("/agreements/{agreement}/wait", post(wait))
        .route("/agreements/{agreement}/cancel", post(cancel))
        .route("/agreements/{agreement}/approve", post(approve))
        .route("/agreements/{agreement}/reject", post(reject))
        .route("/agreements/{agreement}/terminate", post(terminate))
        // One client reads it by POST.
        .route(
            "/agreements/{agreement}/terminate/reason",
            get(reason).post(reason),
        )
        .route("/agreementEvents", get(events))
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct List {
    state: Option<AgreementState>,
    before_date: Option<DateTime<Utc>>,
    after_date: Option<DateTime<Utc>>,
    app_session_id: Option<String>,
}

async fn agreements(
    State(api): State<Shared>,
    Caller(caller): Caller,
    Parameters(list): Parameters<List>,
) -> Json<Vec<AgreementListEntry>> {
    let wanted = Wanted {
        state: list.state,
        before: list.before_date,
        after: list.after_date,
        session: list.app_session_id,
    };
    Json(api.market.agreements(caller, wanted).await)
}

async fn create(
    State(api): State<Shared>,
    Caller(caller): Caller,
    Body(new): Body<AgreementProposal>,
) -> Result<Json<AgreementId>, ApiError> {
    let created = api
        .market
        .create_agreement(caller, new.proposal_id, new.valid_to);
    Ok(Json(created.await?))
}

async fn agreement(
    State(api): State<Shared>,
    Caller(caller): Caller,
    Segments(id): Segments<AgreementId>,
) -> Result<Json<Agreement>, ApiError> {
    Ok(Json(api.market.agreement(caller, id).await?))
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Session {
    app_session_id: Option<String>,
}

async fn confirm(
    State(api): State<Shared>,
    Caller(caller): Caller,
    Segments(id): Segments<AgreementId>,
    Parameters(session): Parameters<Session>,
) -> Result<StatusCode, ApiError> {
    let step = Step::Confirm(session.app_session_id);
    api.market.step(caller, id, step).await?;
    Ok(StatusCode::NO_CONTENT)
}

async fn wait(
    State(api): State<Shared>,
    Caller(caller): Caller,
    Segments(id): Segments<AgreementId>,
    Parameters(timeout): Parameters<Timeout>,
) -> Result<StatusCode, ApiError> {
    let timeout = timeout.or(Duration::from_secs(5));
    let deal = api.market.wait_for_approval(caller, id, timeout).await?;
    let deal = deal.ok_or_else(ApiError::timeout)?;
    match (deal.state, deal.reason) {
        (AgreementState::Approved, _) => Ok(StatusCode::NO_CONTENT),
        (state, Some(reason)) => Err(ApiError::gone(format_args!("{state}: {}", reason.message))),
        (state, None) => Err(ApiError::gone(state)),
    }
}

async fn cancel(
    State(api): State<Shared>,
    Caller(caller): Caller,
    Segments(id): Segments<AgreementId>,
    Body(reason): Body<Option<Reason>>,
) -> Result<StatusCode, ApiError> {
    api.market.step(caller, id, Step::Cancel(reason)).await?;
    Ok(StatusCode::OK)
}

/// An approval takes no time here, so there is nothing to wait for.
async fn approve(
    State(api): State<Shared>,
    Caller(caller): Caller,
    Segments(id): Segments<AgreementId>,
    Parameters(session): Parameters<Session>,
) -> Result<StatusCode, ApiError> {
    let step = Step::Approve(session.app_session_id);
    api.market.step(caller, id, step).await?;
    Ok(StatusCode::NO_CONTENT)
}

async fn reject(
    State(api): State<Shared>,
    Caller(caller): Caller,
    Segments(id): Segments<AgreementId>,
    Body(reason): Body<Option<Reason>>,
) -> Result<StatusCode, ApiError> {
    api.market.step(caller, id, Step::Reject(reason)).await?;
    Ok(StatusCode::NO_CONTENT)
}

async fn terminate(
    State(api): State<Shared>,
    Caller(caller): Caller,
    Segments(id): Segments<AgreementId>,
    Body(reason): Body<Option<Reason>>,
) -> Result<StatusCode, ApiError> {
    api.market.step(caller, id, Step::Terminate(reason)).await?;
    Ok(StatusCode::OK)
}

/// Why an agreement is no more, as far as it is known.
async fn reason(
    State(api): State<Shared>,
    Caller(caller): Caller,
    Segments(id): Segments<AgreementId>,
) -> Result<Json<Reason>, ApiError> {
    let deal = api.market.deal(caller, id.clone()).await?;
    match (deal.state, deal.reason) {
        (AgreementState::Terminated, reason) => Ok(Json(
            reason.unwrap_or_else(|| Reason::new("no reason was given")),
        )),
        (state, _) => Err(ApiError::not_found(format_args!(
            "agreement {id} is {state}, not terminated"
        ))),
    }
}

async fn events(
    State(api): State<Shared>,
    Caller(caller): Caller,
    Parameters(wanted): Parameters<EventsAfter>,
) -> Json<Vec<AgreementOperationEvent>> {
    let (after, timeout, at_most) = (wanted.after(), wanted.timeout(), wanted.at_most());
    let session = wanted.app_session_id;
    let events = api
        .market
        .agreement_events(caller, session, after, timeout, at_most);
    Json(events.await)
}
