//! The seam: what a stage is, what it is given, how it fails.

use alloc::boxed::Box;
use alloc::sync::Arc;
use core::any::Any;
use core::fmt;

use crate::candidates::Candidates;
use crate::data::Settings;
use crate::error::StageError;
use crate::logits::Logits;
use crate::sequence::{Draws, History, StageMemory};

/// One step from logits to a token: an edit of scores, a cut, or both.
///
/// A stage is a small program over the verbs of [`Candidates`]. The verbs own the fast paths, the
/// tie rules and the trace, so a stage written in another crate has all that the ones here have.
/// It is immutable and shared between sequences; what it must remember of one goes into a
/// [`StageMemory`].
pub trait Stage: fmt::Debug + Send + Sync {
    /// The name by which traces and errors call it, `snake_case`, as its engine spells it.
    fn name(&self) -> &str;

    /// Acts on the candidates.
    ///
    /// # Errors
    ///
    /// Whatever a verb refuses, or [`StageError::Other`].
    fn apply(
        &self,
        candidates: &mut Candidates<'_>,
        step: &StepContext<'_>,
    ) -> Result<(), StageError>;

    /// What the stage says of its settings, for [`Pipeline`](crate::Pipeline)s as data; `None` if it
    /// cannot be written down.
    fn settings(&self) -> Option<Settings> {
        None
    }

    /// What the stage does to the candidates, for [`Pipeline::lints`](crate::Pipeline::lints); no step
    /// depends on it.
    fn role(&self) -> Role {
        Role::Other
    }

    /// Whether its setting leaves every row as it is.
    fn is_idle(&self) -> bool {
        false
    }

    /// What its setting does that is unlikely to be meant, for
    /// [`Pipeline::lints`](crate::Pipeline::lints): a phrase that goes on from the stage's name.
    fn warning(&self) -> Option<&'static str> {
        None
    }

    /// A fresh memory for a new sequence, if the stage keeps one.
    fn new_memory(&self) -> Option<Box<dyn StageMemory>> {
        None
    }
}

macro_rules! stage_behind {
    ($($pointer:ident)*) => {
        $(impl<S: Stage + ?Sized> Stage for $pointer<S> {
            fn name(&self) -> &str {
                (**self).name()
            }

            fn apply(
                &self,
                candidates: &mut Candidates<'_>,
                step: &StepContext<'_>,
            ) -> Result<(), StageError> {
                (**self).apply(candidates, step)
            }

            fn settings(&self) -> Option<Settings> {
                (**self).settings()
            }

            fn role(&self) -> Role {
                (**self).role()
            }

            fn is_idle(&self) -> bool {
                (**self).is_idle()
            }

            fn warning(&self) -> Option<&'static str> {
                (**self).warning()
            }

            fn new_memory(&self) -> Option<Box<dyn StageMemory>> {
                (**self).new_memory()
            }
        })*
    };
}

stage_behind!(Box Arc);

/// What a stage does to the candidates.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
#[non_exhaustive]
pub enum Role {
    /// Nothing that is said here; cuts that may remove the best candidate among others.
    #[default]
    Other,
    /// It changes all scores and not their order.
    Scale,
    /// It removes candidates, and never the best.
    Cut,
    /// It changes the scores of some.
    Edit,
    /// It bans some.
    Ban,
    /// It mends NaN and +∞.
    Repair,
}

/// What a stage may know of the step besides the candidates.
#[derive(Debug, Clone, Copy)]
pub struct StepContext<'s> {
    history: Option<&'s History>,
    draws: Draws,
    memory: Option<&'s dyn StageMemory>,
    unconditional: Option<Logits<'s>>,
}

impl<'s> StepContext<'s> {
    pub(crate) fn new(
        history: Option<&'s History>,
        draws: Draws,
        memory: Option<&'s dyn StageMemory>,
        unconditional: Option<Logits<'s>>,
    ) -> Self {
        Self { history, draws, memory, unconditional }
    }

    /// The tokens so far.
    ///
    /// # Errors
    ///
    /// [`StageError::NoHistory`] if the step came without.
    pub fn history(&self) -> Result<&'s History, StageError> {
        self.history.ok_or(StageError::NoHistory)
    }

    /// The random numbers of this step.
    pub fn draws(&self) -> Draws {
        self.draws
    }

    /// This stage's own memory of the sequence, of the type that its `new_memory` makes.
    ///
    /// # Errors
    ///
    /// [`StageError::NoMemory`] if the step came without.
    pub fn memory<M: StageMemory>(&self) -> Result<&'s M, StageError> {
        let memory: &dyn Any = self.memory.ok_or(StageError::NoMemory)?;
        memory.downcast_ref().ok_or(StageError::NoMemory)
    }

    /// The logits of the same step without the prompt, if the caller has them.
    pub fn unconditional(&self) -> Option<Logits<'s>> {
        self.unconditional
    }
}

/// A stage made of a closure.
///
/// ```
/// use taper_sampling::stage_fn;
/// let no_evens = stage_fn("no_evens", |candidates, _| candidates.keep_if(|id, _| id % 2 == 1));
/// ```
pub fn stage_fn<F>(name: &'static str, apply: F) -> StageFn<F>
where
    F: Fn(&mut Candidates<'_>, &StepContext<'_>) -> Result<(), StageError> + Send + Sync,
{
    StageFn { name, apply }
}

/// The stage that [`stage_fn`] makes.
#[derive(Clone)]
pub struct StageFn<F> {
    name: &'static str,
    apply: F,
}

impl<F> fmt::Debug for StageFn<F> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "StageFn({})", self.name)
    }
}

impl<F> Stage for StageFn<F>
where
    F: Fn(&mut Candidates<'_>, &StepContext<'_>) -> Result<(), StageError> + Send + Sync,
{
    fn name(&self) -> &str {
        self.name
    }

    fn apply(
        &self,
        candidates: &mut Candidates<'_>,
        step: &StepContext<'_>,
    ) -> Result<(), StageError> {
        (self.apply)(candidates, step)
    }
}
