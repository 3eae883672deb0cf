//! The way to a yagna daemon: HTTP and websockets. Only here is ya-client known.
//!
//! ya-client is not [`Send`], so its futures run on a thread of their own, and requests reach it as closures. The
//! few calls that it lacks, or gets wrong, those of the service bus and of networks, are made here without it.

mod activity;
mod bus;
mod convert;
mod daemon;
mod market;
mod net;
mod payment;
mod port;

use std::{
    env, fmt,
    future::Future,
    rc::Rc,
    sync::{Arc, Mutex},
    time::Duration,
};

use futures::future::{BoxFuture, LocalBoxFuture};
use tokio::{
    sync::{mpsc, oneshot},
    task::LocalSet,
};
use url::Url;
use ya_client::{
    activity::ActivityRequestorApi, identity::IdentityApi, market::MarketRequestorApi,
    payment::PaymentApi, web::WebClient,
};

use self::{bus::Bus, convert::failure, daemon::Daemon, net::Net};
use crate::yagna::{Problem, YagnaError};

/// How long a call may take, waiting included.
const CALL_TIMEOUT: Duration = Duration::from_secs(120);

/// Where a yagna daemon listens unless it is told otherwise.
const DEFAULT_API_URL: &str = "http://127.0.0.1:7465";

/// A yagna daemon, over HTTP.
#[derive(Clone)]
pub struct Rest {
    jobs: mpsc::UnboundedSender<Job>,
    bus: Bus,
    net: Net,
    closing: Arc<Mutex<Option<BoxFuture<'static, ()>>>>,
}

/// How many calls are made with one of ya-client's clients at a time: it has 100 connections, and a call beyond them would
/// wait until one of those is over that wait for something to happen.
const CALLS_AT_ONCE: usize = 90;

/// A request, with the way back for its answer.
type Job = Box<dyn FnOnce(Rc<Apis>) -> LocalBoxFuture<'static, ()> + Send>;

/// ya-client's parts.
struct Apis {
    identity: IdentityApi,
    market: MarketRequestorApi,
    activity: ActivityRequestorApi,
    payment: PaymentApi,
}

/// Why there is no way to a yagna daemon.
#[derive(Debug, thiserror::Error)]
pub enum ConnectError {
    /// Its address makes no sense.
    #[error("{url:?} is no URL of a yagna daemon")]
    #[expect(missing_docs, reason = "the message says it")]
    Url {
        url: String,
        source: url::ParseError,
    },
    /// Its address has a scheme that is not spoken here.
    #[error("a yagna daemon's URL must begin with http://, as it is to be near: {url}")]
    #[expect(missing_docs, reason = "the message says it")]
    Scheme { url: Url },
    /// No HTTP header can have the app key in it, which is where it is sent.
    #[error("the app key is none: it has a character that no HTTP header may have")]
    AppKey,
    /// The requestor is nobody.
    #[error("YAGNA_APPKEY is not set: `yagna app-key list` shows yours")]
    NoAppKey,
    /// One of the services' own addresses makes no sense.
    #[error(
        "one of YAGNA_MARKET_URL, YAGNA_ACTIVITY_URL, YAGNA_PAYMENT_URL, YAGNA_IDENTITY_URL is no URL: {reason}"
    )]
    #[expect(missing_docs, reason = "the message says it")]
    ServiceUrl { reason: String },
    /// There are too many threads.
    #[error("cannot start a thread for yagna")]
    Thread(#[source] std::io::Error),
}

impl Rest {
    /// The daemon of `YAGNA_API_URL` (by default `http://127.0.0.1:7465`), with the app key of `YAGNA_APPKEY`.
    ///
    /// # Errors
    /// If `YAGNA_APPKEY` is not set, or as [`connect`](Self::connect) fails.
    pub fn from_env() -> Result<Self, ConnectError> {
        let app_key = env::var("YAGNA_APPKEY").ok().filter(|key| !key.is_empty());
        let url = env::var("YAGNA_API_URL").unwrap_or_else(|_| DEFAULT_API_URL.into());
        Self::connect(&url, &app_key.ok_or(ConnectError::NoAppKey)?)
    }

    /// A daemon at this address, such as `http://127.0.0.1:7465`. It is not asked for anything yet.
    ///
    /// # Errors
    /// If the address is no URL of HTTP, the app key cannot be sent in a header, one of ya-client's own variables for the
    /// addresses of single services has no URL in it, or there is no thread left.
    pub fn connect(url: &str, app_key: &str) -> Result<Self, ConnectError> {
        let parsed = Url::parse(url);
        let url = parsed.map_err(|source| ConnectError::Url {
            url: url.into(),
            source,
        })?;
        if url.scheme() != "http" {
            return Err(ConnectError::Scheme { url });
        }
        let (jobs, queue) = mpsc::unbounded_channel();
        let (started, outcome) = std::sync::mpsc::channel();
        let daemon = Daemon::new(url.clone(), app_key).map_err(|_| ConnectError::AppKey)?;
        let key = app_key.to_owned();
        let thread = std::thread::Builder::new().name("yagna-rest".into());
        let spawned = thread.spawn(move || work(url, &key, queue, &started));
        spawned.map_err(ConnectError::Thread)?;
        outcome.recv().unwrap_or_else(|_| Err(thread_is_gone()))?;
        Ok(Self {
            jobs,
            net: Net(daemon.clone()),
            bus: Bus(daemon),
            closing: Arc::default(),
        })
    }

