//! Copies the values that are marked, with their slots, to the end of two lists.

use alloc::vec::Vec;

use super::passes::{CHUNK, LANES, chunks_for};

/// All ones for a value that is taken, and 0 for one that is not.
pub(crate) type Marks = [u32; CHUNK];

/// What was taken, slots ascending.
#[derive(Debug)]
pub(crate) struct Marked {
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

impl Marked {
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

    /// Appends what is marked of a chunk; `base` is the slot of its first value.
    #[inline(always)]
    pub(crate) fn take(&mut self, chunk: &[f32], marks: &Marks, base: u32, any: bool) {
        if any {
            self.part.take(chunk, marks, base);
            self.slots.extend_from_slice(self.part.slots());
            self.values.extend_from_slice(self.part.values());
        }
        self.ends.push(self.slots.len());
    }
}

impl Part {
    fn slots(&self) -> &[u32] {
        self.slots.get(..self.len).unwrap_or(&[])
    }

    fn values(&self) -> &[f32] {
        self.values.get(..self.len).unwrap_or(&[])
    }

    fn take(&mut self, chunk: &[f32], marks: &Marks, base: u32) {
        self.len = 0;
        let (rows, tail) = chunk.as_chunks::<LANES>();
        let (marks, _) = marks.as_chunks::<LANES>();
        take_rows(rows, marks, base, self);
        if let Some(marks) = marks.get(rows.len()) {
            self.take_each(tail, marks, base + (rows.len() * LANES) as u32);
        }
    }

    /// One value after the other, without a branch: whether it passed decides how far the end moves.
    #[inline(always)]
    fn take_each(&mut self, values: &[f32], marks: &[u32; LANES], base: u32) {
        for ((slot, &value), &mark) in (base..).zip(values).zip(marks) {
            // There is always room: the chunk has no more values than this.
            if let (Some(last_slot), Some(last)) =
                (self.slots.get_mut(self.len), self.values.get_mut(self.len))
            {
                (*last_slot, *last) = (slot, value);
            }
            self.len += usize::from(mark != 0);
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
    let mut marks = [0; CHUNK];
    for (c, chunk) in values.chunks(CHUNK).enumerate() {
        super::vectorised(
            #[inline(always)]
            || {
                for (mark, &value) in marks.iter_mut().zip(chunk) {
                    *mark = if test(value) { u32::MAX } else { 0 };
                }
            },
        );
        part.take(chunk, &marks, (first + c * CHUNK) as u32);
        slots.extend_from_slice(part.slots());
        found.extend_from_slice(part.values());
    }
}

/// Whole rows, for a CPU without an instruction for it. Rows in which nothing passes are skipped.
fn take_rows_anywhere(rows: &[[f32; LANES]], marks: &[[u32; LANES]], base: u32, part: &mut Part) {
    super::vectorised(
        #[inline(always)]
        || {
            for ((row, marks), base) in rows.iter().zip(marks).zip((base..).step_by(LANES)) {
                if marks.iter().filter(|&&mark| mark != 0).count() > 0 {
                    part.take_each(row, marks, base);
                }
            }
        },
    );
}

#[cfg(not(target_arch = "x86_64"))]
use take_rows_anywhere as take_rows;

#[cfg(target_arch = "x86_64")]
fn take_rows(rows: &[[f32; LANES]], marks: &[[u32; LANES]], base: u32, part: &mut Part) {
    match super::arch() {
        pulp::Arch::V4(simd) => {
            pulp::Simd::vectorize(simd, wide::TakeRows { simd, rows, marks, base, part });
        }
        _ => take_rows_anywhere(rows, marks, base, part),
    }
}

/// AVX-512 packs the lanes that passed to the front of a register: the one place where loops that
/// the compiler turns into vector code by itself are several times slower than the instruction.
#[cfg(target_arch = "x86_64")]
mod wide {
    use core::arch::x86_64::__m512i;

    use super::{LANES, Part};

    pub(super) struct TakeRows<'a> {
        pub(super) simd: pulp::x86::V4,
        pub(super) rows: &'a [[f32; LANES]],
        pub(super) marks: &'a [[u32; LANES]],
        pub(super) base: u32,
        pub(super) part: &'a mut Part,
    }

    impl pulp::NullaryFnOnce for TakeRows<'_> {
        type Output = ();

        #[inline(always)]
        fn call(self) {
            let Self { simd, rows, marks, base, part } = self;
            let avx = simd.avx512f;
            let mut slots = [0_u32; LANES];
            for (slot, lane) in slots.iter_mut().zip(base..) {
                *slot = lane;
            }
            let mut slots: __m512i = pulp::cast(slots);
            let step = avx._mm512_set1_epi32(LANES as i32);
            // A copy: in memory each row would wait for the one before.
            let mut len = part.len;
            for (row, marks) in rows.iter().zip(marks) {
                let marks: __m512i = pulp::cast(*marks);
                let passed = avx._mm512_test_epi32_mask(marks, marks);
                let values: [f32; LANES] =
                    pulp::cast(avx._mm512_maskz_compress_ps(passed, pulp::cast(*row)));
                let ids: [u32; LANES] = pulp::cast(avx._mm512_maskz_compress_epi32(passed, slots));
                let end = len..len + LANES;
                if let (Some(last_slots), Some(last)) =
                    (part.slots.get_mut(end.clone()), part.values.get_mut(end))
                {
                    last_slots.copy_from_slice(&ids);
                    last.copy_from_slice(&values);
                }
                len += passed.count_ones() as usize;
                slots = avx._mm512_add_epi32(slots, step);
            }
            part.len = len;
        }
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
            let mut marks = [0; CHUNK];
            for (mark, &value) in marks.iter_mut().zip(chunk) {
                *mark = u32::from(key(value) >= floor);
            }
            take_rows_anywhere(chunk.as_chunks().0, marks.as_chunks().0, 7, &mut part);
            let found: Vec<_> =
                part.slots().iter().copied().zip(part.values().iter().copied()).collect();
            assert_eq!(found, want[..part.len]);
            assert!(want.get(part.len).is_none_or(|&(slot, _)| slot as usize >= CHUNK + 7));
        }
    }
}
