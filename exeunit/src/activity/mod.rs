//! An activity: what of its scripts runs when, and what is known of it.
//!
//! All of this only decides: events go in, [`Action`]s come out. One command has the runtime at a time, and it has
//! it until it [has ended](Activity::ended), also when it is interrupted.

mod batch;
mod capture;
mod states;

use std::collections::{BTreeMap, VecDeque};

use chrono::{DateTime, Utc};
use ya_client_model::activity::{
    ActivityState, ExeScriptCommandResult, ExeScriptCommandState, State, StatePair,
};

pub(crate) use self::batch::{Channel, Failure, Outputs};
use self::{
    batch::Batch,
    states::{States, Step},
};
use crate::{
    event::{Progress, RuntimeEvent},
    script::Command,
};

/// How many batches are remembered once they are over.
const REMEMBERED: usize = 1000;
/// How many commands they may have in all.
const REMEMBERED_COMMANDS: usize = 100_000;

/// What is to be done.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Action {
    /// Tell the node.
    Report(ActivityState),
    /// Let the runtime run a command.
    Execute(Command),
    /// Break off the command that the runtime runs.
    Interrupt,
    /// Tell whoever subscribes to the batch.
    Tell(RuntimeEvent),
    /// Keep a command's outputs for its result.
    Keep {
        batch_id: String,
        index: usize,
        outputs: Outputs,
    },
    /// Nothing more will be told of the batch.
    End(String),
    /// Nobody can ask for the batch any more.
    Forget(String),
}

/// There is no such batch.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("there is no batch {0}")]
pub(crate) struct UnknownBatch(String);

/// There is such a batch already.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("there is a batch {0} already")]
pub(crate) struct DuplicateBatch(String);

/// An activity and the scripts that it was sent.
#[derive(Debug, Default)]
pub(crate) struct Activity {
    states: States,
    batches: BTreeMap<String, Batch>,
    /// The batch whose command has the runtime.
    running: Option<String>,
    /// The batch whose `terminate` gets the runtime as soon as who has it now has ended.
    terminating: Option<String>,
    /// Why the activity ends.
    end: Option<String>,
    /// The batches that are over, the oldest first, and how many results each has.
    over: VecDeque<(String, usize)>,
}

impl Activity {
    /// The exe-unit can be called.
    pub(crate) fn initialize(&mut self) -> Vec<Action> {
        self.states.initialize();
        vec![self.report(None)]
    }

    /// A script has arrived.
    pub(crate) fn exec(
        &mut self,
        batch_id: String,
        script: Vec<Command>,
        now: DateTime<Utc>,
    ) -> Result<Vec<Action>, DuplicateBatch> {
        if self.batches.contains_key(&batch_id) {
            return Err(DuplicateBatch(batch_id));
        }
        let batch = Batch::new(batch_id.clone(), script);
        let is_empty = batch.is_over();
        self.batches.insert(batch_id.clone(), batch);
        let mut actions = self.advance(&batch_id, now);
        if is_empty {
            actions.extend(self.bury(&batch_id));
        }
        Ok(actions)
    }

    /// The running command has written something.
    pub(crate) fn output(
        &mut self,
        channel: Channel,
        bytes: &[u8],
        now: DateTime<Utc>,
    ) -> Vec<Action> {
        self.of_running(|batch| batch.output(channel, bytes, now))
    }

    /// The running command has come so far.
    pub(crate) fn progress(&mut self, progress: Progress, now: DateTime<Utc>) -> Vec<Action> {
        self.of_running(|batch| batch.progress(progress, now))
    }

    /// Breaks a batch off: its running command, and all after it. One that is over stays as it is.
    pub(crate) fn cancel(&mut self, batch_id: &str) -> Result<Vec<Action>, UnknownBatch> {
        self.batch(batch_id)?;
        Ok(self.condemn(batch_id, "the batch was cancelled"))
    }

    /// What the running command has written cannot be told: it is broken off.
    pub(crate) fn silence(&mut self, reason: &str) -> Vec<Action> {
        match self.running.clone() {
            Some(batch_id) => self.condemn(&batch_id, reason),
            None => Vec::new(),
        }
    }

