//! A client of the node's that does what was recorded.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Mutex,
    time::Duration,
};

use chrono::{DateTime, Utc};
use reqwest::{Method, header::ACCEPT};
use serde_json::Value;
use tokio::time::{Instant, sleep};

use super::{
    comparison::{Problems, compare, head, head_of},
    files::{self, Calls},
    recording::{Line, Recording, Request, STREAM},
    stream::{self, Event},
    translation::Translation,
    wanted::WANTED,
};
use crate::{
    requestor::{Answer, Requestor},
    shape::{Difference, differences},
};

/// How long the node may take until something is as it was recorded, on a machine that has other things to do.
pub(super) const PATIENCE: Duration = Duration::from_secs(30);
/// How long it is waited before something is asked again.
const PAUSE: Duration = Duration::from_millis(20);

pub(super) struct Session {
    recording: &'static str,
    pub(super) requestor: Requestor,
    translation: Mutex<Translation>,
    /// Events that came before they were expected, and that do not come again.
    early: Mutex<BTreeMap<String, Vec<Value>>>,
    /// Which wanted differences were seen.
    seen: Mutex<BTreeSet<usize>>,
    problems: Mutex<Vec<String>>,
    slot: Mutex<Option<(Requestor, String)>>,
}

impl Session {
    pub(super) fn new(recording: &Recording, requestor: Requestor, package: String) -> Self {
        Self {
            recording: recording.name,
            requestor,
            translation: Mutex::new(Translation::new(first_time(recording), package)),
            early: Mutex::default(),
            seen: Mutex::default(),
            problems: Mutex::default(),
            slot: Mutex::default(),
        }
    }

    /// An agreement that keeps the provider from others until it has rejected a proposal.
    pub(super) fn release_when_rejected(&mut self, by: Requestor, agreement: String) {
        self.slot = Mutex::new(Some((by, agreement)));
    }

    /// Panics if anything was not as it was recorded, or if a wanted difference is none.
    pub(super) fn end(&self) {
        let mut problems = self.problems.lock().unwrap().clone();
        let seen = self.seen.lock().unwrap();
        for (at, wanted) in WANTED.iter().enumerate() {
            let must_be = wanted.recordings.contains(&self.recording) && !wanted.is_of_speed;
            if must_be && !seen.contains(&at) {
                let (request, place) = (wanted.request, wanted.place);
                problems.push(format!("{request}: {place} differs no more"));
            }
        }
        assert!(problems.is_empty(), "{}", problems.join("\n"));
    }

    pub(super) fn path(&self, path: &str) -> String {
        self.translation.lock().unwrap().path(path)
    }

    pub(super) fn text(&self, text: &str) -> String {
        self.translation.lock().unwrap().text(text)
    }

    /// Makes a request again, and compares its answer.
    pub(super) async fn replay(&self, request: &Request) {
        let problems = match request.events() {
            _ if request.is_stream() => self.replay_stream(request).await,
            Some(events) if !events.is_empty() => self.replay_events(request, events).await,
            _ => self.replay_answer(request).await,
        };
        for problem in self.unwanted(request, &problems) {
            // At once, as what comes after it may be its fault.
            eprintln!("{}: {problem}", self.recording);
            self.problems.lock().unwrap().push(problem);
        }
        if request.response.contains("ProposalRejectedEvent") {
            let slot = self.slot.lock().unwrap().take();
            if let Some((other, agreement)) = slot {
                other.terminate(&agreement).await;
            }
        }
    }

    /// What was called on a websocket must have the shapes of what was called in the recording.
    pub(super) fn compare_calls(&self, recorded: &Calls, found: &Calls) {
        if !files::are_alike(recorded, found) {
            let problem = format!("on a websocket: {found:?}, recorded was {recorded:?}");
            self.problems.lock().unwrap().push(problem);
        }
    }

