//! The account that verbs keep when a trace is asked for.

use alloc::vec::Vec;

use super::{Candidates, Chunks};
use crate::kernels::{Mass, ln, passes, vectorised};

/// A stage number that no stage has: the token is still in the running.
const LISTED: u16 = u16::MAX;

/// What happened to whom. Off unless a trace is asked for, and then the verbs write to it.
#[derive(Debug)]
pub(crate) struct Probe {
    on: bool,
    stage: u16,
    /// Per token the stage that removed or banned it, or [`LISTED`]; while `untouched`, of another step.
    fate: Vec<u16>,
    /// Whether nobody was removed or banned yet.
    untouched: bool,
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
            fate: alloc::vec![LISTED; size],
            untouched: true,
            left: 1.0,
            blind: false,
            ties: 0,
        }
    }

    pub(crate) fn is_on(&self) -> bool {
        self.on
    }

    pub(crate) fn start_step(&mut self, on: bool) {
        (self.on, self.untouched) = (on, true);
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
        self.fate
            .get(id as usize)
            .filter(|&&stage| stage != LISTED && !self.untouched)
            .map(|&stage| usize::from(stage))
    }

    pub(super) fn lose(&mut self, part: Mass, of: Mass) {
        self.left *= 1.0 - part.share_of(of);
    }

    pub(super) fn tied(&mut self, candidates: usize) {
        self.ties = self.ties.max(candidates);
    }

    pub(super) fn mark(&mut self, id: u32) {
        if self.untouched {
            self.fate.fill(LISTED);
            self.untouched = false;
        }
        self.fate[id as usize] = self.stage;
    }

    pub(super) fn unmark(&mut self, id: u32) {
        self.fate[id as usize] = LISTED;
    }

    /// Marks everybody who was in the running and is not among `survivors` (ascending).
    pub(super) fn mark_all_but(&mut self, survivors: &[u32]) {
        let Self { fate, stage, .. } = self;
        if self.untouched {
            fate.fill(*stage);
            for &id in survivors {
                fate[id as usize] = LISTED;
            }
            self.untouched = false;
            return;
        }
        vectorised(
            #[inline(always)]
            || {
                let mut from = 0;
                for &id in survivors {
                    mark_listed(&mut fate[from..id as usize], *stage);
                    from = id as usize + 1;
                }
                mark_listed(&mut fate[from..], *stage);
            },
        );
    }
}

#[inline(always)]
fn mark_listed(fate: &mut [u16], stage: u16) {
    for slot in fate {
        *slot = if *slot == LISTED { stage } else { *slot };
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

impl Candidates<'_> {
    pub(crate) fn census(&mut self) -> Census {
        let eligible = self.eligible();
        let Ok(best) = self.best() else {
            self.buffers.probe.blind = true;
            return Census { eligible, norm: None, entropy: f64::NAN };
        };
        let (mass, spread) = passes::mass_and_spread(self.values(), self.gaps(best), &mut []);
        (self.cache.mass, self.cache.chunks) = (Some(mass), Chunks::Unknown);
        let entropy = ln(mass.as_f64()) + spread.share_of(mass);
        Census { eligible, norm: Some((best.score, mass)), entropy }
    }
}
