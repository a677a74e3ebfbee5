//! One pass over a row each: the largest value, the mass, the mass and its spread.

use alloc::vec::Vec;

use super::math::{Fixed, weight};
use super::{Mass, vectorised};

/// Floats handled side by side: one AVX-512 register, four of SSE2.
pub(crate) const LANES: usize = 16;
/// Rows of lanes in a chunk; a block is one lane of one chunk.
pub(crate) const ROWS: usize = 64;
/// Rows of lanes that are compared with each other before one is with what was found, which is a chain.
const SIDE: usize = 8;
/// Consecutive values that share their block maxima, and whose masses are added up together.
pub(crate) const CHUNK: usize = LANES * ROWS;

/// Room for a chunk that begins where a cache line does: elsewhere every register that is written or read
/// lies across two.
#[repr(align(64))]
pub(crate) struct Room<T>(pub(crate) [T; CHUNK]);

/// `f` of a chunk, slot by slot, and `rest` past its end.
///
/// A loop of its own over the whole chunk: the compiler turns that into vector code whatever `f` is
/// made of, and the few lanes of a row only if it is simple enough.
#[inline(always)]
pub(crate) fn each_of(chunk: &[f32], f: impl Fn(f32) -> f32, rest: f32, out: &mut [f32; CHUNK]) {
    // Bits that nobody wants: a loop that adds something up is compiled with several steps side by side,
    // and any other so that each step waits for the one before.
    let mut bits = 0;
    for (slot, &value) in out.iter_mut().zip(chunk) {
        *slot = f(value);
        bits |= slot.to_bits();
    }
    core::hint::black_box(bits);
    for slot in out.iter_mut().skip(chunk.len()) {
        *slot = rest;
    }
}

/// What a first pass over a row finds.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Scan {
    /// The largest value, or at most that if there is a NaN; −∞ for an empty row.
    pub(crate) max: f32,
    /// Whether any value is NaN.
    pub(crate) nan: bool,
}

/// The number of chunks that `len` values fall into.
pub(crate) const fn chunks_for(len: usize) -> usize {
    len.div_ceil(CHUNK)
}

/// The number of block maxima that [`scan`] leaves for `len` values.
pub(crate) const fn blocks_for(len: usize) -> usize {
    chunks_for(len) * LANES
}

/// The largest value, whether a NaN hides among them, and the block maxima: `block_max` receives
/// for chunk `c` and lane `l` the largest of `values[c·CHUNK + l + r·LANES]` over `r`.
pub(crate) fn scan(values: &[f32], block_max: &mut Vec<f32>) -> Scan {
    block_max.clear();
    vectorised(
        #[inline(always)]
        || {
            let (mut top, mut nan) = ([f32::NEG_INFINITY; LANES], [0_u32; LANES]);
            for chunk in values.chunks(CHUNK) {
                let (parts, rest) = chunk.as_chunks::<{ SIDE * LANES }>();
                let mut max = largest(parts, &mut nan);
                if !rest.is_empty() {
                    let mut last = [[f32::NEG_INFINITY; SIDE * LANES]];
                    last[0][..rest.len()].copy_from_slice(rest);
                    let last = largest(&last, &mut nan);
                    for lane in 0..LANES {
                        max[lane] = if last[lane] > max[lane] { last[lane] } else { max[lane] };
                    }
                }
                block_max.extend_from_slice(&max);
                for lane in 0..LANES {
                    top[lane] = if max[lane] > top[lane] { max[lane] } else { top[lane] };
                }
            }
            let max = top.iter().fold(f32::NEG_INFINITY, |a, &b| if b > a { b } else { a });
            Scan { max, nan: nan.iter().any(|&n| n != 0) }
        },
    )
}

/// The block maxima of a chunk.
pub(crate) fn chunk_maxima(chunk: &[f32; CHUNK]) -> [f32; LANES] {
    vectorised(
        #[inline(always)]
        || largest(chunk.as_chunks().0, &mut [0; LANES]),
    )
}

