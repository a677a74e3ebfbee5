//! The account that verbs keep when a trace is asked for.

use alloc::vec::Vec;

use super::Candidates;
use super::buffers::Buffers;
use super::known::Best;
use super::pending::{Pending, Split};
use super::scores::Form;
use crate::kernels::Mass;
use crate::kernels::tally::{Halvings, Tally};
use crate::logits::Logits;

/// What happened to each token. Off unless a trace is asked for, and then the verbs write to it.
#[derive(Debug)]
pub(crate) struct Recorder {
    on: bool,
    stage: u16,
    /// Numbers the steps, from 1 to the largest and again.
    step: u16,
    /// Per token a step, and the stage of it that banned the token, or removed it from a list. What an
    /// earlier step wrote says nothing, so that a step need not begin by writing about everybody.
    fate: Vec<(u16, u16)>,
    /// The stage that was the first to cut: it removed every token that is gone and that no other stage has marked.
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
    /// How many could be chosen at the last between.
    eligible: usize,
}

impl Recorder {
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

    /// The share of the mass received that the stage removed; `None` if it received none.
    pub(crate) fn removed_mass(&self) -> Option<f64> {
        (!self.blind).then_some(1.0 - self.left)
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
pub(crate) struct Between {
    /// Listed and not banned.
    pub(crate) eligible: usize,
    /// Best score and mass, unless the scores have none (NaN, +∞, all masked).
    pub(crate) norm: Option<(f32, Mass)>,
    /// Nats; `None` without a mass.
    pub(crate) entropy: Option<f64>,
}

/// The candidates before verbs took some away, and how to weigh those.
#[derive(Debug, Clone, Copy)]
pub(super) struct Received {
    pub(super) tally: Tally,
    pub(super) halvings: Halvings,
}

impl Candidates<'_> {
    /// The state of the candidates at the end of a stage, which is thereby accounted for.
    pub(crate) fn between_stages(&mut self) -> Between {
        let cut = self.form == Form::List || self.pending.is_some();
        let listed_from_the_first = matches!(self.source, Logits::List(_));
        let Self { buffers: Buffers { recorder, .. }, .. } = self;
        if cut && !listed_from_the_first {
            recorder.first_cut.get_or_insert(recorder.stage);
        }
        self.account_for_cuts();
        let Ok(best) = self.top() else {
            self.buffers.recorder.blind = true;
            return Between { eligible: self.eligible(), norm: None, entropy: None };
        };
        let tally = self.tally(best);
        if self.buffers.recorder.divided && tally.eligible < self.buffers.recorder.eligible {
            self.mark_overflown(best);
        }
        self.buffers.recorder.eligible = tally.eligible;
        Between {
            eligible: tally.eligible,
            norm: Some((best.score, tally.mass)),
            entropy: Some(tally.entropy()),
        }
    }

    /// Scores that a division took to −∞ are banned by it.
    fn mark_overflown(&mut self, best: Best) {
        self.materialise();
        let halvings = self.halvings(best);
        for slot in 0..self.values().len() {
            let value = self.values()[slot];
            if value > f32::NEG_INFINITY && !halvings.is_eligible(value) {
                let id = self.id_at(slot);
                self.buffers.recorder.mark(id);
            }
        }
    }

    /// The stage that removed or banned a token; `None` if it is in the running.
    pub(crate) fn removed_by(&self, id: u32) -> Option<usize> {
        let recorder = &self.buffers.recorder;
        let gone = (id as usize) < self.vocab_size && self.get(id).is_none();
        let first_cut = recorder.first_cut.filter(|_| gone);
        recorder.mark_of(id).or(first_cut).map(usize::from)
    }

    /// For a verb that is about to take candidates away, of which this is the best.
    pub(super) fn begin_cut(&mut self, best: Best) {
        if self.buffers.recorder.is_on() && self.buffers.recorder.received.is_none() {
            self.buffers.recorder.received = Some(self.received(best));
        }
        self.known.tally = None;
    }

    /// Tells the recorder what was taken since [`Candidates::begin_cut`].
    pub(super) fn account_for_cuts(&mut self) {
        if let Some(received) = self.buffers.recorder.received.take() {
            let left = self.left_of(received);
            self.buffers
                .recorder
                .lose(Mass(received.tally.mass.0 - left.mass.0), received.tally.mass);
            // By the same weights, if the best of them is left.
            let known = self.known.best.filter(|best| received.halvings.are_below(best.value));
            self.known.tally = known.map(|_| left);
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

    /// What the recorder needs to know before candidates are taken away, of which this is the best.
    pub(super) fn received(&mut self, best: Best) -> Received {
        Received { tally: self.tally(best), halvings: self.halvings(best) }
    }

    /// The tally of the candidates, of which this is the best.
    fn tally(&mut self, best: Best) -> Tally {
        if let Some(tally) = self.known.tally {
            return tally;
        }
        // Of who is left, if a cut is pending.
        self.materialise();
        let tally = Tally::of(self.values(), self.halvings(best));
        self.known.tally = Some(tally);
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
        let mut recorder = Recorder::for_vocabulary(2);
        recorder.start_step(true);
        recorder.start_stage(5);
        recorder.mark(1);
        assert_eq!([0, 1, 2].map(|id| recorder.mark_of(id)), [None, Some(5), None]);
        // Until long after their numbers have begun again.
        for _ in 0..2 * usize::from(u16::MAX) {
            recorder.start_step(true);
            assert_eq!(recorder.mark_of(1), None);
        }
        recorder.mark(1);
        recorder.start_stage(6);
        recorder.mark(1);
        assert_eq!(recorder.mark_of(1), Some(5));
        recorder.unmark(1);
        assert_eq!(recorder.mark_of(1), None);
    }
}
