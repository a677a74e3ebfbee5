//! The cut that does not follow the order of scores: the nearest to some place.

use super::boundary::Class;
use super::{Candidates, MassRule, Shape};
use crate::kernels::{Mass, selection};
use crate::stage::StageError;
use crate::ties::TiePolicy;

/// Where a cut by distance falls: everything nearer than `near` stays, at that distance what is
/// above `value`, and `room` of those that equal it.
#[derive(Debug, Clone, Copy)]
struct Frontier {
    /// The distance, negated: larger is nearer.
    near: f32,
    value: f32,
    room: usize,
    /// How many stay in all, if the class at the boundary is divided.
    kept: usize,
}

impl Candidates<'_> {
    /// Keeps the candidates for which `distance(score)` is least, until their mass reaches the
    /// share `p` by `rule` (for `p = 0`: until they have any mass), and never fewer than `at_least`.
    ///
    /// Of two equally distant candidates the one with the higher score comes first; of equal scores
    /// `ties` decides. [`TiePolicy::KeepAll`] keeps all that are as near as the last one kept,
    /// whatever their score; candidates that stay on account of `at_least` alone are the lowest ids
    /// among equals then. Banned candidates are infinitely far.
    ///
    /// `p ≥ 1` keeps everything.
    ///
    /// # Errors
    ///
    /// [`StageError::Argument`] if `p` is negative or NaN or if a distance is NaN,
    /// [`StageError::Tie`] under [`TiePolicy::Error`], and as [`Candidates::max`].
    pub fn keep_nearest(
        &mut self,
        distance: impl Fn(f32) -> f32,
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
        let divisor = self.divisor;
        let near = |value: f32| {
            let score = value / divisor;
            if score > f32::NEG_INFINITY { -distance(score) } else { f32::NEG_INFINITY }
        };
        if self.values().iter().any(|&value| near(value).is_nan()) {
            let nan = f64::NAN;
            return Err(StageError::Argument {
                argument: "a distance",
                value: nan,
                domain: "a number",
            });
        }
        let needed = rule.needed(p, self.weigh(best));
        let mut frontier = self.frontier(needed, near, |weight| Mass::of_weight(weight).0);
        let mut ties = ties;
        let kept = if ties == TiePolicy::KeepAll {
            self.values().iter().filter(|&&value| near(value) >= frontier.near).count()
        } else {
            frontier.kept
        };
        if kept < at_least {
            frontier = self.frontier(at_least as u64, near, |_| 1);
            ties = if ties == TiePolicy::KeepAll { TiePolicy::LowestId } else { ties };
        }
        self.cut_at_frontier(frontier, ties, near)?;
        self.forget_a_lost_best(best);
        Ok(())
    }

    /// Where the measure, a function of the weight, reaches `target` from the nearest on.
    fn frontier(
        &mut self,
        target: u64,
        near: impl Fn(f32) -> f32,
        measure: impl Fn(f32) -> u64,
    ) -> Frontier {
        let super::Buffers { values, weights, pairs, selection: scratch, .. } = &mut *self.buffers;
        let values: &[f32] = if self.shape == Shape::Row { self.row } else { values };
        let measured = || values.iter().zip(weights.iter()).map(|(&v, &w)| (v, measure(w)));
        let by_distance = || measured().map(|(value, own)| (near(value), own));
        let outer = selection::boundary(by_distance, target, scratch);
        pairs.clear();
        pairs.extend(measured().filter(|&(value, _)| near(value) == outer.value));
        let target = target - outer.above;
        let inner = selection::boundary(|| pairs.iter().copied(), target, scratch);
        let of_class = |&&(value, _): &&(f32, u64)| value == inner.value;
        let each = pairs.iter().find(of_class).map_or(1, |&(_, own)| own);
        let room = (target - inner.above).div_ceil(each) as usize;
        let nearer = values.iter().filter(|&&value| near(value) > outer.value).count();
        let higher = pairs.iter().filter(|&&(value, _)| value > inner.value).count();
        Frontier { near: outer.value, value: inner.value, room, kept: nearer + higher + room }
    }

    fn cut_at_frontier(
        &mut self,
        frontier: Frontier,
        ties: TiePolicy,
        near: impl Fn(f32) -> f32,
    ) -> Result<(), StageError> {
        let Frontier { near: limit, value, room, .. } = frontier;
        let inside = |other: f32| {
            let place = near(other);
            place > limit || (place == limit && other > value)
        };
        if ties == TiePolicy::KeepAll {
            self.note_ties(value, room, inside);
            self.retain_from(f32::NEG_INFINITY, |_, other| near(other) >= limit);
            return Ok(());
        }
        self.cut_class(Class { value, room, lowest: f32::NEG_INFINITY }, ties, inside)
    }
}
