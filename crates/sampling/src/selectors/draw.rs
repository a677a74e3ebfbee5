//! A draw from the distribution, by inverse CDF.

use super::Selector;
use crate::candidates::Candidates;
use crate::data::{Arguments, Described, PipelineError, Settings};
use crate::error::StageError;
use crate::sequence::Purpose;
use crate::stage::StepContext;

/// A draw from the distribution of the candidates, by inverse CDF with ids ascending.
///
/// The number drawn is the one of [`Purpose::Select`] with index 0, 53 bits of it. The weights are
/// exact integers, so the token is the same on every CPU; a token of no weight (see
/// [`Mass`](crate::Mass)) is never drawn.
///
/// # NaN and infinities
///
/// NaN and +∞ are refused, as is a set of banned candidates alone.
///
/// # Differences
///
/// Hugging Face draws from torch's global generator, which can return a token of probability
/// zero; llama.cpp's comparison lets `u = 0` choose token 0 whatever its probability.
///
/// # Complexity
///
/// One pass of exponentials over what is left.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Draw;

impl Selector for Draw {
    fn name(&self) -> &'static str {
        "draw"
    }

    fn settings(&self) -> Option<Settings> {
        Some(Settings::new(self.name()))
    }

    fn draws_plainly(&self) -> bool {
        true
    }

    fn select(
        &self,
        candidates: &mut Candidates<'_>,
        step: &StepContext<'_>,
    ) -> Result<u32, StageError> {
        candidates.pick(step.draws().unit(Purpose::Select, 0))
    }
}

impl Described for Draw {
    fn read(_: &mut Arguments) -> Result<Self, PipelineError> {
        Ok(Self)
    }
}
