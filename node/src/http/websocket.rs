//! Websockets that bytes go through, both ways.

use std::{pin::pin, time::Duration};

use axum::{
    body::Bytes,
    extract::ws::{Message, WebSocket},
};
use futures::{Sink, SinkExt, Stream, StreamExt};
use tokio::time::{Instant, MissedTickBehavior, interval_at, sleep, timeout};

/// How often a client is asked whether it is there.
const PING: Duration = Duration::from_secs(5);
/// How long a client may say nothing; whoever is there answers pings.
const SILENCE: Duration = Duration::from_secs(10);

/// Passes bytes on, message by message, until one side has said all, or one is gone.
pub(super) async fn pass_on(
    socket: WebSocket,
    outgoing: impl Stream<Item = Bytes>,
    incoming: impl Sink<Bytes>,
) {
    let (sink, messages) = socket.split();
    pass_messages_on(sink, messages, outgoing, incoming).await;
}

async fn pass_messages_on<E>(
    mut sink: impl Sink<Message> + Unpin,
    mut messages: impl Stream<Item = Result<Message, E>> + Unpin,
    outgoing: impl Stream<Item = Bytes>,
    incoming: impl Sink<Bytes>,
) {
    let (mut outgoing, mut incoming) = (pin!(outgoing), pin!(incoming));
    let mut pings = interval_at(Instant::now() + PING, PING);
    pings.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let outward = async {
        loop {
            let message = tokio::select! {
                bytes = outgoing.next() => match bytes {
                    Some(bytes) => Message::Binary(bytes),
                    None => break,
                },
                _ = pings.tick() => Message::Ping(Bytes::new()),
            };
            if sink.send(message).await.is_err() {
                return;
            }
        }
        // Who is gone need not be told.
        let _ = sink.send(Message::Close(None)).await;
    };
    let inward = async {
        while let Ok(Some(Ok(message))) = timeout(SILENCE, messages.next()).await {
            let bytes = match message {
                Message::Binary(bytes) => bytes,
                Message::Text(text) => Bytes::from(text),
                // Pings are answered by the websocket itself.
                Message::Ping(_) | Message::Pong(_) => continue,
                Message::Close(_) => return,
            };
            if incoming.send(bytes).await.is_err() {
                // Nothing will come from there either, which ends the other direction in order, unless nobody reads.
                return sleep(SILENCE).await;
            }
        }
    };
    tokio::select! {
        () = outward => {}
        () = inward => {}
    }
}

#[cfg(test)]
mod tests {
    use std::convert::Infallible;

    use futures::{channel::mpsc, sink};

    use super::*;

    #[tokio::test(start_paused = true)]
    async fn a_client_that_says_nothing_is_asked_and_then_left() {
        let (sink, mut heard) = mpsc::unbounded();
        let (mut say, messages) = mpsc::unbounded::<Result<_, Infallible>>();
        let (mut other_end, outgoing) = mpsc::unbounded();
        let began = Instant::now();
        let passing = pass_messages_on(sink, messages, outgoing, sink::drain());
        let passing = tokio::spawn(passing);
        for pings in 1..=3 {
            assert_eq!(heard.next().await, Some(Message::Ping(Bytes::new())));
            assert_eq!(began.elapsed(), PING * pings);
            say.send(Ok(Message::Pong(Bytes::new()))).await.unwrap();
        }
        let hello = Bytes::from_static(b"hello");
        other_end.send(hello.clone()).await.unwrap();
        assert_eq!(heard.next().await, Some(Message::Binary(hello)));
        passing.await.unwrap();
        assert_eq!(began.elapsed(), PING * 3 + SILENCE);
    }
}
