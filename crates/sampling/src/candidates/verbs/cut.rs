//! The verbs that remove candidates.
//!
//! Each finds a boundary in the order and leaves what is above it; none sorts the row.

use alloc::vec::Vec;

use crate::candidates::Candidates;
use crate::candidates::buffers::Buffers;
use crate::candidates::carry::{Class, Kth, Side};
use crate::candidates::known::Chunks;
use crate::candidates::locate::{ByScore, Order};
use crate::candidates::pending::Pending;
use crate::candidates::scores::Form;
use crate::error::StageError;
use crate::kernels::Mass;
use crate::kernels::rows::visits;
use crate::kernels::select::nth::Nth;
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
    pub(in crate::candidates) fn needed(self, p: f64, total: Mass) -> u64 {
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
        let best = self.top()?;
        if self.form == Form::Overlaid && k < self.len() && self.keep_top_overlaid(k, ties) {
            return Ok(());
        }
        self.materialise();
        if k >= self.len() {
            return Ok(());
        }
        self.begin_cut(best);
        if k == 1 {
            self.note_ties(best.value, 1, Side::Above);
            return self.cut_at(best.value, 1, ties);
        }
        let found = self.kth_value(k);
        let Nth { value, above } = found.nth();
        self.note_ties(value, k - above, Side::Above);
        if self.form != Form::List {
            match (ties, found) {
                (TiePolicy::LowestId, Kth::Collected(_)) => {
                    self.list_fringe(value, k - above);
                    return Ok(());
                }
                (TiePolicy::LowestId, Kth::Counted(_)) => {
                    self.list_first(value, k - above);
                    return Ok(());
                }
                // Lower values of the same score may stay.
                (TiePolicy::KeepAll, _) | (_, Kth::Counted(_)) => {}
                (_, Kth::Collected(_)) => self.list_fringe(value, usize::MAX),
            }
        }
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
        self.begin_cut(best);
        if self.cut_as_before() {
            return Ok(());
        }
        let order = ByScore(self.gaps(best));
        let frontier = self.frontier(order, p, |total| rule.needed(p, total), best)?;
        if frontier.kept < at_least {
            return self.keep_top(at_least, ties);
        }
        self.note_ties(frontier.value, frontier.room, Side::Above);
        // A division may have merged values: equal scores are then more than one class.
        let merged = ties == TiePolicy::KeepAll && self.divisor != 1.0;
        let split = if merged { None } else { self.split(order, &frontier, ties) };
        let Some(split) = split.and_then(|split| order.by_value(split)) else {
            return self.cut_at(frontier.value, frontier.room, ties);
        };
        self.pending = Some(Pending { split, kept: Some(frontier.left(ties)) });
        self.known.weighed(frontier.mass(ties), Chunks::OfTokens);
        self.remember_cut(frontier.value, frontier.room);
        Ok(())
    }

    /// Keeps scores from `floor` upwards, and never fewer than the first `at_least` of the order
    /// (equals among those by lower id).
    ///
    /// # Errors
    ///
    /// [`StageError::Argument`] if `floor` is NaN, [`StageError::Empty`] if nothing reaches it and
    /// `at_least` is 0, and as [`Candidates::max`].
    pub fn keep_from(&mut self, floor: f32, edge: Edge, at_least: usize) -> Result<(), StageError> {
        if floor.is_nan() {
            let value = f64::from(floor);
            return Err(StageError::Argument { argument: "floor", value, domain: "a number" });
        }
        let best = self.best()?;
        let lowest = match edge {
            Edge::Keep => self.lowest_value(|score| score >= floor),
            Edge::Drop => self.lowest_value(|score| score > floor),
        };
        let reached = best.value >= lowest;
        if at_least > usize::from(reached) {
            let (above, equal) = visits::count_around(self.values(), self.blocks(), lowest);
            if above + equal < at_least {
                return self.keep_top(at_least, TiePolicy::LowestId);
            }
        }
        if !reached {
            return Err(StageError::Empty);
        }
        self.begin_cut(best);
        self.retain_at_least(lowest);
        Ok(())
    }

    /// Keeps the candidates for which `test(id, score)` holds, asked with ids ascending.
    ///
    /// # Errors
    ///
    /// [`StageError::Empty`] if it holds for none, and as [`Candidates::max`].
    pub fn keep_if(&mut self, mut test: impl FnMut(u32, f32) -> bool) -> Result<(), StageError> {
        let best = self.best()?;
        self.begin_cut(best);
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
        self.forget_a_lost_best(best);
        Ok(())
    }

    /// Removes the first `k` of the order, and never the last candidate that is not banned.
    ///
    /// Where the boundary falls among equals, `ties` says who of them stays;
    /// [`TiePolicy::KeepAll`] keeps every equal of the `k`-th that another policy might keep, that
    /// is all of them if the boundary divides them.
    ///
    /// # Errors
    ///
    /// [`StageError::Empty`] if no candidate would be left that is not banned,
    /// [`StageError::Tie`] under [`TiePolicy::Error`], and as [`Candidates::max`].
    pub fn drop_top(&mut self, k: usize, ties: TiePolicy) -> Result<(), StageError> {
        let best = self.best()?;
        if k == 0 {
            return Ok(());
        }
        if k >= self.eligible() {
            return Err(StageError::Empty);
        }
        self.begin_cut(best);
        // The first that stays, and how many of its equals do.
        let Nth { value, above } = self.kth_value(k + 1).nth();
        let (_, equal) = visits::count_around(self.values(), self.blocks(), value);
        let room = above + equal - k;
        let below = |other: f32| other < value;
        self.note_ties(value, room, Side::Below);
        if ties == TiePolicy::KeepAll {
            let score = self.score_of(value);
            let divisor = self.divisor;
            self.retain_from(f32::NEG_INFINITY, |_, other| other / divisor <= score);
        } else {
            self.cut_class(Class { value, room, lowest: f32::NEG_INFINITY }, ties, below)?;
        }
        self.forget_a_lost_best(best);
        Ok(())
    }

    /// The candidates with their scores, and room for one number each, for a rule that needs
    /// more than the verbs offer. Nothing is allocated.
    pub fn scratch(&mut self) -> (impl Iterator<Item = (u32, f32)> + Clone + '_, &mut Vec<f32>) {
        self.materialise();
        let (form, divisor) = (self.form, self.divisor);
        let Buffers { values, ids, spare, .. } = &mut *self.buffers;
        let values = form.of(self.row, values);
        let ids: &[u32] = ids;
        spare.clear();
        let listed = values.iter().enumerate().map(move |(slot, &value)| {
            (if form == Form::List { ids[slot] } else { slot as u32 }, value / divisor)
        });
        (listed, spare)
    }
}