/// The largest of each lane.
#[inline(always)]
fn largest(parts: &[[f32; SIDE * LANES]], nan: &mut [u32; LANES]) -> [f32; LANES] {
    let mut max = [f32::NEG_INFINITY; LANES];
    let mut bad = *nan;
    for part in parts {
        for lane in 0..LANES {
            let of = |row: usize| part[row * LANES + lane];
            let larger = |a: f32, b: f32| if b > a { b } else { a };
            let four = |r: usize| larger(larger(of(r), of(r + 1)), larger(of(r + 2), of(r + 3)));
            max[lane] = larger(larger(four(0), four(4)), max[lane]);
            let mut nan = false;
            for row in 0..SIDE {
                nan |= of(row).is_nan();
            }
            bad[lane] |= u32::from(nan);
        }
    }
    *nan = bad;
    max
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

    #[inline(always)]
    pub(crate) fn gap(self, value: f32) -> f32 {
        self.best - value / self.divisor
    }

    /// Whether the division does nothing. Passes are compiled once more without it, because it
    /// would take as long as the exponential.
    #[inline(always)]
    pub(crate) fn undivided(self) -> bool {
        self.divisor == 1.0
    }
}

/// The mass of as many weights as a chunk has.
///
/// A single sum in a plain loop: integers may be added in any order, so the compiler makes vector
/// lanes of it by itself, where it often gives up on an array of lanes.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Sum {
    high: u32,
    low: u32,
}

impl Sum {
    #[inline(always)]
    pub(super) fn add(&mut self, part: Fixed) {
        self.high = self.high.wrapping_add(part.high);
        self.low = self.low.wrapping_add(part.low);
    }

    /// Adds where `mask` is all ones, and nothing where it is 0.
    #[inline(always)]
    pub(super) fn add_masked(&mut self, part: Fixed, mask: u32) {
        self.add(Fixed { high: part.high & mask, low: part.low & mask });
    }

    /// The mass of the weights that were added.
    #[inline(always)]
    pub(super) fn mass(self, weights: u32) -> u64 {
        Fixed::mass_of_sum(self.high, self.low, weights)
    }
}

/// The mass of a row.
pub(crate) fn mass(values: &[f32], gaps: Gaps) -> Mass {
    chunk_masses(values, gaps, |_| ())
}

/// The mass of a row; `each` is told that of every chunk in turn.
pub(crate) fn chunk_masses(values: &[f32], gaps: Gaps, each: impl FnMut(u64)) -> Mass {
    if gaps.undivided() {
        mass_of(
            values,
            #[inline(always)]
            |value| weight(gaps.best - value),
            each,
        )
    } else {
        mass_of(
            values,
            #[inline(always)]
            |value| gaps.weight_of(value),
            each,
        )
    }
}

/// The sum of `term(value)` over a row, for a `term` into `0..=1` that is 0 for −∞; `each` is told
/// that of every chunk in turn.
pub(crate) fn mass_of(
    values: &[f32],
    term: impl Fn(f32) -> f32,
    mut each: impl FnMut(u64),
) -> Mass {
    vectorised(
        #[inline(always)]
        || {
            let mut total = 0_u64;
            for chunk in values.chunks(CHUNK) {
                let mut sum = Sum::default();
                for &value in chunk {
                    sum.add(Fixed::of(term(value)));
                }
                let mass = sum.mass(chunk.len() as u32);
                each(mass);
                total = total.wrapping_add(mass);
            }
            Mass(total)
        },
    )
}

/// The mass of a row, and its spread: the sum of `weight · gap` in the same unit. The entropy is
/// `ln Z + spread / Z`. `weights`, if there is room for any, receives those of the values.
pub(crate) fn mass_and_spread(values: &[f32], gaps: Gaps, weights: &mut [f32]) -> (Mass, Mass) {
    if gaps.undivided() {
        mass_and_spread_of(
            values,
            #[inline(always)]
            move |value| gaps.best - value,
            weights,
        )
    } else {
        mass_and_spread_of(
            values,
            #[inline(always)]
            move |value| gaps.gap(value),
            weights,
        )
    }
}

