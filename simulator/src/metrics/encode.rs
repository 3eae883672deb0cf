//! What a row is made of.

use crate::access::Stretch;
use crate::number::Number;

/// Writes the values of one row. Lists and maps are begun with the number of what they hold, and ended.
pub trait Encode {
    /// Begins a map of `length` pairs.
    fn begin_map(&mut self, length: usize);
    /// Writes a key; its value follows.
    fn key(&mut self, key: &str);
    /// Ends the map that was begun last.
    fn end_map(&mut self);
    /// Begins a list of `length` items.
    fn begin_list(&mut self, length: usize);
    /// Begins an item of a list; its value follows.
    fn item(&mut self);
    /// Ends the list that was begun last.
    fn end_list(&mut self);
    /// Writes nothing, as a value.
    fn null(&mut self);
    /// Writes true or false.
    fn flag(&mut self, flag: bool);
    /// Writes a number.
    fn number(&mut self, number: Number);
    /// Writes a text.
    fn text(&mut self, text: &str);

    /// What was written so far.
    fn bytes(&self) -> &[u8];
    /// Forgets what was written.
    fn clear(&mut self);
    /// Goes on in the middle of a row: after some pairs of its map, which are written already.
    fn resume(&mut self);
    /// Appends a step to `bytes`, as a number is written in a row.
    fn write_step(step: u32, bytes: &mut Vec<u8>);

    /// Writes the pairs of a map that a stretch of steps stands for: each step as text, and the answer.
    fn stretch(&mut self, stretch: Stretch);

    /// Writes a whole number.
    fn whole(&mut self, whole: i64) {
        self.number(Number::Int(whole));
    }

    /// Writes a number, or nothing.
    fn maybe(&mut self, number: Option<Number>) {
        match number {
            Some(number) => self.number(number),
            None => self.null(),
        }
    }

    /// Writes a list of whole numbers.
    fn wholes(&mut self, wholes: impl ExactSizeIterator<Item = i64>)
    where
        Self: Sized,
    {
        self.begin_list(wholes.len());
        for whole in wholes {
            self.item();
            self.whole(whole);
        }
        self.end_list();
    }

    /// Writes a list of texts.
    fn texts<'t>(&mut self, texts: impl ExactSizeIterator<Item = &'t str>)
    where
        Self: Sized,
    {
        self.begin_list(texts.len());
        for text in texts {
            self.item();
            self.text(text);
        }
        self.end_list();
    }
}

/// The pairs of all steps with either answer, one after the other: what a stretch of steps stands for is a piece of it.
///
/// Users' rows list every step since the first, so these pairs are most of what a long run writes.
#[derive(Clone, Debug, Default)]
pub(super) struct Stretches {
    pairs: [Vec<u8>; 2],
    starts: [Vec<usize>; 2],
}

impl Stretches {
    /// The pairs of a stretch; `write` appends the pair of one step.
    pub(super) fn pairs(
        &mut self,
        stretch: Stretch,
        write: impl Fn(u32, bool, &mut Vec<u8>),
    ) -> &[u8] {
        let at = usize::from(stretch.requesting);
        let (pairs, starts) = (&mut self.pairs[at], &mut self.starts[at]);
        if starts.is_empty() {
            starts.push(0);
        }
        for step in starts.len() as u32 - 1..=stretch.last {
            write(step, stretch.requesting, pairs);
            starts.push(pairs.len());
        }
        &pairs[starts[stretch.first as usize]..starts[stretch.last as usize + 1]]
    }
}
