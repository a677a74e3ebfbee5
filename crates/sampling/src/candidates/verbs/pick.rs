//! The verbs that draw: the inverse of a cumulative distribution, ids ascending.

use core::ops::Range;

use crate::candidates::Candidates;
use crate::candidates::known::Chunks;
use crate::candidates::pending::Split;
use crate::candidates::scores::Form;
use crate::error::StageError;
use crate::kernels::special::gumbel;
use crate::kernels::zones::Zone;
use crate::kernels::{Mass, rows, weight};
use crate::sequence::Purpose;

/// Candidates whose masses are added up before any is looked at alone.
const FEW: usize = 128;

impl Candidates<'_> {
    /// The token at which the running mass, ids ascending, first exceeds `u` of the whole: the
    /// inverse CDF at `u`. A token of no mass is never returned.
    ///
    /// # Errors
    ///
    /// As [`Candidates::max`], and [`StageError::Argument`] unless `0 ≤ u < 1`.
    pub fn pick(&mut self, u: f64) -> Result<u32, StageError> {
        check_unit(u)?;
        let best = self.top()?;
        let total = self.mass()?;
        let gaps = self.gaps(best);
        let weight = move |value| gaps.weight_of(value);
        if self.known.chunks == Chunks::Unknown {
            return self.at_share(u, total, weight);
        }
        let mut left = part_of(u, total);
        for (c, &mass) in self.buffers.chunk_mass.iter().enumerate() {
            if left < mass {
                return self.within(self.slots_of_chunk(c), &mut left, weight);
            }
            left -= mass;
        }
        Err(StageError::Empty)
    }

    /// The token that [`Candidates::pick`] would return if every candidate that is not banned
    /// had the score `f(score)`. The candidates stay as they are.
    ///
    /// # Errors
    ///
    /// As [`Candidates::max`], also for the scores that `f` gives, and [`StageError::Argument`]
    /// unless `0 ≤ u < 1`.
    pub fn pick_as(&mut self, u: f64, f: impl Fn(f32) -> f32) -> Result<u32, StageError> {
        check_unit(u)?;
        self.best()?;
        let divisor = self.divisor;
        let rescored = |value: f32| {
            let score = value / divisor;
            if score > f32::NEG_INFINITY { f(score) } else { f32::NEG_INFINITY }
        };
        let mut best = f32::NEG_INFINITY;
        for (slot, &value) in self.values().iter().enumerate() {
            let score = rescored(value);
            if !(score < f32::INFINITY) {
                return Err(StageError::NotFinite { id: self.id_at(slot), score });
            }
            best = best.max(score);
        }
        if best == f32::NEG_INFINITY {
            return Err(StageError::AllMasked { candidates: self.len() });
        }
        let term = |value: f32| weight(best - rescored(value));
        let total = rows::mass_of(self.values(), term, |_| ());
        self.at_share(u, total, term)
    }

    /// The token with the highest score after each had Gumbel noise of its own added, which is a
    /// draw from the distribution; equal sums by lower id. Banned tokens are never returned.
    ///
    /// The noise of token `i` is `−ln(−ln u)`, `u = (k + ½) / 2⁵³`, with the upper 53 bits `k` of
    /// the number with index `i` of `purpose`: it depends on the token and the step's key, not on
    /// who else is listed.
    ///
    /// # Errors
    ///
    /// As [`Candidates::max`].
    pub fn pick_by_gumbel(&mut self, purpose: Purpose) -> Result<u32, StageError> {
        self.best()?;
        let mut series = self.draws.series(purpose);
        let (mut winner, mut highest) = (None, f64::NEG_INFINITY);
        for (slot, &value) in self.values().iter().enumerate() {
            let score = f64::from(self.score_of(value));
            if score == f64::NEG_INFINITY {
                continue;
            }
            let id = self.id_at(slot);
            let bits = series.bits(u64::from(id));
            // −ln u ≥ 1 − u bounds the noise by −ln(1 − u), and the leading ones of u bound that:
            // few tokens need their logarithms.
            let at_most = f64::from(bits.leading_ones() + 1) * core::f64::consts::LN_2 + 1e-9;
            if score + at_most <= highest {
                continue;
            }
            let sum = score + gumbel(bits);
            if sum > highest {
                (winner, highest) = (Some(id), sum);
            }
        }
        winner.ok_or(StageError::Empty)
    }

    /// The token with the highest score after `noise(id)` was added to each, equal sums by lower id. Banned
    /// tokens are never returned, and the noise is asked for only where it could decide: it is at most
    /// `at_most`.
    ///
    /// # Errors
    ///
    /// As [`Candidates::max`].
    pub fn pick_by_noise(
        &mut self,
        at_most: f64,
        mut noise: impl FnMut(u32) -> f64,
    ) -> Result<u32, StageError> {
        self.best()?;
        let (mut winner, mut highest) = (None, f64::NEG_INFINITY);
        for (slot, &value) in self.values().iter().enumerate() {
            let score = f64::from(self.score_of(value));
            if score == f64::NEG_INFINITY || score + at_most <= highest {
                continue;
            }
            let id = self.id_at(slot);
            let sum = score + noise(id);
            if sum > highest {
                (winner, highest) = (Some(id), sum);
            }
        }
        winner.ok_or(StageError::Empty)
    }

    /// Where the running sum of `term(value)` exceeds the share `u` of `total`, which it sums to.
    fn at_share(
        &self,
        u: f64,
        total: Mass,
        term: impl Fn(f32) -> f32 + Copy,
    ) -> Result<u32, StageError> {
        let mut left = part_of(u, total);
        for (c, chunk) in self.values().chunks(rows::CHUNK).enumerate() {
            let mass = rows::mass_of(chunk, term, |_| ()).0;
            if left < mass {
                let first = c * rows::CHUNK;
                return self.within(first..first + chunk.len(), &mut left, term);
            }
            left -= mass;
        }
        Err(StageError::Empty)
    }

    /// The slots that a chunk's mass is of.
    fn slots_of_chunk(&self, chunk: usize) -> Range<usize> {
        let (first, end) = (chunk * rows::CHUNK, (chunk + 1) * rows::CHUNK);
        if self.known.chunks == Chunks::OfSlots {
            first..end.min(self.values().len())
        } else if self.form == Form::List {
            let slot = |id: usize| self.buffers.ids.partition_point(|&other| (other as usize) < id);
            slot(first)..slot(end)
        } else {
            first..end.min(self.vocab_size)
        }
    }

    /// The token among `slots` at which the running sum of `term(value)` exceeds `left`.
    fn within(
        &self,
        slots: Range<usize>,
        left: &mut u64,
        term: impl Fn(f32) -> f32 + Copy,
    ) -> Result<u32, StageError> {
        // A pending cut has one band up to some slot, and another from there on.
        let split = self.pending.map_or(Split::EVERYTHING, |pending| pending.split);
        let middle = split.at.clamp(slots.start, slots.end);
        for (slots, band) in [(slots.start..middle, split.before), (middle..slots.end, split.after)]
        {
            let own = move |value: f32| if band.holds(value) { term(value) } else { 0.0 };
            let mut first = slots.start;
            for part in self.values()[slots].chunks(FEW) {
                // A few at a time in vector lanes, and one by one only where it ends.
                let mass = rows::mass_of(part, own, |_| ()).0;
                if *left >= mass {
                    *left -= mass;
                    first += part.len();
                    continue;
                }
                for (slot, &value) in (first..).zip(part) {
                    let mass = Mass::of_weight(own(value)).0;
                    if *left < mass {
                        return Ok(self.id_at(slot));
                    }
                    *left -= mass;
                }
            }
        }
        Err(StageError::Empty)
    }
}

/// The share `u` of a mass, in its units, rounded down.
fn part_of(u: f64, total: Mass) -> u64 {
    // 53 bits of u against a mass of up to 64: the product is exact in 128.
    let scaled = (u * 9_007_199_254_740_992.0) as u128;
    ((scaled * u128::from(total.0)) >> 53) as u64
}

fn check_unit(u: f64) -> Result<(), StageError> {
    if (0.0..1.0).contains(&u) {
        Ok(())
    } else {
        Err(StageError::Argument { argument: "u", value: u, domain: "in 0..1" })
    }
}