fn mass_and_spread_of(
    values: &[f32],
    gap: impl Fn(f32) -> f32 + Copy,
    weights: &mut [f32],
) -> (Mass, Mass) {
    vectorised(
        #[inline(always)]
        || {
            let (mut total, mut total_spread) = (0_u64, 0_u64);
            let mut unkept = [0.0; CHUNK];
            let mut weights = weights.chunks_mut(CHUNK);
            for chunk in values.chunks(CHUNK) {
                let weights = weights.next().unwrap_or(&mut unkept);
                let (mut mass, mut spread) = (Sum::default(), Sum::default());
                for (&value, kept) in chunk.iter().zip(weights) {
                    let gap = gap(value);
                    let weight = weight(gap);
                    // At most 1/e. Where the weight is 0 the gap may be infinite; asked as `weight`
                    // asks, so that it is asked once.
                    let moment = if gap < Mass::LARGEST_GAP { weight * gap } else { 0.0 };
                    *kept = weight;
                    mass.add(Fixed::of(weight));
                    spread.add(Fixed::of(moment));
                }
                total = total.wrapping_add(mass.mass(chunk.len() as u32));
                total_spread = total_spread.wrapping_add(spread.mass(chunk.len() as u32));
            }
            (Mass(total), Mass(total_spread))
        },
    )
}

/// Writes the mass of each value to `masses`, and returns their sum.
pub(crate) fn masses_into(values: &[f32], gaps: Gaps, masses: &mut Vec<u64>) -> u64 {
    masses.resize(values.len(), 0);
    if gaps.undivided() {
        masses_of(
            values,
            #[inline(always)]
            move |value| weight(gaps.best - value),
            masses,
        )
    } else {
        masses_of(
            values,
            #[inline(always)]
            move |value| gaps.weight_of(value),
            masses,
        )
    }
}

fn masses_of(values: &[f32], weight_of: impl Fn(f32) -> f32 + Copy, masses: &mut [u64]) -> u64 {
    vectorised(
        #[inline(always)]
        || {
            let mut total = 0_u64;
            let mut weights = [0.0; CHUNK];
            for (masses, values) in masses.chunks_mut(CHUNK).zip(values.chunks(CHUNK)) {
                for (slot, &value) in weights.iter_mut().zip(values) {
                    *slot = weight_of(value);
                }
                for (mass, &weight) in masses.iter_mut().zip(&weights) {
                    *mass = Mass::of_weight(weight).0;
                    total = total.wrapping_add(*mass);
                }
            }
            total
        },
    )
}

/// `f` of each value.
pub(crate) fn map_into(values: &[f32], f: impl Fn(f32) -> f32 + Copy, out: &mut [f32]) {
    vectorised(
        #[inline(always)]
        || {
            for (slot, &value) in out.iter_mut().zip(values) {
                *slot = f(value);
            }
        },
    );
}

/// `f` of each value, behind what `out` has.
pub(crate) fn map_onto(values: &[f32], f: impl Fn(f32) -> f32 + Copy, out: &mut Vec<f32>) {
    vectorised(
        #[inline(always)]
        || out.extend(values.iter().map(|&value| f(value))),
    );
}

/// Adds to the mass of each chunk that of its part of a list that stays: those with a key of at least
/// `before` ahead of place `at` on the list, and of at least `after` from there on. `ends` says where the
/// parts end.
pub(crate) fn add_masses(
    chunks: &mut [u64],
    ends: &[usize],
    (keys, masses): (&[f32], &[u64]),
    (at, before, after): (usize, f32, f32),
) {
    vectorised(
        #[inline(always)]
        || {
            let (mut keys, mut masses, mut start) = (keys, masses, 0);
            for (chunk, &end) in chunks.iter_mut().zip(ends) {
                let ahead = at.saturating_sub(start).min(end - start);
                for (len, floor) in [(ahead, before), (end - start - ahead, after)] {
                    let (Some(keys), Some(masses)) =
                        (keys.split_off(..len), masses.split_off(..len))
                    else {
                        return;
                    };
                    *chunk = chunk.wrapping_add(mass_from(keys, masses, floor));
                }
                start = end;
            }
        },
    );
}

/// The mass of those with a key of at least `floor`.
#[inline(always)]
fn mass_from(keys: &[f32], masses: &[u64], floor: f32) -> u64 {
    let mut sum = 0_u64;
    for (&key, &mass) in keys.iter().zip(masses) {
        sum = sum.wrapping_add(if key >= floor { mass } else { 0 });
    }
    sum
}
