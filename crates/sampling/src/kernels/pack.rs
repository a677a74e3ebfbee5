//! Packs the lanes that pass a test to the front: the one place where loops that the compiler turns into
//! vector code by itself are many times slower than what a vector unit can do.

use super::gather::Part;
use super::rows::{CHUNK, LANES};

/// Appends to `part` the values of whole rows whose key passes `test`, with their slots or without; `base`
/// is the slot of the first.
#[inline(always)]
pub(super) fn pack<const SLOTS: bool>(
    rows: &[[f32; LANES]],
    keys: &[[f32; LANES]],
    test: impl Fn(f32) -> bool + Copy,
    base: u32,
    part: &mut Part,
) {
    #[cfg(target_arch = "x86_64")]
    match super::arch() {
        pulp::Arch::V4(simd) => {
            let pass = x86::Pack::<_, _, SLOTS> { simd, rows, keys, test, base, part };
            return pulp::Simd::vectorize(simd, pass);
        }
        pulp::Arch::V3(simd) => {
            let pass = x86::Pack::<_, _, SLOTS> { simd, rows, keys, test, base, part };
            return pulp::Simd::vectorize(simd, pass);
        }
        _ => {}
    }
    pack_anywhere(rows, keys, test, base, part);
}

/// For a CPU without a way to do it. A bit says of each lane whether it passed, and the bits are gone through.
#[inline(always)]
fn pack_anywhere(
    rows: &[[f32; LANES]],
    keys: &[[f32; LANES]],
    test: impl Fn(f32) -> bool + Copy,
    base: u32,
    part: &mut Part,
) {
    super::vectorised(
        #[inline(always)]
        || {
            let mut len = part.len;
            for ((row, keys), base) in rows.iter().zip(keys).zip((base..).step_by(LANES)) {
                let mut bits = [0_u32; LANES];
                for lane in 0..LANES {
                    bits[lane] = if test(keys[lane]) { 1 << lane } else { 0 };
                }
                let mut passed = bits.iter().fold(0, |all, bit| all | bit);
                while passed > 0 {
                    let lane = passed.trailing_zeros();
                    // It never is more, which the compiler does not know.
                    let end = len.min(CHUNK);
                    (part.slots[end], part.values[end]) = (base + lane, row[lane as usize % LANES]);
                    len += 1;
                    passed &= passed - 1;
                }
            }
            part.len = len;
        },
    );
}

/// AVX-512 has an instruction for it. AVX2 can bring the lanes of a register into any order, and a table
/// says into which.
#[cfg(target_arch = "x86_64")]
mod x86 {
    use core::arch::x86_64::{__m256, __m256i, __m512i};

    use super::{LANES, Part};
    use crate::kernels::rows::CHUNK;

