//! What time it is.

use std::{fmt, sync::Arc};

use chrono::{DateTime, TimeDelta, Utc};
use tokio::{sync::watch, time::Instant};

/// Tells the time to everything in a node, so that a test can say what time it is.
#[derive(Clone)]
pub struct Clock {
    now: Arc<dyn Fn() -> DateTime<Utc> + Send + Sync>,
    /// How far it was put forward, if it can be.
    forward: Option<watch::Receiver<TimeDelta>>,
}

/// Puts a clock forward.
#[derive(Clone, Debug)]
pub struct Hands(watch::Sender<TimeDelta>);

impl Hands {
    /// Puts the clock forward, and wakes whoever waits for a time on it.
    pub fn forward(&self, by: TimeDelta) {
        self.0.send_modify(|forward| *forward += by);
    }
}

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
        Self {
            now: Arc::new(now),
            forward: None,
        }
    }

    /// A clock that goes as this one does, and what puts it forward.
    pub fn with_hands(&self) -> (Self, Hands) {
        let (hands, forward) = watch::channel(TimeDelta::zero());
        let (clock, shift) = (self.clone(), forward.clone());
        let moved = Self {
            now: Arc::new(move || clock.now() + *shift.borrow()),
            forward: Some(forward),
        };
        (moved, Hands(hands))
    }

    /// A clock that is so much ahead of this one, or behind it.
    pub(crate) fn skewed(&self, by: TimeDelta) -> Self {
        let clock = self.clone();
        Self {
            now: Arc::new(move || clock.now() + by),
            forward: self.forward.clone(),
        }
    }

    /// The time.
    pub fn now(&self) -> DateTime<Utc> {
        (self.now)()
    }

    /// Returns when this clock shows `time`, or some time before it; at once if it is past.
    pub(crate) async fn sleep_towards(&self, time: DateTime<Utc>) {
        // A clock that is set anew while somebody sleeps is noticed within the minute.
        let longest = std::time::Duration::from_secs(60);
        let mut forward = self.forward.clone();
        if let Some(forward) = &mut forward {
            // What happens from here on, also before it is waited for, is noticed.
            forward.mark_unchanged();
        }
        let left = (time - self.now()).to_std().unwrap_or_default();
        let moved = async {
            if let Some(forward) = &mut forward
                && forward.changed().await.is_ok()
            {
                return;
            }
            std::future::pending().await
        };
        tokio::select! {
            () = tokio::time::sleep(left.min(longest)) => {}
            () = moved => {}
        }
    }
}

impl fmt::Debug for Clock {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_tuple("Clock").field(&self.now()).finish()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn who_waits_is_woken_when_the_clock_is_put_forward() {
        let (clock, hands) = Clock::tokio(DateTime::UNIX_EPOCH).with_hands();
        let clock = clock.skewed(TimeDelta::seconds(5));
        let waiting = tokio::spawn({
            let clock = clock.clone();
            async move {
                let time = clock.now() + TimeDelta::seconds(50);
                clock.sleep_towards(time).await;
                clock.now()
            }
        });
        tokio::task::yield_now().await;
        hands.forward(TimeDelta::hours(1));
        let woken = waiting.await.unwrap();
        assert_eq!(woken, DateTime::UNIX_EPOCH + TimeDelta::seconds(3605));
        // Without hands it goes on.
        drop(hands);
        clock.sleep_towards(woken + TimeDelta::seconds(50)).await;
        assert_eq!(clock.now(), woken + TimeDelta::seconds(50));
    }
}
