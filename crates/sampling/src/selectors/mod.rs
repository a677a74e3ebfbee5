//! The last step: one token out of the candidates that are left.

use alloc::boxed::Box;
use core::fmt;

use crate::candidates::Candidates;
use crate::draws::Purpose;
use crate::memory::StageMemory;
use crate::stage::{StageError, StepContext};
use crate::ties::ArgmaxTies;

/// Chooses the token. Like a [`Stage`](crate::Stage) it is immutable and shared.
pub trait Selector: fmt::Debug + Send + Sync {
    /// The name by which traces and errors call it.
    fn name(&self) -> &str;

    /// One of the candidates; never a banned one.
    ///
    /// # Errors
    ///
    /// Whatever a verb refuses.
    fn select(
        &self,
        candidates: &mut Candidates<'_>,
        step: &StepContext<'_>,
    ) -> Result<u32, StageError>;

    /// A fresh memory for a new sequence, if the selector keeps one.
    fn new_memory(&self) -> Option<Box<dyn StageMemory>> {
        None
    }
}

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

    fn select(
        &self,
        candidates: &mut Candidates<'_>,
        _: &StepContext<'_>,
    ) -> Result<u32, StageError> {
        candidates.argmax(self.ties)
    }
}

/// A draw from the distribution of the candidates, by inverse CDF with ids ascending.
///
/// The number drawn is the one of [`Purpose::Select`] with index 0, 53 bits of it. The weights are
/// exact integers, so the token is the same on every CPU; a token of no weight (see
/// [`Mass`](crate::Mass)) is never drawn.
///
/// # NaN and infinities
///
/// NaN and +∞ are refused, as is a set of banned candidates alone.
///
/// # Differences
///
/// Hugging Face draws from torch's global generator, which can return a token of probability
/// zero; llama.cpp's comparison lets `u = 0` choose token 0 whatever its probability.
///
/// # Complexity
///
/// One pass of exponentials over what is left.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Draw;

impl Selector for Draw {
    fn name(&self) -> &'static str {
        "draw"
    }

    fn select(
        &self,
        candidates: &mut Candidates<'_>,
        step: &StepContext<'_>,
    ) -> Result<u32, StageError> {
        candidates.pick(step.draws().unit(Purpose::Select, 0))
    }
}
