//! Constraint: the seam for grammars, schemas and whatever else says which tokens may come next.

use alloc::boxed::Box;

use crate::candidates::Candidates;
use crate::error::StageError;
use crate::sequence::StageMemory;
use crate::stage::{Role, Stage, StepContext};

/// Which tokens may come next, given the tokens accepted so far.
///
/// A matcher of a grammar implements it: [`StageMemory::accept`] takes a token,
/// [`StageMemory::prepare`] works out the mask of the next position, which the caller may let it do
/// while the model computes, [`StageMemory::rollback`] and [`StageMemory::fork`] do as they say.
/// [`Constraint`] makes a stage of it. With the feature `llguidance`, `Grammar` is one.
pub trait Mask: StageMemory {
    /// The tokens that may come next: bit `id % 32` of word `id / 32`; tokens past the end may not.
    /// Where the text is complete, that is the EOS tokens.
    ///
    /// # Errors
    ///
    /// [`StageError::Other`] if no mask can be given, say because a token was accepted that the
    /// grammar does not allow.
    fn allowed(&self) -> Result<&[u32], StageError>;
}

/// Bans every token that the sequence's [`Mask`] does not allow.
///
/// The mask lives in the [`Memory`](crate::Memory) of the sequence, so that sequences share the
/// stage and forks and rollbacks are exact. Every step must come with that memory, as those of a
/// [`Sequence`](crate::Sequence) do.
///
/// # Ties
///
/// A ban; none to break.
///
/// # NaN and infinities
///
/// A banned token's score becomes −∞, whatever it was; the others are not looked at. A mask that
/// allows none of the tokens that could be chosen is refused with [`StageError::NothingAllowed`].
///
/// # Differences
///
/// vLLM and MAX mask before they sample, as here. llama.cpp samples first and masks only if the
/// token is not allowed, which with cuts is another distribution.
///
/// # Complexity
///
/// One pass, besides what the mask takes to be worked out.
///
/// # Example
///
/// ```
/// use taper_sampling::prelude::*;
///
/// /// Tokens 0 and 1 in turn.
/// #[derive(Debug, Clone)]
/// struct Alternate(Vec<[u32; 1]>);
/// impl StageMemory for Alternate {
///     fn accept(&mut self, accepted: &Accepted) {
///         self.0.push(if accepted.token == 0 { [0b10] } else { [0b01] });
///     }
///     fn rollback(&mut self, tokens: usize) {
///         self.0.truncate(self.0.len() - tokens);
///     }
///     fn fork(&self) -> Box<dyn StageMemory> {
///         Box::new(self.clone())
///     }
/// }
/// impl Mask for Alternate {
///     fn allowed(&self) -> Result<&[u32], StageError> {
///         Ok(self.0.last().unwrap())
///     }
/// }
///
/// let pipeline = Pipeline::greedy().then(Constraint::new(Alternate(vec![[0b01]])));
/// let mut sampler = Sampler::new(pipeline, 3);
/// for _ in 0..4 {
///     sampler.next(&[1.0, 3.0, 9.0])?;
/// }
/// assert_eq!(sampler.history().generated(), [0, 1, 0, 1]);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
///
/// # Source
///
/// Willard and Louf, *Efficient Guided Generation*, arXiv 2307.09702.
#[derive(Debug, Clone)]
pub struct Constraint<M> {
    name: &'static str,
    start: M,
}

impl<M: Mask> Constraint<M> {
    /// Every sequence starts from a fork of `start`.
    pub fn new(start: M) -> Self {
        Self { name: "constraint", start }
    }

    /// The name by which traces and errors call it.
    #[must_use]
    pub fn named(self, name: &'static str) -> Self {
        Self { name, ..self }
    }
}

impl<M: Mask> Stage for Constraint<M> {
    fn name(&self) -> &'static str {
        self.name
    }

    fn role(&self) -> Role {
        Role::Ban
    }

    fn apply(
        &self,
        candidates: &mut Candidates<'_>,
        step: &StepContext<'_>,
    ) -> Result<(), StageError> {
        candidates.mask(step.memory::<M>()?.allowed()?)
    }

    fn new_memory(&self) -> Option<Box<dyn StageMemory>> {
        Some(self.start.fork())
    }
}
