//! Suppressed tokens at the beginning: not as the first generated token.

use alloc::vec::Vec;

use crate::candidates::Candidates;
use crate::data::{Arguments, Described, PipelineError, Settings};
use crate::error::StageError;
use crate::stage::{Role, Stage, StepContext};

/// Bans these tokens at the first generated position.
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
/// Hugging Face's rule, with its exception: where a [`ForcedBos`](crate::ForcedBos) takes the first
/// position, the second counts instead, see [`BeginSuppressTokens::after_forced_bos`].
///
/// # Complexity
///
/// The number of tokens at that position, nothing elsewhere.
///
/// # Example
///
/// ```
/// use taper_sampling::prelude::*;
///
/// let pipeline = Pipeline::greedy().then(BeginSuppressTokens::new(&[2]));
/// let mut history = History::new(&[0, 1]);
/// let mut workspace = Workspace::new(3);
/// let row = [1.0, 3.0, 9.0];
/// let first = Step::new(DrawKey::new(0)).history(&history);
/// assert_eq!(pipeline.select(&row, &first, &mut workspace)?.token, 1);
/// history.accept(1);
/// let second = Step::new(DrawKey::new(0)).history(&history);
/// assert_eq!(pipeline.select(&row, &second, &mut workspace)?.token, 2);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
///
/// # Source
///
/// Hugging Face transformers 5.23, `SuppressTokensAtBeginLogitsProcessor`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BeginSuppressTokens {
    ids: Vec<u32>,
    after_forced_bos: bool,
}

impl BeginSuppressTokens {
    /// Bans these tokens at the first generated position.
    pub fn new(ids: &[u32]) -> Self {
        Self { ids: ids.to_vec(), after_forced_bos: false }
    }

    /// At the second generated position instead, if the prompt has no more than one token: the
    /// first is taken by a forced BOS token then.
    #[must_use]
    pub fn after_forced_bos(self, after_forced_bos: bool) -> Self {
        Self { after_forced_bos, ..self }
    }
}

impl Stage for BeginSuppressTokens {
    fn name(&self) -> &'static str {
        "begin_suppress_tokens"
    }

    fn settings(&self) -> Option<Settings> {
        let settings = Settings::new(self.name()).with("ids", self.ids.clone());
        Some(settings.option("after_forced_bos", self.after_forced_bos, false))
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
        let shifted = self.after_forced_bos && history.prompt().len() <= 1;
        if history.generated().len() != usize::from(shifted) {
            return Ok(());
        }
        candidates.edit(self.ids.iter().copied(), |_, _| f32::NEG_INFINITY)
    }
}

impl Described for BeginSuppressTokens {
    fn read(arguments: &mut Arguments) -> Result<Self, PipelineError> {
        let ids: Vec<u32> = arguments.required("ids")?;
        let shifted = arguments.optional("after_forced_bos", false)?;
        Ok(Self::new(&ids).after_forced_bos(shifted))
    }
}
