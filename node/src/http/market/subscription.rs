//! Demands and offers, and the proposals about them. Both sides have the same of all.

use axum::{
    Json, Router,
    extract::State,
    http::StatusCode,
    response::{IntoResponse, Response},
    routing::{delete, get, post},
};
use serde::Deserialize;
use ya_client_model::market::{NewDemand, NewProposal, Proposal, Reason};

use super::{
    ApiError, Shared,
    auth::Caller,
    extract::{Body, EVENTS, Parameters, Segments, Timeout, at_most},
};
use crate::{
    id::SubscriptionId,
    market::{Seen, Side, Standing, Terms},
};

/// What one side can do with what it calls `name`.
pub(super) fn routes(name: &str, side: Side) -> Router<Shared> {
    let list = async move |state, caller| standing(side, state, caller).await;
    let put_up = async move |state, caller, body| subscribe(side, state, caller, body).await;
    let take_down = async move |state, caller, id| unsubscribe(side, state, caller, id).await;
    let fetch = async move |state, caller, id, timeout, collect| {
        events(side, state, caller, id, timeout, collect).await
    };
    let look = async move |state, caller, ids| proposal(side, state, caller, ids).await;
    let answer =
        async move |state, caller, ids, body| counter(side, state, caller, ids, body).await;
    let refuse = async move |state, caller, ids, body| reject(side, state, caller, ids, body).await;
    Router::new()
        .route(&format!("/{name}"), get(list).post(put_up))
        .route(&format!("/{name}/{{id}}"), delete(take_down))
        .route(&format!("/{name}/{{id}}/events"), get(fetch))
        .route(
            &format!("/{name}/{{id}}/proposals/{{proposal}}"),
            get(look).post(answer),
        )
        .route(
            &format!("/{name}/{{id}}/proposals/{{proposal}}/reject"),
            post(refuse),
        )
        .route(
            &format!("/{name}/{{id}}/propertyQuery/{{query}}"),
            post(async || {
                ApiError::not_implemented(
                    "nobody asks for properties here: all are in the proposals",
                )
            }),
        )
}

async fn standing(
    side: Side,
    State(api): State<Shared>,
    Caller(caller): Caller,
) -> Json<Vec<Standing>> {
    Json(api.market.standing(side, caller).await)
}

/// Offers have the same form.
async fn subscribe(
    side: Side,
    State(api): State<Shared>,
    Caller(caller): Caller,
    Body(new): Body<NewDemand>,
) -> Result<(StatusCode, Json<SubscriptionId>), ApiError> {
    let terms = Terms::new(&new.properties, &new.constraints)?;
    let id = api.market.subscribe(side, caller, terms).await;
    tracing::debug!(?side, %id, "it is on the market");
    Ok((StatusCode::CREATED, Json(id)))
}

async fn unsubscribe(
    side: Side,
    State(api): State<Shared>,
    Caller(caller): Caller,
    Segments(id): Segments<SubscriptionId>,
) -> Result<StatusCode, ApiError> {
    api.market.unsubscribe(side, caller, id).await?;
    Ok(StatusCode::NO_CONTENT)
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Collect {
    max_events: Option<usize>,
}

async fn events(
    side: Side,
    State(api): State<Shared>,
    Caller(caller): Caller,
    Segments(id): Segments<SubscriptionId>,
    Parameters(timeout): Parameters<Timeout>,
    Parameters(collect): Parameters<Collect>,
) -> Result<Response, ApiError> {
    let (timeout, at_most) = (timeout.or(EVENTS), at_most(collect.max_events));
    let market = &api.market;
    Ok(match side {
        Side::Requestor => {
            let events = market.demand_events(caller, id, timeout, at_most).await?;
            Json(events).into_response()
        }
        Side::Provider => {
            let events = market.offer_events(caller, id, timeout, at_most).await?;
            Json(events).into_response()
        }
    })
}

/// The ids of a demand or an offer, and of a proposal about it.
type Ids = Segments<(SubscriptionId, String)>;

fn seen(side: Side, Caller(caller): Caller, Segments((subscription, proposal)): Ids) -> Seen {
    Seen {
        side,
        caller,
        subscription,
        proposal,
    }
}

async fn proposal(
    side: Side,
    State(api): State<Shared>,
    caller: Caller,
    ids: Ids,
) -> Result<Json<Proposal>, ApiError> {
    Ok(Json(api.market.proposal(seen(side, caller, ids)).await?))
}

async fn counter(
    side: Side,
    State(api): State<Shared>,
    caller: Caller,
    ids: Ids,
    Body(answer): Body<NewProposal>,
) -> Result<Json<String>, ApiError> {
    let terms = Terms::new(&answer.properties, &answer.constraints)?;
    let countered = api.market.counter(seen(side, caller, ids), terms);
    Ok(Json(countered.await?))
}

async fn reject(
    side: Side,
    State(api): State<Shared>,
    caller: Caller,
    ids: Ids,
    Body(reason): Body<Option<Reason>>,
) -> Result<StatusCode, ApiError> {
    let rejected = api.market.reject_proposal(seen(side, caller, ids), reason);
    rejected.await?;
    Ok(StatusCode::NO_CONTENT)
}
