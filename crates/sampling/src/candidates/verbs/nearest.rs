//! The cut that does not follow the order of scores: the nearest to some place.

use crate::candidates::Candidates;
use crate::candidates::carry::{Class, Side};
use crate::candidates::known::{Best, Chunks, Known};
use crate::candidates::locate::{Frontier, KeySplit, Order};
use crate::candidates::pending::{Pending, Split};
use crate::candidates::verbs::MassRule;
use crate::error::StageError;
use crate::kernels::bands;
use crate::kernels::select::order::first_value;
use crate::kernels::zones::{Band, Floor, Key};
use crate::ties::TiePolicy;

/// Nearest first. `DIVIDED` says whether there is a temperature to divide by: a division of every
/// value, even by 1, takes as long as its exponential.
#[derive(Clone, Copy)]
struct ByDistance<F, const DIVIDED: bool> {
    distance: F,
    divisor: f32,
}

impl<F: Fn(f32) -> f32 + Copy, const DIVIDED: bool> Key for ByDistance<F, DIVIDED> {
    const IS_VALUE: bool = false;
    const BY_VALUE: bool = false;
    type Zone = Floor;

    #[inline(always)]
    fn key(self, value: f32) -> f32 {
        let score = if DIVIDED { value / self.divisor } else { value };
        if score > f32::NEG_INFINITY { -(self.distance)(score) } else { f32::NEG_INFINITY }
    }

    fn zone(self, key: f32) -> Floor {
        Floor(key)
    }
}

impl<F: Fn(f32) -> f32 + Copy, const DIVIDED: bool> Order for ByDistance<F, DIVIDED> {
    #[inline(always)]
    fn distance(self, value: f32) -> f32 {
        -self.key(value)
    }

    fn key_at(self, distance: f32) -> f32 {
        -distance
    }
}

/// Nearest to a score first. What is nearer than something is a band of values, found by halving, so
/// that a pass over a row computes no distances.
#[derive(Clone, Copy)]
struct ByCentre<const DIVIDED: bool> {
    centre: f64,
    divisor: f32,
    /// The lowest value that is not below the centre.
    turn: f32,
}

impl<const DIVIDED: bool> ByCentre<DIVIDED> {
    fn new(centre: f64, divisor: f32) -> Self {
        let turn = first_value(|value| f64::from(value / divisor) >= centre);
        Self { centre, divisor, turn }
    }
}

impl<const DIVIDED: bool> Key for ByCentre<DIVIDED> {
    const IS_VALUE: bool = false;
    const BY_VALUE: bool = true;
    type Zone = Band;

    #[inline(always)]
    fn key(self, value: f32) -> f32 {
        let score = if DIVIDED { value / self.divisor } else { value };
        // −∞ for −∞ by itself.
        -((f64::from(score) - self.centre).abs() as f32)
    }

    fn zone(self, key: f32) -> Band {
        if key.is_nan() {
            return Band::NOTHING;
        }
        if key == f32::NEG_INFINITY {
            return Band::ALL;
        }
        // The key rises up to the turn, and falls from there on.
        let low = first_value(|value| value >= self.turn || self.key(value) >= key);
        let beyond = first_value(|value| value >= self.turn && !(self.key(value) >= key));
        Band { low, high: beyond.next_down() }
    }
}

impl<const DIVIDED: bool> Order for ByCentre<DIVIDED> {
    #[inline(always)]
    fn distance(self, value: f32) -> f32 {
        -self.key(value)
    }

    fn key_at(self, distance: f32) -> f32 {
        -distance
    }

    fn by_value(self, split: KeySplit) -> Option<Split> {
        let (before, after) = (self.zone(split.before), self.zone(split.after));
        Some(Split { at: split.at, before, after })
    }

