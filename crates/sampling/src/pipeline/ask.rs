//! What a step is asked for, and what it is given to know.

use crate::logits::Logits;
use crate::sequence::{DrawKey, History, Memory};

/// What a step reports besides the token. Nothing that is not asked for is computed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
#[expect(clippy::struct_excessive_bools, reason = "each is an independent question")]
pub struct Ask {
    /// The token's log-probability and rank in the untouched row: one pass of exponentials.
    pub logprob: bool,
    /// The entropy of the untouched row: one such pass and a half, with the log-probability or
    /// without.
    pub entropy: bool,
    /// The token's share of what the selector saw.
    pub probability: bool,
    /// How many tokens the selector could have chosen.
    pub kept: bool,
    /// For a [`Choice`](crate::Choice), those tokens with their scores; a [`Selection`](crate::Selection)
    /// has them in any case.
    pub kept_tokens: bool,
    /// How many of the best tokens of the untouched row to list, with log-probabilities.
    pub top_logprobs: usize,
    /// What each stage did: a second run of the pipeline, with an account at every stage.
    pub trace: bool,
}

impl Ask {
    /// The token alone.
    pub const fn token() -> Self {
        Self {
            logprob: false,
            entropy: false,
            probability: false,
            kept: false,
            kept_tokens: false,
            top_logprobs: 0,
            trace: false,
        }
    }

    /// Everything but the lists of tokens.
    pub const fn everything() -> Self {
        Self {
            logprob: true,
            entropy: true,
            probability: true,
            kept: true,
            kept_tokens: false,
            top_logprobs: 0,
            trace: true,
        }
    }
}

/// What comes with one step besides its logits: what to report, a second row, a mask.
///
/// An [`Ask`] alone is one.
///
/// ```
/// use taper_sampling::prelude::*;
/// let mut sampler = Sampler::new(Pipeline::greedy(), 4);
/// let only = Given::default().allowed_ids(&[1, 3]);
/// assert_eq!(sampler.select(&[9.0, 1.0, 8.0, 2.0], only)?.token, 3);
/// # Ok::<(), SelectError>(())
/// ```
#[derive(Debug, Clone, Copy, Default)]
pub struct Given<'g> {
    pub(crate) ask: Ask,
    pub(crate) unconditional: Option<Logits<'g>>,
    pub(crate) allowed: Allowed<'g>,
}

/// The tokens that one step may choose from.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) enum Allowed<'g> {
    #[default]
    All,
    /// In any order.
    Ids(&'g [u32]),
    /// Bit `id % 32` of word `id / 32`.
    Bits(&'g [u32]),
}

impl<'g> Given<'g> {
    /// What to report.
    #[must_use]
    pub const fn ask(self, ask: Ask) -> Self {
        Self { ask, ..self }
    }

    /// The logits that the model gives without the prompt, for
    /// [`ClassifierFreeGuidance`](crate::ClassifierFreeGuidance).
    #[must_use]
    pub fn unconditional(self, logits: impl Into<Logits<'g>>) -> Self {
        Self { unconditional: Some(logits.into()), ..self }
    }

    /// At this step these tokens and no others, before the first stage.
    #[must_use]
    pub const fn allowed_ids(self, ids: &'g [u32]) -> Self {
        Self { allowed: Allowed::Ids(ids), ..self }
    }

    /// As [`allowed_ids`](Self::allowed_ids), as bits: bit `id % 32` of word `id / 32`; tokens past the
    /// end are banned.
    #[must_use]
    pub const fn allowed_bits(self, bits: &'g [u32]) -> Self {
        Self { allowed: Allowed::Bits(bits), ..self }
    }
}

impl From<Ask> for Given<'_> {
    fn from(ask: Ask) -> Self {
        Self { ask, ..Self::default() }
    }
}

/// One step put together by hand: which place of which sequence, its past, what to report.
///
/// A [`Sequence`](crate::Sequence) makes these and keeps them right; by hand, the caller does. Two
/// steps with one key draw by the same numbers. A stage that reads the text or a memory refuses a
/// step that came without.
#[derive(Debug, Clone, Copy)]
pub struct Step<'s> {
    pub(crate) key: DrawKey,
    pub(crate) history: Option<&'s History>,
    pub(crate) memory: Option<&'s Memory>,
    pub(crate) given: Given<'s>,
}

impl<'s> Step<'s> {
    /// A step without a past that reports the token alone.
    pub fn new(key: DrawKey) -> Self {
        Self { key, history: None, memory: None, given: Given::default() }
    }

    /// The tokens so far.
    #[must_use]
    pub const fn history(self, history: &'s History) -> Self {
        Self { history: Some(history), ..self }
    }

    /// The memories of the sequence, from [`Pipeline::new_memory`](crate::Pipeline::new_memory).
    #[must_use]
    pub const fn memory(self, memory: &'s Memory) -> Self {
        Self { memory: Some(memory), ..self }
    }

    /// The logits that the model gives without the prompt, for
    /// [`ClassifierFreeGuidance`](crate::ClassifierFreeGuidance).
    #[must_use]
    pub fn unconditional(self, logits: impl Into<Logits<'s>>) -> Self {
        Self { given: self.given.unconditional(logits), ..self }
    }

    /// What to report.
    #[must_use]
    pub const fn ask(self, ask: Ask) -> Self {
        Self { given: self.given.ask(ask), ..self }
    }

    /// What comes with the step, all of it.
    #[must_use]
    pub const fn given(self, given: Given<'s>) -> Self {
        Self { given, ..self }
    }

    pub(crate) fn remembers(&self) -> bool {
        self.memory.is_some_and(|memory| !memory.is_empty())
    }
}
