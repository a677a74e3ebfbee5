//! Forced BOS: the second token of the text is given.

use crate::candidates::Candidates;
use crate::data::{Arguments, Described, PipelineError, Settings};
use crate::error::StageError;
use crate::stage::{Role, Stage, StepContext};

/// When the text has one token, bans every token but this one, which gets the score 0.
///
/// Meant for decoders that start from a single start token and must name a language next.
///
/// # Ties
///
/// None are left.
///
/// # NaN and infinities
///
/// Whatever the scores were, they are 0 and −∞ afterwards.
///
/// # Differences
///
/// Hugging Face's rule: the length counted is that of the text, prompt included, so that it never
/// acts on a prompt of two tokens or more.
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
/// let pipeline = Pipeline::greedy().then(ForcedBos::new(0));
/// let history = History::new(&[2]);
/// let step = Step::new(DrawKey::new(0)).history(&history);
/// assert_eq!(pipeline.select(&[1.0, 3.0, 9.0], &step, &mut Workspace::new(3))?.token, 0);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
///
/// # Source
///
/// Hugging Face transformers 5.23, `ForcedBOSTokenLogitsProcessor`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ForcedBos {
    id: u32,
}

impl ForcedBos {
    /// Forces this token.
    pub fn new(id: u32) -> Self {
        Self { id }
    }
}

impl Stage for ForcedBos {
    fn name(&self) -> &'static str {
        "forced_bos"
    }

    fn settings(&self) -> Option<Settings> {
        Some(Settings::new(self.name()).with("id", self.id))
    }

    fn role(&self) -> Role {
        Role::Ban
    }

    fn apply(
        &self,
        candidates: &mut Candidates<'_>,
        step: &StepContext<'_>,
    ) -> Result<(), StageError> {
        if step.history()?.tokens().len() != 1 {
            return Ok(());
        }
        candidates.force(&[self.id], 0.0)
    }
}

impl Described for ForcedBos {
    fn read(arguments: &mut Arguments) -> Result<Self, PipelineError> {
        Ok(Self::new(arguments.required("id")?))
    }
}