    /// Asks until the answer is as it was recorded; but does nothing twice.
    async fn replay_answer(&self, request: &Request) -> Problems {
        let deadline = Instant::now() + PATIENCE;
        loop {
            let answer = self.send(request).await;
            if request.is_vain() {
                self.keep_early(request, &answer, None);
            }
            let recorded = match request.content_type.is_empty() {
                true => Value::Null,
                false => request.answer(),
            };
            let problems = match request.is_vain() && request.status == 200 {
                true => head(request, &answer),
                false => compare(request, &answer, &recorded),
            };
            let is_it = self.unwanted(request, &problems).is_empty();
            let is_last = request.method != "GET" || Instant::now() > deadline;
            if is_it || is_last {
                if let Ok(found) = serde_json::from_str(&answer.text) {
                    self.translation.lock().unwrap().learn(&recorded, &found);
                }
                return problems;
            }
            sleep(PAUSE).await;
        }
    }

    /// Asks until the events have come that were recorded.
    async fn replay_events(&self, request: &Request, recorded: Vec<Value>) -> Problems {
        let deadline = Instant::now() + PATIENCE;
        loop {
            let answer = self.send(request).await;
            let mut problems = head(request, &answer);
            if problems.is_empty() {
                let mut events = self.take_early(request);
                events.extend(answer.ok().as_array().cloned().unwrap_or_default());
                match self.pick(request, &recorded, &mut events) {
                    Ok(differences) => {
                        self.keep_early(request, &answer, Some(events));
                        return differences;
                    }
                    Err(missing) => problems = vec![missing],
                }
                self.keep_early(request, &answer, Some(events));
            }
            if Instant::now() > deadline {
                return problems;
            }
            sleep(PAUSE).await;
        }
    }

    /// Takes the events out that were recorded; or says which has not come.
    fn pick(
        &self,
        request: &Request,
        recorded: &[Value],
        events: &mut Vec<Value>,
    ) -> Result<Problems, Difference> {
        let mut picked = Vec::new();
        let mut all = Problems::new();
        let mut left = events.clone();
        for (at, recorded) in recorded.iter().enumerate() {
            let compared = |event: &Value| {
                let in_place = |difference: Difference| Difference {
                    place: format!("[{at}]{}", difference.place),
                    ..difference
                };
                let differences = differences(recorded, event).into_iter().map(in_place);
                differences.collect::<Problems>()
            };
            let is_it = |event: &Value| self.unwanted(request, &compared(event)).is_empty();
            let Some(place) = left.iter().position(is_it) else {
                return Err(Difference {
                    place: format!("[{at}]"),
                    what: match left.first() {
                        Some(other) => format!("another, which differs in {:?}", compared(other)),
                        None => format!("missing, recorded was {recorded}"),
                    },
                });
            };
            let event = left.remove(place);
            all.extend(compared(&event));
            picked.push((recorded, event));
        }
        let mut translation = self.translation.lock().unwrap();
        for (recorded, event) in &picked {
            translation.learn(recorded, event);
            translation.saw(&request.path, event);
        }
        *events = left;
        Ok(all)
    }

    /// Events that came too early, of those that come only once.
    fn take_early(&self, request: &Request) -> Vec<Value> {
        let mut early = self.early.lock().unwrap();
        early
            .remove(&only_once(request).unwrap_or_default())
            .unwrap_or_default()
    }

    fn keep_early(&self, request: &Request, answer: &Answer, left: Option<Vec<Value>>) {
        let Some(path) = only_once(request) else {
            return;
        };
        let came = || serde_json::from_str(&answer.text).unwrap_or_default();
        let mut early = self.early.lock().unwrap();
        early
            .entry(path)
            .or_default()
            .extend(left.unwrap_or_else(came));
    }

