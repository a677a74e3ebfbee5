//! The cut that does not follow the order of scores: the nearest to some place.

use super::boundary::Class;
use super::frontier::{Frontier, Order};
use super::{Candidates, MassRule};
use crate::stage::StageError;
use crate::ties::TiePolicy;

/// Nearest first. `DIVIDED` says whether there is a temperature to divide by: a division of every
/// value, even by 1, takes as long as its exponential.
#[derive(Clone, Copy)]
struct ByDistance<F, const DIVIDED: bool> {
    distance: F,
    divisor: f32,
}

impl<F: Fn(f32) -> f32 + Copy, const DIVIDED: bool> Order for ByDistance<F, DIVIDED> {
    #[inline(always)]
    fn key(&self, value: f32) -> f32 {
        let score = if DIVIDED { value / self.divisor } else { value };
        if score > f32::NEG_INFINITY { -(self.distance)(score) } else { f32::NEG_INFINITY }
    }

    #[inline(always)]
    fn distance(&self, value: f32) -> f32 {
        -self.key(value)
    }

    fn key_at(&self, distance: f32) -> f32 {
        -distance
    }
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
    /// `p ≥ 1` keeps everything. A distance in nats, from 0 to about 30, is found fastest.
    ///
    /// # Errors
    ///
    /// [`StageError::Argument`] if `p` is negative or NaN or if a distance is NaN,
    /// [`StageError::Tie`] under [`TiePolicy::Error`], and as [`Candidates::max`].
    pub fn keep_nearest(
        &mut self,
        distance: impl Fn(f32) -> f32 + Copy,
        p: f64,
        rule: MassRule,
        at_least: usize,
        ties: TiePolicy,
    ) -> Result<(), StageError> {
        if !(p >= 0.0) {
            return Err(StageError::Argument { argument: "p", value: p, domain: "at least 0" });
        }
        self.best()?;
        if p >= 1.0 || at_least >= self.len() {
            return Ok(());
        }
        let divisor = self.divisor;
        if divisor == 1.0 {
            let order = ByDistance::<_, false> { distance, divisor };
            self.keep_first(order, p, rule, at_least, ties)
        } else {
            let order = ByDistance::<_, true> { distance, divisor };
            self.keep_first(order, p, rule, at_least, ties)
        }
    }

    fn keep_first(
        &mut self,
        order: impl Order,
        p: f64,
        rule: MassRule,
        at_least: usize,
        ties: TiePolicy,
    ) -> Result<(), StageError> {
        let best = self.best()?;
        let frontier = self.frontier(order, p, |total| rule.needed(p, total), best)?;
        let as_near = |&&value: &&f32| order.key(value) >= frontier.key;
        let kept = if ties == TiePolicy::KeepAll && at_least > 1 {
            self.values().iter().filter(as_near).count()
        } else {
            frontier.kept
        };
        if kept < at_least {
            let ties = if ties == TiePolicy::KeepAll { TiePolicy::LowestId } else { ties };
            let frontier = self.nth(order, at_least);
            self.cut_at_frontier(&frontier, ties, order)?;
        } else if let Some(split) = self.split(order, &frontier, ties) {
            self.list_keys(
                split,
                #[inline(always)]
                move |value| order.key(value),
            );
            if order.key(best.value) > frontier.key {
                (self.cache.mass, self.cache.chunks) = (Some(frontier.mass(ties)), true);
                return Ok(());
            }
        } else {
            self.cut_at_frontier(&frontier, ties, order)?;
        }
        self.forget_a_lost_best(best);
        Ok(())
    }

    fn cut_at_frontier(
        &mut self,
        frontier: &Frontier,
        ties: TiePolicy,
        order: impl Order,
    ) -> Result<(), StageError> {
        let Frontier { key, value, room, .. } = *frontier;
        let inside = |other: f32| {
            let own = order.key(other);
            own > key || (own == key && other > value)
        };
        if ties == TiePolicy::KeepAll {
            self.note_ties(value, room, inside);
            self.retain_from(f32::NEG_INFINITY, |_, other| order.key(other) >= key);
            return Ok(());
        }
        self.cut_class(Class { value, room, lowest: f32::NEG_INFINITY }, ties, inside)
    }
}
