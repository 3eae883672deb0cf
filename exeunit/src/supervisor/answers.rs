//! What those get who ask the task, and who wait for something to happen.

use ya_client_model::activity::ExeScriptCommandResult;

use super::{Events, EventsError, Waiting, desk::Desk};
use crate::cause::in_one_line;

/// The most output that one answer has, in bytes as they travel: an answer is one message.
const MOST_OUTPUT: usize = 10 << 20;

impl Desk {
    /// Results with the outputs that are asked for, as far as a message can carry them.
    pub(super) fn with_outputs(
        &self,
        batch_id: &str,
        command_index: Option<usize>,
        mut results: Vec<ExeScriptCommandResult>,
    ) -> Vec<ExeScriptCommandResult> {
        let mut room = MOST_OUTPUT;
        for (index, result) in results.iter_mut().enumerate() {
            if command_index.is_some_and(|asked| asked != index) {
                continue;
            }
            let size = self.spool.size_of_outputs(batch_id, index);
            let outputs = match room.checked_sub(size) {
                Some(rest) => {
                    room = rest;
                    let outputs = self.spool.outputs(batch_id, index);
                    outputs.map_err(|error| in_one_line(&error))
                }
                None => Err(format!(
                    "its {size} bytes of output are too many for one answer: ask for this command alone"
                )),
            };
            match outputs {
                Ok([stdout, stderr]) => (result.stdout, result.stderr) = (stdout, stderr),
                Err(reason) => {
                    result.message.get_or_insert(reason);
                }
            }
        }
        results
    }

    /// Answers those for whom there is something, and forgets those who have gone.
    pub(super) fn answer_waiting(&mut self) {
        for waiting in std::mem::take(&mut self.waiting) {
            if let Some(waiting) = self.answer(waiting) {
                self.waiting.push(waiting);
            }
        }
    }

    /// Answers one who waits, or gives them back to wait on.
    fn answer(&self, waiting: Waiting) -> Option<Waiting> {
        match waiting {
            Waiting::ForResults { ref answer, .. } if answer.is_closed() => None,
            Waiting::ForEvents { ref answer, .. } if answer.is_closed() => None,
            Waiting::ForResults {
                batch_id,
                command_index,
                answer,
            } => match self.activity.results(&batch_id, command_index).transpose() {
                Some(results) => {
                    let with_outputs =
                        |results| self.with_outputs(&batch_id, command_index, results);
                    let _ = answer.send(results.map(with_outputs));
                    None
                }
                None => Some(Waiting::ForResults {
                    batch_id,
                    command_index,
                    answer,
                }),
            },
            Waiting::ForEvents {
                batch_id,
                position,
                answer,
            } => match self.events(&batch_id, position) {
                Some(events) => {
                    let _ = answer.send(events);
                    None
                }
                None => Some(Waiting::ForEvents {
                    batch_id,
                    position,
                    answer,
                }),
            },
        }
    }

    /// The events of a batch after a position; nothing yet if more is to come.
    fn events(&self, batch_id: &str, position: u64) -> Option<Events> {
        let is_over = match self.activity.is_over(batch_id) {
            Ok(is_over) => is_over,
            Err(unknown) => return Some(Err(unknown.into())),
        };
        match self.spool.events_after(batch_id, position) {
            Ok((events, _)) if events.is_empty() && !is_over => None,
            events => Some(events.map_err(EventsError::from)),
        }
    }
}
