//! Suppressed tokens: never, anywhere.

use alloc::vec::Vec;

use crate::candidates::Candidates;
use crate::data::{Arguments, Described, PipelineError, Settings};
use crate::error::StageError;
use crate::stage::{Role, Stage, StepContext};

/// Bans these tokens at every step.
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
/// Hugging Face's rule, except that it passes over ids outside the vocabulary, which are refused
/// here. It comes behind [`RemoveInvalidValues`](crate::RemoveInvalidValues) there, so that this
/// ban lasts while earlier ones become finite.
///
/// # Complexity
///
/// The number of tokens, and a copy of the row if none was made yet.
///
/// # Example
///
/// ```
/// use taper_sampling::prelude::*;
///
/// let pipeline = Pipeline::greedy().then(SuppressTokens::new(&[2]));
/// let step = Step::new(DrawKey::new(0));
/// assert_eq!(pipeline.select(&[1.0, 3.0, 9.0], &step, &mut Workspace::new(3))?.token, 1);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
///
/// # Source
///
/// Hugging Face transformers 5.23, `SuppressTokensLogitsProcessor`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SuppressTokens {
    ids: Vec<u32>,
}

impl SuppressTokens {
    /// Bans these tokens.
    pub fn new(ids: &[u32]) -> Self {
        Self { ids: ids.to_vec() }
    }
}

impl Stage for SuppressTokens {
    fn name(&self) -> &'static str {
        "suppress_tokens"
    }

    fn settings(&self) -> Option<Settings> {
        Some(Settings::new(self.name()).with("ids", self.ids.clone()))
    }

    fn role(&self) -> Role {
        Role::Ban
    }

    fn is_idle(&self) -> bool {
        self.ids.is_empty()
    }

    fn apply(
        &self,
        candidates: &mut Candidates<'_>,
        _: &StepContext<'_>,
    ) -> Result<(), StageError> {
        candidates.edit(self.ids.iter().copied(), |_, _| f32::NEG_INFINITY)
    }
}

impl Described for SuppressTokens {
    fn read(arguments: &mut Arguments) -> Result<Self, PipelineError> {
        Ok(Self::new(&arguments.required::<Vec<u32>>("ids")?))
    }
}
