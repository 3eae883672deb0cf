//! `/market-api/v1`: demands, proposals, agreements.

use std::time::Duration;

use axum::{
    Json, Router,
    extract::State,
    http::StatusCode,
    routing::{delete, get, post},
};
use serde::Deserialize;
use ya_client_model::{
    NodeId,
    market::{
        Agreement, AgreementOperationEvent, AgreementProposal, NewDemand, NewProposal, Proposal,
        Reason, RequestorEvent, agreement::State as AgreementState,
    },
};

use super::{
    ApiError, Shared,
    auth::Caller,
    extract::{Body, EVENTS, EventsAfter, Parameters, Segments, Timeout, at_most},
};
use crate::{
    id::{AgreementId, SubscriptionId},
    market::{Seen, Side, Step, Terms},
};

pub(super) fn routes() -> Router<Shared> {
    Router::new()
        .route("/demands", post(subscribe))
        .route("/demands/{demand}", delete(unsubscribe))
        .route("/demands/{demand}/events", get(demand_events))
        .route(
            "/demands/{demand}/proposals/{proposal}",
            get(proposal).post(counter),
        )
        .route(
            "/demands/{demand}/proposals/{proposal}/reject",
            post(reject),
        )
        .route("/agreements", post(create_agreement))
        .route("/agreements/{agreement}", get(agreement))
        .route("/agreements/{agreement}/confirm", post(confirm))
        .route("/agreements/{agreement}/wait", post(wait))
        .route("/agreements/{agreement}/cancel", post(cancel))
        .route("/agreements/{agreement}/terminate", post(terminate))
        .route("/agreementEvents", get(agreement_events))
}

async fn subscribe(
    State(api): State<Shared>,
    Caller(caller): Caller,
    Body(demand): Body<NewDemand>,
) -> Result<(StatusCode, Json<SubscriptionId>), ApiError> {
    let terms = Terms::new(&demand.properties, &demand.constraints)?;
    let id = api.market.subscribe(Side::Requestor, caller, terms).await;
    tracing::debug!(demand = %id, "a demand is up");
    Ok((StatusCode::CREATED, Json(id)))
}

async fn unsubscribe(
    State(api): State<Shared>,
    Caller(caller): Caller,
    Segments(demand): Segments<SubscriptionId>,
) -> Result<StatusCode, ApiError> {
    api.market
        .unsubscribe(Side::Requestor, caller, demand)
        .await?;
    Ok(StatusCode::NO_CONTENT)
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Collect {
    max_events: Option<usize>,
}

async fn demand_events(
    State(api): State<Shared>,
    Caller(caller): Caller,
    Segments(demand): Segments<SubscriptionId>,
    Parameters(timeout): Parameters<Timeout>,
    Parameters(collect): Parameters<Collect>,
) -> Result<Json<Vec<RequestorEvent>>, ApiError> {
    let (timeout, at_most) = (timeout.or(EVENTS), at_most(collect.max_events));
    let events = api.market.demand_events(caller, demand, timeout, at_most);
    Ok(Json(events.await?))
}

/// A proposal about one of the caller's demands.
fn seen(caller: NodeId, (subscription, proposal): (SubscriptionId, String)) -> Seen {
    Seen {
        side: Side::Requestor,
        caller,
        subscription,
        proposal,
    }
}

async fn proposal(
    State(api): State<Shared>,
    Caller(caller): Caller,
    Segments(ids): Segments<(SubscriptionId, String)>,
) -> Result<Json<Proposal>, ApiError> {
    Ok(Json(api.market.proposal(seen(caller, ids)).await?))
}

async fn counter(
    State(api): State<Shared>,
    Caller(caller): Caller,
    Segments(ids): Segments<(SubscriptionId, String)>,
    Body(answer): Body<NewProposal>,
) -> Result<Json<String>, ApiError> {
    let terms = Terms::new(&answer.properties, &answer.constraints)?;
    Ok(Json(api.market.counter(seen(caller, ids), terms).await?))
}

async fn reject(
    State(api): State<Shared>,
    Caller(caller): Caller,
    Segments(ids): Segments<(SubscriptionId, String)>,
    Body(reason): Body<Option<Reason>>,
) -> Result<StatusCode, ApiError> {
    let rejected = api.market.reject_proposal(seen(caller, ids), reason);
    rejected.await?;
    Ok(StatusCode::NO_CONTENT)
}

async fn create_agreement(
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

async fn terminate(
    State(api): State<Shared>,
    Caller(caller): Caller,
    Segments(id): Segments<AgreementId>,
    Body(reason): Body<Option<Reason>>,
) -> Result<StatusCode, ApiError> {
    api.market.step(caller, id, Step::Terminate(reason)).await?;
    Ok(StatusCode::OK)
}

async fn agreement_events(
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
