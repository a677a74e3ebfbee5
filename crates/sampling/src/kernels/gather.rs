//! Copies the values that pass a test to the end of a list, and their slots to that of another.

use alloc::vec::Vec;

use super::pack::pack;
use super::rows::{CHUNK, LANES, chunks_for};

/// What was taken, in the order of the slots.
#[derive(Debug)]
pub(crate) struct Fringe {
    /// Of those that were pushed one by one; a chunk is taken without.
    pub(crate) slots: Vec<u32>,
    pub(crate) values: Vec<f32>,
    /// Of each chunk of values, how many were taken up to its end.
    pub(crate) ends: Vec<usize>,
    part: Part,
}

/// What was taken of one chunk, before it goes to the lists. Each step writes whole lanes and moves
/// on by as many as passed, so there is room for one more row of them.
///
/// A write across the end of a page takes several times as long as any other, and where little passes, all
/// writes are close to the front: so that is where no page ends.
#[derive(Debug)]
#[repr(C, align(512))]
pub(super) struct Part {
    pub(super) values: [f32; CHUNK + LANES],
    pub(super) len: usize,
    pub(super) slots: [u32; CHUNK + LANES],
}

impl Part {
    pub(super) const EMPTY: Self = Self { slots: [0; _], values: [0.0; _], len: 0 };
}

impl Fringe {
    pub(crate) fn for_vocabulary(size: usize) -> Self {
        Self {
            slots: Vec::with_capacity(size),
            values: Vec::with_capacity(size),
            ends: Vec::with_capacity(chunks_for(size)),
            part: Part::EMPTY,
        }
    }

    pub(crate) fn clear(&mut self) {
        self.slots.clear();
        self.values.clear();
        self.ends.clear();
    }

    /// Appends one value.
    #[inline(always)]
    pub(crate) fn push(&mut self, slot: usize, value: f32) {
        self.slots.push(slot as u32);
        self.values.push(value);
    }

    /// Appends the values of a chunk whose key passes `test`.
    #[inline(always)]
    pub(crate) fn take(&mut self, chunk: &[f32], keys: &[f32], test: impl Fn(f32) -> bool + Copy) {
        self.part.take::<false>(chunk, keys, test, 0);
        self.values.extend_from_slice(self.part.values());
        self.ends.push(self.values.len());
    }

    /// Appends nothing of a chunk.
    pub(crate) fn take_nothing(&mut self) {
        self.ends.push(self.values.len());
    }
}

impl Part {
    pub(super) fn slots(&self) -> &[u32] {
        self.slots.get(..self.len).unwrap_or(&[])
    }

    pub(super) fn values(&self) -> &[f32] {
        self.values.get(..self.len).unwrap_or(&[])
    }

    /// Those of `chunk` whose key passes `test`, with their slots or without; `base` is the slot of the
    /// first.
    #[inline(always)]
    fn take<const SLOTS: bool>(
        &mut self,
        chunk: &[f32],
        keys: &[f32],
        test: impl Fn(f32) -> bool + Copy,
        base: u32,
    ) {
        self.len = 0;
        let (rows, tail) = chunk.as_chunks::<LANES>();
        let (keys, tail_keys) = keys.as_chunks::<LANES>();
        pack::<SLOTS>(rows, keys, test, base, self);
        self.take_each(tail, tail_keys, test, base + (rows.len() * LANES) as u32);
    }

    /// One value after the other, without a branch: whether it passed decides how far the end moves.
    #[inline(always)]
    pub(super) fn take_each(
        &mut self,
        values: &[f32],
        keys: &[f32],
        test: impl Fn(f32) -> bool + Copy,
        base: u32,
    ) {
        for ((slot, &value), &key) in (base..).zip(values).zip(keys) {
            // There is always room: the chunk has no more values than this.
            if let (Some(last_slot), Some(last)) =
                (self.slots.get_mut(self.len), self.values.get_mut(self.len))
            {
                (*last_slot, *last) = (slot, value);
            }
            self.len += usize::from(test(key));
        }
    }
}

/// Appends to `slots` and `found` each of `values` that passes `test`, slots ascending; `first` is
/// the slot of the first value.
pub(crate) fn gather(
    values: &[f32],
    first: usize,
    test: impl Fn(f32) -> bool + Copy,
    slots: &mut Vec<u32>,
    found: &mut Vec<f32>,
) {
    let mut part = Part::EMPTY;
    for (c, chunk) in values.chunks(CHUNK).enumerate() {
        part.take::<true>(chunk, chunk, test, (first + c * CHUNK) as u32);
        slots.extend_from_slice(part.slots());
        found.extend_from_slice(part.values());
    }
}

/// Calls `each` with those of every chunk of `values` that pass `test`, in order, and with −∞ up to a whole
/// step of a loop over them: what a loop has left over goes one by one.
#[inline(always)]
pub(crate) fn packed(
    values: &[f32],
    test: impl Fn(f32) -> bool + Copy,
    mut each: impl FnMut(&[f32]),
) {
    let mut part = Part::EMPTY;
    for chunk in values.chunks(CHUNK) {
        part.take::<false>(chunk, chunk, test, 0);
        let end = part.len.next_multiple_of(4 * LANES);
        if let Some(rest) = part.values.get_mut(part.len..end) {
            rest.fill(f32::NEG_INFINITY);
        }
        each(part.values.get(..end).unwrap_or(&[]));
    }
}
