//! Streams of events (SSE).

use std::{convert::Infallible, time::Duration};

use axum::response::{
    Sse,
    sse::{Event, KeepAlive, KeepAliveStream},
};
use futures::Stream;

/// How often a stream shows that it is alive.
const PING: Duration = Duration::from_secs(15);

/// Shows that a stream is alive while nothing happens.
pub(super) fn keep_alive<S>(stream: Sse<S>) -> Sse<KeepAliveStream<S>>
where
    S: Stream<Item = Result<Event, Infallible>> + Send + 'static,
{
    stream.keep_alive(KeepAlive::new().interval(PING).text("ping"))
}