    pub(super) struct Pack<'a, S, T, const SLOTS: bool> {
        pub(super) simd: S,
        pub(super) rows: &'a [[f32; LANES]],
        pub(super) keys: &'a [[f32; LANES]],
        pub(super) test: T,
        pub(super) base: u32,
        pub(super) part: &'a mut Part,
    }

    impl<T, const SLOTS: bool> pulp::NullaryFnOnce for Pack<'_, pulp::x86::V4, T, SLOTS>
    where
        T: Fn(f32) -> bool + Copy,
    {
        type Output = ();

        #[inline(always)]
        fn call(self) {
            let Self { simd, rows, keys, test, base, part } = self;
            let avx = simd.avx512f;
            let mut slots: __m512i = pulp::cast(slots_from::<LANES>(base));
            let step = avx._mm512_set1_epi32(LANES as i32);
            // A copy: in memory each row would wait for the one before.
            let mut len = part.len;
            for (row, keys) in rows.iter().zip(keys) {
                let marks: __m512i = pulp::cast(marks_of(keys, test));
                let passed = avx._mm512_test_epi32_mask(marks, marks);
                let values = avx._mm512_maskz_compress_ps(passed, pulp::cast(*row));
                write::<LANES, _>(&mut part.values, len, pulp::cast(values));
                if SLOTS {
                    let ids = avx._mm512_maskz_compress_epi32(passed, slots);
                    write::<LANES, _>(&mut part.slots, len, pulp::cast(ids));
                    slots = avx._mm512_add_epi32(slots, step);
                }
                len += passed.count_ones() as usize;
            }
            part.len = len;
        }
    }

    /// Lanes of an AVX2 register.
    const EIGHT: usize = 8;

    /// For each set of lanes, those lanes in order, and then whatever.
    const PLACES: [[u32; EIGHT]; 1 << EIGHT] = {
        let mut places = [[0; EIGHT]; 1 << EIGHT];
        let mut set = 0;
        while set < places.len() {
            let (mut lane, mut len) = (0, 0);
            while lane < EIGHT {
                if set >> lane & 1 == 1 {
                    places[set][len] = lane as u32;
                    len += 1;
                }
                lane += 1;
            }
            set += 1;
        }
        places
    };

    impl<T, const SLOTS: bool> pulp::NullaryFnOnce for Pack<'_, pulp::x86::V3, T, SLOTS>
    where
        T: Fn(f32) -> bool + Copy,
    {
        type Output = ();

        #[inline(always)]
        fn call(self) {
            static TABLE: [[u32; EIGHT]; 1 << EIGHT] = PLACES;
            let Self { simd, rows, keys, test, base, part } = self;
            let (avx, avx2) = (simd.avx, simd.avx2);
            let mut slots: __m256i = pulp::cast(slots_from::<EIGHT>(base));
            let step = avx._mm256_set1_epi32(EIGHT as i32);
            let (rows, keys) =
                (rows.as_flattened().as_chunks().0, keys.as_flattened().as_chunks().0);
            let mut len = part.len;
            for (row, keys) in rows.iter().zip(keys) {
                let row: &[f32; EIGHT] = row;
                let marks: __m256 = pulp::cast(marks_of::<EIGHT>(keys, test));
                let passed = avx._mm256_movemask_ps(marks) as usize % TABLE.len();
                let places: __m256i = pulp::cast(TABLE[passed]);
                let values = avx2._mm256_permutevar8x32_ps(pulp::cast(*row), places);
                write::<EIGHT, _>(&mut part.values, len, pulp::cast(values));
                if SLOTS {
                    let ids = avx2._mm256_permutevar8x32_epi32(slots, places);
                    write::<EIGHT, _>(&mut part.slots, len, pulp::cast(ids));
                    slots = avx2._mm256_add_epi32(slots, step);
                }
                len += passed.count_ones() as usize;
            }
            part.len = len;
        }
    }

    /// Writes whole lanes from `len` on, of which the next write leaves those that passed.
    #[inline(always)]
    fn write<const N: usize, V: Copy>(to: &mut [V], len: usize, lanes: [V; N]) {
        // It never is more, which the compiler does not know.
        let end = len.min(CHUNK);
        if let Some(last) = to.get_mut(end..end + N) {
            last.copy_from_slice(&lanes);
        }
    }

    #[inline(always)]
    fn slots_from<const N: usize>(base: u32) -> [u32; N] {
        let mut slots = [0; N];
        for (slot, lane) in slots.iter_mut().zip(base..) {
            *slot = lane;
        }
        slots
    }

    /// All ones where `test` holds.
    #[inline(always)]
    fn marks_of<const N: usize>(row: &[f32; N], test: impl Fn(f32) -> bool) -> [u32; N] {
        let mut marks = [0; N];
        for lane in 0..N {
            marks[lane] = if test(row[lane]) { u32::MAX } else { 0 };
        }
        marks
    }
}

#[cfg(test)]
mod tests {
    use alloc::vec::Vec;

    use super::*;
    use crate::kernels::gather::gather;
    use crate::kernels::rows::CHUNK;

    fn key(value: f32) -> f32 {
        -(value - 1000.0).abs()
    }

    fn values() -> Vec<f32> {
        let value = |i: u32| (i.wrapping_mul(2_654_435_761) >> 20) as f32;
        (0..2 * CHUNK as u32 + 37).map(value).collect()
    }

    const FLOORS: [f32; 5] = [-300.0, -500.0, -20.0, -1e9, 1.0];

    #[test]
    fn gathering_finds_what_a_filter_finds() {
        let values = values();
        for floor in FLOORS {
            let passing = |&(_, value): &(u32, f32)| key(value) >= floor;
            let want: Vec<_> = (7..).zip(values.iter().copied()).filter(passing).collect();
            let (mut slots, mut found) = (Vec::new(), Vec::new());
            gather(&values, 7, |value| key(value) >= floor, &mut slots, &mut found);
            assert_eq!(slots.into_iter().zip(found).collect::<Vec<_>>(), want);
        }
    }

    #[test]
    fn every_way_packs_the_same() {
        let values = values();
        let rows = values[..CHUNK].as_chunks().0;
        for floor in FLOORS {
            let test = |value: f32| key(value) >= floor;
            let packed = |pack: &dyn Fn(&mut Part)| -> Vec<(u32, f32)> {
                let mut part = Part::EMPTY;
                pack(&mut part);
                part.slots().iter().copied().zip(part.values().iter().copied()).collect()
            };
            let want = packed(&|part| pack_anywhere(rows, rows, test, 7, part));
            assert_eq!(want.len(), values[..CHUNK].iter().filter(|&&value| test(value)).count());
            assert_eq!(packed(&|part| pack::<true>(rows, rows, test, 7, part)), want);
            #[cfg(target_arch = "x86_64")]
            if let Some(simd) = pulp::x86::V3::try_new() {
                let by_table = |part: &mut Part| {
                    let (keys, base) = (rows, 7);
                    let pass = x86::Pack::<_, _, true> { simd, rows, keys, test, base, part };
                    pulp::Simd::vectorize(simd, pass);
                };
                assert_eq!(packed(&by_table), want);
            }
        }
    }
}
