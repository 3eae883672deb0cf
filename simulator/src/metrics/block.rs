//! Rows as they were last written, some of one class at a time.
//!
//! Most rows are as they were in the step before. Where this is so of a whole block, only the step in its rows is
//! replaced; else it is put together anew, of the rows that changed and the bytes of those that did not.
//!
//! A user's row lists every step since the first, and is another in each: such rows grow with the steps, and are not
//! kept.

use std::ops::Range;

use super::{Encode, rows};
use crate::arena::{Arena, Place, RegistryId};
use crate::model::{Class, Model};

/// The bytes of some rows that follow each other.
#[derive(Default)]
pub(super) struct Block {
    bytes: Vec<u8>,
    rows: Vec<Row>,
    /// How many bytes the step has in each row.
    step: usize,
    /// If rows are kept without what changes most often.
    heads: bool,
}

/// What blocks need to be written, one after the other.
#[derive(Default)]
pub(super) struct Scratch<E> {
    encoder: E,
    /// Room for the bytes of a block.
    spare: Vec<u8>,
}

/// Where in a block a row is.
#[derive(Clone, Copy)]
struct Row {
    index: usize,
    start: usize,
    /// Where the step is.
    step: usize,
    /// Where what changes most often begins.
    tail: usize,
    end: usize,
}

impl Block {
    /// The rows, one after the other.
    pub(super) fn bytes(&self) -> &[u8] {
        &self.bytes
    }

    /// How many rows there are.
    pub(super) fn len(&self) -> usize {
        self.rows.len()
    }

    /// Makes the rows of the objects `indices` what they are now. They were last written when `recorded` steps were
    /// done, if they were.
    pub(super) fn update<E: Encode>(
        &mut self,
        model: &Model,
        class: Class,
        indices: Range<usize>,
        step: &[u8],
        recorded: Option<u32>,
        scratch: &mut Scratch<E>,
    ) {
        let since = |changed| recorded.is_none_or(|recorded| changed > recorded);
        let same = !self.heads
            && self.step == step.len()
            && self
                .rows
                .last()
                .is_some_and(|last| last.index + 1 == indices.end)
            && !indices
                .clone()
                .any(|index| since(changed(model, class, index)));
        if same {
            for row in &self.rows {
                self.bytes[row.step..row.step + step.len()].copy_from_slice(step);
            }
            return;
        }
        let encoder = &mut scratch.encoder;
        let before = std::mem::replace(&mut self.bytes, std::mem::take(&mut scratch.spare));
        let known = std::mem::take(&mut self.rows);
        let mut known = known.into_iter().peekable();
        let old_step = self.step;
        self.bytes.clear();
        for index in indices {
            let known = known.next_if(|row| row.index == index);
            if class == Class::ContainerRegistry && model.registries[RegistryId::new(index)].removed
            {
                continue;
            }
            let changed = changed(model, class, index);
            let head = known.filter(|_| !since(rows::begin_changed(model, class, index, changed)));
            let start = self.bytes.len();
            let (step_at, tail) = match head {
                Some(row) => {
                    self.bytes.extend_from_slice(&before[row.start..row.step]);
                    let step_at = self.bytes.len();
                    self.bytes.extend_from_slice(step);
                    let rest = row.step + old_step..row.tail;
                    self.bytes.extend_from_slice(&before[rest]);
                    (step_at, self.bytes.len())
                }
                None => {
                    let step_at = rows::begin(model, class, index, encoder);
                    let (first, rest) = encoder.bytes().split_at(step_at);
                    self.bytes.extend_from_slice(first);
                    self.bytes.extend_from_slice(step);
                    self.bytes.extend_from_slice(rest);
                    encoder.clear();
                    (start + step_at, self.bytes.len())
                }
            };
            match head.filter(|_| !self.heads && !since(changed)) {
                Some(row) => self.bytes.extend_from_slice(&before[row.tail..row.end]),
                None => {
                    encoder.resume();
                    rows::end(model, class, index, encoder);
                    self.bytes.extend_from_slice(encoder.bytes());
                    encoder.clear();
                }
            }
            self.rows.push(Row {
                index,
                start,
                step: step_at,
                tail,
                end: self.bytes.len(),
            });
        }
        self.step = step.len();
        self.heads = false;
        scratch.spare = before;
    }

    /// Once they are written, forgets what changes most often of rows, if it is another in each step.
    pub(super) fn forget<E>(&mut self, class: Class, scratch: &mut Scratch<E>) {
        if class != Class::User {
            return;
        }
        let mut kept = Vec::with_capacity(self.rows.iter().map(|row| row.tail - row.start).sum());
        for row in &mut self.rows {
            let start = kept.len();
            kept.extend_from_slice(&self.bytes[row.start..row.tail]);
            *row = Row {
                index: row.index,
                start,
                step: row.step - row.start + start,
                tail: kept.len(),
                end: kept.len(),
            };
        }
        scratch.spare = std::mem::replace(&mut self.bytes, kept);
        self.heads = true;
    }
}

/// The step in which what a row follows from last changed.
fn changed(model: &Model, class: Class, index: usize) -> u32 {
    fn own<P: Place, T>(arena: &Arena<P, T>, index: usize) -> u32 {
        arena.touched(P::new(index))
    }
    match class {
        Class::NetworkSwitch => own(&model.switches, index).max(model.links.last_touched()),
        Class::User => own(&model.users, index),
        Class::Service => own(&model.services, index),
        Class::ContainerRegistry => {
            let host = model.registries[RegistryId::new(index)].server;
            let host = host.map_or(0, |server| model.servers.touched(server));
            own(&model.registries, index).max(host)
        }
        Class::EdgeServer => own(&model.servers, index),
        _ => own(&model.flows, index),
    }
}
