//! How long an upload waits. Time is not real here.

use futures::stream::unfold;
use tokio::{io::AsyncReadExt, net::TcpListener, time::Instant};

use super::*;

const HOUR: Duration = Duration::from_secs(3600);

#[tokio::test(start_paused = true)]
async fn a_server_that_never_answers_is_not_waited_for_any_longer() {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let address = listener.local_addr().expect("an address");
    tokio::spawn(async move {
        let (mut client, _) = listener.accept().await.expect("a client");
        while client.read(&mut [0; 4096]).await.is_ok() {
            tokio::task::yield_now().await;
        }
    });
    let piece = Ok(Bytes::from_static(b"a file"));
    let file = Download {
        bytes: stream::iter([piece]).boxed(),
        check: None,
        travelled: watch::Sender::default(),
    };
    let url = format!("http://{address}/file").parse().expect("a URL");
    let web = Web::default();
    let outcome = timeout(HOUR, web.upload(&url, file)).await;
    assert!(outcome.expect("it ends").is_err());
}

#[tokio::test(start_paused = true)]
async fn each_piece_that_a_server_takes_renews_its_time() {
    let (mut pieces, turn) = watched(stream::iter(0..10));
    let begin = Instant::now();
    let sending = async {
        while pieces.next().await.is_some() {
            sleep(SILENCE * 2 / 3).await;
        }
    };
    let ((), ()) = tokio::join!(sending, silence(turn));
    // Before the end there was a pause after each; and then there was no answer.
    assert_eq!(begin.elapsed(), SILENCE * 20 / 3 + SILENCE);
}

#[tokio::test(start_paused = true)]
async fn the_server_is_not_to_blame_for_a_slow_source() {
    let source = unfold(0, |count| async move {
        sleep(HOUR).await;
        (count < 3).then_some((count, count + 1))
    });
    let (mut pieces, turn) = watched(source.boxed());
    let begin = Instant::now();
    let sending = async {
        while pieces.next().await.is_some() {}
        drop(pieces);
    };
    let ((), ()) = tokio::join!(sending, silence(turn));
    assert_eq!(begin.elapsed(), HOUR * 4 + SILENCE);
}
