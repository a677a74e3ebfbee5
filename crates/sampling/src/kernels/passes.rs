//! One pass over a row each: the largest value, the mass, the mass and its spread, a gather.

use alloc::vec::Vec;

use super::math::{MAGIC_BITS, fixed_bits, weight};
use super::{Mass, vectorised};

/// Floats handled side by side: one AVX-512 register, four of SSE2.
pub(crate) const LANES: usize = 16;
/// Rows of lanes in a chunk; a block is one lane of one chunk.
const ROWS: usize = 64;
/// Consecutive values that share their block maxima.
pub(crate) const CHUNK: usize = LANES * ROWS;

/// What a first pass over a row finds.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Scan {
    /// The largest value that is not NaN; −∞ for an empty row.
    pub(crate) max: f32,
    /// Whether any value is NaN.
    pub(crate) nan: bool,
}

/// The number of block maxima that [`scan`] leaves for `len` values.
pub(crate) const fn blocks_for(len: usize) -> usize {
    len.div_ceil(CHUNK) * LANES
}

#[inline(always)]
fn fold_chunk(chunk: &[f32], max: &mut [f32; LANES], nan: &mut [u32; LANES]) {
    let rows = chunk.chunks_exact(LANES);
    let tail = rows.remainder();
    for row in rows {
        for lane in 0..LANES {
            let x = row[lane];
            max[lane] = if x > max[lane] { x } else { max[lane] };
            nan[lane] |= u32::from(x.is_nan());
        }
    }
    for (lane, &x) in tail.iter().enumerate() {
        max[lane] = if x > max[lane] { x } else { max[lane] };
        nan[lane] |= u32::from(x.is_nan());
    }
}

/// The largest value, whether a NaN hides among them, and the block maxima: `block_max` receives
/// for chunk `c` and lane `l` the largest of `values[c·CHUNK + l + r·LANES]` over `r`.
pub(crate) fn scan(values: &[f32], block_max: &mut Vec<f32>) -> Scan {
    block_max.clear();
    vectorised(
        #[inline(always)]
        || {
            let mut nan = [0_u32; LANES];
            for chunk in values.chunks(CHUNK) {
                let mut max = [f32::NEG_INFINITY; LANES];
                fold_chunk(chunk, &mut max, &mut nan);
                block_max.extend_from_slice(&max);
            }
            let max = block_max.iter().fold(f32::NEG_INFINITY, |a, &b| if b > a { b } else { a });
            Scan { max, nan: nan.iter().any(|&n| n != 0) }
        },
    )
}

/// How a stored value becomes a gap below the best score.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Gaps {
    /// The best score.
    pub(crate) best: f32,
    /// The pending temperature.
    pub(crate) divisor: f32,
}

impl Gaps {
    #[inline(always)]
    pub(crate) fn weight_of(self, value: f32) -> f32 {
        weight(self.gap(value))
    }

    /// The weight, and weight · gap, which is 0 where the weight is (and the gap may be ∞).
    #[inline(always)]
    fn moment_of(self, value: f32) -> (f32, f32) {
        let gap = self.gap(value);
        let weight = weight(gap);
        (weight, if weight > 0.0 { weight * gap } else { 0.0 })
    }

    #[inline(always)]
    fn gap(self, value: f32) -> f32 {
        self.best - value / self.divisor
    }
}

/// The mass of a row.
pub(crate) fn mass(values: &[f32], gaps: Gaps) -> Mass {
    mass_by(values, gaps, |weight| weight)
}

/// The sum of `f(weight)` over a row, for an `f` into `0..=1`.
pub(crate) fn mass_by(values: &[f32], gaps: Gaps, f: impl Fn(f32) -> f32) -> Mass {
    mass_of(
        values,
        #[inline(always)]
        |value| f(gaps.weight_of(value)),
    )
}

/// The sum of `term(value)` over a row, for a `term` into `0..=1`.
pub(crate) fn mass_of(values: &[f32], term: impl Fn(f32) -> f32) -> Mass {
    vectorised(
        #[inline(always)]
        || {
            let mut lanes = [0_u64; LANES];
            let (rows, tail) = values.as_chunks::<LANES>();
            for row in rows {
                for lane in 0..LANES {
                    lanes[lane] = lanes[lane].wrapping_add(fixed_bits(term(row[lane])));
                }
            }
            for &x in tail {
                lanes[0] = lanes[0].wrapping_add(fixed_bits(term(x)));
            }
            unbiased(&lanes, values.len())
        },
    )
}

