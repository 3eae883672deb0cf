//! The life of an instance, decided purely.
//!
//! ```text
//!             found            started           ended, failed, stopped
//!  pending ──────────▶ starting ──────▶ running ───────────────────────▶ stopping
//!     ▲  │                │  │             │                                │
//!     │  │ stopped        │  │ stopped,    │ activity ended                 │ ended, failed
//!     │  │                │  │ terminal    │                                │
//!     └──┼────────────────┘  │             │                                │
//!        │  failed           ▼             ▼                                │
//!        └────────────▶ terminated ◀───────┴────────────────────────────────┘
//! ```

use std::fmt;

/// Where an instance is in its life.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum InstanceState {
    /// It looks for a provider.
    Pending,
    /// It has an activity; its `start` runs.
    Starting,
    /// Its `run` runs.
    Running,
    /// Its `shutdown` runs.
    Stopping,
    /// It has ended.
    Terminated,
}

impl InstanceState {
    /// Whether scripts can be run in it now.
    pub fn is_available(self) -> bool {
        matches!(self, Self::Starting | Self::Running | Self::Stopping)
    }
}

impl fmt::Display for InstanceState {
    fn fmt(&self, formatter: &mut fmt::Formatter) -> fmt::Result {
        formatter.pad(match self {
            Self::Pending => "pending",
            Self::Starting => "starting",
            Self::Running => "running",
            Self::Stopping => "stopping",
            Self::Terminated => "terminated",
        })
    }
}

/// What comes of a [`Step`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Event {
    /// It was done: an activity found, a handler at its end.
    Done,
    /// It failed; elsewhere, or another time, it may not.
    Failed,
    /// It failed, and would everywhere.
    FailedForGood,
    /// The activity has ended.
    ActivityEnded,
    /// The instance was told to stop before it was done.
    Stopped,
}

/// What is to be done next.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Step {
    /// Give back what is held, and find an activity.
    Find,
    /// Drive `start`.
    Start,
    /// Drive `run`.
    Run,
    /// Drive `shutdown`.
    Shutdown,
    /// Give back what is held. Nothing comes after it.
    End,
}

/// What follows when a step was taken in a state.
pub(super) fn next(state: InstanceState, event: Event) -> (InstanceState, Step) {
    use Event::{ActivityEnded, Done, Failed, FailedForGood, Stopped};
    use InstanceState::{Pending, Running, Starting, Stopping, Terminated};

    match (state, event) {
        (Pending, Done) => (Starting, Step::Start),
        (Pending | Starting, Failed | ActivityEnded) => (Pending, Step::Find),
        (Starting, Done) => (Running, Step::Run),
        (Running, Done | Failed | FailedForGood | Stopped) => (Stopping, Step::Shutdown),
        (Pending | Starting, FailedForGood | Stopped)
        | (Running, ActivityEnded)
        | (Stopping | Terminated, _) => (Terminated, Step::End),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lives_of_an_instance() {
        use Event::{ActivityEnded, Done, Failed, FailedForGood, Stopped};
        for (events, states) in [
            (
                &[Done, Done, Stopped, Done][..],
                "starting running stopping terminated",
            ),
            (
                &[Done, Done, Done, Failed],
                "starting running stopping terminated",
            ),
            (
                &[Done, Done, Failed, Done],
                "starting running stopping terminated",
            ),
            (&[Done, Done, ActivityEnded], "starting running terminated"),
            (
                &[Done, Failed, Failed, Done, Done],
                "starting pending pending starting running",
            ),
            (&[Done, ActivityEnded, Done], "starting pending starting"),
            (&[Done, FailedForGood], "starting terminated"),
            (&[Done, Stopped], "starting terminated"),
            (&[Stopped], "terminated"),
            (&[FailedForGood], "terminated"),
        ] {
            let mut state = InstanceState::Pending;
            let seen = events.iter().map(|event| {
                state = next(state, *event).0;
                state.to_string()
            });
            assert_eq!(seen.collect::<Vec<_>>().join(" "), states, "{events:?}");
        }
    }

    #[test]
    fn what_has_ended_stays_so() {
        for event in [Event::Done, Event::Failed, Event::Stopped] {
            let after = next(InstanceState::Terminated, event);
            assert_eq!(after, (InstanceState::Terminated, Step::End));
        }
    }
}
