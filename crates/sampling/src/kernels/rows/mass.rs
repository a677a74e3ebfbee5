//! The mass of a row: of all of it, chunk by chunk, with its spread, or value by value.

use alloc::vec::Vec;

use super::CHUNK;
use crate::kernels::math::{Fixed, weight};
use crate::kernels::{Mass, vectorised};

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
pub(in crate::kernels) struct Sum {
    high: u32,
    low: u32,
}

impl Sum {
    #[inline(always)]
    pub(in crate::kernels) fn add(&mut self, part: Fixed) {
        self.high = self.high.wrapping_add(part.high);
        self.low = self.low.wrapping_add(part.low);
    }

    /// Adds where `mask` is all ones, and nothing where it is 0.
    #[inline(always)]
    pub(in crate::kernels) fn add_masked(&mut self, part: Fixed, mask: u32) {
        self.add(Fixed { high: part.high & mask, low: part.low & mask });
    }

    /// The mass of the weights that were added.
    #[inline(always)]
    pub(in crate::kernels) fn mass(self, weights: u32) -> u64 {
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
