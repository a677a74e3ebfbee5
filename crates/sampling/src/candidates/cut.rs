//! The verbs that remove candidates.
//!
//! Each finds a boundary in the order and leaves what is above it; none sorts the row.

use alloc::vec::Vec;

use super::{Best, Cache, Candidates, Shape};
use crate::draws::Purpose;
use crate::kernels::{Mass, ln, passes, selection};
use crate::stage::StageError;
use crate::ties::TiePolicy;

/// Whether a floor is kept.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Edge {
    /// Scores at the floor stay.
    Keep,
    /// Scores at the floor go.
    Drop,
}

/// When a prefix of the order is heavy enough.
///
/// The three differ only where the mass meets `p` exactly, or within a rounding of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum MassRule {
    /// Hugging Face and vLLM: from the bottom, drop while the mass dropped is at most `1 − p`,
    /// with `1 − p` rounded to `f32`.
    DropTail,
    /// llama.cpp's top-p: from the top, stop once the mass is at least `p`.
    Reach,
    /// llama.cpp's typical: from the top, stop once the mass is more than `p`.
    Exceed,
}

impl MassRule {
    /// A candidate stays when the mass ahead of it in the order is below this.
    fn needed(self, p: f64, total: Mass) -> u64 {
        let whole = total.0 as f64;
        let needed = match self {
            Self::DropTail => total.0 - (f64::from((1.0 - p) as f32) * whole) as u64,
            Self::Reach => {
                let reached = p * whole;
                reached as u64 + u64::from(reached > (reached as u64) as f64)
            }
            Self::Exceed => (p * whole) as u64 + 1,
        };
        needed.clamp(1, total.0)
    }
}

