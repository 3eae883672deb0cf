//! What time it is.

use std::{fmt, sync::Arc};

use chrono::{DateTime, TimeDelta, Utc};
use tokio::time::Instant;

/// Tells the time to everything in a node, so that a test can say what time it is.
#[derive(Clone)]
pub struct Clock(Arc<dyn Fn() -> DateTime<Utc> + Send + Sync>);

impl Clock {
    /// The machine's clock.
    pub fn system() -> Self {
        Self::new(Utc::now)
    }

    /// A clock that begins at `start` and goes as fast as tokio's, which a test may pause and advance.
    pub fn tokio(start: DateTime<Utc>) -> Self {
        let began = Instant::now();
        Self::new(move || start + began.elapsed())
    }

    /// A clock that shows what `now` says.
    pub fn new(now: impl Fn() -> DateTime<Utc> + Send + Sync + 'static) -> Self {
        Self(Arc::new(now))
    }

    /// A clock that is so much ahead of this one, or behind it.
    pub(crate) fn skewed(&self, by: TimeDelta) -> Self {
        let clock = self.clone();
        Self::new(move || clock.now() + by)
    }

    /// The time.
    pub fn now(&self) -> DateTime<Utc> {
        (self.0)()
    }

    /// Returns when this clock shows `time`, or some time before it; at once if it is past.
    pub(crate) async fn sleep_towards(&self, time: DateTime<Utc>) {
        // A clock that is set anew while somebody sleeps is noticed within the minute.
        let longest = std::time::Duration::from_secs(60);
        let left = (time - self.now()).to_std().unwrap_or_default();
        tokio::time::sleep(left.min(longest)).await;
    }
}

impl fmt::Debug for Clock {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_tuple("Clock").field(&self.now()).finish()
    }
}
