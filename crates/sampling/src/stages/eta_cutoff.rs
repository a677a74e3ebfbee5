//! Eta sampling: epsilon sampling that gives way when the distribution is flat.

use super::epsilon_cutoff::keep_probable;
use crate::candidates::Candidates;
use crate::data::{Arguments, Described, PipelineError, SettingError, Settings};
use crate::error::StageError;
use crate::kernels::exp;
use crate::kernels::special::sqrt;
use crate::stage::{Role, Stage, StepContext};

/// Keeps the candidates whose probability is at least `η = min(ε, √ε · exp(−H))`, where `H` is the
/// entropy in nats.
///
/// A flat distribution has many tokens of low probability that are none the worse for it, and a
/// large `H` lowers the bar for them. Probabilities and `η` are rounded to `f32` before they are
/// compared. If no token is that likely, the best and its equals stay.
///
/// # Ties
///
/// None to break: equal scores stay or go together, and equality with `η` is kept.
///
/// # NaN and infinities
///
/// NaN and +∞ are refused. Banned candidates count nothing in the entropy and are removed.
///
/// # Differences
///
/// Hugging Face alone has it. Its config takes 0 for "off" and passes over values outside of 0..1 in
/// silence; here they are an error, and leaving the stage out is off.
///
/// # Complexity
///
/// One pass of exponentials for normaliser and entropy, and one over scores.
///
/// # Example
///
/// ```
/// use taper_sampling::prelude::*;
///
/// // Uniform over 16: η = √0.01 / 16 is below the 1/16 that each has.
/// let step = Step::new(DrawKey::new(0)).ask(Ask { kept: true, ..Ask::token() });
/// let pipeline = Pipeline::draw().then(EtaCutoff::new(0.01)?);
/// assert_eq!(pipeline.select(&[0.0; 16], &step, &mut Workspace::new(16))?.kept, Some(16));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
///
/// # Source
///
/// Hewitt et al., *Truncation Sampling as Language Model Desmoothing*, arXiv 2210.15191; Hugging
/// Face transformers 5.23, `EtaLogitsWarper`.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct EtaCutoff {
    epsilon: f32,
    min_tokens_to_keep: usize,
}

impl EtaCutoff {
    /// The `ε` of the formula, rounded to `f32` as the engine does.
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
            .called("eta_cutoff"));
        }
        Ok(Self { epsilon: rounded, min_tokens_to_keep: 1 })
    }

    /// Keeps the best candidates of this number too, and the equals of the last of them.
    #[must_use]
    pub fn min_tokens_to_keep(self, min_tokens_to_keep: usize) -> Self {
        Self { min_tokens_to_keep, ..self }
    }
}

impl Stage for EtaCutoff {
    fn name(&self) -> &'static str {
        "eta_cutoff"
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
        let adapted = sqrt(f64::from(self.epsilon)) * exp(-candidates.entropy()?);
        let eta = self.epsilon.min(adapted as f32);
        keep_probable(candidates, eta, self.min_tokens_to_keep)
    }
}

impl Described for EtaCutoff {
    fn read(arguments: &mut Arguments) -> Result<Self, PipelineError> {
        let epsilon = arguments.required("epsilon")?;
        let least = arguments.optional("min_tokens_to_keep", 1)?;
        Ok(arguments.built(Self::new(epsilon))?.min_tokens_to_keep(least))
    }
}
