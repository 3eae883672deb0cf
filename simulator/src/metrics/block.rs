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

/// Some rows that follow each other.
#[derive(Default)]
pub(super) struct Block {
    /// What is kept of the rows, one after the other.
    bytes: Vec<u8>,
    rows: Vec<Row>,
    /// How many bytes the step has in each row.
    step: usize,
}

/// What blocks need to be written, one after the other.
#[derive(Default)]
pub(super) struct Scratch<E> {
    encoder: E,
    /// The bytes of a block.
    bytes: Vec<u8>,
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
    /// How many rows there are.
    pub(super) fn len(&self) -> usize {
        self.rows.len()
    }

    /// The rows of the objects `indices` as they are now. They were last written when `recorded` steps were done, if they
    /// were.
    pub(super) fn update<'b, E: Encode>(
        &'b mut self,
        model: &Model,
        class: Class,
        indices: Range<usize>,
        step: &[u8],
        recorded: Option<u32>,
        scratch: &'b mut Scratch<E>,
    ) -> &'b [u8] {
        let since = |changed| recorded.is_none_or(|recorded| changed > recorded);
        let grows = class == Class::User;
        let rows = self.rows.last().map_or(0, |last| last.index + 1);
        let same = rows == indices.end && self.step == step.len() && !grows;
        if same && !(indices.clone()).any(|index| since(changed(model, class, index))) {
            self.set_step(step);
            return &self.bytes;
        }
        let Scratch { encoder, bytes } = scratch;
        bytes.clear();
        let known = std::mem::take(&mut self.rows);
        let mut known = known.into_iter().peekable();
        for index in indices {
            let known = known.next_if(|row| row.index == index);
            if class == Class::ContainerRegistry && model.registries[RegistryId::new(index)].removed
            {
                continue;
            }
            let changed = changed(model, class, index);
            let head = known.filter(|_| !since(rows::begin_changed(model, class, index, changed)));
            let start = bytes.len();
            let step_at = match head {
                Some(row) => self.copy_head(row, step, bytes),
                None => {
                    let step_at = start + rows::begin(model, class, index, encoder);
                    insert(encoder, step_at - start, step, bytes);
                    step_at
                }
            };
            let tail = bytes.len();
            match head.filter(|_| !grows && !since(changed)) {
                Some(row) => bytes.extend_from_slice(&self.bytes[row.tail..row.end]),
                None => {
                    encoder.resume();
                    rows::end(model, class, index, encoder);
                    insert(encoder, 0, &[], bytes);
                }
            }
            self.rows.push(Row {
                index,
                start,
                step: step_at,
                tail,
                end: bytes.len(),
            });
        }
        self.step = step.len();
        self.bytes.clear();
        if grows {
            self.keep_heads(bytes);
        } else {
            self.bytes.extend_from_slice(bytes);
        }
        bytes
    }

    /// Replaces the step in all rows by one that has as many bytes.
    fn set_step(&mut self, step: &[u8]) {
        for row in &self.rows {
            self.bytes[row.step..row.step + step.len()].copy_from_slice(step);
        }
    }

    /// Appends what a row begins with, as it was but for the step. Gives where the step is.
    fn copy_head(&self, row: Row, step: &[u8], bytes: &mut Vec<u8>) -> usize {
        bytes.extend_from_slice(&self.bytes[row.start..row.step]);
        let step_at = bytes.len();
        bytes.extend_from_slice(step);
        bytes.extend_from_slice(&self.bytes[row.step + self.step..row.tail]);
        step_at
    }

    /// Keeps what stands before the rows' tails in `bytes`.
    fn keep_heads(&mut self, bytes: &[u8]) {
        for row in &mut self.rows {
            let start = self.bytes.len();
            self.bytes.extend_from_slice(&bytes[row.start..row.tail]);
            row.step = row.step - row.start + start;
            row.start = start;
            row.tail = self.bytes.len();
            row.end = row.tail;
        }
    }
}

/// Moves what was encoded to the end of `bytes`, with `step` in the middle of it.
fn insert(encoder: &mut impl Encode, at: usize, step: &[u8], bytes: &mut Vec<u8>) {
    let (first, rest) = encoder.bytes().split_at(at);
    bytes.extend_from_slice(first);
    bytes.extend_from_slice(step);
    bytes.extend_from_slice(rest);
    encoder.clear();
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
