//! Repetition penalty: makes tokens that already occurred less likely.

use alloc::vec::Vec;

use crate::candidates::Candidates;
use crate::data::{Arguments, Described, PipelineError, SettingError, Settings};
use crate::error::StageError;
use crate::sequence::Window;
use crate::stage::{Role, Stage, StepContext};

/// Moves the score of every token that occurred away from likely: `s' = s · r` for `s < 0`,
/// `s / r` otherwise. Once per token, however often it occurred.
///
/// `r = 1` changes nothing, `r > 1` discourages repetition, `r < 1` encourages it. The text is
/// prompt and generated tokens unless a [`Window`] says otherwise.
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
/// Hugging Face and vLLM apply it to prompt and output, as here by default. llama.cpp looks at a
/// window of the last 64 tokens. Hugging Face divides at zero, llama.cpp and vLLM multiply there;
/// the result is the same zero. vLLM multiplies by the rounded reciprocal where the others divide:
/// [`RepetitionPenalty::reciprocal`], a last digit apart. mistral.rs subtracts its other penalties
/// first. The rule depends on where zero is, so that shifting all logits changes its effect; beams
/// show it log-probabilities, which are never positive, and there it always multiplies.
///
/// # Complexity
///
/// The number of distinct tokens in the text, or `w ln w` for a window of `w` tokens; and a copy
/// of the row if none was made yet.
///
/// # Example
///
/// ```
/// use taper_sampling::prelude::*;
///
/// let history = History::new(&[0]);
/// let step = Step::new(DrawKey::new(0)).history(&history);
/// let pipeline = Pipeline::greedy().then(RepetitionPenalty::new(2.0)?);
/// assert_eq!(pipeline.select(&[3.0, 2.0], &step, &mut Workspace::new(2))?.token, 1);
/// let exempt = Pipeline::greedy().then(RepetitionPenalty::new(2.0)?.exempt(&[0]));
/// assert_eq!(exempt.select(&[3.0, 2.0], &step, &mut Workspace::new(2))?.token, 0);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
///
/// # Source
///
/// Keskar et al., *CTRL*, arXiv 1909.05858; Hugging Face transformers 5.23,
/// `RepetitionPenaltyLogitsProcessor`; llama.cpp `llama_sampler_penalties`; vLLM 0.33
/// `apply_repetition_penalties`.
#[derive(Debug, Clone, PartialEq)]
pub struct RepetitionPenalty {
    penalty: f32,
    window: Window,
    /// Ascending.
    exempt: Vec<u32>,
    reciprocal: bool,
}

impl RepetitionPenalty {
    /// A penalty on all of the text, rounded to `f32` as the engines do.
    ///
    /// # Errors
    ///
    /// [`SettingError`], also when the rounded value is 0 or infinite.
    pub fn new(penalty: f64) -> Result<Self, SettingError> {
        let rounded = penalty as f32;
        if !(rounded > 0.0 && rounded < f32::INFINITY) {
            return Err(SettingError::new("penalty", penalty, "above 0 and finite (1 is off)")
                .called("repetition_penalty"));
        }
        Ok(Self { penalty: rounded, window: Window::ALL, exempt: Vec::new(), reciprocal: false })
    }

    /// Which part of the text counts.
    #[must_use]
    pub fn window(self, window: Window) -> Self {
        Self { window, ..self }
    }

    /// Tokens that may repeat freely, such as the markers of a chat template.
    #[must_use]
    pub fn exempt(self, ids: &[u32]) -> Self {
        let mut exempt = ids.to_vec();
        exempt.sort_unstable();
        Self { exempt, ..self }
    }

    /// Multiplies positive scores by `fl(1 / r)` instead of dividing by `r`, as vLLM does.
    #[must_use]
    pub fn reciprocal(self, reciprocal: bool) -> Self {
        Self { reciprocal, ..self }
    }

    fn penalised(&self, score: f32) -> f32 {
        if self.reciprocal {
            score * if score > 0.0 { 1.0 / self.penalty } else { self.penalty }
        } else {
            // One of the two is 1 and does nothing: no branch that cannot be predicted.
            let (factor, divisor) =
                if score < 0.0 { (self.penalty, 1.0) } else { (1.0, self.penalty) };
            score * factor / divisor
        }
    }
}

impl Stage for RepetitionPenalty {
    fn name(&self) -> &'static str {
        "repetition_penalty"
    }

    fn settings(&self) -> Option<Settings> {
        let settings = Settings::new(self.name())
            .with("penalty", self.penalty)
            .option("window", self.window, Window::ALL)
            .option("exempt", self.exempt.clone(), Vec::new());
        Some(settings.option("reciprocal", self.reciprocal, false))
    }

    fn role(&self) -> Role {
        Role::Edit
    }

    fn is_idle(&self) -> bool {
        self.penalty == 1.0
    }

    fn apply(
        &self,
        candidates: &mut Candidates<'_>,
        step: &StepContext<'_>,
    ) -> Result<(), StageError> {
        candidates.with_words(|candidates, words| {
            let seen = step.history()?.tally(self.window, words).map(|(id, _)| id);
            let seen = seen.filter(|id| self.exempt.binary_search(id).is_err());
            candidates.edit(seen, |_, score| self.penalised(score))
        })
    }
}

impl Described for RepetitionPenalty {
    fn read(arguments: &mut Arguments) -> Result<Self, PipelineError> {
        let penalty = arguments.required("penalty")?;
        let window = arguments.optional("window", Window::ALL)?;
        let exempt: Vec<u32> = arguments.optional("exempt", Vec::new())?;
        let reciprocal = arguments.optional("reciprocal", false)?;
        let built = arguments.built(Self::new(penalty))?;
        Ok(built.window(window).exempt(&exempt).reciprocal(reciprocal))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_engines_agree_at_zero_bit_for_bit() {
        for penalty in [1e-30, 0.5, 1.0, 1.3, 2.0, 1e30] {
            let stage = RepetitionPenalty::new(penalty).expect("in range");
            for zero in [0.0_f32, -0.0] {
                let llama = if zero <= 0.0 { zero * stage.penalty } else { zero / stage.penalty };
                assert_eq!(stage.penalised(zero).to_bits(), llama.to_bits());
            }
        }
    }

    #[test]
    fn a_reciprocal_is_rounded_before_it_multiplies() {
        let divides = RepetitionPenalty::new(1.1).expect("in range");
        let multiplies = divides.clone().reciprocal(true);
        assert_eq!(multiplies.penalised(7.3), 7.3 * (1.0 / 1.1_f32));
        let differ = |score: f32| multiplies.penalised(score) != divides.penalised(score);
        assert!((1..100_u8).any(|score| differ(f32::from(score))));
        assert_eq!(multiplies.penalised(-7.3), divides.penalised(-7.3));
    }
}
