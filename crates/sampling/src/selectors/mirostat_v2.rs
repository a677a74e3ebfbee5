//! Mirostat, version 2: a bound on surprise that follows the surprise of what was chosen.

use alloc::boxed::Box;

use super::Selector;
use super::mirostat::SurpriseTarget;
use crate::candidates::{Candidates, Edge};
use crate::data::{Arguments, Described, PipelineError, SettingError, Settings};
use crate::error::StageError;
use crate::kernels::exp;
use crate::sequence::Purpose;
use crate::sequence::StageMemory;
use crate::stage::StepContext;

/// Keeps the candidates whose surprise `−log₂ p` is at most `μ` bits, at least the best one, and
/// draws among them.
///
/// After the token is accepted, `μ ← μ − η · (−log₂ p − τ)`, where `p` is its probability among
/// what was kept. At first `μ = 2τ`.
///
/// `μ` lives in the sequence's [`Memory`](crate::Memory), without which a step is refused. A token
/// that the caller chose itself leaves it as it is.
///
/// # Ties
///
/// None to break, but for the best one: equal scores stay or go together, and equality with `μ` is
/// kept. If only the best one is left, it is the lowest id.
///
/// # NaN and infinities
///
/// NaN and +∞ are refused. Banned candidates are removed.
///
/// # Differences
///
/// llama.cpp does the same in single precision, and draws from its own generator.
///
/// # Complexity
///
/// Two passes of exponentials, the second over what is left.
///
/// # Source
///
/// Basu et al., *Mirostat*, arXiv 2007.14966; llama.cpp `llama_sampler_mirostat_v2`.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct MirostatV2 {
    target: SurpriseTarget,
}

impl MirostatV2 {
    /// Aims at `tau` bits of surprise with the learning rate `eta`, both rounded to `f32`.
    ///
    /// # Errors
    ///
    /// [`SettingError`] unless both are at least 0 and finite.
    pub fn new(tau: f64, eta: f64) -> Result<Self, SettingError> {
        Ok(Self { target: SurpriseTarget::new(tau, eta)? })
    }
}

impl Selector for MirostatV2 {
    fn name(&self) -> &'static str {
        "mirostat_v2"
    }

    fn settings(&self) -> Option<Settings> {
        Some(self.target.settings(self.name()))
    }

    fn select(
        &self,
        candidates: &mut Candidates<'_>,
        step: &StepContext<'_>,
    ) -> Result<u32, StageError> {
        let least = exp(-SurpriseTarget::mu(step)? * core::f64::consts::LN_2) as f32;
        // A probability of 0 is infinitely surprising, whatever μ has grown to.
        let floor = candidates.score_at(least.max(f32::from_bits(1)))?;
        candidates.keep_from(floor, Edge::Keep, 1)?;
        candidates.pick(step.draws().unit(Purpose::Select, 0))
    }

    fn truncates(&self) -> bool {
        true
    }

    fn new_memory(&self) -> Option<Box<dyn StageMemory>> {
        Some(self.target.new_memory())
    }
}

impl Described for MirostatV2 {
    fn read(arguments: &mut Arguments) -> Result<Self, PipelineError> {
        let (tau, eta) = (arguments.required("tau")?, arguments.required("eta")?);
        arguments.built(Self::new(tau, eta))
    }
}
