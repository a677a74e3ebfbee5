//! Gumbel-max: a draw as an argmax over noisy scores.

use super::Selector;
use crate::candidates::Candidates;
use crate::data::{Arguments, Described, PipelineError, Settings};
use crate::error::StageError;
use crate::sequence::Purpose;
use crate::stage::StepContext;

/// The candidate with the highest score after each had Gumbel noise of its own added.
///
/// The same distribution as [`Draw`](crate::Draw), by another road: the noise of a token depends on
/// the step's key and the token, not on who else is listed. So two pipelines that share a key
/// choose the same token wherever their distributions agree, and a candidate that was not chosen can
/// be removed without changing the choice.
///
/// The noise comes from 53 bits of [`Purpose::Gumbel`] under the token's id; see
/// [`Candidates::pick_by_gumbel`].
///
/// # Ties
///
/// Equal sums, which are about as rare as equal random numbers of 53 bits: the lowest id.
///
/// # NaN and infinities
///
/// NaN and +∞ are refused, as is a set of banned candidates alone.
///
/// # Differences
///
/// vLLM draws its noise so too, keyed by seed, position and token, in single precision unless told
/// otherwise, which cannot reach the tail. candle's noise is cut off at 6.9 and unseeded.
///
/// # Complexity
///
/// 64 random bits per candidate; logarithms for the few that could still win.
///
/// # Source
///
/// Gumbel, *Statistical Theory of Extreme Values*, 1954; vLLM 0.33 `v1/worker/gpu/sample/gumbel.py`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Gumbel;

impl Selector for Gumbel {
    fn name(&self) -> &'static str {
        "gumbel"
    }

    fn settings(&self) -> Option<Settings> {
        Some(Settings::new(self.name()))
    }

    fn select(
        &self,
        candidates: &mut Candidates<'_>,
        _: &StepContext<'_>,
    ) -> Result<u32, StageError> {
        candidates.pick_by_gumbel(Purpose::Gumbel)
    }
}

impl Described for Gumbel {
    fn read(_: &mut Arguments) -> Result<Self, PipelineError> {
        Ok(Self)
    }
}
