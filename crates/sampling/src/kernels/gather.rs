//! Copies the values whose key lies in a band, with their slots, to the end of two lists.

use alloc::vec::Vec;

use super::passes::{CHUNK, LANES, each_of};

/// The band of keys that [`gather`] takes, both ends included.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Band {
    pub(crate) low: f32,
    pub(crate) high: f32,
}

impl Band {
    /// Everything from `low` up.
    pub(crate) fn from(low: f32) -> Self {
        Self { low, high: f32::INFINITY }
    }

    #[inline(always)]
    fn holds(self, key: f32) -> bool {
        key >= self.low && key <= self.high
    }
}

/// The slots and values found in one chunk, before they go to the lists. Each step writes whole
/// lanes and moves on by as many as passed, so there is room for one more row of them.
struct Found {
    slots: [u32; CHUNK + LANES],
    values: [f32; CHUNK + LANES],
    len: usize,
}

/// Appends to `slots` and `found` each of `values` whose `key` is in `band`, slots ascending;
/// `first` is the slot of the first value. A key is not NaN.
pub(crate) fn gather(
    values: &[f32],
    first: usize,
    key: impl Fn(f32) -> f32 + Copy,
    band: Band,
    slots: &mut Vec<u32>,
    found: &mut Vec<f32>,
) {
    let mut part = Found { slots: [0; CHUNK + LANES], values: [0.0; CHUNK + LANES], len: 0 };
    let mut keys = [0.0; CHUNK];
    for (c, chunk) in values.chunks(CHUNK).enumerate() {
        super::vectorised(
            #[inline(always)]
            || each_of(chunk, key, f32::NEG_INFINITY, &mut keys),
        );
        part.len = 0;
        let base = (first + c * CHUNK) as u32;
        let (rows, tail) = chunk.as_chunks::<LANES>();
        let (row_keys, _) = keys.as_chunks::<LANES>();
        take_rows(rows, row_keys, base, band, &mut part);
        let taken = rows.len() * LANES;
        take_each(tail, keys.get(taken..).unwrap_or(&[]), base + taken as u32, band, &mut part);
        slots.extend(part.slots.iter().take(part.len));
        found.extend(part.values.iter().take(part.len));
    }
}

/// One value after the other, without a branch: whether it passed decides how far the end moves.
#[inline(always)]
fn take_each(values: &[f32], keys: &[f32], base: u32, band: Band, found: &mut Found) {
    for ((slot, &value), &key) in (base..).zip(values).zip(keys) {
        let Found { slots, values, len } = found;
        // There is always room: the chunk has no more values than this.
        if let (Some(last_slot), Some(last)) = (slots.get_mut(*len), values.get_mut(*len)) {
            (*last_slot, *last) = (slot, value);
        }
        found.len += usize::from(band.holds(key));
    }
}

/// Whole rows, for a CPU without an instruction for it. Rows in which nothing passes are skipped.
fn take_rows_anywhere(
    rows: &[[f32; LANES]],
    keys: &[[f32; LANES]],
    base: u32,
    band: Band,
    found: &mut Found,
) {
    super::vectorised(
        #[inline(always)]
        || {
            for ((row, keys), base) in rows.iter().zip(keys).zip((base..).step_by(LANES)) {
                if keys.iter().filter(|&&key| band.holds(key)).count() > 0 {
                    take_each(row, keys, base, band, found);
                }
            }
        },
    );
}

#[cfg(not(target_arch = "x86_64"))]
use take_rows_anywhere as take_rows;

#[cfg(target_arch = "x86_64")]
fn take_rows(
    rows: &[[f32; LANES]],
    keys: &[[f32; LANES]],
    base: u32,
    band: Band,
    found: &mut Found,
) {
    match super::arch() {
        pulp::Arch::V4(simd) => {
            pulp::Simd::vectorize(simd, wide::TakeRows { simd, rows, keys, base, band, found });
        }
        _ => take_rows_anywhere(rows, keys, base, band, found),
    }
}

/// AVX-512 packs the lanes that passed to the front of a register: the one place where loops that
/// the compiler turns into vector code by itself are several times slower than the instruction.
#[cfg(target_arch = "x86_64")]
mod wide {
    use core::arch::x86_64::{__m512, __m512i};

    use super::{Band, Found, LANES};

    /// "Greater or equal" and "less or equal", false for NaN, in the encoding of the comparison.
    const GE: i32 = 29;
    const LE: i32 = 18;

    pub(super) struct TakeRows<'a> {
        pub(super) simd: pulp::x86::V4,
        pub(super) rows: &'a [[f32; LANES]],
        pub(super) keys: &'a [[f32; LANES]],
        pub(super) base: u32,
        pub(super) band: Band,
        pub(super) found: &'a mut Found,
    }

    impl pulp::NullaryFnOnce for TakeRows<'_> {
        type Output = ();

        #[inline(always)]
        fn call(self) {
            let Self { simd, rows, keys, base, band, found } = self;
            let avx = simd.avx512f;
            let (low, high) = (avx._mm512_set1_ps(band.low), avx._mm512_set1_ps(band.high));
            let mut slots = [0_u32; LANES];
            for (slot, lane) in slots.iter_mut().zip(base..) {
                *slot = lane;
            }
            let mut slots: __m512i = pulp::cast(slots);
            let step = avx._mm512_set1_epi32(LANES as i32);
            for (row, keys) in rows.iter().zip(keys) {
                let keys: __m512 = pulp::cast(*keys);
                let passed = avx._mm512_cmp_ps_mask::<GE>(keys, low)
                    & avx._mm512_cmp_ps_mask::<LE>(keys, high);
                let values: [f32; LANES] =
                    pulp::cast(avx._mm512_maskz_compress_ps(passed, pulp::cast(*row)));
                let ids: [u32; LANES] = pulp::cast(avx._mm512_maskz_compress_epi32(passed, slots));
                let end = found.len..found.len + LANES;
                if let (Some(last_slots), Some(last)) =
                    (found.slots.get_mut(end.clone()), found.values.get_mut(end))
                {
                    last_slots.copy_from_slice(&ids);
                    last.copy_from_slice(&values);
                }
                found.len += passed.count_ones() as usize;
                slots = avx._mm512_add_epi32(slots, step);
            }
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
        for (low, high) in [(-300.0, 0.0), (-500.0, -400.0), (-1e9, f32::INFINITY), (1.0, 2.0)] {
            let band = Band { low, high };
            let want: Vec<(u32, f32)> = (7..)
                .zip(values.iter().copied())
                .filter(|&(_, value)| key(value) >= low && key(value) <= high)
                .collect();
            let (mut slots, mut found) = (Vec::new(), Vec::new());
            gather(&values, 7, key, band, &mut slots, &mut found);
            assert_eq!(slots.into_iter().zip(found).collect::<Vec<_>>(), want);

            let chunk = &values[..CHUNK];
            let mut part = Found { slots: [0; _], values: [0.0; _], len: 0 };
            let keys: Vec<f32> = chunk.iter().map(|&value| key(value)).collect();
            take_rows_anywhere(chunk.as_chunks().0, keys.as_chunks().0, 7, band, &mut part);
            let slots = &part.slots[..part.len];
            let found: Vec<_> = slots.iter().copied().zip(part.values).collect();
            assert_eq!(found, want[..part.len]);
            assert!(want.get(part.len).is_none_or(|&(slot, _)| slot as usize >= CHUNK + 7));
        }
    }
}
