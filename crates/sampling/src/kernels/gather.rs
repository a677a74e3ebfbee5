//! Copies the values that pass a test to the end of a list, and their slots to that of another.

use alloc::vec::Vec;

use super::passes::{CHUNK, LANES, chunks_for};
use super::visits::any;

/// What was taken, in the order of the slots.
#[derive(Debug)]
pub(crate) struct Taken {
    /// Of those that were pushed one by one; a chunk is taken without.
    pub(crate) slots: Vec<u32>,
    pub(crate) values: Vec<f32>,
    /// Of each chunk of values, how many were taken up to its end.
    pub(crate) ends: Vec<usize>,
    part: Part,
}

/// What was taken of one chunk, before it goes to the lists. Each step writes whole lanes and moves
/// on by as many as passed, so there is room for one more row of them.
#[derive(Debug)]
struct Part {
    slots: [u32; CHUNK + LANES],
    values: [f32; CHUNK + LANES],
    len: usize,
}

impl Part {
    const EMPTY: Self = Self { slots: [0; _], values: [0.0; _], len: 0 };
}

impl Taken {
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
    fn slots(&self) -> &[u32] {
        self.slots.get(..self.len).unwrap_or(&[])
    }

    fn values(&self) -> &[f32] {
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
        take_rows::<SLOTS>(rows, keys, test, base, self);
        self.take_each(tail, tail_keys, test, base + (rows.len() * LANES) as u32);
    }

    /// One value after the other, without a branch: whether it passed decides how far the end moves.
    #[inline(always)]
    fn take_each(
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

/// Whole rows, for a CPU without an instruction for it. Rows in which nothing passes are skipped.
#[inline(always)]
fn take_rows_anywhere(
    rows: &[[f32; LANES]],
    keys: &[[f32; LANES]],
    test: impl Fn(f32) -> bool + Copy,
    base: u32,
    part: &mut Part,
) {
    super::vectorised(
        #[inline(always)]
        || {
            for ((row, keys), base) in rows.iter().zip(keys).zip((base..).step_by(LANES)) {
                if any(keys, test) {
                    part.take_each(row, keys, test, base);
                }
            }
        },
    );
}

#[inline(always)]
fn take_rows<const SLOTS: bool>(
    rows: &[[f32; LANES]],
    keys: &[[f32; LANES]],
    test: impl Fn(f32) -> bool + Copy,
    base: u32,
    part: &mut Part,
) {
    #[cfg(target_arch = "x86_64")]
    if let pulp::Arch::V4(simd) = super::arch() {
        let pass = wide::TakeRows::<_, SLOTS> { simd, rows, keys, test, base, part };
        pulp::Simd::vectorize(simd, pass);
        return;
    }
    take_rows_anywhere(rows, keys, test, base, part);
}

/// AVX-512 packs the lanes that passed to the front of a register: the one place where loops that
/// the compiler turns into vector code by itself are several times slower than the instruction.
#[cfg(target_arch = "x86_64")]
mod wide {
    use core::arch::x86_64::__m512i;

    use super::{CHUNK, LANES, Part};

    pub(super) struct TakeRows<'a, T, const SLOTS: bool> {
        pub(super) simd: pulp::x86::V4,
        pub(super) rows: &'a [[f32; LANES]],
        pub(super) keys: &'a [[f32; LANES]],
        pub(super) test: T,
        pub(super) base: u32,
        pub(super) part: &'a mut Part,
    }

    impl<T, const SLOTS: bool> pulp::NullaryFnOnce for TakeRows<'_, T, SLOTS>
    where
        T: Fn(f32) -> bool + Copy,
    {
        type Output = ();

        #[inline(always)]
        fn call(self) {
            let Self { simd, rows, keys, test, base, part } = self;
            let avx = simd.avx512f;
            let mut slots = [0_u32; LANES];
            for (slot, lane) in slots.iter_mut().zip(base..) {
                *slot = lane;
            }
            let mut slots: __m512i = pulp::cast(slots);
            let step = avx._mm512_set1_epi32(LANES as i32);
            // A copy: in memory each row would wait for the one before.
            let mut len = part.len;
            for (row, keys) in rows.iter().zip(keys) {
                let marks: __m512i = pulp::cast(marks_of(keys, test));
                let passed = avx._mm512_test_epi32_mask(marks, marks);
                // It never is more, which the compiler does not know.
                let end = len.min(CHUNK);
                let values: [f32; LANES] =
                    pulp::cast(avx._mm512_maskz_compress_ps(passed, pulp::cast(*row)));
                if let Some(last) = part.values.get_mut(end..end + LANES) {
                    last.copy_from_slice(&values);
                }
                if SLOTS {
                    let ids: [u32; LANES] =
                        pulp::cast(avx._mm512_maskz_compress_epi32(passed, slots));
                    if let Some(last) = part.slots.get_mut(end..end + LANES) {
                        last.copy_from_slice(&ids);
                    }
                    slots = avx._mm512_add_epi32(slots, step);
                }
                len += passed.count_ones() as usize;
            }
            part.len = len;
        }
    }

    /// All ones where `test` holds.
    #[inline(always)]
    fn marks_of(row: &[f32; LANES], test: impl Fn(f32) -> bool) -> [u32; LANES] {
        let mut marks = [0; LANES];
        for lane in 0..LANES {
            marks[lane] = if test(row[lane]) { u32::MAX } else { 0 };
        }
        marks
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use alloc::vec::Vec;

    #[test]
    fn both_ways_find_what_a_filter_finds() {
        let values: Vec<f32> = (0..2 * CHUNK as u32 + 37)
            .map(|i| (i.wrapping_mul(2_654_435_761) >> 20) as f32)
            .collect();
        let key = |value: f32| -(value - 1000.0).abs();
        for floor in [-300.0, -500.0, -1e9, 1.0] {
            let want: Vec<(u32, f32)> =
                (7..).zip(values.iter().copied()).filter(|&(_, v)| key(v) >= floor).collect();
            let (mut slots, mut found) = (Vec::new(), Vec::new());
            gather(&values, 7, |value| key(value) >= floor, &mut slots, &mut found);
            assert_eq!(slots.into_iter().zip(found).collect::<Vec<_>>(), want);

            let chunk = &values[..CHUNK];
            let mut part = Part::EMPTY;
            let rows = chunk.as_chunks().0;
            take_rows_anywhere(rows, rows, |value| key(value) >= floor, 7, &mut part);
            let found: Vec<_> =
                part.slots().iter().copied().zip(part.values().iter().copied()).collect();
            assert_eq!(found, want[..part.len]);
            assert!(want.get(part.len).is_none_or(|&(slot, _)| slot as usize >= CHUNK + 7));
        }
    }
}
