//! The states of an activity.
//!
//! ```text
//!  New ──▶ Initialized ──deploy──▶ Deployed ──start──▶ Ready ──run, transfer──▶ Ready
//!              ▲  a failed step leaves the state that it began in    │
//!              └──────────────── terminate, at any time ─────────────┘
//!  any state ──shut down──▶ Terminated
//! ```
//!
//! While a step is under way the state is a pair: where it began, and where it leads to. No other step can
//! begin then, but for terminate, which interrupts it.

use ya_client_model::activity::{State, StatePair};

use crate::script::Command;

/// A transition of the activity.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Step {
    Deploy,
    Start,
    /// Any number of times, without an effect on the state.
    Work,
    Terminate,
}

impl TryFrom<&Command> for Step {
    type Error = Refusal;

    fn try_from(command: &Command) -> Result<Self, Refusal> {
        match command {
            Command::Deploy(_) => Ok(Self::Deploy),
            Command::Start { .. } => Ok(Self::Start),
            Command::Run { .. } | Command::Transfer(_) => Ok(Self::Work),
            Command::Terminate {} => Ok(Self::Terminate),
            Command::Sign {} => Err(Refusal::Sign),
        }
    }
}

/// Why a step cannot begin.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub(super) enum Refusal {
    #[error("Busy: another command is running")]
    Busy,
    #[error("the activity is new: it has yet to be initialized")]
    New,
    #[error("the activity is initialized: `deploy` is what it expects now")]
    Initialized,
    #[error("the activity is deployed: `start` is what it expects now")]
    Deployed,
    #[error("the activity has been started: neither `deploy` nor `start` can follow")]
    Ready,
    #[error("the activity has been terminated")]
    Terminated,
    #[error("`sign` is refused: this exe-unit runs in no enclave that would vouch for a signature")]
    Sign,
}

/// Where an activity is, and where it is on its way to.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct States {
    current: State,
    target: Option<State>,
}

impl States {
    pub(super) fn pair(self) -> StatePair {
        StatePair(self.current, self.target)
    }

    /// Whether it can never do anything again.
    pub(super) fn is_terminated(self) -> bool {
        self.current == State::Terminated || self.target == Some(State::Terminated)
    }

    /// The exe-unit can be called.
    pub(super) fn initialize(&mut self) {
        self.current = State::Initialized;
    }

    /// Begins a step, unless it cannot follow here.
    pub(super) fn begin(&mut self, step: Step) -> Result<(), Refusal> {
        let target = match (self.current, step) {
            (State::New, _) => return Err(Refusal::New),
            (State::Terminated | State::Unresponsive, _) => return Err(Refusal::Terminated),
            _ if self.target == Some(State::Terminated) => return Err(Refusal::Terminated),
            _ if self.is_terminating() => return Err(Refusal::Busy),
            (_, Step::Terminate) => State::Initialized,
            _ if self.target.is_some() => return Err(Refusal::Busy),
            (State::Initialized, Step::Deploy) => State::Deployed,
            (State::Initialized, _) => return Err(Refusal::Initialized),
            (State::Deployed, Step::Start) => State::Ready,
            (State::Deployed, _) => return Err(Refusal::Deployed),
            (State::Ready, Step::Work) => State::Ready,
            (State::Ready, _) => return Err(Refusal::Ready),
        };
        self.target = Some(target);
        Ok(())
    }

    /// The step that was begun has ended. One that has been interrupted is not the one that was begun last.
    pub(super) fn end(&mut self, succeeded: bool) {
        if let Some(target) = self.target.take()
            && (succeeded || target == State::Initialized)
        {
            self.current = target;
        }
    }

    /// Begins the end of the activity.
    pub(super) fn shut_down(&mut self) {
        self.target = Some(State::Terminated);
    }

    /// The activity has ended.
    pub(super) fn terminate(&mut self) {
        (self.current, self.target) = (State::Terminated, None);
    }

    fn is_terminating(self) -> bool {
        self.target == Some(State::Initialized)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn in_state(current: State) -> States {
        States {
            current,
            target: None,
        }
    }

    #[test]
    fn steps_follow_in_their_order_only() {
        use State::{Deployed, Initialized, New, Ready, Terminated};
        use Step::{Deploy, Start, Terminate, Work};
        let cases = [
            (New, Deploy, Err(Refusal::New)),
            (New, Terminate, Err(Refusal::New)),
            (Initialized, Deploy, Ok(Deployed)),
            (Initialized, Start, Err(Refusal::Initialized)),
            (Initialized, Work, Err(Refusal::Initialized)),
            (Initialized, Terminate, Ok(Initialized)),
            (Deployed, Deploy, Err(Refusal::Deployed)),
            (Deployed, Start, Ok(Ready)),
            (Deployed, Work, Err(Refusal::Deployed)),
            (Deployed, Terminate, Ok(Initialized)),
            (Ready, Deploy, Err(Refusal::Ready)),
            (Ready, Start, Err(Refusal::Ready)),
            (Ready, Work, Ok(Ready)),
            (Ready, Terminate, Ok(Initialized)),
            (Terminated, Deploy, Err(Refusal::Terminated)),
            (Terminated, Terminate, Err(Refusal::Terminated)),
        ];
        for (state, step, expected) in cases {
            let mut states = in_state(state);
            let begun = states.begin(step);
            assert_eq!(
                begun.map(|()| states.target),
                expected.map(Some),
                "{state:?} {step:?}"
            );
            if let Ok(target) = expected {
                let mut failed = states;
                states.end(true);
                assert_eq!(states, in_state(target), "{state:?} {step:?}");
                failed.end(false);
                let left = if step == Terminate {
                    Initialized
                } else {
                    state
                };
                assert_eq!(failed, in_state(left), "a failed {step:?} in {state:?}");
            }
        }
    }

    #[test]
    fn only_terminate_begins_while_another_step_is_under_way() {
        let mut states = in_state(State::Ready);
        states.begin(Step::Work).expect("it is ready");
        for step in [Step::Deploy, Step::Start, Step::Work] {
            assert_eq!(states.begin(step), Err(Refusal::Busy));
        }
        assert_eq!(states.begin(Step::Terminate), Ok(()));
        assert_eq!(states.begin(Step::Terminate), Err(Refusal::Busy));
        states.end(true);
        assert_eq!(states, in_state(State::Initialized));
    }

    #[test]
    fn nothing_follows_a_shutdown() {
        let mut states = in_state(State::Ready);
        states.begin(Step::Work).expect("it is ready");
        states.shut_down();
        assert_eq!(
            states.pair(),
            StatePair(State::Ready, Some(State::Terminated))
        );
        for step in [Step::Work, Step::Terminate] {
            assert_eq!(states.begin(step), Err(Refusal::Terminated));
        }
        states.terminate();
        assert_eq!(states.pair(), StatePair(State::Terminated, None));
    }
}