    /// Reads a stream until all events have come that were recorded.
    async fn replay_stream(&self, request: &Request) -> Problems {
        let path = self.path(&request.path);
        let sent = self.requestor.request(Method::GET, &path);
        let response = sent.header(ACCEPT, STREAM).send().await.unwrap();
        let content_type = response.headers().get("content-type");
        let mut problems = head_of(
            request,
            response.status().as_u16(),
            content_type.map_or("", |value| value.to_str().unwrap()),
        );
        let recorded = stream::events(&request.response);
        let missing = |events: &[Event]| {
            let mut rest = recorded.iter();
            let mut next = rest.next();
            for event in events {
                let is_it = |recorded: &&Event| {
                    recorded.fields == event.fields
                        && differences(&recorded.data, &event.data).is_empty()
                };
                if next.is_some_and(|recorded| is_it(&recorded)) {
                    next = rest.next();
                }
            }
            next.cloned()
        };
        let is_enough = |events: &[Event]| missing(events).is_none();
        let events = stream::read(response, Instant::now() + PATIENCE, is_enough).await;
        problems.extend(missing(&events).map(|event| Difference {
            place: "event".to_owned(),
            what: format!("missing, recorded was {event:?}; there were {events:?}"),
        }));
        problems
    }

    async fn send(&self, request: &Request) -> Answer {
        let mut path = self.path(&request.path);
        if request.is_vain() {
            path = without_waiting(&path);
        }
        let method = Method::from_bytes(request.method.as_bytes()).unwrap();
        let mut sent = self.requestor.request(method, &path);
        if let Some(body) = &request.request {
            let body = self.translation.lock().unwrap().body(body);
            for name in gftp_names(&body) {
                self.publish(&name).await;
            }
            sent = sent.json(&body);
        }
        Requestor::send(sent).await
    }

    /// Brings a file that yapapi would have had `gftp` bring; golem-js has brought its own.
    async fn publish(&self, name: &str) {
        if self.recording.starts_with("yapapi") {
            drop(files::publish(&self.requestor, name).await);
        }
    }

    /// What of all differences is not wanted.
    fn unwanted(&self, request: &Request, differences: &[Difference]) -> Vec<String> {
        let kind = request.kind();
        let is_wanted = |difference: &&Difference| {
            let at = WANTED.iter().position(|wanted| {
                wanted.recordings.contains(&self.recording)
                    && wanted.request == kind
                    && wanted.place == difference.place
            });
            self.seen.lock().unwrap().extend(at);
            at.is_some()
        };
        let unwanted = differences.iter().filter(|one| !is_wanted(one));
        let said = |one: &Difference| format!("{kind}: {} is {}", one.place, one.what);

        unwanted.map(said).collect()
    }
}

/// The first time that was answered.
fn first_time(recording: &Recording) -> DateTime<Utc> {
    let times = recording.lines.iter().filter_map(|line| {
        let Line::Request(request) = line else {
            return None;
        };
        let (_, after) = request.response.split_once("\"timestamp\":\"")?;
        let time = after.split('"').next()?;
        Some(DateTime::parse_from_rfc3339(time).ok()?.with_timezone(&Utc))
    });
    times.min().expect("a time")
}

/// The path of events that are gone when they were asked for.
fn only_once(request: &Request) -> Option<String> {
    let path = request.path.split('?').next()?;
    let is_it = path.starts_with("/market-api/") && path.ends_with("/events");
    is_it.then(|| path.to_owned())
}

fn without_waiting(path: &str) -> String {
    let (path, query) = path.split_once('?').unwrap_or((path, ""));
    let parts = query
        .split('&')
        .filter(|part| !part.starts_with("timeout=") && !part.is_empty());
    let parts: Vec<_> = parts.chain(["timeout=0"]).collect();
    format!("{path}?{}", parts.join("&"))
}

/// The names of the files that a script moves.
fn gftp_names(body: &Value) -> Vec<String> {
    let text = body["text"].as_str().unwrap_or_default();
    let urls = text
        .split("gftp://")
        .skip(1)
        .filter_map(|url| url.split('"').next());
    let names = urls.filter_map(|url| Some(url.split_once('/')?.1.to_owned()));
    names.collect()
}
