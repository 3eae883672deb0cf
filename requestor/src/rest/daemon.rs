//! The calls that ya-client lacks, or gets wrong: plain HTTP, and websockets.

use std::{error::Error, fmt, iter, time::Duration};

use reqwest::{
    Method,
    header::{self, HeaderValue, InvalidHeaderValue},
};
use serde::{Deserialize, de::DeserializeOwned};
use serde_json::Value;
use tokio::{net::TcpStream, time::timeout};
use tokio_tungstenite::{
    MaybeTlsStream, WebSocketStream, connect_async,
    tungstenite::{self, client::IntoClientRequest},
};
use url::Url;

use super::convert::rejection;
use crate::yagna::{Problem, YagnaError};

/// How long the daemon may take to answer, or to open a websocket. None of these calls waits for something to happen.
const ANSWER_TIMEOUT: Duration = Duration::from_secs(30);

/// A websocket of the daemon's.
pub(super) type Socket = WebSocketStream<MaybeTlsStream<TcpStream>>;

/// Where the daemon is, and by whom it is called.
#[derive(Clone)]
pub(super) struct Daemon {
    url: Url,
    authorization: HeaderValue,
    http: reqwest::Client,
}

impl Daemon {
    pub(super) fn new(url: Url, app_key: &str) -> Result<Self, InvalidHeaderValue> {
        let mut authorization = HeaderValue::from_str(&format!("Bearer {app_key}"))?;
        authorization.set_sensitive(true);
        Ok(Self {
            url,
            authorization,
            http: reqwest::Client::new(),
        })
    }

    /// Makes a call; `name` is what an error calls it. An answer without a body is read as null.
    pub(super) async fn ask<T: DeserializeOwned>(
        &self,
        name: &str,
        method: Method,
        path: &str,
        body: Option<Value>,
    ) -> Result<T, YagnaError> {
        let failed = |problem| YagnaError {
            call: name.to_owned(),
            problem,
        };
        let unreachable = |error: reqwest::Error| failed(Problem::Unreachable(chain(&error)));
        let mut request = self
            .http
            .request(method, self.endpoint(path))
            .timeout(ANSWER_TIMEOUT)
            .header(header::AUTHORIZATION, &self.authorization);
        if let Some(body) = &body {
            request = request.json(body);
        }
        let answer = request.send().await.map_err(unreachable)?;
        let status = answer.status();
        let body = answer.bytes().await.map_err(unreachable)?;
        if !status.is_success() {
            return Err(failed(rejection(status.as_u16(), message(&body))));
        }
        let body: &[u8] = if body.is_empty() { b"null" } else { &body };
        serde_json::from_slice(body).map_err(|error| failed(Problem::Malformed(error.to_string())))
    }

    /// Opens a websocket, in which a protocol may be spoken; `name` is what an error calls that.
    pub(super) async fn open(
        &self,
        name: &str,
        path: &str,
        protocol: Option<&str>,
    ) -> Result<Socket, YagnaError> {
        let opened = timeout(ANSWER_TIMEOUT, self.try_open(path, protocol)).await;
        let problem = match opened {
            Ok(Ok(socket)) => return Ok(socket),
            Ok(Err(tungstenite::Error::Http(answer))) => {
                let body = answer.body().as_deref().unwrap_or_default();
                rejection(answer.status().as_u16(), message(body))
            }
            Ok(Err(error)) => Problem::Unreachable(chain(&error)),
            Err(elapsed) => Problem::Unreachable(elapsed.to_string()),
        };
        Err(YagnaError {
            call: name.to_owned(),
            problem,
        })
    }

    async fn try_open(
        &self,
        path: &str,
        protocol: Option<&str>,
    ) -> Result<Socket, tungstenite::Error> {
        let mut url = self.endpoint(path);
        url.set_scheme("ws").expect("http becomes ws");
        let mut request = url.as_str().into_client_request()?;
        let headers = request.headers_mut();
        if let Some(protocol) = protocol {
            headers.insert(header::SEC_WEBSOCKET_PROTOCOL, protocol.parse()?);
        }
        headers.insert(header::AUTHORIZATION, self.authorization.clone());
        let (socket, _) = connect_async(request).await?;
        Ok(socket)
    }

    fn endpoint(&self, path: &str) -> Url {
        self.url
            .join(&format!("/{path}"))
            .expect("a path makes a URL of a URL")
    }
}

impl fmt::Debug for Daemon {
    /// Without the app key.
    fn fmt(&self, formatter: &mut fmt::Formatter) -> fmt::Result {
        formatter
            .debug_struct("Daemon")
            .field("url", &self.url.as_str())
            .finish_non_exhaustive()
    }
}

/// What a daemon says when it refuses: `{"message": "…"}`, mostly.
fn message(body: &[u8]) -> String {
    #[derive(Deserialize)]
    struct Refusal {
        message: String,
    }
    match serde_json::from_slice(body) {
        Ok(Refusal { message }) => message,
        Err(_) => String::from_utf8_lossy(body).into_owned(),
    }
}

/// An error with all that caused it. Alone, many say only what was tried.
pub(super) fn chain(error: &dyn Error) -> String {
    let causes = iter::successors(Some(error), |error| (*error).source());
    let causes: Vec<_> = causes.map(ToString::to_string).collect();
    causes.join(": ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_refusal_is_told_in_its_own_words() {
        assert_eq!(message(br#"{"message": "no such node"}"#), "no such node");
        assert_eq!(message(b"no such page"), "no such page");
        assert_eq!(message(br#"{"error": 1}"#), r#"{"error": 1}"#);
    }

    /// What becomes of a call and of a websocket.
    async fn attempts(url: &str) -> [YagnaError; 2] {
        let daemon = Daemon::new(url.parse().unwrap(), "key").unwrap();
        let asked = daemon.ask::<Value>("ask", Method::GET, "x", None).await;
        let opened = daemon.open("open", "x", None).await.map(|_| ());
        [asked.unwrap_err(), opened.unwrap_err()]
    }

    // Where nothing happens, a clock that stands still goes on to when something will.
    #[tokio::test(start_paused = true)]
    async fn a_daemon_that_is_silent_is_waited_for_in_vain_but_not_forever() {
        let silent = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        let url = format!("http://{}", silent.local_addr().unwrap());
        let begin = tokio::time::Instant::now();
        for error in attempts(&url).await {
            assert!(
                matches!(error.problem, Problem::Unreachable(_)),
                "{error:?}"
            );
        }
        assert!(begin.elapsed() < 3 * ANSWER_TIMEOUT);
    }

    #[tokio::test]
    async fn a_daemon_that_is_not_there_is_told_with_the_cause() {
        for error in attempts("http://127.0.0.1:1").await {
            let Problem::Unreachable(cause) = error.problem else {
                panic!("{error:?}")
            };
            assert!(cause.contains("refused"), "{cause}");
        }
    }
}
