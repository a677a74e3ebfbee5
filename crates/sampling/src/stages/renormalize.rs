//! Renormalisation: scores become log-probabilities of what is left.

use crate::candidates::Candidates;
use crate::data::{Arguments, Described, PipelineError, Settings};
use crate::error::StageError;
use crate::stage::{Role, Stage, StepContext};

/// Subtracts the log-normaliser from every score: `s' = fl(s − ln Σ exp s)`, so that the
/// exponentials add up to 1.
///
/// The distribution stays what it is. It matters where scores are added up over steps, as in beam
/// search, and where a rule depends on where zero is, as the repetition penalty does.
///
/// # Ties
///
/// Equal scores stay equal; rounding may make neighbours equal.
///
/// # NaN and infinities
///
/// NaN and +∞ are refused. Banned candidates stay banned.
///
/// # Differences
///
/// Hugging Face alone has it as a stage, the last one.
///
/// # Complexity
///
/// One pass of exponentials, and a copy of the row if none was made yet.
///
/// # Example
///
/// ```
/// use taper_sampling::prelude::*;
///
/// let pipeline = Pipeline::draw().then(Renormalize);
/// let mut workspace = Workspace::new(2);
/// let left = pipeline.process(&[7.0, 7.0], &Step::new(DrawKey::new(0)), &mut workspace)?;
/// assert_eq!(left.get(0), Some(0.5_f32.ln()));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
///
/// # Source
///
/// Hugging Face transformers 5.23, `LogitNormalization`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Renormalize;

impl Stage for Renormalize {
    fn name(&self) -> &'static str {
        "renormalize_logits"
    }

    fn settings(&self) -> Option<Settings> {
        Some(Settings::new(self.name()))
    }

    fn role(&self) -> Role {
        Role::Scale
    }

    fn apply(
        &self,
        candidates: &mut Candidates<'_>,
        _: &StepContext<'_>,
    ) -> Result<(), StageError> {
        let normaliser = candidates.normaliser()?;
        candidates.map(|_, score| normaliser.log_probability(score) as f32);
        Ok(())
    }
}

impl Described for Renormalize {
    fn read(_: &mut Arguments) -> Result<Self, PipelineError> {
        Ok(Self)
    }
}
