//! What llama.cpp makes of a temperature of 0: everybody but the best is banned.

use crate::candidates::Candidates;
use crate::data::{Arguments, Described, PipelineError, Settings};
use crate::error::StageError;
use crate::stage::{Role, Stage, StepContext};
use crate::ties::ArgmaxTies;

/// Bans every candidate except the best, which keeps its score.
///
/// The limit of a temperature that goes to 0, as a stage: all stay listed, so that stages after it
/// can still count them. To decode greedily, [`Greedy`](crate::Greedy) is simpler.
///
/// # Ties
///
/// [`ArgmaxTies`]; the default leaves the lowest id.
///
/// # NaN and infinities
///
/// NaN and +∞ are refused.
///
/// # Differences
///
/// llama.cpp takes the first in the order that its earlier sorts left, which among equals is
/// unspecified. Hugging Face refuses a temperature of 0, and vLLM decodes greedily.
///
/// # Complexity
///
/// One pass, and a copy of the row if none was made yet.
///
/// # Example
///
/// ```
/// use taper_sampling::prelude::*;
///
/// let pipeline = Pipeline::draw().then(ArgmaxOnly::default());
/// let mut workspace = Workspace::new(3);
/// let left = pipeline.process(&[1.0, 4.0, 2.0], &Step::new(DrawKey::new(0)), &mut workspace)?;
/// assert_eq!((left.len(), left.eligible(), left.get(1)), (3, 1, Some(4.0)));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
///
/// # Source
///
/// llama.cpp `llama_sampler_temp` for `T ≤ 0`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct ArgmaxOnly {
    /// Who is the best when several are.
    pub ties: ArgmaxTies,
}

impl Stage for ArgmaxOnly {
    fn name(&self) -> &'static str {
        "argmax_only"
    }

    fn settings(&self) -> Option<Settings> {
        Some(Settings::new(self.name()).policy("ties", self.ties, ArgmaxTies::default()))
    }

    fn role(&self) -> Role {
        Role::Ban
    }

    fn apply(
        &self,
        candidates: &mut Candidates<'_>,
        _: &StepContext<'_>,
    ) -> Result<(), StageError> {
        candidates.ban_all_but_best(self.ties)
    }
}

impl Described for ArgmaxOnly {
    fn read(arguments: &mut Arguments) -> Result<Self, PipelineError> {
        Ok(Self { ties: arguments.optional("ties", ArgmaxTies::default())? })
    }
}
