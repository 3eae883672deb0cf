//! How often something is tried.

use std::time::Duration;

/// How often something is tried, and how long the pauses are.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Patience {
    /// Attempts in all.
    pub(crate) attempts: u32,
    /// The pause after the first failure; each other is twice as long as the one before.
    pub(crate) first_pause: Duration,
}

impl Default for Patience {
    fn default() -> Self {
        Self {
            attempts: 3,
            first_pause: Duration::from_secs(1),
        }
    }
}

impl Patience {
    /// The pause after so many failures; none if there is to be no other attempt.
    pub(crate) fn pause(&self, failures: u32) -> Option<Duration> {
        let is_allowed = failures < self.attempts;
        is_allowed.then(|| {
            self.first_pause
                .saturating_mul(1 << failures.saturating_sub(1).min(16))
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pauses_grow_and_end() {
        let pauses: Vec<_> = (1..5)
            .map(|failures| Patience::default().pause(failures))
            .collect();
        let seconds = |seconds| Some(Duration::from_secs(seconds));
        assert_eq!(pauses, [seconds(1), seconds(2), None, None]);
    }
}
