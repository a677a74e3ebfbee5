//! Forced EOS: the last token that the length limit leaves room for ends the text.

use alloc::vec::Vec;

use crate::candidates::Candidates;
use crate::data::{Arguments, Described, PipelineError, SettingError, Settings};
use crate::error::StageError;
use crate::stage::{Role, Stage, StepContext};

/// When one more token reaches the length limit, bans every token but these, which get the score 0.
///
/// # Ties
///
/// Several forced tokens tie at 0; an argmax takes the lowest id, a draw any.
///
/// # NaN and infinities
///
/// Whatever the scores were, they are 0 and −∞ afterwards.
///
/// # Differences
///
/// Hugging Face's rule. A token that an earlier cut removed cannot be forced: that is an error
/// here.
///
/// # Complexity
///
/// One pass at that position, nothing elsewhere.
///
/// # Example
///
/// ```
/// use taper_sampling::prelude::*;
///
/// let pipeline = Pipeline::greedy().then(ForcedEos::new(&[0], LengthLimit::New(1))?);
/// let history = History::new(&[2, 2]);
/// let step = Step::new(DrawKey::new(0)).history(&history);
/// assert_eq!(pipeline.select(&[1.0, 3.0, 9.0], &step, &mut Workspace::new(3))?.token, 0);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
///
/// # Source
///
/// Hugging Face transformers 5.23, `ForcedEOSTokenLogitsProcessor`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ForcedEos {
    ids: Vec<u32>,
    limit: LengthLimit,
}

/// Where a text must end.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum LengthLimit {
    /// At so many tokens, prompt included.
    Total(usize),
    /// At so many generated tokens.
    New(usize),
}

impl ForcedEos {
    /// Forces one of these tokens at the end.
    ///
    /// # Errors
    ///
    /// [`SettingError`] without tokens.
    pub fn new(ids: &[u32], limit: LengthLimit) -> Result<Self, SettingError> {
        if ids.is_empty() {
            return Err(SettingError::new(
                "ids",
                Vec::<u32>::new(),
                "a list of the tokens that may end the text",
            )
            .called("forced_eos_token_id"));
        }
        Ok(Self { ids: ids.to_vec(), limit })
    }
}

impl Stage for ForcedEos {
    fn name(&self) -> &'static str {
        "forced_eos"
    }

    fn settings(&self) -> Option<Settings> {
        Some(Settings::new(self.name()).with("ids", self.ids.clone()).with("limit", self.limit))
    }

    fn role(&self) -> Role {
        Role::Ban
    }

    fn apply(
        &self,
        candidates: &mut Candidates<'_>,
        step: &StepContext<'_>,
    ) -> Result<(), StageError> {
        let history = step.history()?;
        let last = match self.limit {
            LengthLimit::Total(limit) => history.tokens().len() + 1 == limit,
            LengthLimit::New(limit) => history.generated().len() + 1 == limit,
        };
        if last { candidates.force(&self.ids, 0.0) } else { Ok(()) }
    }
}

impl Described for ForcedEos {
    fn read(arguments: &mut Arguments) -> Result<Self, PipelineError> {
        let ids: Vec<u32> = arguments.required("ids")?;
        let limit = arguments.required("limit")?;
        arguments.built(Self::new(&ids, limit))
    }
}
