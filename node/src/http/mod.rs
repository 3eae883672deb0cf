//! The node's REST API, as a yagna daemon has it, for requestors and providers.
//!
//! Only here is axum known. What is asked is decided elsewhere; here it gets paths, statuses and shapes.

mod activity;
mod auth;
mod bus;
mod error;
mod extract;
mod gsb;
mod identity;
mod market;
mod network;
mod overview;
mod payment;
mod registry;
mod server;
mod stream;
mod websocket;

use std::sync::Arc;

use axum::{Router, extract::DefaultBodyLimit, middleware};
use tokio::net::TcpListener;
use tokio_util::{sync::CancellationToken, task::TaskTracker};

use self::error::ApiError;
use crate::{
    activity::Activities, gsb::Services, identity::Identities, market::Market, network::Networks,
    overview::Outlook, payment::Payments, registry::Registry,
};

/// What the API gives access to.
#[derive(Debug)]
pub(crate) struct Api {
    pub(crate) identities: Identities,
    pub(crate) market: Market,
    pub(crate) activities: Activities,
    pub(crate) payments: Payments,
    pub(crate) services: Services,
    pub(crate) networks: Networks,
    pub(crate) registry: Registry,
    /// Where all this is.
    pub(crate) url: String,
    pub(crate) outlook: Outlook,
    /// Ends all that waits.
    pub(crate) stop: CancellationToken,
    /// Whose tasks websockets are.
    pub(crate) tasks: TaskTracker,
}

/// What each route is served with.
type Shared = Arc<Api>;

/// How large a request's body can be: scripts carry data.
const LARGEST_BODY: usize = 16 << 20;

/// Answers requests until told to stop.
pub(crate) async fn serve(listener: TcpListener, api: Api) {
    let stop = api.stop.clone();
    server::serve(listener, router(api), stop).await;
}

fn router(api: Api) -> Router {
    let api = Arc::new(api);
    Router::new()
        .merge(identity::routes())
        .merge(overview::routes())
        .merge(bus::routes())
        .nest("/market-api/v1", market::routes())
        .nest("/activity-api/v1", activity::routes())
        .nest("/payment-api/v1", payment::routes())
        .nest("/gsb-api/v1", gsb::routes())
        .nest("/net-api", network::routes())
        .fallback(async || ApiError::not_found("there is no such resource"))
        .method_not_allowed_fallback(async || ApiError::method_not_allowed())
        .layer(DefaultBodyLimit::max(LARGEST_BODY))
        .merge(registry::routes())
        .layer(middleware::from_fn_with_state(
            Arc::clone(&api),
            auth::admit,
        ))
        .with_state(api)
}