impl Candidates<'_> {
    /// Keeps the first `k` of the order; all of them when there are no more than `k`.
    ///
    /// Banned candidates count and come last, at −∞.
    ///
    /// # Errors
    ///
    /// [`StageError::Empty`] for `k = 0`, [`StageError::Tie`] under [`TiePolicy::Error`], and as
    /// [`Candidates::max`].
    pub fn keep_top(&mut self, k: usize, ties: TiePolicy) -> Result<(), StageError> {
        if k == 0 {
            return Err(StageError::Empty);
        }
        let best = self.best()?;
        if k >= self.len() {
            return Ok(());
        }
        let (value, above) = if k == 1 { (best.value, 0) } else { self.kth_value(k) };
        self.cut_at(value, k - above, ties)
    }

    /// Keeps the shortest prefix of the order whose mass reaches the share `p`, by `rule`, and
    /// never fewer than `at_least` candidates.
    ///
    /// The mass is relative to what is listed now. `p ≥ 1` keeps everything.
    ///
    /// # Errors
    ///
    /// [`StageError::Argument`] if `p` is negative or NaN, [`StageError::Tie`] under
    /// [`TiePolicy::Error`], and as [`Candidates::max`].
    pub fn keep_mass(
        &mut self,
        p: f64,
        rule: MassRule,
        at_least: usize,
        ties: TiePolicy,
    ) -> Result<(), StageError> {
        if !(p >= 0.0) {
            return Err(StageError::Argument { argument: "p", value: p, domain: "at least 0" });
        }
        let best = self.best()?;
        if p >= 1.0 || at_least >= self.len() {
            return Ok(());
        }
        let total = self.weigh(best);
        let needed = rule.needed(p, total);
        let (value, above) = self.value_at_mass(needed, total, best);
        let (count_above, count_equal) = passes::count_around(self.values(), value);
        let each = Mass::of_weight(self.gaps(best).weight_of(value)).0;
        let room = (needed - above).div_ceil(each) as usize;
        if count_above + room.min(count_equal) < at_least {
            return self.keep_top(at_least, ties);
        }
        self.cut_at(value, room, ties)
    }

    /// Keeps scores from `floor` upwards, and never fewer than the first `at_least` of the order
    /// (equals among those by lower id).
    ///
    /// # Errors
    ///
    /// [`StageError::Empty`] if nothing reaches the floor and `at_least` is 0, and as
    /// [`Candidates::max`].
    pub fn keep_from(&mut self, floor: f32, edge: Edge, at_least: usize) -> Result<(), StageError> {
        let best = self.best()?;
        let lowest = match edge {
            Edge::Keep => self.lowest_value(|score| score >= floor),
            Edge::Drop => self.lowest_value(|score| score > floor),
        };
        let reached = best.value >= lowest;
        if at_least > usize::from(reached) {
            let (above, equal) = passes::count_around(self.values(), lowest);
            if above + equal < at_least {
                return self.keep_top(at_least, TiePolicy::LowestId);
            }
        }
        if !reached {
            return Err(StageError::Empty);
        }
        self.retain_from(lowest, |_, _| true);
        Ok(())
    }

    /// Keeps the candidates for which `test(id, score)` holds, asked with ids ascending.
    ///
    /// # Errors
    ///
    /// [`StageError::Empty`] if it holds for none, and as [`Candidates::max`].
    pub fn keep_if(&mut self, mut test: impl FnMut(u32, f32) -> bool) -> Result<(), StageError> {
        let best = self.best()?;
        let divisor = self.divisor;
        let mut any = false;
        self.retain_from(f32::NEG_INFINITY, |id, value| {
            let keep = test(id, value / divisor);
            any |= keep;
            keep
        });
        if !any {
            return Err(StageError::Empty);
        }
        // The best may be gone; nothing learnt about the set holds for its part.
        if !self.values().contains(&best.value) {
            self.cache = Cache::default();
        }
        Ok(())
    }

    /// The candidates with their scores, and room for one number each, for a rule that needs
    /// more than the verbs offer. Nothing is allocated.
    pub fn scratch(&mut self) -> (impl Iterator<Item = (u32, f32)> + Clone + '_, &mut Vec<f32>) {
        let (shape, divisor) = (self.shape, self.divisor);
        let super::Buffers { values, ids, spare, .. } = &mut *self.buffers;
        let values: &[f32] = if shape == Shape::Row { self.row } else { values };
        let ids: &[u32] = ids;
        spare.clear();
        let listed = values.iter().enumerate().map(move |(slot, &value)| {
            (if shape == Shape::List { ids[slot] } else { slot as u32 }, value / divisor)
        });
        (listed, spare)
    }

    /// The `k`-th largest value, and how many are above it.
    fn kth_value(&mut self, k: usize) -> (f32, usize) {
        let super::Buffers { values, block_max, pairs, selection: scratch, .. } =
            &mut *self.buffers;
        let values: &[f32] = if self.shape == Shape::Row { self.row } else { values };
        let one = |&value: &f32| (value, 1);
        let blocks = if self.cache.blocks { block_max.as_slice() } else { &[] };
        let found = if k * 4 < blocks.len() {
            // At least k values reach the k-th largest block maximum: a sure lower bound, which
            // few others pass.
            let bound = selection::boundary(|| blocks.iter().map(one), k as u64, scratch).value;
            pairs.clear();
            passes::visit_from(values, Some(blocks), bound, |_, value| pairs.push((value, 1)));
            selection::boundary(|| pairs.iter().copied(), k as u64, scratch)
        } else {
            selection::boundary(|| values.iter().map(one), k as u64, scratch)
        };
        (found.value, found.above as usize)
    }

    /// Fills `buffers.weights`, one per slot, and returns their mass.
    fn weigh(&mut self, best: Best) -> Mass {
        let gaps = self.gaps(best);
        let super::Buffers { values, weights, .. } = &mut *self.buffers;
        let values: &[f32] = if self.shape == Shape::Row { self.row } else { values };
        let total = passes::weights_into(values, gaps, weights);
        self.cache.mass = Some(total);
        total
    }

    /// The value at which the mass from the top reaches `needed`, and the mass above it.
    fn value_at_mass(&mut self, needed: u64, total: Mass, best: Best) -> (f32, u64) {
        // If all n candidates were lighter than a fraction 1/n of what may be dropped, dropping
        // them would be fine; so the boundary is at least that heavy. One unit and a thousandth
        // cover the rounding of weights.
        let share = ((total.0 - needed) as f64 / self.len() as f64 - 1.0).max(0.0);
        let floor = f64::from(best.score) + ln(share / Mass::ONE.0 as f64) - 1e-3;
        let lowest = self.lowest_value(|score| f64::from(score) >= floor);
        let super::Buffers { values, block_max, weights, pairs, selection: scratch, .. } =
            &mut *self.buffers;
        let values: &[f32] = if self.shape == Shape::Row { self.row } else { values };
        let blocks = self.cache.blocks.then_some(block_max.as_slice());
        pairs.clear();
        passes::visit_from(values, blocks, lowest, |slot, value| {
            pairs.push((value, Mass::of_weight(weights[slot]).0));
        });
        let found = selection::boundary(|| pairs.iter().copied(), needed, scratch);
        (found.value, found.above)
    }

    /// Keeps what is above `value`, and `room` of those that equal it, as `ties` says.
    fn cut_at(&mut self, value: f32, room: usize, ties: TiePolicy) -> Result<(), StageError> {
        self.note_ties(value, room);
        let equals = |values| passes::count_around(values, value).1;
        match ties {
            TiePolicy::KeepAll => {
                let score = self.score_of(value);
                let lowest = self.lowest_value(|other| other >= score);
                self.retain_from(lowest, |_, _| true);
            }
            TiePolicy::LowestId => self.retain_equals(value, 0, room),
            TiePolicy::HighestId => {
                let equal = equals(self.values());
                self.retain_equals(value, equal - room.min(equal), room);
            }
            TiePolicy::Random => self.retain_by_priority(value, room),
            TiePolicy::Error => {
                let tied = equals(self.values());
                if room < tied {
                    return Err(StageError::Tie { score: self.score_of(value), tied, room });
                }
                self.retain_equals(value, 0, room);
            }
        }
        Ok(())
    }

    /// Keeps what is above `value`, and of its equals `room` after the first `skip`.
    fn retain_equals(&mut self, value: f32, skip: usize, room: usize) {
        let mut seen = 0;
        self.retain_from(value, |_, other| {
            if other > value {
                return true;
            }
            seen += 1;
            seen > skip && seen - skip <= room
        });
    }

    /// Keeps what is above `value`, and the `room` of its equals with the highest priorities.
    fn retain_by_priority(&mut self, value: f32, room: usize) {
        let mut series = self.draws.series(Purpose::Tie);
        let mut ranked = core::mem::take(&mut self.buffers.pairs);
        ranked.clear();
        for (slot, &other) in self.values().iter().enumerate() {
            if other == value {
                ranked.push((0.0, series.bits(u64::from(self.id_at(slot)))));
            }
        }
        let threshold = if room < ranked.len() {
            *ranked.select_nth_unstable_by(room, |a, b| b.1.cmp(&a.1)).1
        } else {
            (0.0, 0)
        };
        let all = room >= ranked.len();
        self.buffers.pairs = ranked;
        self.retain_from(value, |id, other| {
            other > value || all || series.bits(u64::from(id)) > threshold.1
        });
    }

    /// Keeps the slots whose value is at least `lowest` and that pass `accept(id, value)`.
    fn retain_from(&mut self, lowest: f32, mut accept: impl FnMut(u32, f32) -> bool) {
        let before = if self.buffers.probe.is_on() { self.mass().ok() } else { None };
        let was = self.cache.best;
        let super::Buffers { values, ids, block_max, spare, .. } = &mut *self.buffers;
        if self.shape == Shape::List {
            let mut kept = 0;
            for slot in 0..ids.len() {
                if values[slot] >= lowest && accept(ids[slot], values[slot]) {
                    (ids[kept], values[kept]) = (ids[slot], values[slot]);
                    kept += 1;
                }
            }
            ids.truncate(kept);
            values.truncate(kept);
        } else {
            let from: &[f32] = if self.shape == Shape::Row { self.row } else { values };
            let blocks = self.cache.blocks.then_some(block_max.as_slice());
            ids.clear();
            spare.clear();
            passes::visit_from(from, blocks, lowest, |slot, value| {
                if accept(slot as u32, value) {
                    ids.push(slot as u32);
                    spare.push(value);
                }
            });
            core::mem::swap(values, spare);
            self.shape = Shape::List;
        }
        self.cache = Cache { best: was, blocks: false, mass: None };
        if let (Some(before), Some(best)) = (before, was) {
            self.account(before, best);
        }
    }

    /// Tells the probe what a cut took, in units of the best weight before it.
    fn account(&mut self, before: Mass, best: Best) {
        let after = passes::mass(self.values(), self.gaps(best));
        let super::Buffers { ids, probe, .. } = &mut *self.buffers;
        probe.lose(Mass(before.0 - after.0), before);
        probe.mark_all_but(ids);
    }

    /// Tells the probe how many share the score at which a cut falls, if the cut divides them.
    fn note_ties(&mut self, value: f32, room: usize) {
        if !self.buffers.probe.is_on() {
            return;
        }
        let score = self.score_of(value);
        let (mut sharing, mut equal, mut below) = (0, 0, 0);
        for &other in self.values() {
            sharing += usize::from(self.score_of(other) == score);
            equal += usize::from(other == value);
            below += usize::from(other < value && self.score_of(other) == score);
        }
        if room < equal || below > 0 {
            self.buffers.probe.tied(sharing);
        }
    }
}
