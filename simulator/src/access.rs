//! When users access applications.

use crate::arena::{ApplicationId, UserId};
use crate::json::Extra;
use crate::number::Number;
use crate::random::PythonRandom;

/// When a user accesses an application, and what came of it so far.
#[derive(Clone, Debug)]
pub struct AccessPattern {
    /// The dataset's id.
    pub id: i64,
    /// How the next access is found.
    pub kind: PatternKind,
    /// How long accesses last, in steps.
    pub durations: Vec<Number>,
    /// How long it is from one access to the next, in steps.
    pub intervals: Vec<Number>,
    /// The accesses so far; the last is the current one. There is always one.
    pub history: Vec<Access>,
    /// Whose they are.
    pub user: UserId,
    /// What is accessed.
    pub application: ApplicationId,
    /// What else the dataset says.
    pub extra: Extra,
}

/// How the next access of a pattern is found.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum PatternKind {
    /// Durations and intervals are drawn.
    Random,
    /// They follow each other and begin anew. Quirk `cycle-restarts`: a loaded pattern begins at the first, whatever of
    /// its cycle its history has already used.
    Circular {
        /// How many have been taken.
        taken: usize,
    },
}

/// One access.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Access {
    /// Its first step.
    pub start: Number,
    /// Its last step.
    pub end: Number,
    /// How many steps it lasts.
    pub duration: Number,
    /// The steps in which a service was unavailable.
    pub waiting_time: Number,
    /// The steps in which all services were available.
    pub access_time: Number,
    /// The steps from its end to the next.
    pub interval: Number,
    /// The step in which the next begins.
    pub next_access: Number,
}

impl AccessPattern {
    /// The current access.
    pub fn current(&self) -> &Access {
        self.history.last().expect("a history is never empty")
    }

    pub(crate) fn current_mut(&mut self) -> &mut Access {
        self.history.last_mut().expect("a history is never empty")
    }

    /// Appends the access that begins in step `start`.
    pub(crate) fn append_next(&mut self, start: u32, random: &mut PythonRandom) {
        let (duration, interval) = match &mut self.kind {
            PatternKind::Random => (
                random.choice(self.durations.len()),
                random.choice(self.intervals.len()),
            ),
            PatternKind::Circular { taken } => {
                let turn = *taken;
                *taken += 1;
                (
                    Some(turn % self.durations.len()),
                    Some(turn % self.intervals.len()),
                )
            }
        };
        let duration = self.durations[duration.expect("there are durations")];
        let interval = self.intervals[interval.expect("there are intervals")];
        let start = Number::Int(i64::from(start));
        self.history.push(Access {
            start,
            end: start + duration - Number::Int(1),
            duration,
            waiting_time: Number::ZERO,
            access_time: Number::ZERO,
            interval,
            next_access: start + duration + interval,
        });
    }
}

/// In which steps a user makes requests of an application: what the dataset says, and what was found since.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Requests {
    /// What the dataset says: the step as text, in its order.
    pub given: Vec<(String, bool)>,
    /// Steps that were found since, as stretches of one answer that follow each other.
    pub found: Vec<Stretch>,
}

/// Steps that follow each other with the same answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Stretch {
    /// The first step.
    pub first: u32,
    /// The last step.
    pub last: u32,
    /// If requests are made.
    pub requesting: bool,
}

impl Requests {
    /// If requests are made in a step; `None` if nothing is known of it.
    pub fn get(&self, step: u32) -> Option<bool> {
        let found = (self.found.iter().rev())
            .find(|stretch| (stretch.first..=stretch.last).contains(&step))
            .map(|stretch| stretch.requesting);
        found.or_else(|| {
            let text = step.to_string();
            (self.given.iter())
                .find(|(given, _)| *given == text)
                .map(|(_, requesting)| *requesting)
        })
    }

    /// Notes the answer for a step after all that were noted before.
    pub(crate) fn set(&mut self, step: u32, requesting: bool) {
        // A dataset can say more than its first step; what it says keeps its place.
        if self.given.len() > 1 {
            let text = step.to_string();
            if let Some((_, given)) = self.given.iter_mut().find(|(given, _)| *given == text) {
                *given = requesting;
                return;
            }
        }
        match self.found.last_mut() {
            Some(last) if last.last + 1 == step && last.requesting == requesting => {
                last.last = step;
            }
            _ => self.found.push(Stretch {
                first: step,
                last: step,
                requesting,
            }),
        }
    }
}
