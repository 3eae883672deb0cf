//! Files of web servers.

mod client;
#[cfg(test)]
mod tests;

use std::{error::Error, future::pending, io, iter::successors, sync::OnceLock, time::Duration};

use base64::{Engine, engine::general_purpose::STANDARD};
use futures::{Stream, StreamExt, TryStreamExt, stream};
use http_body_util::{BodyDataStream, BodyExt, Empty, StreamBody};
use hyper::{
    Method, Request, Response, StatusCode,
    body::{Body as _, Frame, Incoming},
    header::{AUTHORIZATION, CONTENT_RANGE, ETAG, HeaderValue, IF_RANGE, LOCATION, RANGE},
};
use prost::bytes::{Buf, Bytes};
use tokio::{
    sync::watch,
    time::{sleep, timeout},
};
use url::Url;

use self::client::{Body, Client};
use super::{Download, Patience, TransferError};

/// How long a server may be silent.
const SILENCE: Duration = Duration::from_secs(60);
/// How often a server may send on to another place.
const REDIRECTS: usize = 10;

/// A client of web servers. It trusts whom this machine trusts.
#[derive(Clone, Debug, Default)]
pub(super) struct Web {
    patience: Patience,
    /// Made when it is needed: to read all certificates of a machine takes a while.
    client: OnceLock<Client>,
}

