//! What a few stages must remember between the steps of one sequence.

use alloc::boxed::Box;
use alloc::vec::Vec;
use core::any::Any;
use core::fmt::Debug;

use crate::pipeline::Pipeline;

/// What a sequence took at a step, as told to each stage's memory.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Accepted {
    /// The token.
    pub token: u32,
    /// Its share of the distribution the selector saw; `None` when the caller chose the token itself.
    pub probability: Option<f64>,
}

/// The memory of one stage for one sequence: mirostat's μ, a grammar's position.
///
/// The stage itself is immutable and shared by all sequences; [`Pipeline::new_memory`] makes a
/// memory per sequence and stage. See [`Logged`] for an implementation that rolls back by
/// keeping one copy of a small state per token.
///
/// [`Pipeline::new_memory`]: crate::Pipeline::new_memory
pub trait StageMemory: Any + Debug + Send + Sync {
    /// The sequence took a token.
    fn accept(&mut self, accepted: &Accepted);
    /// The sequence took back its last `tokens` tokens. Exact: as if they had never come.
    fn rollback(&mut self, tokens: usize);
    /// A copy for a sequence that goes another way from here.
    fn fork(&self) -> Box<dyn StageMemory>;
    /// Works ahead of the next step, if there is work: the caller may call it while the model computes
    /// the logits, and a step calls it otherwise. Changes nothing that a step can see.
    fn prepare(&mut self) {}
}

/// The memories of one sequence, one slot per stage and one for the selector, for the pipeline that
/// made it; another one refuses it.
#[derive(Debug)]
pub struct Memory {
    pipeline: Pipeline,
    slots: Vec<Option<Box<dyn StageMemory>>>,
}

impl Memory {
    /// Whether no stage remembers anything.
    pub fn is_empty(&self) -> bool {
        self.slots.iter().all(Option::is_none)
    }

    pub(crate) fn of(pipeline: &Pipeline) -> Self {
        let mut slots: Vec<_> = pipeline.stages().iter().map(|stage| stage.new_memory()).collect();
        slots.push(pipeline.selector().new_memory());
        Self { pipeline: pipeline.clone(), slots }
    }

    pub(crate) fn belongs_to(&self, pipeline: &Pipeline) -> bool {
        self.pipeline.is(pipeline)
    }

    pub(crate) fn slot(&self, index: usize) -> Option<&dyn StageMemory> {
        self.slots.get(index)?.as_deref()
    }

    /// Tells every stage of the token that the sequence took.
    pub fn accept(&mut self, accepted: &Accepted) {
        for slot in self.slots.iter_mut().flatten() {
            slot.accept(accepted);
        }
    }

    /// Takes back the last `tokens` tokens.
    pub fn rollback(&mut self, tokens: usize) {
        for slot in self.slots.iter_mut().flatten() {
            slot.rollback(tokens);
        }
    }

    /// A copy for a sequence that goes another way from here.
    #[must_use]
    pub fn fork(&self) -> Self {
        let fork = |slot: &Option<Box<dyn StageMemory>>| slot.as_ref().map(|slot| slot.fork());
        Self { pipeline: self.pipeline.clone(), slots: self.slots.iter().map(fork).collect() }
    }

    /// Lets the stages work ahead of the next step.
    pub fn prepare(&mut self) {
        for slot in self.slots.iter_mut().flatten() {
            slot.prepare();
        }
    }
}

/// A small state with its past: one copy per accepted token, so that taking back is a truncation.
///
/// ```
/// use taper_sampling::{Accepted, Logged, StageMemory};
/// let mut tokens_seen = Logged::new(0_u32, |seen, _| seen + 1);
/// tokens_seen.accept(&Accepted { token: 4, probability: Some(0.5) });
/// assert_eq!(*tokens_seen.now(), 1);
/// tokens_seen.rollback(1);
/// assert_eq!(*tokens_seen.now(), 0);
/// ```
#[derive(Clone)]
pub struct Logged<S> {
    now: S,
    past: Vec<S>,
    next: fn(&S, &Accepted) -> S,
}

impl<S> Logged<S> {
    /// Starts at `initial`; `next` gives the state after a token.
    pub fn new(initial: S, next: fn(&S, &Accepted) -> S) -> Self {
        Self { now: initial, past: Vec::new(), next }
    }

    /// The state after all tokens accepted so far.
    pub fn now(&self) -> &S {
        &self.now
    }
}

impl<S: Debug> Debug for Logged<S> {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.debug_struct("Logged")
            .field("now", &self.now)
            .field("past", &self.past.len())
            .finish_non_exhaustive()
    }
}

impl<S: Clone + Debug + Send + Sync + 'static> StageMemory for Logged<S> {
    fn accept(&mut self, accepted: &Accepted) {
        let next = (self.next)(&self.now, accepted);
        self.past.push(core::mem::replace(&mut self.now, next));
    }

    fn rollback(&mut self, tokens: usize) {
        for _ in 0..tokens {
            if let Some(before) = self.past.pop() {
                self.now = before;
            }
        }
    }

    fn fork(&self) -> Box<dyn StageMemory> {
        Box::new(self.clone())
    }
}
