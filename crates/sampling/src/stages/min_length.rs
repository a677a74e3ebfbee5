//! Minimum length: no end before the text has so many tokens.

use alloc::vec::Vec;

use crate::candidates::Candidates;
use crate::data::{Arguments, Described, PipelineError, SettingError, Settings};
use crate::error::StageError;
use crate::stage::{Role, Stage, StepContext};

/// Bans the EOS tokens while the text, prompt included, has fewer than so many tokens.
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
/// Hugging Face's rule, except that it does nothing where no EOS token is known, and that is
/// refused here. [`MinNewTokens`](crate::MinNewTokens) leaves the prompt out.
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
/// let pipeline = Pipeline::greedy().then(MinLength::new(3, &[2])?);
/// let history = History::new(&[1, 1]);
/// let step = Step::new(DrawKey::new(0)).history(&history);
/// assert_eq!(pipeline.select(&[1.0, 3.0, 9.0], &step, &mut Workspace::new(3))?.token, 1);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
///
/// # Source
///
/// Hugging Face transformers 5.23, `MinLengthLogitsProcessor`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MinLength {
    min_length: usize,
    eos: Vec<u32>,
}

impl MinLength {
    /// Holds back `eos` until the text has `min_length` tokens.
    ///
    /// # Errors
    ///
    /// [`SettingError`] without EOS tokens.
    pub fn new(min_length: usize, eos: &[u32]) -> Result<Self, SettingError> {
        if eos.is_empty() {
            return Err(SettingError::new(
                "eos",
                "without EOS tokens",
                "given at least one to hold back",
            )
            .called("min_length"));
        }
        Ok(Self { min_length, eos: eos.to_vec() })
    }
}

impl Stage for MinLength {
    fn name(&self) -> &'static str {
        "min_length"
    }

    fn settings(&self) -> Option<Settings> {
        Some(
            Settings::new(self.name())
                .with("min_length", self.min_length)
                .with("eos", self.eos.clone()),
        )
    }

    fn role(&self) -> Role {
        Role::Ban
    }

    fn apply(
        &self,
        candidates: &mut Candidates<'_>,
        step: &StepContext<'_>,
    ) -> Result<(), StageError> {
        if step.history()?.tokens().len() >= self.min_length {
            return Ok(());
        }
        candidates.edit(self.eos.iter().copied(), |_, _| f32::NEG_INFINITY)
    }
}

impl Described for MinLength {
    fn read(arguments: &mut Arguments) -> Result<Self, PipelineError> {
        let min_length = arguments.required("min_length")?;
        let eos: Vec<u32> = arguments.required("eos")?;
        arguments.built(Self::new(min_length, &eos))
    }
}
