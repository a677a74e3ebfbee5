//! The mass of a row, and of the part of it that lies above a bound in some order, in one pass.

use alloc::vec::Vec;

use super::math::{Fixed, weight};
use super::passes::{CHUNK, Gaps, LANES, Sums, each_of};
use super::{Mass, vectorised};

/// What [`account`] found.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Account {
    /// The mass of all values.
    pub(crate) total: Mass,
    /// The mass of those whose key is above the bound.
    pub(crate) above: Mass,
    /// How many they are.
    pub(crate) count_above: usize,
    /// Whether a key is NaN.
    pub(crate) nan: bool,
}

/// The mass of a row, and of the part of it whose `key` is above `bound`; `chunks` receives the
/// mass of that part chunk by chunk.
pub(crate) fn account(
    values: &[f32],
    gaps: Gaps,
    key: impl Fn(f32) -> f32 + Copy,
    bound: f32,
    chunks: &mut Vec<u64>,
) -> Account {
    if gaps.undivided() {
        account_of(
            values,
            #[inline(always)]
            |value| gaps.best - value,
            key,
            bound,
            chunks,
        )
    } else {
        account_of(
            values,
            #[inline(always)]
            |value| gaps.gap(value),
            key,
            bound,
            chunks,
        )
    }
}

fn account_of(
    values: &[f32],
    gap: impl Fn(f32) -> f32,
    key: impl Fn(f32) -> f32 + Copy,
    bound: f32,
    chunks: &mut Vec<u64>,
) -> Account {
    chunks.clear();
    vectorised(
        #[inline(always)]
        || {
            let (mut total, mut above, mut count_above) = (0_u64, 0_u64, 0_usize);
            let mut nan = [0_u32; LANES];
            let (mut keys, mut weights) = ([0.0; CHUNK], [0.0; CHUNK]);
            for chunk in values.chunks(CHUNK) {
                each_of(chunk, key, f32::NEG_INFINITY, &mut keys);
                each_of(chunk, |value| weight(gap(value)), 0.0, &mut weights);
                let (mut all, mut part) = (Sums::NONE, Sums::NONE);
                let mut count = [0_u32; LANES];
                let (keys, weights) = (keys.as_chunks::<LANES>().0, weights.as_chunks::<LANES>().0);
                for (keys, weights) in keys.iter().zip(weights).take(chunk.len().div_ceil(LANES)) {
                    for lane in 0..LANES {
                        let own = Fixed::of(weights[lane]);
                        let mask = if keys[lane] > bound { u32::MAX } else { 0 };
                        all.add(lane, own);
                        part.add_masked(lane, own, mask);
                        count[lane] = count[lane].wrapping_sub(mask);
                        nan[lane] |= u32::from(keys[lane].is_nan());
                    }
                }
                let rows = chunk.len().div_ceil(LANES) as u32;
                total = total.wrapping_add(all.total(|_| rows));
                let mass = part.total(|lane| count[lane]);
                above = above.wrapping_add(mass);
                chunks.push(mass);
                count_above += count.iter().sum::<u32>() as usize;
            }
            let nan = nan.iter().any(|&n| n != 0);
            Account { total: Mass(total), above: Mass(above), count_above, nan }
        },
    )
}
