//! The account that verbs keep when a trace is asked for.

use alloc::vec::Vec;

use super::frontier::Split;
use super::{Best, Candidates, Pending, Shape};
use crate::kernels::Mass;
use crate::kernels::tally::{Halvings, Tally};
use crate::logits::Logits;

/// What happened to whom. Off unless a trace is asked for, and then the verbs write to it.
#[derive(Debug)]
pub(crate) struct Probe {
    on: bool,
    stage: u16,
    /// Numbers the steps, from 1 to the largest and again.
    step: u16,
    /// Per token a step, and the stage of it that banned the token, or removed it from a list. What an
    /// earlier step wrote says nothing, so that a step need not begin by writing about everybody.
    fate: Vec<(u16, u16)>,
    /// The stage that was the first to cut: it removed everybody whom none has marked and who is gone.
    first_cut: Option<u16>,
    /// What the candidates were before the cuts that are not accounted for yet.
    received: Option<Received>,
    /// The share of the mass received that the stage has left so far.
    left: f64,
    /// Whether the stage met scores that have no mass.
    blind: bool,
    ties: usize,
    /// Whether the stage divided the scores.
    divided: bool,
    /// How many could be chosen at the last census.
    eligible: usize,
}

impl Probe {
    pub(crate) fn for_vocabulary(size: usize) -> Self {
        Self {
            on: false,
            stage: 0,
            step: 0,
            fate: alloc::vec![(0, 0); size],
            first_cut: None,
            received: None,
            left: 1.0,
            blind: false,
            ties: 0,
            divided: false,
            eligible: 0,
        }
    }

    pub(crate) fn is_on(&self) -> bool {
        self.on
    }

    pub(crate) fn start_step(&mut self, on: bool) {
        (self.on, self.first_cut, self.received, self.eligible) = (on, None, None, 0);
        self.step = self.step.wrapping_add(1);
        if self.step == 0 {
            // The numbers begin again, and nothing may look as if this step had written it.
            self.fate.fill((0, 0));
            self.step = 1;
        }
    }

    pub(crate) fn start_stage(&mut self, index: usize) {
        self.stage = index as u16;
        self.left = 1.0;
        self.blind = false;
        self.ties = 0;
        self.divided = false;
    }

    /// The share of the mass received that the stage removed; NaN if it received none.
    pub(crate) fn removed_mass(&self) -> f64 {
        if self.blind { f64::NAN } else { 1.0 - self.left }
    }

    /// Candidates that shared the score at which the stage's cut fell.
    pub(crate) fn ties(&self) -> usize {
        self.ties
    }

    pub(super) fn lose(&mut self, part: Mass, of: Mass) {
        self.left *= 1.0 - part.share_of(of);
    }

    pub(super) fn divided(&mut self) {
        self.divided = true;
    }

    pub(super) fn tied(&mut self, candidates: usize) {
        self.ties = self.ties.max(candidates);
    }

    /// The stage bans a token, or removes it from a list, unless it was banned before.
    pub(super) fn mark(&mut self, id: u32) {
        let fate = &mut self.fate[id as usize];
        if fate.0 != self.step {
            *fate = (self.step, self.stage);
        }
    }

    /// The stage gives a banned token a score.
    pub(super) fn unmark(&mut self, id: u32) {
        self.fate[id as usize].0 = 0;
    }

    fn mark_of(&self, id: u32) -> Option<u16> {
        self.fate.get(id as usize).filter(|fate| fate.0 == self.step).map(|fate| fate.1)
    }
}

/// The state of the candidates between two stages.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Census {
    /// Listed and not banned.
    pub(crate) eligible: usize,
    /// Best score and mass, unless the scores have none (NaN, +∞, all masked).
    pub(crate) norm: Option<(f32, Mass)>,
    /// Nats; NaN without a mass.
    pub(crate) entropy: f64,
}

/// The candidates before verbs took some away, and how to weigh those.
#[derive(Debug, Clone, Copy)]
pub(super) struct Received {
    pub(super) tally: Tally,
    pub(super) halvings: Halvings,
}

