//! Minimum of new tokens: no end before so many tokens were generated.

use alloc::vec::Vec;

use crate::candidates::Candidates;
use crate::data::{Arguments, Described, PipelineError, SettingError, Settings};
use crate::error::StageError;
use crate::stage::{Role, Stage, StepContext};

/// Bans the EOS tokens while fewer than so many tokens were generated.
///
/// # Ties
///
/// A ban; none to break.
///
/// # NaN and infinities
///
/// A banned token's score becomes −∞, whatever it was; the others are not looked at.
///
/// # Differences
///
/// Hugging Face's and vLLM's rule (`min_tokens` there, which holds back stop tokens too); Hugging
/// Face does nothing where no EOS token is known, and that is refused here. MAX uses −10 000 in
/// place of −∞, so that a certain EOS passes. [`MinLength`](crate::MinLength) counts the prompt.
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
/// let pipeline = Pipeline::greedy().then(MinNewTokens::new(1, &[2])?);
/// let history = History::new(&[1, 1]);
/// let step = Step::new(DrawKey::new(0)).history(&history);
/// assert_eq!(pipeline.select(&[1.0, 3.0, 9.0], &step, &mut Workspace::new(3))?.token, 1);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
///
/// # Source
///
/// Hugging Face transformers 5.23, `MinNewTokensLengthLogitsProcessor`; vLLM 0.33
/// `MinTokensLogitsProcessor`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MinNewTokens {
    min_new_tokens: usize,
    eos: Vec<u32>,
}

impl MinNewTokens {
    /// Holds back `eos` until `min_new_tokens` tokens were generated.
    ///
    /// # Errors
    ///
    /// [`SettingError`] without EOS tokens.
    pub fn new(min_new_tokens: usize, eos: &[u32]) -> Result<Self, SettingError> {
        if eos.is_empty() {
            return Err(SettingError::new(
                "eos",
                "without EOS tokens",
                "given at least one to hold back",
            )
            .called("min_new_tokens"));
        }
        Ok(Self { min_new_tokens, eos: eos.to_vec() })
    }
}

impl Stage for MinNewTokens {
    fn name(&self) -> &'static str {
        "min_new_tokens"
    }

    fn settings(&self) -> Option<Settings> {
        let settings = Settings::new(self.name()).with("min_new_tokens", self.min_new_tokens);
        Some(settings.with("eos", self.eos.clone()))
    }

    fn role(&self) -> Role {
        Role::Ban
    }

    fn apply(
        &self,
        candidates: &mut Candidates<'_>,
        step: &StepContext<'_>,
    ) -> Result<(), StageError> {
        if step.history()?.generated().len() >= self.min_new_tokens {
            return Ok(());
        }
        candidates.edit(self.eos.iter().copied(), |_, _| f32::NEG_INFINITY)
    }
}

impl Described for MinNewTokens {
    fn read(arguments: &mut Arguments) -> Result<Self, PipelineError> {
        let min_new_tokens = arguments.required("min_new_tokens")?;
        let eos: Vec<u32> = arguments.required("eos")?;
        arguments.built(Self::new(min_new_tokens, &eos))
    }
}
