//! Exponential decay length penalty: the longer the text, the likelier its end.

use alloc::vec::Vec;

use crate::candidates::Candidates;
use crate::data::{Arguments, Described, PipelineError, SettingError, Settings};
use crate::error::StageError;
use crate::kernels::special::powi;
use crate::stage::{Role, Stage, StepContext};

/// Once `n > 0` tokens were generated beyond `start`, raises the EOS tokens:
/// `s' = s + |s| · (factorⁿ − 1)`.
///
/// A factor below 1 lowers them. An EOS token at exactly 0 stays there.
///
/// # Ties
///
/// An edit; it may make or break them.
///
/// # NaN and infinities
///
/// A score that is not finite is left alone. A power that leaves `f32` makes the score infinite
/// (or NaN, at 0), for the next cut to refuse.
///
/// # Differences
///
/// Hugging Face's rule; no other engine has it. There a power beyond `f64` raises an exception.
///
/// # Complexity
///
/// The number of EOS tokens, and a copy of the row if none was made yet.
///
/// # Example
///
/// ```
/// use taper_sampling::prelude::*;
///
/// let pipeline = Pipeline::greedy().then(ExponentialDecay::new(0, 1.5, &[1])?);
/// let mut history = History::new(&[0]);
/// [0, 0].into_iter().for_each(|id| history.accept(id));
/// let step = Step::new(DrawKey::new(0)).history(&history);
/// let mut workspace = Workspace::new(2);
/// let candidates = pipeline.process(&[1.0, -2.0], &step, &mut workspace)?;
/// assert_eq!(candidates.get(1), Some(-2.0 + 2.0 * (1.5 * 1.5 - 1.0)));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
///
/// # Source
///
/// Hugging Face transformers 5.23, `ExponentialDecayLengthPenalty`.
#[derive(Debug, Clone, PartialEq)]
pub struct ExponentialDecay {
    start: usize,
    factor: f64,
    /// Ascending, each once.
    eos: Vec<u32>,
}

impl ExponentialDecay {
    /// Raises `eos` by `factor` per generated token after the first `start`.
    ///
    /// # Errors
    ///
    /// [`SettingError`].
    pub fn new(start: usize, factor: f64, eos: &[u32]) -> Result<Self, SettingError> {
        if !(factor > 0.0 && factor < f64::INFINITY) {
            return Err(SettingError::new(
                "factor",
                factor,
                "a factor above 0 and finite (1 is off)",
            )
            .called("exponential_decay_length_penalty"));
        }
        if eos.is_empty() {
            return Err(SettingError::new(
                "eos",
                "without EOS tokens",
                "given at least one to raise",
            )
            .called("exponential_decay_length_penalty"));
        }
        let mut eos = eos.to_vec();
        eos.sort_unstable();
        eos.dedup();
        Ok(Self { start, factor, eos })
    }
}

impl Stage for ExponentialDecay {
    fn name(&self) -> &'static str {
        "exponential_decay_length_penalty"
    }

    fn settings(&self) -> Option<Settings> {
        let settings = Settings::new(self.name()).with("start", self.start);
        Some(settings.with("factor", self.factor).with("eos", self.eos.clone()))
    }

    fn role(&self) -> Role {
        Role::Edit
    }

    fn apply(
        &self,
        candidates: &mut Candidates<'_>,
        step: &StepContext<'_>,
    ) -> Result<(), StageError> {
        let beyond = step.history()?.generated().len().saturating_sub(self.start);
        if beyond == 0 {
            return Ok(());
        }
        let growth = (powi(self.factor, beyond as u32) - 1.0) as f32;
        candidates.edit(self.eos.iter().copied(), |_, score| {
            if score.is_finite() { score + score.abs() * growth } else { score }
        })
    }
}

impl Described for ExponentialDecay {
    fn read(arguments: &mut Arguments) -> Result<Self, PipelineError> {
        let (start, factor) = (arguments.required("start")?, arguments.required("factor")?);
        let eos: Vec<u32> = arguments.required("eos")?;
        arguments.built(Self::new(start, factor, &eos))
    }
}
