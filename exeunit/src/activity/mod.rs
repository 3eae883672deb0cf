//! An activity: what of its scripts runs when, and what is known of it.
//!
//! All of this only decides: events go in, [`Action`]s come out. One command has the runtime at a time, and it has
//! it until it [has ended](Activity::ended), also when it is interrupted.

mod batch;
mod capture;
mod states;

use std::collections::BTreeMap;

use chrono::{DateTime, Utc};
use ya_client_model::activity::{
    ActivityState, ExeScriptCommandResult, ExeScriptCommandState, State, StatePair,
};

pub(crate) use self::batch::{Channel, Failure};
use self::{
    batch::Batch,
    states::{States, Step},
};
use crate::{event::RuntimeEvent, script::Command};

/// What is to be done.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Action {
    /// Tell the node.
    Report(ActivityState),
    /// Let the runtime run a command.
    Execute(Command),
    /// Break off the command that the runtime runs.
    Interrupt,
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
        self.batches
            .insert(batch_id.clone(), Batch::new(batch_id.clone(), script));
        Ok(self.advance(&batch_id, now))
    }

    /// The running command has written something.
    pub(crate) fn output(&mut self, channel: Channel, bytes: &[u8], now: DateTime<Utc>) {
        let running = self.running.as_ref();
        if let Some(batch) = running.and_then(|id| self.batches.get_mut(id)) {
            batch.output(channel, bytes, now);
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
        if let Some(batch) = self.batches.get_mut(&batch_id) {
            batch.end(outcome, now);
        }
        if self.states.is_terminated() {
            return Vec::new();
        }
        // Who has waited to terminate has taken the state over already.
        if let Some(terminating) = self.terminating.take() {
            self.give_up(&batch_id, "another script has terminated the activity", now);
            return self.execute(&terminating, now).into_iter().collect();
        }
        self.states.end(succeeded);
        let mut actions = vec![self.report(message)];
        actions.extend(self.advance(&batch_id, now));
        actions
    }

    /// The activity is to end. Scripts that have not ended fail for that reason.
    pub(crate) fn shut_down(&mut self, reason: &str, now: DateTime<Utc>) -> Vec<Action> {
        if self.states.is_terminated() {
            return Vec::new();
        }
        self.states.shut_down();
        self.end = Some(reason.to_owned());
        let message = format!("the activity has ended: {reason}");
        for batch in self.batches.values_mut().filter(|batch| !batch.is_over()) {
            batch.end(Err(Failure::new(message.as_str())), now);
        }
        self.terminating = None;
        let interrupt = self.running.take().map(|_| Action::Interrupt);
        [self.report(None)].into_iter().chain(interrupt).collect()
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

    /// What has happened in a batch after the first `seen` events; nothing yet if more is to come, and an
    /// empty list if nothing is.
    pub(crate) fn events_after(
        &self,
        batch_id: &str,
        seen: usize,
    ) -> Result<Option<Vec<RuntimeEvent>>, UnknownBatch> {
        let batch = self.batch(batch_id)?;
        let events = batch.events_after(seen);
        let are_there = !events.is_empty() || batch.is_over();
        Ok(are_there.then(|| events.to_vec()))
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
            batch.end(Err(Failure::of(&refusal)), now);
            return Vec::new();
        }
        let report = self.report(None);
        // Only to terminate can begin while another command has the runtime.
        let next = if self.running.is_some() {
            self.terminating = Some(batch_id.to_owned());
            Some(Action::Interrupt)
        } else {
            self.execute(batch_id, now)
        };
        [report].into_iter().chain(next).collect()
    }

    fn execute(&mut self, batch_id: &str, now: DateTime<Utc>) -> Option<Action> {
        let batch = self.batches.get_mut(batch_id)?;
        let command = batch.next()?.clone();
        batch.start(now);
        self.running = Some(batch_id.to_owned());
        Some(Action::Execute(command))
    }

    /// Ends a batch for a reason that is not its own.
    fn give_up(&mut self, batch_id: &str, reason: &str, now: DateTime<Utc>) {
        if let Some(batch) = self.batches.get_mut(batch_id)
            && !batch.is_over()
        {
            batch.end(Err(Failure::new(reason)), now);
        }
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
