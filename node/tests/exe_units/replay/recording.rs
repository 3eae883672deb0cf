//! What was recorded.

use serde::Deserialize;
use serde_json::Value;

/// The content type of a stream of events.
pub(super) const STREAM: &str = "text/event-stream";

/// A recording: lines in the order in which they were completed.
#[derive(Clone, Debug)]
pub(super) struct Recording {
    pub(super) name: &'static str,
    pub(super) lines: Vec<Line>,
}

#[derive(Clone, Debug, Deserialize)]
#[serde(untagged)]
pub(super) enum Line {
    Request(Request),
    Frame(Frame),
    /// Nothing that was recorded: somebody else does what a request's answer tells of.
    #[serde(skip)]
    Cause(Request),
}

/// A request, and how it was answered.
#[derive(Clone, Debug, Deserialize)]
pub(super) struct Request {
    /// When it was answered, in seconds.
    t: f64,
    /// How long that took, in seconds.
    dt: f64,
    pub(super) method: String,
    pub(super) path: String,
    pub(super) request: Option<String>,
    pub(super) status: u16,
    #[serde(default)]
    pub(super) content_type: String,
    #[serde(default)]
    pub(super) response: String,
}

/// What happened on a websocket.
#[derive(Clone, Debug, Deserialize)]
pub(super) struct Frame {
    t: f64,
    pub(super) ws: End,
    pub(super) path: String,
    /// The first bytes, in hexadecimal.
    #[serde(default)]
    bin: String,
    #[serde(default)]
    len: usize,
}

/// Whose doing it was.
#[derive(Clone, Copy, Debug, Deserialize, PartialEq, Eq)]
#[serde(rename_all = "lowercase")]
pub(super) enum End {
    Open,
    Client,
    Server,
    Close,
}

impl Recording {
    pub(super) fn read(name: &'static str, text: &str) -> Self {
        let lines = text.lines().map(|line| serde_json::from_str(line).unwrap());
        let mut lines: Vec<Line> = lines.collect();
        let scripts: Vec<f64> = lines.iter().filter_map(Line::script).collect();
        for line in &mut lines {
            let begin = line.begin();
            if let Line::Request(request) = line {
                let next = scripts.iter().copied().filter(|script| *script > begin);
                request.end_before(next.fold(f64::INFINITY, f64::min));
            }
        }
        lines.sort_by(|one, other| one.end().total_cmp(&other.end()));
        Self { name, lines }
    }
}

impl Line {
    /// When it began, in seconds.
    pub(super) fn begin(&self) -> f64 {
        match self {
            Self::Request(request) => request.t - request.dt,
            Self::Cause(request) => request.t,
            Self::Frame(frame) => frame.t,
        }
    }

    /// When it was completed, in seconds.
    pub(super) fn end(&self) -> f64 {
        match self {
            Self::Request(request) | Self::Cause(request) => request.t,
            Self::Frame(frame) => frame.t,
        }
    }
}

impl Line {
    /// When it began, if it sent a script.
    fn script(&self) -> Option<f64> {
        match self {
            Self::Request(request)
                if request.method == "POST" && request.path.ends_with("/exec") =>
            {
                Some(self.begin())
            }
            _ => None,
        }
    }
}

impl Request {
    /// What was ended by something else did not have to end before that.
    fn end_before(&mut self, next_script: f64) {
        /// Between what ends something and its end, in seconds.
        const LATER: f64 = 0.05;
        if self.method == "GET" && self.status == 404 {
            self.t += LATER;
            self.dt += LATER;
        }
        // A stream goes on after a script's last event, which is what is waited for.
        if self.is_stream() && next_script < self.t {
            self.dt -= self.t - next_script;
            self.t = next_script;
        }
    }

    /// The method and the path, with a star for each id and without a query: `GET /market-api/v1/agreements/*`.
    pub(super) fn kind(&self) -> String {
        let path = self.path.split('?').next().unwrap_or_default();
        let is_id = |part: &str| part.len() >= 30 || part.contains('.');
        let parts = path
            .split('/')
            .map(|part| if is_id(part) { "*" } else { part });
        format!("{} {}", self.method, parts.collect::<Vec<_>>().join("/"))
    }

    /// The answer, which is JSON.
    pub(super) fn answer(&self) -> Value {
        serde_json::from_str(&self.response).unwrap_or_else(|error| panic!("{error}: {self:?}"))
    }

    /// The events that were waited for, if that is what it did.
    pub(super) fn events(&self) -> Option<Vec<Value>> {
        let path = self.path.split('?').next().unwrap_or_default();
        let is_wait =
            self.method == "GET" && (path.ends_with("/events") || path.ends_with("Events"));
        match is_wait && self.status == 200 {
            true => self.answer().as_array().cloned(),
            false => None,
        }
    }

    /// Whether events were sent as they came.
    pub(super) fn is_stream(&self) -> bool {
        self.content_type == STREAM
    }

    /// Whether it waited in vain.
    pub(super) fn is_vain(&self) -> bool {
        match self.events() {
            Some(events) => events.is_empty(),
            None => self.method == "GET" && self.status == 408,
        }
    }
}

impl Frame {
    /// As far as it was recorded.
    pub(super) fn bytes(&self) -> Vec<u8> {
        hex::decode(&self.bin).unwrap()
    }

    /// Whether that is all of it.
    pub(super) fn is_whole(&self) -> bool {
        self.bin.len() == 2 * self.len
    }
}