    /// The command that had the runtime has ended.
    pub(crate) fn ended(
        &mut self,
        outcome: Result<(), Failure>,
        now: DateTime<Utc>,
    ) -> Vec<Action> {
        let Some(batch_id) = self.running.take() else {
            return Vec::new();
        };
        let message = outcome
            .as_ref()
            .err()
            .map(|failure| failure.message.clone());
        let succeeded = outcome.is_ok();
        let verdict = self.batches.get(&batch_id).and_then(Batch::verdict);
        let verdict = verdict.map(str::to_owned);
        let mut actions = self.end_command(&batch_id, outcome, now);
        if self.states.is_terminated() {
            return actions;
        }
        // Who has waited to terminate has taken the state over already.
        if let Some(terminating) = self.terminating.take() {
            let reason = "another script has terminated the activity";
            actions.extend(self.give_up(&batch_id, reason, now));
            actions.extend(self.execute(&terminating, now));
            return actions;
        }
        self.states.end(succeeded);
        let message = match succeeded {
            true => None,
            false => verdict.clone().or(message),
        };
        actions.push(self.report(message));
        actions.extend(match verdict {
            Some(reason) => self.give_up(&batch_id, &reason, now),
            None => self.advance(&batch_id, now),
        });
        actions
    }

    /// The activity is to end. Scripts that have not ended fail for that reason.
    pub(crate) fn shut_down(&mut self, reason: &str, now: DateTime<Utc>) -> Vec<Action> {
        if self.states.is_terminated() {
            return Vec::new();
        }
        self.states.shut_down();
        self.end = Some(reason.to_owned());
        // What terminates removes just what is to be removed, and is waited for.
        let is_terminating = matches!(self.next_of_running(), Some(Command::Terminate {}));
        let message = format!("the activity has ended: {reason}");
        let unfinished = |(id, batch): (&String, &Batch)| (!batch.is_over()).then(|| id.clone());
        let unfinished: Vec<String> = self.batches.iter().filter_map(unfinished).collect();
        let mut actions = vec![self.report(None)];
        for batch_id in unfinished {
            let failure = Failure::new(message.as_str());
            actions.extend(self.end_command(&batch_id, Err(failure), now));
        }
        self.terminating = None;
        let running = self.running.take().filter(|_| !is_terminating);
        actions.extend(running.map(|_| Action::Interrupt));
        actions
    }

    /// The command that has the runtime.
    fn next_of_running(&self) -> Option<&Command> {
        self.batches.get(self.running.as_ref()?)?.next()
    }

    /// Nothing is left of the activity but what is known of it.
    pub(crate) fn terminated(&mut self) -> Vec<Action> {
        self.states.terminate();
        vec![self.report(None)]
    }

    /// Whether the activity has ended, and nothing will be reported of it any more.
    pub(crate) fn has_ended(&self) -> bool {
        self.states.pair() == StatePair(State::Terminated, None)
    }

    /// The results of a batch; nothing yet if the command that is asked for, or the last one, has not ended.
    pub(crate) fn results(
        &self,
        batch_id: &str,
        command_index: Option<usize>,
    ) -> Result<Option<Vec<ExeScriptCommandResult>>, UnknownBatch> {
        let batch = self.batch(batch_id)?;
        let are_there = batch.has_results(command_index);
        Ok(are_there.then(|| batch.results(command_index)))
    }

    /// The results of a batch as far as there are any.
    pub(crate) fn results_so_far(
        &self,
        batch_id: &str,
    ) -> Result<Vec<ExeScriptCommandResult>, UnknownBatch> {
        Ok(self.batch(batch_id)?.results(None))
    }

    /// Whether nothing more will be told of a batch.
    pub(crate) fn is_over(&self, batch_id: &str) -> Result<bool, UnknownBatch> {
        Ok(self.batch(batch_id)?.is_over())
    }

    /// What runs at this moment.
    pub(crate) fn running_command(&self) -> Option<ExeScriptCommandState> {
        self.batches.get(self.running.as_ref()?)?.running_command()
    }

    fn batch(&self, batch_id: &str) -> Result<&Batch, UnknownBatch> {
        let batch = self.batches.get(batch_id);
        batch.ok_or_else(|| UnknownBatch(batch_id.to_owned()))
    }