impl Candidates<'_> {
    /// The state of the candidates at the end of a stage, which is thereby accounted for.
    pub(crate) fn census(&mut self) -> Census {
        let cut = self.shape == Shape::List || self.pending.is_some();
        let listed_from_the_first = matches!(self.source, Logits::List(_));
        let Self { buffers: super::Buffers { probe, .. }, .. } = self;
        if cut && !listed_from_the_first {
            probe.first_cut.get_or_insert(probe.stage);
        }
        self.account_for_cuts();
        let Ok(best) = self.top() else {
            self.buffers.probe.blind = true;
            return Census { eligible: self.eligible(), norm: None, entropy: f64::NAN };
        };
        let tally = self.tally(best);
        if self.buffers.probe.divided && tally.eligible < self.buffers.probe.eligible {
            self.mark_overflown(best);
        }
        self.buffers.probe.eligible = tally.eligible;
        Census {
            eligible: tally.eligible,
            norm: Some((best.score, tally.mass)),
            entropy: tally.entropy(),
        }
    }

    /// Scores that a division took to −∞ are banned by it.
    fn mark_overflown(&mut self, best: Best) {
        self.settle();
        let halvings = self.halvings(best);
        for slot in 0..self.values().len() {
            let value = self.values()[slot];
            if value > f32::NEG_INFINITY && !halvings.is_eligible(value) {
                let id = self.id_at(slot);
                self.buffers.probe.mark(id);
            }
        }
    }

    /// The stage that removed or banned a token; `None` if it is in the running.
    pub(crate) fn removed_by(&self, id: u32) -> Option<usize> {
        let probe = &self.buffers.probe;
        let gone = (id as usize) < self.vocab_size && self.get(id).is_none();
        let first_cut = probe.first_cut.filter(|_| gone);
        probe.mark_of(id).or(first_cut).map(usize::from)
    }

    /// For a verb that is about to take candidates away, of which this is the best.
    pub(super) fn begin_cut(&mut self, best: Best) {
        if self.buffers.probe.is_on() && self.buffers.probe.received.is_none() {
            self.buffers.probe.received = Some(self.received(best));
        }
        self.cache.tally = None;
    }

    /// Tells the probe what was taken since [`Candidates::begin_cut`].
    pub(super) fn account_for_cuts(&mut self) {
        if let Some(received) = self.buffers.probe.received.take() {
            let left = self.left_of(received);
            self.buffers.probe.lose(Mass(received.tally.mass.0 - left.mass.0), received.tally.mass);
            // By the same weights, if the best of them is left.
            let known = self.cache.best.filter(|best| received.halvings.are_below(best.value));
            self.cache.tally = known.map(|_| left);
        }
    }

    /// The tally of who is left.
    fn left_of(&self, Received { tally, halvings }: Received) -> Tally {
        let Some(Pending { split: Split { at, before, after }, kept }) = self.pending else {
            return Tally::of(self.values(), halvings);
        };
        let bands = (at, before, after);
        // Sums are exact: if most stay, it is as well to weigh the others.
        if kept.is_some_and(|kept| kept > self.values().len() / 2) {
            tally.without(Tally::of_those(self.values(), bands, false, halvings))
        } else {
            Tally::of_those(self.values(), bands, true, halvings)
        }
    }

    /// What the probe needs to know before candidates are taken away, of which this is the best.
    pub(super) fn received(&mut self, best: Best) -> Received {
        Received { tally: self.tally(best), halvings: self.halvings(best) }
    }

    /// The tally of the candidates, of which this is the best.
    fn tally(&mut self, best: Best) -> Tally {
        if let Some(tally) = self.cache.tally {
            return tally;
        }
        // Of who is left, if a cut is pending.
        self.settle();
        let tally = Tally::of(self.values(), self.halvings(best));
        self.cache.tally = Some(tally);
        tally
    }

    fn halvings(&self, best: Best) -> Halvings {
        let lowest = self.lowest_value(|score| score > f32::NEG_INFINITY);
        Halvings::new(best.value, self.divisor, lowest)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_step_knows_nothing_of_those_before_it() {
        let mut probe = Probe::for_vocabulary(2);
        probe.start_step(true);
        probe.start_stage(5);
        probe.mark(1);
        assert_eq!([0, 1, 2].map(|id| probe.mark_of(id)), [None, Some(5), None]);
        // Until long after their numbers have begun again.
        for _ in 0..2 * usize::from(u16::MAX) {
            probe.start_step(true);
            assert_eq!(probe.mark_of(1), None);
        }
        probe.mark(1);
        probe.start_stage(6);
        probe.mark(1);
        assert_eq!(probe.mark_of(1), Some(5));
        probe.unmark(1);
        assert_eq!(probe.mark_of(1), None);
    }
}
