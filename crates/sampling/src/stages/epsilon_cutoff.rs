//! Epsilon sampling: every candidate of at least a given probability.

use crate::candidates::{Candidates, Edge};
use crate::data::{Arguments, Described, PipelineError, SettingError, Settings};
use crate::error::StageError;
use crate::stage::{Role, Stage, StepContext};

/// Keeps the candidates whose probability is at least `epsilon`.
///
/// The probabilities are those of the candidates that earlier stages left, renormalised, and
/// rounded to `f32` before the comparison. If no token is that likely, the best and its equals stay.
///
/// # Ties
///
/// None to break: equal scores stay or go together, and equality with `epsilon` is kept.
///
/// # NaN and infinities
///
/// NaN and +∞ are refused. Banned candidates are removed.
///
/// # Differences
///
/// Hugging Face alone has it. Its config takes 0 for "off" and passes over values outside of 0..1 in
/// silence; here they are an error, and leaving the stage out is off.
///
/// # Complexity
///
/// One pass of exponentials for the normaliser, and one over scores.
///
/// # Example
///
/// ```
/// use taper_sampling::prelude::*;
///
/// let logits = [0.5_f32.ln(), 0.25_f32.ln(), 0.25_f32.ln() - 1e-3];
/// let step = Step::new(DrawKey::new(0)).ask(Ask { kept: true, ..Ask::token() });
/// let pipeline = Pipeline::draw().then(EpsilonCutoff::new(0.25)?);
/// assert_eq!(pipeline.select(&logits, &step, &mut Workspace::new(3))?.kept, Some(2));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
///
/// # Source
///
/// Hewitt et al., *Truncation Sampling as Language Model Desmoothing*, arXiv 2210.15191; Hugging
/// Face transformers 5.23, `EpsilonLogitsWarper`.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct EpsilonCutoff {
    epsilon: f32,
    min_tokens_to_keep: usize,
}

impl EpsilonCutoff {
    /// Keeps what is at least this likely, rounded to `f32` as the engine does.
    ///
    /// # Errors
    ///
    /// [`SettingError`], also when the rounded value is 0 or 1.
    pub fn new(epsilon: f64) -> Result<Self, SettingError> {
        let rounded = epsilon as f32;
        if !(rounded > 0.0 && rounded < 1.0) {
            return Err(SettingError::new(
                "epsilon",
                epsilon,
                "above 0 and below 1 (leave the stage out to keep everything)",
            )
            .called("epsilon_cutoff"));
        }
        Ok(Self { epsilon: rounded, min_tokens_to_keep: 1 })
    }

    /// Keeps the best candidates of this number too, and the equals of the last of them.
    #[must_use]
    pub fn min_tokens_to_keep(self, min_tokens_to_keep: usize) -> Self {
        Self { min_tokens_to_keep, ..self }
    }
}

impl Stage for EpsilonCutoff {
    fn name(&self) -> &'static str {
        "epsilon_cutoff"
    }

    fn settings(&self) -> Option<Settings> {
        let settings = Settings::new(self.name()).with("epsilon", self.epsilon);
        Some(settings.option("min_tokens_to_keep", self.min_tokens_to_keep, 1))
    }

    fn role(&self) -> Role {
        Role::Cut
    }

    fn apply(
        &self,
        candidates: &mut Candidates<'_>,
        _: &StepContext<'_>,
    ) -> Result<(), StageError> {
        keep_probable(candidates, self.epsilon, self.min_tokens_to_keep)
    }
}

impl Described for EpsilonCutoff {
    fn read(arguments: &mut Arguments) -> Result<Self, PipelineError> {
        let epsilon = arguments.required("epsilon")?;
        let least = arguments.optional("min_tokens_to_keep", 1)?;
        Ok(arguments.built(Self::new(epsilon))?.min_tokens_to_keep(least))
    }
}

/// Keeps what has the probability `p` or more, and the `at_least` best with their equals.
pub(super) fn keep_probable(
    candidates: &mut Candidates<'_>,
    p: f32,
    at_least: usize,
) -> Result<(), StageError> {
    let floor = candidates.score_at(p)?;
    let floor = floor.min(candidates.kth(at_least.max(1))?);
    candidates.keep_from(floor, Edge::Keep, 1)
}
