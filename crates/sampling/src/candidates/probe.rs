//! The account that verbs keep when a trace is asked for.

use alloc::vec::Vec;

use super::{Best, Candidates};
use crate::kernels::Mass;
use crate::kernels::tally::{Halvings, Tally};

/// A stage number that no stage has: the token is still in the running.
const LISTED: u16 = u16::MAX;

/// What happened to whom. Off unless a trace is asked for, and then the verbs write to it.
#[derive(Debug)]
pub(crate) struct Probe {
    on: bool,
    stage: u16,
    /// Numbers the steps, from 1 to the largest and again.
    step: u16,
    /// Per token a step, and the stage of it that removed or banned the token, or [`LISTED`]. What an
    /// earlier step wrote says nothing, so that a step need not begin by writing about everybody.
    fate: Vec<(u16, u16)>,
    /// The stage that made a list of survivors: it removed everybody that the step has not written about.
    lister: Option<u16>,
    /// The share of the mass received that the stage has left so far.
    left: f64,
    /// Whether the stage met scores that have no mass.
    blind: bool,
    ties: usize,
}

impl Probe {
    pub(crate) fn for_vocabulary(size: usize) -> Self {
        Self {
            on: false,
            stage: 0,
            step: 0,
            fate: alloc::vec![(0, LISTED); size],
            lister: None,
            left: 1.0,
            blind: false,
            ties: 0,
        }
    }

    pub(crate) fn is_on(&self) -> bool {
        self.on
    }

    pub(crate) fn start_step(&mut self, on: bool) {
        (self.on, self.lister) = (on, None);
        self.step = self.step.wrapping_add(1);
        if self.step == 0 {
            // The numbers begin again, and nothing may look as if this step had written it.
            self.fate.fill((0, LISTED));
            self.step = 1;
        }
    }

    pub(crate) fn start_stage(&mut self, index: usize) {
        self.stage = index as u16;
        self.left = 1.0;
        self.blind = false;
        self.ties = 0;
    }

    /// The share of the mass received that the stage removed; NaN if it received none.
    pub(crate) fn removed_mass(&self) -> f64 {
        if self.blind { f64::NAN } else { 1.0 - self.left }
    }

    /// Candidates that shared the score at which the stage's cut fell.
    pub(crate) fn ties(&self) -> usize {
        self.ties
    }

    /// The stage that removed or banned a token.
    pub(crate) fn stage_of(&self, id: u32) -> Option<usize> {
        let &(step, stage) = self.fate.get(id as usize)?;
        let stage = if step == self.step { Some(stage) } else { self.lister };
        stage.filter(|&stage| stage != LISTED).map(usize::from)
    }

    pub(super) fn lose(&mut self, part: Mass, of: Mass) {
        self.left *= 1.0 - part.share_of(of);
    }

    pub(super) fn tied(&mut self, candidates: usize) {
        self.ties = self.ties.max(candidates);
    }

    /// The stage bans a token, or removes it, unless it was banned before.
    pub(super) fn mark(&mut self, id: u32) {
        let fate = &mut self.fate[id as usize];
        if fate.0 != self.step || fate.1 == LISTED {
            *fate = (self.step, self.stage);
        }
    }

    /// The stage gives a banned token a score.
    pub(super) fn unmark(&mut self, id: u32) {
        // Before there is a list, somebody on it would be somebody that its maker did not remove.
        let step = if self.lister.is_some() { self.step } else { 0 };
        self.fate[id as usize] = (step, LISTED);
    }

    /// The stage removes everybody but the tokens of a list, of whom it may be the first.
    pub(super) fn mark_all_but(&mut self, survivors: &[u32]) {
        self.lister = Some(self.stage);
        for &id in survivors {
            let fate = &mut self.fate[id as usize];
            if fate.0 != self.step {
                *fate = (self.step, LISTED);
            }
        }
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

/// The mass before a verb took candidates away, and how to weigh those.
#[derive(Debug, Clone, Copy)]
pub(super) struct Received {
    pub(super) mass: Mass,
    pub(super) halvings: Halvings,
}

impl Candidates<'_> {
    pub(crate) fn census(&mut self) -> Census {
        let Ok(best) = self.best() else {
            self.buffers.probe.blind = true;
            return Census { eligible: self.eligible(), norm: None, entropy: f64::NAN };
        };
        let tally = self.tally(best);
        Census {
            eligible: tally.eligible,
            norm: Some((best.score, tally.mass)),
            entropy: tally.entropy(),
        }
    }

    /// The tally of the candidates.
    pub(super) fn tally(&mut self, best: Best) -> Tally {
        if let Some(tally) = self.cache.tally {
            return tally;
        }
        let tally = Tally::of(self.values(), self.halvings(best));
        self.cache.tally = Some(tally);
        tally
    }

    /// What the probe needs to know before a verb takes candidates away; `best` of them, if there is one.
    pub(super) fn received(&mut self, best: Option<Best>) -> Option<Received> {
        let best = best?;
        Some(Received { mass: self.tally(best).mass, halvings: self.halvings(best) })
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
        let mut probe = Probe::for_vocabulary(3);
        probe.start_step(true);
        probe.start_stage(5);
        probe.mark(1);
        assert_eq!([0, 1, 2, 3].map(|id| probe.stage_of(id)), [None, Some(5), None, None]);
        // Until long after their numbers have begun again.
        for _ in 0..2 * usize::from(u16::MAX) {
            probe.start_step(true);
            assert_eq!(probe.stage_of(1), None);
        }
        probe.mark_all_but(&[2]);
        probe.start_stage(6);
        probe.mark(0);
        probe.mark(2);
        assert_eq!([0, 1, 2].map(|id| probe.stage_of(id)), [Some(6), Some(5), Some(6)]);
    }
}
