//! Repetition penalty: makes tokens that already occurred less likely.

use crate::candidates::Candidates;
use crate::stage::{Stage, StageError, StepContext};

/// Moves the score of every token that occurred, prompt included, away from likely:
/// `s' = s · r` for `s < 0`, `s / r` otherwise. Once per token, however often it occurred.
///
/// `r = 1` changes nothing, `r > 1` discourages repetition, `r < 1` encourages it.
///
/// # Ties
///
/// An edit; it may make or break them.
///
/// # NaN and infinities
///
/// NaN stays NaN, ±∞ keep their sign.
///
/// # Differences
///
/// Hugging Face and vLLM apply it to prompt and output, as here. llama.cpp looks at a window of
/// the last 64 tokens and multiplies at `s ≤ 0` (which differs at zero only in the sign of zero).
/// mistral.rs subtracts its other penalties first. The rule depends on where zero is, so that
/// shifting all logits changes its effect; beams show it log-probabilities, which are never
/// positive, and there it always multiplies.
///
/// # Complexity
///
/// The number of distinct tokens so far, and a copy of the row if none was made yet.
///
/// # Example
///
/// ```
/// # use taper_sampling::*;
/// let history = History::new(&[0]);
/// let step = Step::new(DrawKey::new(0)).history(&history);
/// let pipeline = Pipeline::greedy().then(RepetitionPenalty::new(2.0)?);
/// assert_eq!(pipeline.select(&[3.0, 2.0], &step, &mut Workspace::new(2))?.token, 1);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
///
/// # Source
///
/// Keskar et al., *CTRL*, arXiv 1909.05858; Hugging Face transformers 5.23,
/// `RepetitionPenaltyLogitsProcessor`.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct RepetitionPenalty {
    penalty: f32,
}

/// Why a [`RepetitionPenalty`] was refused.
#[derive(Debug, Clone, Copy, PartialEq, thiserror::Error)]
pub enum RepetitionPenaltyError {
    /// `penalty ≤ 0`, NaN, infinite, or 0 in `f32`.
    #[error("repetition_penalty is {0}; it must be above 0 and finite (1 is off)")]
    OutOfRange(f64),
}

impl RepetitionPenalty {
    /// A penalty, rounded to `f32` as the engines do.
    ///
    /// # Errors
    ///
    /// [`RepetitionPenaltyError::OutOfRange`], also when the rounded value is 0 or infinite.
    pub fn new(penalty: f64) -> Result<Self, RepetitionPenaltyError> {
        let rounded = penalty as f32;
        if !(rounded > 0.0 && rounded < f32::INFINITY) {
            return Err(RepetitionPenaltyError::OutOfRange(penalty));
        }
        Ok(Self { penalty: rounded })
    }
}

impl Stage for RepetitionPenalty {
    fn name(&self) -> &'static str {
        "repetition_penalty"
    }

    fn apply(
        &self,
        candidates: &mut Candidates<'_>,
        step: &StepContext<'_>,
    ) -> Result<(), StageError> {
        let penalty = self.penalty;
        let seen = step.history().counts().iter().map(|count| count.id);
        candidates
            .edit(seen, |_, score| if score < 0.0 { score * penalty } else { score / penalty })
    }
}
