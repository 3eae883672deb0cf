//! `/market-api/v1`: demands, offers, proposals, agreements, scans.

mod agreement;
mod scan;
mod subscription;

use axum::Router;

use super::{ApiError, Shared, auth, extract};
use crate::market::Side;

pub(super) fn routes() -> Router<Shared> {
    Router::new()
        .merge(subscription::routes("demands", Side::Requestor))
        .merge(subscription::routes("offers", Side::Provider))
        .merge(agreement::routes())
        .merge(scan::routes())
}