/// What a web server did wrong.
#[derive(Debug, thiserror::Error)]
pub(crate) enum HttpError {
    #[error("it answers {0}")]
    Status(StatusCode),
    #[error("it sends on to no place that is a URL of http or https")]
    Location,
    #[error("it sends on more than {REDIRECTS} times")]
    Redirects,
    #[error("its certificate is not to be trusted")]
    Untrusted(#[source] rustls::Error),
    #[error("it cannot be asked")]
    Request(#[source] hyper_util::client::legacy::Error),
    #[error("its answer breaks off")]
    Body(#[source] hyper::Error),
    #[error("it has been silent for {} s", SILENCE.as_secs())]
    Silent,
    #[error("its URL is none for hyper")]
    Url(#[from] hyper::http::Error),
    #[error("it goes on at another place than was asked for")]
    Range,
    #[error("the file has changed while it was fetched")]
    Changed,
}

impl HttpError {
    /// Whether another attempt may go better.
    fn is_passing(&self) -> bool {
        match self {
            Self::Request(_) | Self::Body(_) | Self::Silent => true,
            Self::Status(status) => {
                status.is_server_error()
                    || matches!(
                        *status,
                        StatusCode::REQUEST_TIMEOUT | StatusCode::TOO_MANY_REQUESTS
                    )
            }
            _ => false,
        }
    }
}

/// A file that a server gives: how long it is, if that is known, and its bytes.
pub(super) type File<S> = (Option<u64>, S);

impl Web {
    pub(super) fn new(patience: Patience) -> Self {
        Self {
            patience,
            client: OnceLock::new(),
        }
    }

    /// The file that a server gives; only of an answer that says so. An answer that breaks off is gone on with.
    pub(super) async fn download(
        &self,
        url: Url,
    ) -> Result<File<impl Stream<Item = Result<Bytes, TransferError>> + Send + use<>>, TransferError>
    {
        let shown = shown(&url);
        let mut fetch = Fetch {
            web: self.clone(),
            url,
            failures: 0,
            offset: 0,
            total: None,
            tag: None,
            body: None,
            rest: None,
        };
        let failed = move |source| TransferError::Http {
            url: shown.clone(),
            source,
        };
        if let Err(error) = fetch.connect().await {
            return Err(failed(error));
        }
        let total = fetch.total;
        let pieces = stream::try_unfold(fetch, |mut fetch| async move {
            let piece = fetch.next().await?;
            Ok::<_, HttpError>(piece.map(|piece| (piece, fetch)))
        });
        Ok((total, pieces.map_err(failed)))
    }

    /// Gives a file to a server.
    pub(super) async fn upload(&self, url: &Url, file: Download) -> Result<(), TransferError> {
        let (frames, turn) = watched(file.into_stream().map_ok(Frame::data).boxed());
        let body = StreamBody::new(frames).boxed_unsync();
        let asked = self.ask(Method::PUT, url, None, body);
        let answered = tokio::select! {
            answer = asked => answer.and_then(successful),
            () = silence(turn) => Err(HttpError::Silent),
        };
        answered.map(drop).map_err(|source| TransferError::Http {
            url: shown(url),
            source,
        })
    }

    async fn ask(
        &self,
        method: Method,
        url: &Url,
        range: Option<(u64, Option<&HeaderValue>)>,
        body: Body,
    ) -> Result<Response<Incoming>, HttpError> {
        let mut request = Request::builder().method(method).uri(url.as_str());
        if !url.username().is_empty() {
            let password = url.password().unwrap_or_default();
            let credentials = STANDARD.encode(format!("{}:{password}", url.username()));
            request = request.header(AUTHORIZATION, format!("Basic {credentials}"));
        }
        if let Some((offset, tag)) = range {
            request = request.header(RANGE, format!("bytes={offset}-"));
            if let Some(tag) = tag {
                request = request.header(IF_RANGE, tag);
            }
        }
        let request = request.body(body)?;
        let client = self.client.get_or_init(client::client);
        let answered = client.request(request).await;
        answered.map_err(|error| match bad_certificate(&error) {
            Some(bad) => HttpError::Untrusted(bad),
            None => HttpError::Request(error),
        })
    }
}

impl TransferError {
    /// Whether another attempt may go better.
    pub(super) fn is_passing(&self) -> bool {
        matches!(self, Self::Http { source, .. } if source.is_passing())
    }
}

/// A file on its way, from one connection or several.
struct Fetch {
    web: Web,
    /// Where it is; the last place that was sent on to.
    url: Url,
    failures: u32,
    /// How much of it has come.
    offset: u64,
    total: Option<u64>,
    /// What the server says changes with its content.
    tag: Option<HeaderValue>,
    /// None while there is no connection.
    body: Option<BodyDataStream<Incoming>>,
    /// What has come and was not given on yet.
    rest: Option<Bytes>,
}

impl Fetch {
    /// The next piece; nothing at the end.
    async fn next(&mut self) -> Result<Option<Bytes>, HttpError> {
        loop {
            self.connect().await?;
            if let Some(bytes) = self.rest.take() {
                self.offset += bytes.len() as u64;
                return Ok(Some(bytes));
            }
            let Some(body) = &mut self.body else {
                continue;
            };
            let failure = match timeout(SILENCE, body.next()).await {
                Ok(Some(Ok(bytes))) => {
                    self.offset += bytes.len() as u64;
                    return Ok(Some(bytes));
                }
                Ok(None) => return Ok(None),
                Ok(Some(Err(error))) => HttpError::Body(error),
                Err(_) => HttpError::Silent,
            };
            self.body = None;
            self.pause(failure).await?;
        }
    }

    /// Connects, unless there is a connection; several times if need be.
    async fn connect(&mut self) -> Result<(), HttpError> {
        while self.body.is_none() {
            match self.open().await {
                Ok(body) => self.body = Some(body),
                Err(error) => self.pause(error).await?,
            }
        }
        Ok(())
    }

    /// Waits before the next attempt, if there is to be one.
    async fn pause(&mut self, error: HttpError) -> Result<(), HttpError> {
        self.failures += 1;
        match self.web.patience.pause(self.failures) {
            Some(pause) if error.is_passing() => {
                let (offset, error) = (self.offset, crate::cause::in_one_line(&error));
                tracing::warn!(offset, error, "a web server is asked again");
                sleep(pause).await;
                Ok(())
            }
            _ => Err(error),
        }
    }

    /// Opens a connection that gives the rest of the file.
    async fn open(&mut self) -> Result<BodyDataStream<Incoming>, HttpError> {
        let response = self.get().await?;
        if self.offset == 0 {
            self.total = response.body().size_hint().exact();
            let tag = response.headers().get(ETAG);
            // A weak tag is no promise that the bytes are the same.
            self.tag = tag
                .filter(|tag| !tag.as_bytes().starts_with(b"W/"))
                .cloned();
            return Ok(response.into_body().into_data_stream());
        }
        if response.status() == StatusCode::PARTIAL_CONTENT {
            return match begins_at(&response) == Some(self.offset) {
                true => Ok(response.into_body().into_data_stream()),
                false => Err(HttpError::Range),
            };
        }
        // The server gives all of it once more: what has come already is passed over.
        let is_same = self.total == response.body().size_hint().exact()
            && self.tag.as_ref() == response.headers().get(ETAG).filter(|_| self.tag.is_some());
        if !is_same {
            return Err(HttpError::Changed);
        }
        let mut body = response.into_body().into_data_stream();
        self.pass_over(&mut body).await?;
        Ok(body)
    }

    async fn pass_over(&mut self, body: &mut BodyDataStream<Incoming>) -> Result<(), HttpError> {
        let mut left = self.offset;
        while left > 0 {
            let piece = timeout(SILENCE, body.next()).await;
            let piece = piece.map_err(|_| HttpError::Silent)?;
            let mut bytes = piece.ok_or(HttpError::Changed)?.map_err(HttpError::Body)?;
            let passed = left.min(bytes.len() as u64);
            bytes.advance(passed as usize);
            left -= passed;
            // A piece is rarely cut where the last answer broke off.
            self.rest = Some(bytes).filter(|bytes| !bytes.is_empty());
        }
        Ok(())
    }

    async fn get(&mut self) -> Result<Response<Incoming>, HttpError> {
        for _ in 0..=REDIRECTS {
            let nothing = Empty::new().map_err(|never| match never {});
            let range = (self.offset > 0).then_some((self.offset, self.tag.as_ref()));
            let asked = self
                .web
                .ask(Method::GET, &self.url, range, nothing.boxed_unsync());
            let response = timeout(SILENCE, asked).await;
            let response = response.map_err(|_| HttpError::Silent)??;
            if !response.status().is_redirection() {
                return successful(response);
            }
            self.url = next_place(&self.url, &response).ok_or(HttpError::Location)?;
        }
        Err(HttpError::Redirects)
    }
}

/// Whom an upload waits for.
#[derive(Clone, Copy, Debug)]
enum Turn {
    /// Where the file comes from, which has patience of its own.
    Source,
    /// The server, which is to take the next piece, or to answer.
    Server,
}

/// A stream, and whom its reader waits for.
fn watched<S: Stream + Unpin>(
    mut pieces: S,
) -> (impl Stream<Item = S::Item>, watch::Receiver<Turn>) {
    let (turns, turn) = watch::channel(Turn::Server);
    let pieces = stream::poll_fn(move |context| {
        turns.send_replace(Turn::Source);
        let piece = pieces.poll_next_unpin(context);
        if piece.is_ready() {
            turns.send_replace(Turn::Server);
        }
        piece
    });
    (pieces, turn)
}

/// Returns when the server has done nothing for too long.
async fn silence(mut turn: watch::Receiver<Turn>) {
    loop {
        let whose = *turn.borrow_and_update();
        let change = async {
            if turn.changed().await.is_err() {
                // Whatever comes now, the file is not asked for any more.
                pending().await
            }
        };
        match whose {
            Turn::Source => change.await,
            Turn::Server => {
                if timeout(SILENCE, change).await.is_err() {
                    return;
                }
            }
        }
    }
}

fn successful(response: Response<Incoming>) -> Result<Response<Incoming>, HttpError> {
    match response.status() {
        status if status.is_success() => Ok(response),
        status => Err(HttpError::Status(status)),
    }
}

/// What is wrong with the certificate of a server, if that is why it was not asked.
fn bad_certificate(error: &(dyn Error + 'static)) -> Option<rustls::Error> {
    let mut causes = successors(Some(error), |&error| error.source()).filter_map(of_tls);
    causes
        .find(|error| matches!(error, rustls::Error::InvalidCertificate(_)))
        .cloned()
}

/// An error of TLS, also where those of I/O are wrapped around it, which do not name it as their source.
fn of_tls<'a>(error: &'a (dyn Error + 'static)) -> Option<&'a rustls::Error> {
    match error.downcast_ref::<io::Error>() {
        Some(error) => of_tls(error.get_ref()?),
        None => error.downcast_ref(),
    }
}

/// Where a server sends on to.
fn next_place(url: &Url, response: &Response<Incoming>) -> Option<Url> {
    let location = response.headers().get(LOCATION)?.to_str().ok()?;
    let next = url.join(location).ok()?;
    matches!(next.scheme(), "http" | "https").then_some(next)
}

/// Where a part of a file begins: `bytes 100-199/200`.
fn begins_at(response: &Response<Incoming>) -> Option<u64> {
    let range = response.headers().get(CONTENT_RANGE)?.to_str().ok()?;
    let (begin, _) = range.strip_prefix("bytes ")?.split_once('-')?;
    begin.parse().ok()
}

/// A URL without the password that may be in it.
fn shown(url: &Url) -> String {
    let mut url = url.clone();
    if url.password().is_some() {
        // It can only fail for URLs that cannot have one.
        let _ = url.set_password(None);
    }
    url.to_string()
}