    /// Begins the next command of a batch, if there is one and it may begin.
    fn advance(&mut self, batch_id: &str, now: DateTime<Utc>) -> Vec<Action> {
        let Some(batch) = self.batches.get_mut(batch_id) else {
            return Vec::new();
        };
        let Some(command) = batch.next() else {
            return Vec::new();
        };
        let begun = Step::try_from(command).and_then(|step| self.states.begin(step));
        if let Err(refusal) = begun {
            return self.end_command(batch_id, Err(Failure::of(&refusal)), now);
        }
        let report = self.report(None);
        // Only to terminate can begin while another command has the runtime.
        let next = if self.running.is_some() {
            self.terminating = Some(batch_id.to_owned());
            vec![Action::Interrupt]
        } else {
            self.execute(batch_id, now)
        };
        [report].into_iter().chain(next).collect()
    }

    fn execute(&mut self, batch_id: &str, now: DateTime<Utc>) -> Vec<Action> {
        let Some(batch) = self.batches.get_mut(batch_id) else {
            return Vec::new();
        };
        let Some(command) = batch.next().cloned() else {
            return Vec::new();
        };
        batch.start(now);
        self.running = Some(batch_id.to_owned());
        let begun = batch.take_events().into_iter().map(Action::Tell);
        begun.chain([Action::Execute(command)]).collect()
    }

    /// Ends a batch for a reason that is not its own.
    fn give_up(&mut self, batch_id: &str, reason: &str, now: DateTime<Utc>) -> Vec<Action> {
        match self.batches.get(batch_id) {
            Some(batch) if !batch.is_over() => {
                self.end_command(batch_id, Err(Failure::new(reason)), now)
            }
            _ => Vec::new(),
        }
    }

    /// Lets no command of a batch follow the one that runs, which is broken off unless it terminates the activity.
    fn condemn(&mut self, batch_id: &str, reason: &str) -> Vec<Action> {
        let is_running = self.running.as_deref() == Some(batch_id);
        let Some(batch) = self.batches.get_mut(batch_id).filter(|_| is_running) else {
            return Vec::new();
        };
        batch.condemn(reason.to_owned());
        match batch.next() {
            None | Some(Command::Terminate {}) => Vec::new(),
            Some(_) => vec![Action::Interrupt],
        }
    }

    /// The next command of a batch has ended, running or not.
    fn end_command(
        &mut self,
        batch_id: &str,
        outcome: Result<(), Failure>,
        now: DateTime<Utc>,
    ) -> Vec<Action> {
        let Some(batch) = self.batches.get_mut(batch_id) else {
            return Vec::new();
        };
        let (index, outputs) = batch.end(outcome, now);
        let mut actions: Vec<_> = batch.take_events().into_iter().map(Action::Tell).collect();
        if outputs.iter().any(Option::is_some) {
            actions.push(Action::Keep {
                batch_id: batch_id.to_owned(),
                index,
                outputs,
            });
        }
        if batch.is_over() {
            actions.extend(self.bury(batch_id));
        }
        actions
    }

    /// A batch is over; others are forgotten for it once there are too many.
    fn bury(&mut self, batch_id: &str) -> Vec<Action> {
        let mut actions = vec![Action::End(batch_id.to_owned())];
        let commands = self.batches.get_mut(batch_id).map_or(0, Batch::bury);
        self.over.push_back((batch_id.to_owned(), commands));
        let mut remembered: usize = self.over.iter().map(|(_, commands)| commands).sum();
        while self.over.len() > REMEMBERED
            || self.over.len() > 1 && remembered > REMEMBERED_COMMANDS
        {
            let Some((oldest, commands)) = self.over.pop_front() else {
                break;
            };
            remembered -= commands;
            self.batches.remove(&oldest);
            actions.push(Action::Forget(oldest));
        }
        actions
    }

    /// Lets something happen to the running batch, and tells of it.
    fn of_running(&mut self, happen: impl FnOnce(&mut Batch)) -> Vec<Action> {
        let running = self.running.as_ref();
        let Some(batch) = running.and_then(|id| self.batches.get_mut(id)) else {
            return Vec::new();
        };
        happen(batch);
        batch.take_events().into_iter().map(Action::Tell).collect()
    }

    fn report(&self, error_message: Option<String>) -> Action {
        Action::Report(ActivityState {
            state: self.states.pair(),
            reason: self.end.clone(),
            error_message,
        })
    }
}

#[cfg(test)]
mod tests;