    /// Has `last` done when the requestor is done with the daemon: the daemon's own end, if it was started for it.
    pub fn when_closed(self, last: impl Future<Output = ()> + Send + 'static) -> Self {
        *self.closing.lock().expect("no panic while locked") = Some(Box::pin(last));
        self
    }

    /// Makes a call on ya-client's thread. It is dropped there when it is dropped here.
    async fn call<T, F>(
        &self,
        name: impl Into<String>,
        request: impl FnOnce(Rc<Apis>) -> F + Send + 'static,
    ) -> Result<T, YagnaError>
    where
        T: Send + 'static,
        F: Future<Output = ya_client::Result<T>> + 'static,
    {
        let call = name.into();
        let (mut sender, answer) = oneshot::channel();
        let job: Job = Box::new(move |apis| {
            Box::pin(async move {
                let answer = tokio::select! {
                    answer = request(apis) => answer,
                    () = sender.closed() => return,
                };
                // Who asked may have gone in this very moment.
                let _ = sender.send(answer);
            })
        });
        let gone = |call| YagnaError {
            call,
            problem: Problem::Unreachable("its client has ended".into()),
        };
        if self.jobs.send(job).is_err() {
            return Err(gone(call));
        }
        match answer.await {
            Ok(answer) => answer.map_err(|error| failure(call, error)),
            Err(_) => Err(gone(call)),
        }
    }
}

/// The work of ya-client's thread.
fn work(
    url: Url,
    app_key: &str,
    mut queue: mpsc::UnboundedReceiver<Job>,
    started: &std::sync::mpsc::Sender<Result<(), ConnectError>>,
) {
    let runtime = match tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
    {
        Ok(runtime) => runtime,
        Err(error) => {
            return started
                .send(Err(ConnectError::Thread(error)))
                .unwrap_or_default();
        }
    };
    LocalSet::new().block_on(&runtime, async {
        let connect = || Apis::connect(url.clone(), app_key).map(Rc::new);
        let mut clients = match connect() {
            Ok(apis) => vec![apis],
            Err(error) => return started.send(Err(error)).unwrap_or_default(),
        };
        started.send(Ok(())).unwrap_or_default();
        while let Some(job) = queue.recv().await {
            // Each call holds the client that it is made with.
            let is_free = |apis: &&Rc<Apis>| Rc::strong_count(apis) <= CALLS_AT_ONCE;
            let free = clients.iter().find(is_free).cloned();
            let apis = free.unwrap_or_else(|| match connect() {
                Ok(apis) => {
                    clients.push(Rc::clone(&apis));
                    apis
                }
                // The first could be made, so it can wait for that.
                Err(_) => Rc::clone(&clients[0]),
            });
            tokio::task::spawn_local(job(apis));
        }
    });
}

fn thread_is_gone() -> ConnectError {
    ConnectError::Thread(std::io::Error::other("it ended at once"))
}

impl Apis {
    fn connect(url: Url, app_key: &str) -> Result<Self, ConnectError> {
        let client = WebClient::builder()
            .api_url(url)
            .auth_token(app_key)
            .timeout(CALL_TIMEOUT)
            .build();
        let bad = |error: ya_client::Error| ConnectError::ServiceUrl {
            reason: error.to_string(),
        };
        Ok(Self {
            identity: client.interface().map_err(bad)?,
            market: client.interface().map_err(bad)?,
            activity: client.interface().map_err(bad)?,
            payment: client.interface().map_err(bad)?,
        })
    }
}

impl fmt::Debug for Rest {
    fn fmt(&self, formatter: &mut fmt::Formatter) -> fmt::Result {
        formatter
            .debug_struct("Rest")
            .field("bus", &self.bus)
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_cannot_be_connected_to_is_named() {
        let refused = |url, key| Rest::connect(url, key).unwrap_err().to_string();
        assert_eq!(refused("x", "key"), "\"x\" is no URL of a yagna daemon");
        assert!(refused("https://near.by", "key").ends_with(": https://near.by/"));
        for key in ["two\nlines", "nul\0"] {
            let told = refused("http://127.0.0.1:7465", key);
            assert!(told.starts_with("the app key is none"), "{told}");
        }
    }
}