    fn is_above_all_nearer(self, value: f32) -> bool {
        value >= self.turn
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
        check_share(p)?;
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

    /// As [`Candidates::keep_nearest`], with the distance of a score from `centre` in double
    /// precision, rounded to single; faster.
    ///
    /// # Errors
    ///
    /// As [`Candidates::keep_nearest`], and [`StageError::Argument`] unless `centre` is finite.
    pub fn keep_around(
        &mut self,
        centre: f64,
        p: f64,
        rule: MassRule,
        at_least: usize,
        ties: TiePolicy,
    ) -> Result<(), StageError> {
        check_share(p)?;
        if !centre.is_finite() {
            let (argument, domain) = ("centre", "finite");
            return Err(StageError::Argument { argument, value: centre, domain });
        }
        self.best()?;
        if p >= 1.0 || at_least >= self.len() {
            return Ok(());
        }
        let divisor = self.divisor;
        if divisor == 1.0 {
            let order = ByCentre::<false>::new(centre, divisor);
            self.keep_first(order, p, rule, at_least, ties)
        } else {
            let order = ByCentre::<true>::new(centre, divisor);
            self.keep_first(order, p, rule, at_least, ties)
        }
    }

    fn keep_first<O: Order>(
        &mut self,
        order: O,
        p: f64,
        rule: MassRule,
        at_least: usize,
        ties: TiePolicy,
    ) -> Result<(), StageError> {
        let best = self.best()?;
        self.begin_cut(best);
        if self.cut_as_before() {
            return Ok(());
        }
        let frontier = self.frontier(order, p, |total| rule.needed(p, total), best)?;
        let as_near = |&&value: &&f32| order.key(value) >= frontier.key;
        let kept = if ties == TiePolicy::KeepAll && at_least > 1 {
            self.values().iter().filter(as_near).count()
        } else {
            frontier.kept
        };
        if kept < at_least {
            let ties = if ties == TiePolicy::KeepAll { TiePolicy::LowestId } else { ties };
            let frontier = self.nth(order, at_least, best);
            self.cut_at_frontier(&frontier, ties, order)?;
        } else if let Some(split) = self.split(order, &frontier, ties) {
            self.note_ties(frontier.value, frontier.room, Side::Above);
            self.carry_out(order, split, &frontier, ties, best);
            self.remember_cut(frontier.value, frontier.room);
            return Ok(());
        } else {
            self.cut_at_frontier(&frontier, ties, order)?;
        }
        self.forget_a_lost_best(best);
        Ok(())
    }

    /// Divides the candidates by key, at once or when somebody needs them one by one.
    fn carry_out<O: Order>(
        &mut self,
        order: O,
        split: KeySplit,
        frontier: &Frontier,
        ties: TiePolicy,
        best: Best,
    ) {
        let has_best = order.key(best.value) > frontier.key;
        self.known = self.known.at_new_weights();
        if let Some(by_value) = order.by_value(split) {
            self.pending = Some(Pending { split: by_value, kept: Some(frontier.left(ties)) });
            if !has_best {
                self.find_best_in(by_value, split.place, order);
            }
        } else {
            self.list_keys(
                split,
                #[inline(always)]
                move |value| order.key(value),
            );
            self.forget_a_lost_best(best);
        }
        if has_best {
            self.known.weighed(frontier.mass(ties), Chunks::OfTokens);
        }
    }

    /// The best of what a pending cut leaves, when the best of before may be gone. The fringe is the one
    /// that the cut was found on, and `place` is where it is divided.
    fn find_best_in(&mut self, split: Split, place: usize, order: impl Order) {
        let largest = |values: &[f32], at: usize| {
            let (head, tail) = values.split_at(at.min(values.len()));
            bands::max_in(head, split.before).max(bands::max_in(tail, split.after))
        };
        let on_fringe = largest(&self.buffers.fringe.values, place);
        let above_all_inside = order.is_above_all_nearer(on_fringe);
        let value = if above_all_inside { on_fringe } else { largest(self.values(), split.at) };
        self.known = Known::best(Best { value, score: self.score_of(value) });
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
        self.note_ties(value, room, Side::Above);
        if ties == TiePolicy::KeepAll {
            self.retain_from(f32::NEG_INFINITY, |_, other| order.key(other) >= key);
            return Ok(());
        }
        self.cut_class(Class { value, room, lowest: f32::NEG_INFINITY }, ties, inside)
    }
}

fn check_share(p: f64) -> Result<(), StageError> {
    if p >= 0.0 {
        return Ok(());
    }
    Err(StageError::Argument { argument: "p", value: p, domain: "at least 0" })
}

#[cfg(test)]
mod tests {
    use alloc::vec::Vec;

    use crate::candidates::{Buffers, Candidates, MassRule};
    use crate::logits::Logits;
    use crate::sequence::{DrawKey, Draws};
    use crate::ties::TiePolicy;

    /// The spikes go first, and then the lowest: the best of the rest is nowhere near the cut.
    #[test]
    fn the_best_may_be_far_from_the_fringe() {
        let mut row: Vec<f32> = (0..30_000).map(|i| -((i * 7919 % 30_000) as f32) / 3e4).collect();
        (row[11_000], row[12_000]) = (4.0, 4.0);
        let mut buffers = Buffers::for_vocabulary(row.len());
        let draws = Draws::new(DrawKey::new(0));
        let mut candidates = Candidates::of(Logits::F32(&row), row.len(), draws, &mut buffers);
        let centre = candidates.mean_score().expect("a row");
        candidates
            .keep_around(centre, 0.95, MassRule::Reach, 1, TiePolicy::LowestId)
            .expect("a row");
        let (mut low, mut high) = (f32::INFINITY, f32::NEG_INFINITY);
        candidates.for_each(|_, score| (low, high) = (low.min(score), high.max(score)));
        assert!((-0.96..-0.9).contains(&low), "{low}");
        assert_eq!((high, candidates.max()), (0.0, Ok(0.0)));
    }
}
