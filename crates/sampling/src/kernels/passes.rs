//! One pass over a row each: the largest value, the mass, the mass and its spread.

use alloc::vec::Vec;

use super::math::{Fixed, weight};
use super::{Mass, vectorised};

/// Floats handled side by side: one AVX-512 register, four of SSE2.
pub(crate) const LANES: usize = 16;
/// Rows of lanes in a chunk; a block is one lane of one chunk.
pub(crate) const ROWS: usize = 64;
/// Consecutive values that share their block maxima, and whose masses are added up together.
pub(crate) const CHUNK: usize = LANES * ROWS;

/// Calls `each` for every row of lanes in `chunk`; the last one is filled up with −∞, which is no
/// candidate to anybody.
#[inline(always)]
pub(crate) fn rows_of(chunk: &[f32], mut each: impl FnMut(&[f32; LANES])) {
    let (rows, tail) = chunk.as_chunks::<LANES>();
    for row in rows {
        each(row);
    }
    if !tail.is_empty() {
        let mut last = [f32::NEG_INFINITY; LANES];
        last[..tail.len()].copy_from_slice(tail);
        each(&last);
    }
}

/// `f` of a chunk, slot by slot, and `rest` past its end.
///
/// A loop of its own over the whole chunk: the compiler turns that into vector code whatever `f` is
/// made of, and the few lanes of a row only if it is simple enough.
#[inline(always)]
pub(crate) fn each_of(chunk: &[f32], f: impl Fn(f32) -> f32, rest: f32, out: &mut [f32; CHUNK]) {
    for (slot, &value) in out.iter_mut().zip(chunk) {
        *slot = f(value);
    }
    for slot in out.iter_mut().skip(chunk.len()) {
        *slot = rest;
    }
}

/// What a first pass over a row finds.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Scan {
    /// The largest value that is not NaN; −∞ for an empty row.
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
            let mut nan = [0_u32; LANES];
            for chunk in values.chunks(CHUNK) {
                let mut max = [f32::NEG_INFINITY; LANES];
                rows_of(
                    chunk,
                    #[inline(always)]
                    |row| {
                        for lane in 0..LANES {
                            let x = row[lane];
                            max[lane] = if x > max[lane] { x } else { max[lane] };
                            nan[lane] |= u32::from(x.is_nan());
                        }
                    },
                );
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

/// Weights added up side by side within one chunk.
#[derive(Debug, Clone, Copy)]
pub(super) struct Sums {
    high: [u32; LANES],
    low: [u32; LANES],
}

impl Sums {
    pub(super) const NONE: Self = Self { high: [0; LANES], low: [0; LANES] };

    #[inline(always)]
    pub(super) fn add(&mut self, lane: usize, part: Fixed) {
        self.high[lane] = self.high[lane].wrapping_add(part.high);
        self.low[lane] = self.low[lane].wrapping_add(part.low);
    }

    /// Adds where `mask` is all ones, and nothing where it is 0.
    #[inline(always)]
    pub(super) fn add_masked(&mut self, lane: usize, part: Fixed, mask: u32) {
        self.add(lane, Fixed { high: part.high & mask, low: part.low & mask });
    }

    /// The mass, if lane `l` has taken `terms(l)` weights.
    #[inline(always)]
    pub(super) fn total(&self, terms: impl Fn(usize) -> u32) -> u64 {
        (0..LANES)
            .map(|lane| Fixed::mass_of_sum(self.high[lane], self.low[lane], terms(lane)))
            .fold(0, u64::wrapping_add)
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
                let mut sums = Sums::NONE;
                rows_of(
                    chunk,
                    #[inline(always)]
                    |row| {
                        for (lane, &value) in row.iter().enumerate() {
                            sums.add(lane, Fixed::of(term(value)));
                        }
                    },
                );
                let rows = chunk.len().div_ceil(LANES) as u32;
                let mass = sums.total(|_| rows);
                each(mass);
                total = total.wrapping_add(mass);
            }
            Mass(total)
        },
    )
}

/// The mass of a row, and its spread: the sum of `weight · gap` in the same unit. The entropy is
/// `ln Z + spread / Z`.
pub(crate) fn mass_and_spread(values: &[f32], gaps: Gaps) -> (Mass, Mass) {
    if gaps.undivided() {
        mass_and_spread_of(
            values,
            #[inline(always)]
            |value| gaps.best - value,
        )
    } else {
        mass_and_spread_of(
            values,
            #[inline(always)]
            |value| gaps.gap(value),
        )
    }
}

fn mass_and_spread_of(values: &[f32], gap: impl Fn(f32) -> f32) -> (Mass, Mass) {
    vectorised(
        #[inline(always)]
        || {
            let mut totals = (Mass(0), Mass(0));
            for chunk in values.chunks(CHUNK) {
                let (mut mass, mut spread) = (Sums::NONE, Sums::NONE);
                rows_of(
                    chunk,
                    #[inline(always)]
                    |row| {
                        for (lane, &value) in row.iter().enumerate() {
                            let gap = gap(value);
                            let weight = weight(gap);
                            // Where the weight is 0 the gap may be infinite. Elsewhere the
                            // product is at most 1/e.
                            let moment = if weight > 0.0 { weight * gap } else { 0.0 };
                            mass.add(lane, Fixed::of(weight));
                            spread.add(lane, Fixed::of(moment));
                        }
                    },
                );
                let rows = chunk.len().div_ceil(LANES) as u32;
                totals.0.0 = totals.0.0.wrapping_add(mass.total(|_| rows));
                totals.1.0 = totals.1.0.wrapping_add(spread.total(|_| rows));
            }
            totals
        },
    )
}

/// Writes the mass of each value to `masses`, and returns their sum.
pub(crate) fn masses_into(values: &[f32], gaps: Gaps, masses: &mut Vec<u64>) -> u64 {
    masses.resize(values.len(), 0);
    vectorised(
        #[inline(always)]
        || {
            let mut total = 0_u64;
            for (mass, &value) in masses.iter_mut().zip(values) {
                *mass = Mass::of_weight(gaps.weight_of(value)).0;
                total = total.wrapping_add(*mass);
            }
            total
        },
    )
}

/// Calls `visit(slot, value)` for each value at or above `floor`, slots ascending.
///
/// `block_max` (from [`scan`] over the same values) lets whole chunks be skipped; without it each
/// group of lanes is tested. Cheap when few values pass; see [`super::gather`] for when many do.
pub(crate) fn visit_from(
    values: &[f32],
    block_max: Option<&[f32]>,
    floor: f32,
    mut visit: impl FnMut(usize, f32),
) {
    vectorised(
        #[inline(always)]
        || {
            let mut maxima = block_max.unwrap_or(&[]).as_chunks::<LANES>().0.iter();
            for (c, chunk) in values.chunks(CHUNK).enumerate() {
                if maxima.next().is_some_and(|maxima| maxima.iter().all(|&m| m < floor)) {
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
        },
    );
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
