//! Greedy decoding: the best candidate.

use super::Selector;
use crate::candidates::Candidates;
use crate::data::{Arguments, Described, PipelineError, Settings};
use crate::error::StageError;
use crate::stage::StepContext;
use crate::ties::ArgmaxTies;

/// The best candidate.
///
/// # Ties
///
/// [`ArgmaxTies`]; the default takes the lowest id, as torch, vLLM and llama.cpp do on a CPU.
///
/// # NaN and infinities
///
/// NaN and +∞ are refused, as is a set of banned candidates alone.
///
/// # Complexity
///
/// One pass, and a look at the block that holds the maximum.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Greedy {
    /// Who is the best when several are.
    pub ties: ArgmaxTies,
}

impl Selector for Greedy {
    fn name(&self) -> &'static str {
        "greedy"
    }

    fn settings(&self) -> Option<Settings> {
        Some(Settings::new(self.name()).policy("ties", self.ties, ArgmaxTies::default()))
    }

    fn takes_best(&self) -> bool {
        true
    }

    fn select(
        &self,
        candidates: &mut Candidates<'_>,
        _: &StepContext<'_>,
    ) -> Result<u32, StageError> {
        candidates.argmax(self.ties)
    }
}

impl Described for Greedy {
    fn read(arguments: &mut Arguments) -> Result<Self, PipelineError> {
        Ok(Self { ties: arguments.optional("ties", ArgmaxTies::default())? })
    }
}