/// The mass of a row, and its spread: the sum of `weight · gap` in the same unit. The entropy is
/// `ln Z + spread / Z`.
pub(crate) fn mass_and_spread(values: &[f32], gaps: Gaps) -> (Mass, Mass) {
    vectorised(
        #[inline(always)]
        || {
            let mut mass = [0_u64; LANES];
            let mut spread = [0_u64; LANES];
            let rows = values.chunks_exact(LANES);
            let tail = rows.remainder();
            for row in rows {
                for lane in 0..LANES {
                    let (weight, moment) = gaps.moment_of(row[lane]);
                    mass[lane] = mass[lane].wrapping_add(fixed_bits(weight));
                    spread[lane] = spread[lane].wrapping_add(fixed_bits(moment));
                }
            }
            for &x in tail {
                let (weight, moment) = gaps.moment_of(x);
                mass[0] = mass[0].wrapping_add(fixed_bits(weight));
                spread[0] = spread[0].wrapping_add(fixed_bits(moment));
            }
            (unbiased(&mass, values.len()), unbiased(&spread, values.len()))
        },
    )
}

/// Takes out the bias that every one of `terms` summands carries; the arithmetic is modulo 2⁶⁴.
#[inline(always)]
fn unbiased(lanes: &[u64; LANES], terms: usize) -> Mass {
    let biased = lanes.iter().fold(0_u64, |a, &b| a.wrapping_add(b));
    Mass(biased.wrapping_sub(MAGIC_BITS.wrapping_mul(terms as u64)))
}

/// Writes every weight to `weights` and returns their mass.
pub(crate) fn weights_into(values: &[f32], gaps: Gaps, weights: &mut Vec<f32>) -> Mass {
    weights.resize(values.len(), 0.0);
    vectorised(
        #[inline(always)]
        || {
            let mut lanes = [0_u64; LANES];
            let rows = values.chunks_exact(LANES);
            let tail = rows.remainder();
            let mut out = weights.chunks_exact_mut(LANES);
            for (row, slots) in rows.zip(&mut out) {
                for lane in 0..LANES {
                    let w = gaps.weight_of(row[lane]);
                    slots[lane] = w;
                    lanes[lane] = lanes[lane].wrapping_add(fixed_bits(w));
                }
            }
            for (&x, slot) in tail.iter().zip(out.into_remainder()) {
                *slot = gaps.weight_of(x);
                lanes[0] = lanes[0].wrapping_add(fixed_bits(*slot));
            }
            unbiased(&lanes, values.len())
        },
    )
}

/// Calls `visit(slot, value)` for each value at or above `floor`, slots ascending.
///
/// `block_max` (from [`scan`] over the same values) lets whole chunks be skipped; without it each
/// group of lanes is tested. Cheap when few values pass, which is what a cut asks for.
pub(crate) fn visit_from(
    values: &[f32],
    block_max: Option<&[f32]>,
    floor: f32,
    mut visit: impl FnMut(usize, f32),
) {
    for (c, chunk) in values.chunks(CHUNK).enumerate() {
        if let Some(maxima) = block_max
            && maxima[c * LANES..(c + 1) * LANES].iter().all(|&m| m < floor)
        {
            continue;
        }
        for (r, row) in chunk.chunks(LANES).enumerate() {
            // No early exit: the lanes are compared side by side.
            if row.iter().filter(|&&x| x >= floor).count() > 0 {
                let base = c * CHUNK + r * LANES;
                for (lane, &x) in row.iter().enumerate() {
                    if x >= floor {
                        visit(base + lane, x);
                    }
                }
            }
        }
    }
}

/// How many values are above `value`, and how many equal it (−0.0 equals +0.0).
pub(crate) fn count_around(values: &[f32], value: f32) -> (usize, usize) {
    vectorised(
        #[inline(always)]
        || {
            let (mut above, mut equal) = (0_usize, 0_usize);
            // u32 counters per chunk keep the inner loop in narrow lanes.
            for chunk in values.chunks(CHUNK) {
                let (mut a, mut e) = (0_u32, 0_u32);
                for &x in chunk {
                    a += u32::from(x > value);
                    e += u32::from(x == value);
                }
                above += a as usize;
                equal += e as usize;
            }
            (above, equal)
        },
    )
}
